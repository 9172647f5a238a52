//! `POST /api/dead-letters/redrive`

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use domain::{BatchId, ErrorCode, JobId};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use store::{DeadLetterFilter, Redrive, RedriveOrder, Redriven};
use utoipa::ToSchema;

use crate::app::SharedApp;
use crate::caller::{Caller, Role};
use crate::extract;
use crate::knobs::within;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;
use crate::traceparent::Traceparent;

/// Dead letters to be redriven: those that match the filter, or all.
// A misspelt choice that was silently ignored would redrive more than was meant.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = RedriveRequest)]
pub(crate) struct Request {
    #[serde(default)]
    filter: Filter,
    /// Instead of a filter: all there are.
    #[serde(default)]
    all: bool,
    /// Whether only to say what would be done.
    #[serde(default)]
    dry_run: bool,
    /// How many of the new jobs become due each second; all at once unless given.
    #[schema(minimum = 0.01, maximum = 100_000)]
    per_second: Option<f64>,
    /// The most to be redriven.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100_000, default = 10_000)]
    limit: Option<Number>,
}

/// Which dead letters.
#[derive(Default, Deserialize, PartialEq, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = DeadLetterFilter)]
struct Filter {
    /// With this error code.
    code: Option<String>,
    /// Of this pool.
    pool: Option<String>,
    /// Under this rubric.
    rubric: Option<String>,
    /// Of this tenant.
    tenant: Option<String>,
    /// Of this batch.
    #[schema(value_type = Option<Uuid>)]
    batch_id: Option<BatchId>,
    /// That ended at this time or later.
    from: Option<Timestamp>,
    /// That ended before this time.
    until: Option<Timestamp>,
}

/// What was done, or in a dry run: what would be.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RedriveAnswer)]
pub(crate) struct Answer {
    dry_run: bool,
    /// Dead letters that match and had not been redriven, as far as was looked.
    matched: u32,
    redriven: u32,
    /// How many were left as they are, by the reason.
    #[schema(value_type = BTreeMap<String, u32>)]
    skipped: BTreeMap<&'static str, u32>,
    /// The first few that were redriven.
    first: Vec<Pair>,
    /// When the last of the new jobs may start, if they were given a rate.
    #[schema(required)]
    last_not_before: Option<Timestamp>,
    /// Whether all that match were looked at. If not, the same request goes on where this one ended.
    complete: bool,
    /// Unless complete: as `until` in the filter of the next request, it spares looking again at what was looked at.
    #[schema(required)]
    continue_until: Option<Timestamp>,
}

/// A dead letter and the job that it was redriven as: none in a dry run.
#[derive(Serialize, ToSchema)]
#[schema(as = RedrivenPair)]
struct Pair {
    #[schema(value_type = Uuid)]
    job_id: JobId,
    #[serde(rename = "redrivenAs", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Uuid, required = false)]
    redriven_as: Option<JobId>,
}

/// The dead letters that one statement redrives.
const PAGE: u32 = 500;

const DEFAULT_LIMIT: u32 = 10_000;
const LARGEST_LIMIT: u32 = 100_000;

/// The rates that can be asked for: from 36 in an hour to more than any pool scores.
const RATES: std::ops::RangeInclusive<f64> = 0.01..=100_000.0;

/// Once this has passed no further page is begun: clients and proxies do not wait for ever.
const LONGEST: Duration = Duration::from_secs(20);

const NAMED: usize = 10;

