//! An attempt as clients see it.

use domain::{AttemptOutcome, ErrorCode};
use jiff::Timestamp;
use serde::Serialize;
use store::AttemptRow;
use utoipa::ToSchema;

use crate::openapi::terms;

/// An attempt that has ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attempt {
    /// Which, from 1. A released attempt does not count, so a number may repeat.
    attempt: u32,
    /// Of its lease.
    epoch: i64,
    /// Who made it.
    scorer: String,
    started_at: Timestamp,
    ended_at: Timestamp,
    #[schema(value_type = terms::AttemptOutcome)]
    outcome: AttemptOutcome,
    #[schema(required, value_type = Option<terms::ErrorCode>)]
    error_code: Option<ErrorCode>,
    #[schema(required)]
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
