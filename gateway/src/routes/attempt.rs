//! An attempt as clients see it.

use domain::{AttemptOutcome, ErrorCode};
use jiff::Timestamp;
use serde::Serialize;
use store::AttemptRow;

/// An attempt that has ended.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attempt {
    attempt: u32,
    epoch: i64,
    scorer: String,
    started_at: Timestamp,
    ended_at: Timestamp,
    outcome: AttemptOutcome,
    error_code: Option<ErrorCode>,
    message: Option<String>,
}

impl From<AttemptRow> for Attempt {
    fn from(row: AttemptRow) -> Self {
        Attempt {
            attempt: row.attempt,
            epoch: row.epoch.0,
            scorer: row.scorer,
            started_at: row.started_at,
            ended_at: row.ended_at,
            outcome: row.outcome,
            error_code: row.error_code,
            message: row.message,
        }
    }
}
