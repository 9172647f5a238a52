//! Commits whose answer the network swallowed: the repetition finds out what was done, and does not do it twice.
//!
//! Each call reaches Postgres over a link that carries the statement and loses the answer. The statement was prepared on
//! that connection before, so it is a single message, and Postgres commits what its caller never hears of.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use domain::{AttemptOutcome, Epoch, ErrorCode, JobStatus, Knobs};
use store::{
    Accepted, CancelRequest, Cancelled, Ending, Finished, Mirror, MirroredJob, Redrive, RedriveOrder,
    Redriven, Resolved, ResourceRequest, Retirement, Retried, RetryRequest, Settings, Started, Store,
    StoreError, SubmissionStatus,
};
use testkit::{Link, Seen, Weather, until};
use uuid::Uuid;

use crate::batches::{members, new_batch};
use crate::database::{Database, done, finish, new_job, resource, start, start_after};

/// A database, and a store that reaches it over a link.
struct Far {
    database: Database,
    store: Store,
    settings: Settings,
    link: Link,
}

impl Far {
    async fn away() -> Result<Far> {
        let database = Database::fresh().await?;
        let (link, url) = Link::to_url(&database.url, Weather::Fair).await?;
        // One connection: what was prepared on it is what the next call uses.
        let deadline = Duration::from_millis(700);
        let settings =
            Settings { max_connections: 1, deadline, acquire_timeout: deadline, ..Settings::new(url) };
        Ok(Far { database, store: Store::connect(&settings)?, settings, link })
    }

    /// Makes a call whose answer gets lost, waits until `effect` says that Postgres has done it all the same, and makes
    /// it again: the second answer.
    async fn repeated<T>(
        &self,
        effect: &'static str,
        call: impl AsyncFn(&Store) -> Result<T, StoreError>,
    ) -> Result<T> {
        self.repeated_in(Weather::MuteFromParameters, effect, call).await
    }

    /// Like [`Far::repeated`], in this weather.
    async fn repeated_in<T>(
        &self,
        weather: Weather,
        effect: &'static str,
        call: impl AsyncFn(&Store) -> Result<T, StoreError>,
    ) -> Result<T> {
        let before = self.database.number(effect).await?;
        self.link.set(weather);
        let lost = call(&self.store).await;
        ensure!(lost.is_err_and(|error| error.is_unavailable()), "the answer was not lost");
        until("the lost commit has happened", Duration::from_secs(20), async || {
            let after = self.database.number(effect).await?;
            Ok(Seen::when(after == before + 1, || format!("{after} after {before}")))
        })
        .await?;
        self.link.set(Weather::Cut);
        self.link.set(Weather::Fair);
        let found = call(&self.store).await?;
        let after = self.database.number(effect).await?;
        ensure!(after == before + 1, "done twice: {after} after {before}");
        Ok(found)
    }
}

const JOBS: &str = "SELECT count(*) FROM scoring_jobs";
const ATTEMPTS: &str = "SELECT count(*) FROM scoring_attempts";
const VERSIONS: &str = "SELECT coalesce(sum(version), 0)::bigint FROM scoring_jobs";
const UNQUEUED: &str = "SELECT -count(*) FROM scoring_unqueued";
const AUDITED: &str = "SELECT count(*) FROM audit_log";

#[tokio::test]
async fn an_acceptance_whose_answer_was_lost_is_found() -> Result<()> {
    let far = Far::away().await?;
    far.store.accept(&[new_job(far.database.submission().await?)]).await?;
    let new = [new_job(far.database.submission().await?)];
    let found = far.repeated(JOBS, async |store| store.accept(&new).await).await?;
    assert_eq!(found, [Ok(Accepted::Created { id: new[0].id })]);
    Ok(())
}

