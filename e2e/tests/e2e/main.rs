//! From POST to DONE with real processes: gateway, operator and scorer, Postgres, Redis and a Kubernetes API server.
//!
//! One program, so that it is linked once. Each test has processes, a database and a namespace of its own; see
//! [`e2e::world`]. The table "Truth, and what is derived" of the design, and where each of its rows is shown:
//!
//! | lost | test |
//! | --- | --- |
//! | scorer killed | [`scorers::the_job_of_a_killed_scorer_is_taken_over_within_its_lease_and_a_second`], [`scorers::a_job_that_kills_every_scorer_ends_in_error_once_its_attempts_are_spent`] |
//! | scorer paused, then wakes | [`scorers::a_scorer_that_wakes_after_its_lease_was_lost_changes_nothing`] |
//! | Redis emptied | [`redis::emptying_redis_loses_no_queued_delayed_or_running_job`], [`redis::emptying_redis_again_and_again_under_load_loses_nothing`] |
//! | Redis down | [`redis::without_redis_jobs_are_accepted_and_running_ones_are_finished`] |
//! | Postgres down | [`postgres::a_crash_of_postgres_under_load_is_answered_503_and_loses_nothing`] |
//! | kube-apiserver down | [`apiserver::without_the_api_server_jobs_are_accepted_and_scored`], [`apiserver::an_operator_that_starts_without_the_api_server_queues_from_postgres`] |
//! | operator down | [`operators::a_standby_takes_over_from_a_killed_leader`] |
//! | resource deleted by a person | [`operators::a_scoring_job_deleted_while_no_operator_runs_is_cancelled`], [`kubectl::deleting_a_resource_cancels_its_jobs`] |
//! | network split | [`network::a_scorer_cut_off_from_everything_is_replaced_and_changes_nothing_when_it_is_back`], [`network::a_scorer_cut_off_from_redis_alone_stops_what_another_has_taken`] |

mod apiserver;
mod burst;
mod kubectl;
mod network;
mod operators;
mod postgres;
mod redis;
mod scorers;
mod stops;
mod walk;
