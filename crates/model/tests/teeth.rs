//! Where a rule is missing, the model shows how that goes wrong.

use domain::Epoch;
use domain::transition::{self, Finish, JobState, Start, Verdict};
use model::{Life, ONE_JOB, Rules, counterexamples};

/// With these rules this does not hold any more, already in a small world.
fn assert_broken(rules: Rules, property: &str) {
    let found = counterexamples(Life { bounds: ONE_JOB, rules });
    println!("{found:#?}");
    assert!(found.contains_key(property), "holds, or was not reached: {property}");
}

#[test]
fn without_the_epoch_of_a_finish_a_stale_scorer_s_result_is_recorded() {
    fn finish(job: JobState, _: Epoch, verdict: Verdict) -> Finish {
        transition::finish(job, job.epoch, verdict)
    }
    assert_broken(Rules { finish, ..Rules::default() }, "no result is recorded for another's attempt");
}

#[test]
fn when_an_older_epoch_can_start_a_stale_scorer_takes_the_job_back() {
    fn start(job: JobState, epoch: Epoch, expired: Epoch) -> Start {
        match transition::start(job, epoch, expired) {
            Start::Stale { .. } => transition::start(JobState { epoch: Epoch::NONE, ..job }, epoch, expired),
            start => start,
        }
    }
    assert_broken(Rules { start, ..Rules::default() }, "a stale epoch never changes a row");
}

#[test]
fn when_a_takeover_always_counts_the_loss_of_redis_spends_an_attempt() {
    fn start(job: JobState, epoch: Epoch, _: Epoch) -> Start {
        transition::start(job, epoch, job.epoch)
    }
    assert_broken(
        Rules { start, ..Rules::default() },
        "only a lease that was seen to run out spends an attempt as lost",
    );
}

/// A claim that never started ran out; the attempt before it may have been given back in good health.
#[test]
fn when_a_later_lease_that_ran_out_counts_too_an_attempt_is_spent_that_was_given_back() {
    fn start(job: JobState, epoch: Epoch, expired: Epoch) -> Start {
        transition::start(job, epoch, if expired > job.epoch { job.epoch } else { expired })
    }
    assert_broken(
        Rules { start, ..Rules::default() },
        "only a lease that was seen to run out spends an attempt as lost",
    );
}

#[test]
fn when_an_attempt_has_no_limit_more_are_spent_than_there_are() {
    fn start(job: JobState, epoch: Epoch, expired: Epoch) -> Start {
        match transition::start(JobState { max_attempts: u32::MAX, ..job }, epoch, expired) {
            Start::Started { next, taken_over } => {
                Start::Started { next: JobState { max_attempts: job.max_attempts, ..next }, taken_over }
            }
            start => start,
        }
    }
    assert_broken(Rules { start, ..Rules::default() }, "attempts never exceed the limit");
}

#[test]
fn without_the_audit_a_job_whose_lease_was_dropped_after_a_lost_answer_waits_for_ever() {
    assert_broken(
        Rules { audit: false, ..Rules::default() },
        "every job ends once faults cease, whoever survives",
    );
}
