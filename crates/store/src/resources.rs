//! What a `ScoringJob` resource stands for: a job that is mirrored in it, or a request for one.

use std::collections::HashMap;

use domain::{JobId, JobStatus, Knobs, Priority, SubmissionId};
use uuid::Uuid;

use crate::accept::{Accepted, NewJob, Refusal};
use crate::row::job_columns;
use crate::{BatchResult, InvalidItem, JobRow, Mirror, ResourceRef, Store, StoreError};

/// A resource that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceRequest {
    /// Which.
    pub resource: ResourceRef,
    /// What it asks to be scored.
    pub submission_id: SubmissionId,
    /// The choices in its spec.
    pub knobs: Knobs,
    /// The job that its name stands for, when it lies in the gateway's namespace and its name is a UUID.
    pub named_job: Option<JobId>,
}

/// What a resource stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    /// This job is mirrored in it.
    Bound(Box<JobRow>),
    /// The job it is named after is counted in a batch: the resource is to be deleted, and nothing cancelled.
    Duplicate {
        /// The job.
        job: JobId,
    },
    /// Its submission has another active job, so it cannot be accepted.
    Existing {
        /// The other job.
        id: JobId,
        /// Where it stands.
        status: JobStatus,
    },
    /// It cannot be accepted.
    Refused(Refusal),
}

/// The choices that a person may change later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MutableKnobs {
    /// How urgent it is.
    pub priority: Priority,
    /// Held back.
    pub suspended: bool,
    /// How long the resource outlives the job's end, in seconds.
    pub ttl_seconds: u32,
}

/// What came of changed choices.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// The job has them now; the queue is to follow.
    Changed(Box<JobRow>),
    /// The job had them before.
    Unchanged,
    /// There is no such job.
    NotFound,
}

const ROWS: &str = concat!("SELECT ", job_columns!(), " FROM scoring_jobs j WHERE j.id = ANY($1)");

// A row without a uid belongs to the resource that was made for it, also when its creator died before saying so and
// the job ended meanwhile.
const BIND: &str = concat!(
    "WITH item AS (
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[]) AS t (job, namespace, name, uid)
), held AS (
  SELECT j.id, i.namespace, i.name, i.uid FROM item i JOIN scoring_jobs j ON j.id = i.job
  WHERE j.resource_uid IS NULL AND j.resource_kind IS DISTINCT FROM 'batch'
  ORDER BY j.id FOR NO KEY UPDATE OF j
)
UPDATE scoring_jobs j SET resource_kind = 'job', resource_namespace = held.namespace, resource_name = held.name,
  resource_uid = held.uid
FROM held WHERE j.id = held.id
RETURNING ",
    job_columns!()
);

const APPLY_KNOBS: &str = concat!(
    "WITH held AS (
  SELECT id, status = 'QUEUED' AND suspended AND NOT $3 AS resumed FROM scoring_jobs
  WHERE id = $1 AND (priority, suspended, ttl_seconds) IS DISTINCT FROM ($2, $3, $4)
  FOR NO KEY UPDATE
), unqueued AS (
  INSERT INTO scoring_unqueued (job_id) SELECT id FROM held WHERE resumed
  ON CONFLICT (job_id) DO UPDATE SET since = excluded.since
)
UPDATE scoring_jobs j SET priority = $2, suspended = $3, ttl_seconds = $4,
  version = version + CASE WHEN completed_at IS NULL THEN 1 ELSE 0 END,
  expires_at = CASE WHEN expires_at IS NOT NULL THEN completed_at + $4 * INTERVAL '1 second' END
FROM held WHERE j.id = held.id
RETURNING ",
    job_columns!()
);

const EXISTS: &str = "SELECT TRUE FROM scoring_jobs WHERE id = $1";

/// What is to be done about one resource, given the rows that may be meant.
enum Plan {
    /// It is settled.
    Settled(Resolved),
    /// This job is to be bound to it.
    Bind(JobId),
    /// It asks for a job of its own.
    Accept,
}

fn plan(request: &ResourceRequest, rows: &HashMap<JobId, JobRow>) -> Plan {
    let uid = request.resource.uid;
    let named = request.named_job.and_then(|id| rows.get(&id));
    if let Some(row) = named.filter(|row| row.submission_id == request.submission_id) {
        match &row.mirror {
            Mirror::Batch => return Plan::Settled(Resolved::Duplicate { job: row.id }),
            Mirror::Job { uid: Some(bound), .. } if *bound == uid => {
                return Plan::Settled(Resolved::Bound(Box::new(row.clone())));
            }
            Mirror::None | Mirror::Job { uid: None, .. } | Mirror::Gone { uid: None } => {
                return Plan::Bind(row.id);
            }
            // The job had another resource: this one is a request of its own.
            Mirror::Job { .. } | Mirror::Gone { .. } => {}
        }
    }
    match rows.get(&uid) {
        Some(row) => Plan::Settled(Resolved::Bound(Box::new(row.clone()))),
        None => Plan::Accept,
    }
}

