//! What a `ScoringJob` resource stands for: a job that is mirrored in it, or a request for one.

use std::collections::HashMap;

use domain::{JobId, JobStatus, Knobs, Priority, SubmissionId};
use uuid::Uuid;

use crate::accept::{Accepted, NewJob, Refusal};
use crate::row::job_columns;
use crate::{BatchResult, InvalidItem, JobRow, Mirror, ResourceRef, Scope, Store, StoreError};

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
    /// The gateway made it: it mirrors the job it is named after and is never a request.
    pub made_by_gateway: bool,
    /// Whether it may become a job when it mirrors none.
    pub acceptable: bool,
    /// The W3C trace context for the job that it may become.
    pub traceparent: Option<String>,
}

/// What a resource stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    /// This job is mirrored in it.
    Bound(Box<JobRow>),
    /// The job it is named after is counted in a batch, has or had another resource that the gateway made, or is in the
    /// history, so that nothing would ever delete this one: it is to be deleted, and nothing cancelled.
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
    /// It mirrors no job, and was not [acceptable](ResourceRequest::acceptable).
    Unacceptable,
    /// What it stands for kept changing while it was looked at: ask again.
    Unsettled,
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

impl From<&Knobs> for MutableKnobs {
    fn from(knobs: &Knobs) -> Self {
        MutableKnobs { priority: knobs.priority, suspended: knobs.suspended, ttl_seconds: knobs.ttl_seconds }
    }
}

impl From<&JobRow> for MutableKnobs {
    fn from(row: &JobRow) -> Self {
        MutableKnobs { priority: row.priority, suspended: row.suspended, ttl_seconds: row.ttl_seconds }
    }
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

const ROWS: &str = concat!(
    "SELECT ",
    job_columns!(),
    " FROM scoring_jobs j 
WHERE j.id = ANY ($1::uuid[] || ARRAY(SELECT id FROM scoring_jobs WHERE resource_uid = ANY($2)))"
);

// A row without a uid belongs to the resource that was made for it, also when its creator died before saying so and
// the job ended meanwhile. One that is there although it was thought to be gone is its job's again.
const BIND: &str = concat!(
    "WITH item AS (
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[]) AS t (job, namespace, name, uid)
), held AS (
  SELECT j.id, i.namespace, i.name, i.uid FROM item i JOIN scoring_jobs j ON j.id = ANY (ARRAY[i.job])
  WHERE (j.resource_uid IS NULL OR j.resource_uid = i.uid) AND j.resource_kind IS DISTINCT FROM 'batch'
  ORDER BY i.job FOR NO KEY UPDATE OF j
)
UPDATE scoring_jobs j SET resource_kind = 'job', resource_namespace = held.namespace, resource_name = held.name,
  resource_uid = held.uid
FROM held WHERE j.id = ANY (ARRAY[held.id])
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
FROM held WHERE j.id = ANY (ARRAY[held.id])
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

fn plan(request: &ResourceRequest, rows: &Rows) -> Plan {
    let uid = request.resource.uid;
    let bound = |row: &JobRow| Plan::Settled(Resolved::Bound(Box::new(row.clone())));
    if let Some(row) = rows.of_resource(uid) {
        return if matches!(row.mirror, Mirror::Gone { .. }) { Plan::Bind(row.id) } else { bound(row) };
    }
    let named = request.named_job.and_then(|id| rows.by_id.get(&id));
    let named = named.filter(|row| row.submission_id == request.submission_id);
    match named.or_else(|| rows.by_id.get(&uid)) {
        None => {}
        Some(row) => match &row.mirror {
            Mirror::Batch => return Plan::Settled(Resolved::Duplicate { job: row.id }),
            Mirror::None | Mirror::Job { uid: None, .. } | Mirror::Gone { uid: None } => {
                return Plan::Bind(row.id);
            }
            Mirror::Job { .. } | Mirror::Gone { .. } if row.id == uid => return bound(row),
            // A creation that was given up and took effect late.
            Mirror::Job { .. } | Mirror::Gone { .. } if request.made_by_gateway => {
                return Plan::Settled(Resolved::Duplicate { job: row.id });
            }
            // The job had another resource: this one is a request of its own.
            Mirror::Job { .. } | Mirror::Gone { .. } => {}
        },
    }
    if request.acceptable { Plan::Accept } else { Plan::Settled(Resolved::Unacceptable) }
}