/// Redrives the dead letters that match, newest first, page by page. May be asked for again at any time and by several
/// at once: what was redriven does not match any more.
#[utoipa::path(
    post, path = "/api/dead-letters/redrive", tag = "dead letters", operation_id = "redriveMany",
    request_body(content = Request, example = json!({
        "filter": {"code": "timeout", "from": "2026-11-24T02:00:00Z"}, "dryRun": true,
    })),
    responses((status = 200, description = "What was done.", body = Answer)),
    extensions(("x-problems" = json!([Code::InvalidRedrive, Code::InvalidData, Code::Forbidden]))),
)]
pub(crate) async fn redrive_many(
    State(app): State<SharedApp>,
    caller: Caller,
    Traceparent(traceparent): Traceparent,
    extract::Json(request): extract::Json<Request>,
) -> Result<Json<Answer>, Problem> {
    caller.must_be(Role::Instructor)?;
    let left = request.checked_limit()?;
    let Request { mut filter, dry_run, per_second, .. } = request;
    filter.tenant = caller.tenant_if_named(filter.tenant)?;
    let store = app.store(&caller);
    // What a person cancelled stays so, unless it is named.
    let cancelled_too = filter.code.as_deref() == Some(ErrorCode::CANCELLED.as_str());
    let order =
        RedriveOrder { traceparent, cancelled_too, per_second, dry_run, ..RedriveOrder::by(caller.name()) };
    let filter = DeadLetterFilter::from(filter);
    let begun = Instant::now();
    let (mut answer, mut after) = (Answer::of(dry_run), None);
    loop {
        let limit = PAGE.min(left - answer.redriven);
        let page = repeat(|| store.dead_letters(&filter, after, limit)).await?;
        let jobs = page.letters.iter().map(|letter| letter.job.id);
        let redrives: Vec<Redrive> = jobs.map(|job| Redrive { job, new_id: JobId::now_v7() }).collect();
        let redriven = repeat(|| store.redrive(&redrives, &order)).await?;
        let before = answer.redriven;
        for (redrive, redriven) in redrives.iter().zip(redriven) {
            answer.count(redrive.job, redriven);
        }
        if !dry_run && answer.redriven > before {
            app.recorded.notify_one();
        }
        after = page.next;
        if after.is_none() || answer.redriven == left || begun.elapsed() > LONGEST {
            answer.complete = after.is_none() && !answer.skipped.contains_key("unsettled");
            // Others may have ended within the same microsecond, the least that Postgres tells apart.
            answer.continue_until = after.and_then(|last| last.time().checked_add(1.microsecond()).ok());
            return Ok(Json(answer));
        }
    }
}

impl Request {
    /// How many are to be redriven at most.
    fn checked_limit(&self) -> Result<u32, Problem> {
        let invalid = |detail: String| Err(Problem::new(Code::InvalidRedrive, detail));
        match (self.all, self.filter == Filter::default()) {
            (false, true) => {
                return invalid(
                    "A filter is missing. To mean all dead letters, say \"all\": true.".to_owned(),
                );
            }
            (true, false) => {
                return invalid("\"all\": true and a filter contradict each other.".to_owned());
            }
            (true, true) | (false, false) => {}
        }
        if let Some(rate) = self.per_second.filter(|rate| !RATES.contains(rate)) {
            let (least, most) = (RATES.start(), RATES.end());
            return invalid(format!("perSecond {rate} is not between {least} and {most}."));
        }
        let limit = within("limit", self.limit.clone(), 1..=LARGEST_LIMIT, Code::InvalidRedrive)?;
        Ok(limit.unwrap_or(DEFAULT_LIMIT))
    }
}

impl From<Filter> for DeadLetterFilter {
    fn from(filter: Filter) -> Self {
        let Filter { code, pool, rubric, tenant, batch_id: batch, from, until } = filter;
        DeadLetterFilter { code, pool, rubric, tenant, batch, from, until, redriven: Some(false) }
    }
}

impl Answer {
    fn of(dry_run: bool) -> Answer {
        Answer {
            dry_run,
            matched: 0,
            redriven: 0,
            skipped: BTreeMap::new(),
            first: Vec::new(),
            last_not_before: None,
            complete: false,
            continue_until: None,
        }
    }

    fn count(&mut self, job: JobId, redriven: Redriven) {
        self.matched += 1;
        let reason = match redriven {
            Redriven::Made { id, not_before } => {
                self.redriven += 1;
                if self.first.len() < NAMED {
                    self.first.push(Pair { job_id: job, redriven_as: (!self.dry_run).then_some(id) });
                }
                if !self.dry_run {
                    self.last_not_before = self.last_not_before.max(not_before);
                }
                return;
            }
            Redriven::Skipped(skip) => skip.code(),
            Redriven::Unsettled => "unsettled",
            // Dead letters do not come to life; their rows may go.
            Redriven::NotFailed { .. } | Redriven::NotFound => "gone",
        };
        *self.skipped.entry(reason).or_default() += 1;
    }
}
