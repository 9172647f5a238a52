//! Lists of jobs, newest first. Each [walks](crate::walk) the index that leaves the least to look at.

use domain::{BatchId, JobId, JobStatus, SubmissionId};
use jiff::Timestamp;
use uuid::Uuid;

use crate::row::job_columns;
use crate::walk::{LONGEST_WALK, LONGEST_WALK_OVER_TEXTS, Page, Walked, moment, page};
use crate::{Cursor, JobRow, Scope, Store, StoreError};

/// Which jobs to list. Each choice narrows what the others leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only those of this submission.
    pub submission_id: Option<SubmissionId>,
    /// Only members of this batch.
    pub batch_id: Option<BatchId>,
    /// Only those in this status.
    pub status: Option<JobStatus>,
    /// Only those of this tenant.
    pub tenant: Option<String>,
    /// Only those of this pool.
    pub pool: Option<String>,
    /// Only those scored under the rubric of this name.
    pub rubric: Option<String>,
    /// Only those with this error code: why they ended, or why their last attempt failed.
    pub code: Option<String>,
    /// Only those accepted at this time or later.
    pub from: Option<Timestamp>,
    /// Only those accepted before this time.
    pub until: Option<Timestamp>,
    /// Only those that this finds: an id finds the job, the jobs of the submission and the members of the batch; any
    /// other text the jobs whose id begins with it, or whose feedback or error message has it, in whatever case.
    pub search: Option<String>,
}

/// A page of a list of jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct JobPage {
    /// The jobs, newest first.
    pub jobs: Vec<JobRow>,
    /// Where the next page begins, if there may be one.
    pub next: Option<Cursor>,
    /// The page has fewer jobs than it could, because so many were looked at that do not match. The next goes on.
    pub cut_short: bool,
}

/// What is walked, by a condition that one index answers, and in its order. The place tells where a walk ended that was
/// too long: its last job is among the answers, whether it matches or not.
macro_rules! list {
    ($led_by:literal) => {
        list!($led_by, "j.created_at", "")
    };
    ($led_by:literal, $at:literal, $moment:literal) => {
        concat!(
            "SELECT ",
            job_columns!(),
            ", j.matches, j.place FROM (
  SELECT j.*, ($1::uuid IS NULL OR $1 IN (j.id, j.submission_id, coalesce(j.batch_id, j.id)))
    AND ($2::uuid IS NULL OR j.submission_id = $2)
    AND ($3::uuid IS NULL OR j.batch_id IS NOT DISTINCT FROM $3)
    AND ($4::text IS NULL OR j.tenant = $4)
    AND ($5::text IS NULL OR j.status = $5)
    AND ($6::text IS NULL OR j.pool = $6)
    AND ($7::text IS NULL OR j.rubric = $7)
    AND ($8::text IS NULL OR j.error_code IS NOT DISTINCT FROM $8)
    AND ($9::text IS NULL OR starts_with(j.id::text, $9) OR strpos(lower(coalesce(j.feedback, '')), $9) > 0
      OR strpos(lower(coalesce(j.error_message, '')), $9) > 0)
    AND ($17::text IS NULL OR j.tenant = $17) AND ($18::text IS NULL OR j.owner = $18) AS matches
  FROM (
    SELECT j.*, row_number() OVER (ORDER BY ",
            $at,
            " DESC, j.id DESC) AS place
    FROM scoring_jobs j WHERE ",
            $led_by,
            " AND ",
            $at,
            " >= coalesce($10::timestamptz, '-infinity')",
            $moment,
            " AND ",
            $at,
            " < coalesce($11::timestamptz, 'infinity')",
            $moment,
            " AND (",
            $at,
            ", j.id) < (coalesce($12::timestamptz, 'infinity')",
            $moment,
            ", coalesce($13::uuid, $14::uuid))
    ORDER BY ",
            $at,
            " DESC, j.id DESC LIMIT $15
  ) j
) j WHERE j.matches OR j.place = $15
ORDER BY ",
            $at,
            " DESC, j.id DESC LIMIT $16"
        )
    };
}

const OF_ID: &str = list!(
    "j.id = ANY (ARRAY(SELECT $1::uuid
      UNION SELECT s.id FROM scoring_jobs s WHERE s.submission_id = $1
      UNION SELECT b.id FROM scoring_jobs b WHERE b.batch_id = $1))"
);
const OF_SUBMISSION: &str = list!("j.submission_id = $2");
const OF_BATCH: &str = list!("j.batch_id = $3");
const OF_OWNER: &str = list!("j.tenant = $17 AND j.owner = $18");
const OF_TENANT: &str = list!("j.tenant = coalesce($17, $4)");
// In the words of the index that is for this and nothing else.
const ACTIVE: &str = list!("coalesce(j.completed_at, 'infinity') = 'infinity'");
const ALL: &str = list!("TRUE", "(j.created_at AT TIME ZONE 'UTC')", " AT TIME ZONE 'UTC'");