/// The rows that may be meant.
#[derive(Default)]
struct Rows {
    by_id: HashMap<JobId, JobRow>,
    by_resource: HashMap<Uuid, JobId>,
}

impl Rows {
    fn of_resource(&self, uid: Uuid) -> Option<&JobRow> {
        self.by_id.get(self.by_resource.get(&uid)?)
    }

    fn add(&mut self, rows: impl IntoIterator<Item = JobRow>) {
        for row in rows {
            if let Mirror::Job { uid: Some(uid), .. } | Mirror::Gone { uid: Some(uid) } = row.mirror {
                self.by_resource.insert(uid, row.id);
            }
            self.by_id.insert(row.id, row);
        }
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
        let rows = self.rows_meant(requests.iter()).await?;
        let mut answers: Vec<Option<Result<Resolved, InvalidItem>>> = Vec::with_capacity(requests.len());
        let (mut to_bind, mut to_accept) = (Vec::new(), Vec::new());
        for (at, request) in requests.iter().enumerate() {
            let mut planned = plan(request, &rows);
            if let (Plan::Accept, true, Some(job)) = (&planned, request.made_by_gateway, request.named_job)
                && self.job_in_history(job).await?.is_some()
            {
                planned = Plan::Settled(Resolved::Duplicate { job });
            }
            answers.push(match planned {
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
        // What another changed between reading and binding is left.
        Ok(answers.into_iter().map(|answer| answer.unwrap_or(Ok(Resolved::Unsettled))).collect())
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
        let mut rows = Rows::default();
        rows.add(bound);
        let missed = to_bind.iter().filter(|(_, job)| !rows.by_id.contains_key(job));
        let missed = missed.map(|(at, _)| &requests[*at]).collect::<Vec<_>>();
        rows.add(self.rows_meant(missed).await?.by_id.into_values());
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
        let rows = self.rows_of(created.collect(), Vec::new()).await?;
        for (at, answer) in to_accept.iter().zip(accepted) {
            answers[*at] = match answer {
                Ok(Accepted::Created { id }) => match rows.by_id.get(&id) {
                    Some(row) => Some(Ok(Resolved::Bound(Box::new(row.clone())))),
                    None => self.job_in_history(id).await?.map(|_| Ok(Resolved::Duplicate { job: id })),
                },
                Ok(Accepted::Existing { id, status }) => Some(Ok(Resolved::Existing { id, status })),
                Ok(Accepted::Refused(refusal)) => Some(Ok(Resolved::Refused(refusal))),
                Ok(Accepted::Unsettled) => Some(Ok(Resolved::Unsettled)),
                Err(invalid) => Some(Err(invalid)),
            };
        }
        Ok(())
    }

    /// The rows that these resources may stand for.
    async fn rows_meant<'r>(
        &self,
        requests: impl IntoIterator<Item = &'r ResourceRequest>,
    ) -> Result<Rows, StoreError> {
        let (mut ids, mut uids) = (Vec::new(), Vec::new());
        for request in requests {
            ids.extend(request.named_job);
            ids.push(request.resource.uid);
            uids.push(request.resource.uid);
        }
        self.rows_of(ids, uids).await
    }

    async fn rows_of(&self, ids: Vec<JobId>, uids: Vec<Uuid>) -> Result<Rows, StoreError> {
        let mut rows = Rows::default();
        if !ids.is_empty() {
            let found: Vec<JobRow> = self.all(sqlx::query_as(ROWS).bind(ids).bind(uids)).await?;
            rows.add(found);
        }
        Ok(rows)
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
        scope: Scope::All,
        knobs: request.knobs.clone(),
        traceparent: request.traceparent.clone(),
        resource: Some(request.resource.clone()),
    }
}