#[tokio::test]
async fn an_acceptance_whose_answer_was_lost_is_found_even_if_the_job_has_ended_since() -> Result<()> {
    let far = Far::away().await?;
    far.store.accept(&[new_job(far.database.submission().await?)]).await?;
    let new = [new_job(far.database.submission().await?)];
    far.repeated(JOBS, async |store| store.accept(&new).await).await?;
    far.database.start(new[0].id, 1).await?;
    far.database.store.finish(&[finish(new[0].id, 1, done())]).await?;
    // A second job for the same request would be a second score for it.
    assert_eq!(far.store.accept(&new).await?, [Ok(Accepted::Created { id: new[0].id })]);
    assert_eq!(far.database.number(JOBS).await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_found() -> Result<()> {
    let far = Far::away().await?;
    far.store.accept_batch(&new_batch(far.database.submissions(1).await?)).await?;
    let batch = new_batch(far.database.submissions(3).await?);
    const BATCHES: &str = "SELECT count(*) FROM scoring_batches";
    let found = far
        .repeated_in(Weather::MuteFrom("COMMIT"), BATCHES, async |store| store.accept_batch(&batch).await)
        .await?;
    assert_eq!((found.total, found.accepted, found.rejected), (3, 3, vec![]));
    assert_eq!(members(&far.database, batch.id).await?.len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_start_whose_answer_was_lost_is_found_and_spends_one_attempt() -> Result<()> {
    let far = Far::away().await?;
    far.store.start(&[start(far.database.queued().await?, 1)]).await?;
    let job = far.database.queued().await?;
    let found = far.repeated(VERSIONS, async |store| store.start(&[start(job, 2)]).await).await?;
    let [Started::AlreadyStarted { work }] = &found[..] else { anyhow::bail!("{found:?}") };
    assert_eq!((work.job, work.attempt), (job, 1));
    assert!(work.content.contains("1 + 1"), "the work is handed out with the second answer");
    assert_eq!(far.database.row(job).await?.attempt, 1);
    Ok(())
}

#[tokio::test]
async fn a_takeover_whose_answer_was_lost_records_the_lost_attempt_once() -> Result<()> {
    let far = Far::away().await?;
    far.store.start(&[start(far.database.queued().await?, 1)]).await?;
    let job = far.database.running(1).await?;
    let found = far.repeated(ATTEMPTS, async |store| store.start(&[start_after(1, job, 2)]).await).await?;
    assert!(matches!(&found[..], [Started::AlreadyStarted { work }] if work.attempt == 2), "{found:?}");
    let attempts = far.database.store.attempts(job).await?;
    let outcomes: Vec<_> = attempts.iter().map(|attempt| (attempt.epoch, attempt.outcome)).collect();
    assert_eq!(outcomes, [(Epoch(1), AttemptOutcome::LeaseLost)]);
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_job_whose_last_attempt_was_lost_is_recorded_once_when_the_answer_is_lost_too()
-> Result<()> {
    let far = Far::away().await?;
    far.store.start(&[start(far.database.queued().await?, 1)]).await?;
    let job = far.database.queued_with(Knobs { retries: 0, ..Knobs::default() }).await?;
    far.database.start(job, 1).await?;
    let found = far.repeated(ATTEMPTS, async |store| store.start(&[start_after(1, job, 2)]).await).await?;
    assert_eq!(found, [Started::Ended]);
    assert_eq!(far.database.row(job).await?.status, JobStatus::Error);
    assert_eq!(far.database.store.attempts(job).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn each_verdict_whose_answer_was_lost_is_found() -> Result<()> {
    let message = "why".to_owned();
    let delay = Duration::from_secs(60);
    let code = ErrorCode::TIMEOUT;
    for (ending, status) in [
        (done(), JobStatus::Done),
        (Ending::Permanent { code: code.clone(), message: message.clone() }, JobStatus::Error),
        (Ending::Retryable { code, message: message.clone(), delay }, JobStatus::Queued),
        (Ending::Released { message, delay }, JobStatus::Queued),
    ] {
        let far = Far::away().await?;
        far.store.finish(&[finish(far.database.running(1).await?, 1, done())]).await?;
        let job = far.database.running(2).await?;
        let request = [finish(job, 2, ending)];
        let found = far.repeated(ATTEMPTS, async |store| store.finish(&request).await).await?;
        let [Ok(Finished::Recorded { status: recorded, .. })] = found[..] else { anyhow::bail!("{found:?}") };
        assert_eq!(recorded, status);
        assert_eq!(far.database.row(job).await?.version, 3, "accepted, started, ended");
    }
    Ok(())
}

#[tokio::test]
async fn a_cancellation_whose_answer_was_lost_is_found_and_logged_once() -> Result<()> {
    let far = Far::away().await?;
    let cancel = |job| [CancelRequest { job, by: "ada".to_owned(), reason: "a slip".to_owned() }];
    far.store.cancel(&cancel(far.database.queued().await?)).await?;
    let job = far.database.running(1).await?;
    let found = far.repeated(AUDITED, async |store| store.cancel(&cancel(job)).await).await?;
    assert!(matches!(&found[..], [Cancelled::AlreadyCancelled { .. }]), "{found:?}");
    assert_eq!(far.database.store.attempts(job).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_request_with_kubectl_whose_answer_was_lost_is_found() -> Result<()> {
    let far = Far::away().await?;
    let request = async |name| {
        anyhow::Ok([ResourceRequest {
            resource: resource(name),
            submission_id: far.database.submission().await?,
            knobs: Knobs::default(),
            named_job: None,
            made_by_gateway: false,
            acceptable: true,
            traceparent: None,
        }])
    };
    far.store.resolve(&request("first").await?).await?;
    let mine = request("mine").await?;
    // The name of the rubric goes to Postgres with what accepts the job, and not with what is looked up before.
    let accepting = Weather::MuteFrom("default");
    let found = far.repeated_in(accepting, JOBS, async |store| store.resolve(&mine).await).await?;
    let [Ok(Resolved::Bound(row))] = &found[..] else { anyhow::bail!("{found:?}") };
    assert_eq!(row.id, mine[0].resource.uid);
    Ok(())
}

#[tokio::test]
async fn a_note_that_a_job_is_queued_whose_answer_was_lost_may_be_made_again() -> Result<()> {
    let far = Far::away().await?;
    far.store.mark_queued(&[far.database.queued().await?]).await?;
    let job = far.database.queued().await?;
    let noted = far.repeated(UNQUEUED, async |store| store.mark_queued(&[job]).await).await?;
    assert_eq!(noted, Vec::<Duration>::new(), "the second time it is no news");
    Ok(())
}

#[tokio::test]
async fn a_note_that_a_status_is_shown_whose_answer_was_lost_may_be_made_again() -> Result<()> {
    const SHOWN: &str = "SELECT sum(mirrored_version)::bigint FROM scoring_jobs";
    let far = Far::away().await?;
    far.store.mark_status_mirrored(&[(far.database.queued().await?, 1)]).await?;
    let job = far.database.queued().await?;
    far.repeated(SHOWN, async |store| store.mark_status_mirrored(&[(job, 1)]).await).await?;
    assert_eq!(far.database.row(job).await?.mirrored_version, 1);
    Ok(())
}

#[tokio::test]
async fn a_note_that_a_resource_is_there_whose_answer_was_lost_is_made_by_the_next_round() -> Result<()> {
    let far = Far::away().await?;
    let store = Store::connect(&Settings { max_connections: 2, ..far.settings.clone() })?;
    let job = far.database.queued().await?;
    let mirrored = [MirroredJob { job, uid: Some(job) }];
    let relay = store.begin_relay().await?.context("the turn")?;
    far.link.set(Weather::MuteFrom("the-namespace"));
    let lost = relay.mark_mirrored(&mirrored, "the-namespace").await;
    ensure!(lost.is_err_and(|error| error.is_unavailable()), "the answer was not lost");
    drop(relay);
    far.link.set(Weather::Cut);
    far.link.set(Weather::Fair);
    // The turn of the round before ends with its connection.
    let relay = until("the turn is free again", Duration::from_secs(20), async || {
        Ok(store.begin_relay().await?.map_or_else(|| Seen::NotYet("taken".to_owned()), Seen::Yes))
    })
    .await?;
    relay.mark_mirrored(&mirrored, "the-namespace").await?;
    relay.end().await?;
    assert!(matches!(far.database.row(job).await?.mirror, Mirror::Job { uid: Some(uid), .. } if uid == job));
    Ok(())
}

#[tokio::test]
async fn a_submission_whose_answer_was_lost_is_found() -> Result<()> {
    const SUBMISSIONS: &str = "SELECT count(*) FROM submissions";
    let far = Far::away().await?;
    let create = async |store: &Store, id| store.create_submission(id, "default", None, "{}", true).await;
    create(&far.store, Uuid::now_v7()).await?;
    let id = Uuid::now_v7();
    far.repeated(SUBMISSIONS, async |store| create(store, id).await).await?;
    let row = far.database.store.submission(id).await?.context("the submission")?;
    assert_eq!(row.status, SubmissionStatus::Submitted);
    Ok(())
}

#[tokio::test]
async fn a_redrive_whose_answer_was_lost_is_found_even_if_the_new_job_has_ended_since() -> Result<()> {
    let far = Far::away().await?;
    let order = RedriveOrder::by("ann");
    let dead = async || far.database.dead(ErrorCode::TIMEOUT).await;
    let redrive = |job| [Redrive { job, new_id: Uuid::now_v7() }];
    far.store.redrive(&redrive(dead().await?), &order).await?;
    let redrives = redrive(dead().await?);
    let found = far.repeated(JOBS, async |store| store.redrive(&redrives, &order).await).await?;
    let made = [Redriven::Made { id: redrives[0].new_id, not_before: None }];
    assert_eq!(found, made);
    far.database.start(redrives[0].new_id, 5).await?;
    far.database.store.finish(&[finish(redrives[0].new_id, 5, done())]).await?;
    assert_eq!(far.store.redrive(&redrives, &order).await?, made);
    assert_eq!(far.database.number(AUDITED).await?, 2);
    assert_eq!(far.database.number("SELECT count(*) FROM redrives").await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_retry_whose_answer_was_lost_is_found_with_its_audit_entry() -> Result<()> {
    let far = Far::away().await?;
    let retry = async || -> Result<RetryRequest> {
        let (job, new_id) = (far.database.done().await?, Uuid::now_v7());
        Ok(RetryRequest { job, new_id, by: "ann".to_owned(), traceparent: None })
    };
    far.store.retry(&retry().await?).await?;
    let request = retry().await?;
    let found = far.repeated(JOBS, async |store| store.retry(&request).await).await?;
    assert_eq!(found, Retried::Answered(Accepted::Created { id: request.new_id }));
    assert_eq!(far.database.number(AUDITED).await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_move_into_the_history_whose_answer_was_lost_is_done_once() -> Result<()> {
    let far = Far::away().await?;
    far.store.retire("default", Duration::ZERO, None, 10).await?;
    let job = far.database.done().await?;
    const HISTORY: &str = "SELECT count(*) FROM scoring_history";
    let found =
        far.repeated(HISTORY, async |store| store.retire("default", Duration::ZERO, None, 10).await).await?;
    assert_eq!(found, Retirement::Done);
    assert_eq!(far.database.number(JOBS).await?, 0);
    assert_eq!(far.database.store.attempts(job).await?.len(), 1);
    Ok(())
}