impl JobFilter {
    /// Whether texts have to be read to find what matches.
    pub fn searches_texts(&self) -> bool {
        self.search.as_deref().is_some_and(|text| text.parse::<Uuid>().is_err())
    }

    /// The statement whose index leaves the least to look at. The jobs of a submission, and the members of a batch, are few.
    fn statement(&self, id: Option<Uuid>, scope: &Scope) -> &'static str {
        let active = matches!(self.status, Some(JobStatus::Queued | JobStatus::Running));
        match (self, scope) {
            _ if id.is_some() => OF_ID,
            (JobFilter { submission_id: Some(_), .. }, _) => OF_SUBMISSION,
            (JobFilter { batch_id: Some(_), .. }, _) => OF_BATCH,
            (_, Scope::Owner { .. }) => OF_OWNER,
            (_, Scope::Tenant(_)) | (JobFilter { tenant: Some(_), .. }, _) => OF_TENANT,
            _ if active => ACTIVE,
            _ => ALL,
        }
    }
}

impl Store {
    /// A page of jobs, newest first, without those in the history.
    ///
    /// # Errors
    /// When Postgres does not answer, or refuses the text of a choice.
    pub async fn jobs(
        &self,
        filter: &JobFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<JobPage, StoreError> {
        let longest = if filter.search.is_some() { LONGEST_WALK_OVER_TEXTS } else { LONGEST_WALK };
        self.walk(filter, after, limit, longest).await
    }

    /// The same, with a bound on how many jobs are looked at.
    async fn walk(
        &self,
        filter: &JobFilter,
        after: Option<Cursor>,
        limit: u32,
        longest: usize,
    ) -> Result<JobPage, StoreError> {
        let search = filter.search.as_deref();
        let id: Option<Uuid> = search.and_then(|text| text.parse().ok());
        let text = search.filter(|_| id.is_none()).map(str::to_lowercase);
        let limit = limit.max(1);
        let query = || {
            sqlx::query_as(filter.statement(id, &self.scope))
                .bind(id)
                .bind(filter.submission_id)
                .bind(filter.batch_id)
                .bind(filter.tenant.as_deref())
                .bind(filter.status.map(JobStatus::as_str))
                .bind(filter.pool.as_deref())
                .bind(filter.rubric.as_deref())
                .bind(filter.code.as_deref())
                .bind(text.as_deref())
                .bind(filter.from.map(moment))
                .bind(filter.until.map(moment))
                .bind(after.map(|cursor| moment(cursor.at)))
                .bind(after.map(|cursor| cursor.id))
                .bind(JobId::max())
                .bind(i64::try_from(longest).unwrap_or(i64::MAX))
                // One more tells whether there is a next page.
                .bind(i64::from(limit) + 1)
                .bind(self.scope.tenant())
                .bind(self.scope.owner())
        };
        let walked: Vec<Walked<JobRow>> = self.listed(query).await?;
        let cursor = |job: &JobRow| Cursor { at: job.created_at, id: job.id };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let Page { items: jobs, next, cut_short } = page(walked, limit, longest, cursor);
        Ok(JobPage { jobs, next, cut_short })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_walk_that_is_too_long_ends_in_a_short_page_that_the_next_goes_on_from() -> anyhow::Result<()> {
        let url = testkit::fresh_database().await?;
        crate::migrate(&url).await?;
        let store = Store::connect(&crate::Settings { max_connections: 1, ..crate::Settings::new(&url) })?;
        const LOAD: &str = "
          WITH s AS (INSERT INTO submissions (status, content) SELECT 'SUBMITTED', '{}' FROM generate_series(1, 20)
            RETURNING id), n AS (SELECT id, row_number() OVER () AS n FROM s)
          INSERT INTO scoring_jobs (id, submission_id, tenant, pool, rubric, rubric_version, created_at)
            SELECT gen_random_uuid(), id, 'default', CASE WHEN n % 7 = 0 THEN 'rare' ELSE 'default' END, 'r', '1',
              now() - n * INTERVAL '1 second' FROM n";
        store.execute(sqlx::query(LOAD)).await?;
        let rare = JobFilter { pool: Some("rare".to_owned()), ..JobFilter::default() };
        for tenant in [None, Some("default".to_owned())] {
            let filter = JobFilter { tenant, ..rare.clone() };
            let (mut found, mut pages, mut after) = (Vec::new(), Vec::new(), None);
            loop {
                let page = store.walk(&filter, after, 2, 5).await?;
                pages.push((page.jobs.len(), page.cut_short));
                found.extend(page.jobs.into_iter().map(|job| job.created_at));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            // The 7th and the 14th of 20, five at a time.
            assert_eq!(pages, [(0, true), (1, true), (1, true), (0, true), (0, false)]);
            assert!(found.is_sorted_by(|newer, older| newer > older));
        }
        Ok(())
    }
}