impl Store {
    /// Finds out what resources stand for, binds those that mirror a job to it, and accepts the others as requests,
    /// whose job gets the resource's uid as its id. Each is answered on its own, in the order given, and may be
    /// asked about as often as one likes.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn resolve(&self, requests: &[ResourceRequest]) -> BatchResult<Resolved> {
        let uids = requests.iter().map(|request| request.resource.uid);
        let rows = self.rows_of(uids.chain(requests.iter().filter_map(|request| request.named_job))).await?;
        let mut answers: Vec<Option<Result<Resolved, InvalidItem>>> = Vec::with_capacity(requests.len());
        let (mut to_bind, mut to_accept) = (Vec::new(), Vec::new());
        for (at, request) in requests.iter().enumerate() {
            answers.push(match plan(request, &rows) {
                Plan::Settled(resolved) => Some(Ok(resolved)),
                Plan::Bind(job) => {
                    to_bind.push((at, job));
                    None
                }
                Plan::Accept => {
                    to_accept.push(at);
                    None
                }
            });
        }
        self.bind(requests, &to_bind, &mut answers).await?;
        self.accept_resources(requests, &to_accept, &mut answers).await?;
        // A row that another changed between reading and binding is left; the caller tries it again.
        answers.into_iter().collect::<Option<Vec<_>>>().ok_or_else(changed_meanwhile)
    }

    async fn bind(
        &self,
        requests: &[ResourceRequest],
        to_bind: &[(usize, JobId)],
        answers: &mut [Option<Result<Resolved, InvalidItem>>],
    ) -> Result<(), StoreError> {
        if to_bind.is_empty() {
            return Ok(());
        }
        let resource = |at: usize| &requests[at].resource;
        let jobs: Vec<Uuid> = to_bind.iter().map(|(_, job)| *job).collect();
        let namespaces: Vec<&str> = to_bind.iter().map(|(at, _)| resource(*at).namespace.as_str()).collect();
        let names: Vec<&str> = to_bind.iter().map(|(at, _)| resource(*at).name.as_str()).collect();
        let uids: Vec<Uuid> = to_bind.iter().map(|(at, _)| resource(*at).uid).collect();
        let query = sqlx::query_as(BIND).bind(&jobs).bind(namespaces).bind(names).bind(uids);
        let bound: Vec<JobRow> = self.all(query).await?;
        let mut rows: HashMap<JobId, JobRow> = bound.into_iter().map(|row| (row.id, row)).collect();
        let missed = jobs.into_iter().filter(|job| !rows.contains_key(job)).collect::<Vec<_>>();
        if !missed.is_empty() {
            rows.extend(self.rows_of(missed).await?);
        }
        for (at, _) in to_bind {
            if let Plan::Settled(resolved) = plan(&requests[*at], &rows) {
                answers[*at] = Some(Ok(resolved));
            }
        }
        Ok(())
    }

    async fn accept_resources(
        &self,
        requests: &[ResourceRequest],
        to_accept: &[usize],
        answers: &mut [Option<Result<Resolved, InvalidItem>>],
    ) -> Result<(), StoreError> {
        if to_accept.is_empty() {
            return Ok(());
        }
        let new_jobs: Vec<NewJob> = to_accept.iter().map(|at| new_job(&requests[*at])).collect();
        let accepted = self.accept(&new_jobs).await?;
        let created = accepted.iter().filter_map(|answer| match answer {
            Ok(Accepted::Created { id }) => Some(*id),
            _ => None,
        });
        let rows = self.rows_of(created.collect::<Vec<_>>()).await?;
        for (at, answer) in to_accept.iter().zip(accepted) {
            answers[*at] = match answer {
                Ok(Accepted::Created { id }) => {
                    rows.get(&id).map(|row| Ok(Resolved::Bound(Box::new(row.clone()))))
                }
                Ok(Accepted::Existing { id, status }) => Some(Ok(Resolved::Existing { id, status })),
                Ok(Accepted::Refused(refusal)) => Some(Ok(Resolved::Refused(refusal))),
                Err(invalid) => Some(Err(invalid)),
            };
        }
        Ok(())
    }

    async fn rows_of(
        &self,
        ids: impl IntoIterator<Item = JobId>,
    ) -> Result<HashMap<JobId, JobRow>, StoreError> {
        let ids: Vec<Uuid> = ids.into_iter().collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<JobRow> = self.all(sqlx::query_as(ROWS).bind(ids)).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// Gives a job the choices that its resource's spec has now. A job that is no longer held back counts as not
    /// being on Redis until someone says so.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn apply_knobs(&self, job: JobId, knobs: MutableKnobs) -> Result<Applied, StoreError> {
        let query = sqlx::query_as(APPLY_KNOBS)
            .bind(job)
            .bind(i16::from(knobs.priority.get()))
            .bind(knobs.suspended)
            .bind(crate::columns::to_integer(knobs.ttl_seconds));
        if let Some(row) = self.optional(query).await? {
            return Ok(Applied::Changed(Box::new(row)));
        }
        let known: Option<(bool,)> = self.optional(sqlx::query_as(EXISTS).bind(job)).await?;
        Ok(if known.is_some() { Applied::Unchanged } else { Applied::NotFound })
    }
}

fn new_job(request: &ResourceRequest) -> NewJob {
    NewJob {
        id: request.resource.uid,
        submission_id: request.submission_id,
        tenant: None,
        knobs: request.knobs.clone(),
        traceparent: None,
        resource: Some(request.resource.clone()),
    }
}

fn changed_meanwhile() -> StoreError {
    sqlx::Error::Io(std::io::Error::other("a job changed while its resource was bound to it")).into()
}
