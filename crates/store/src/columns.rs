//! Between columns and the types of the domain.

use std::str::FromStr;
use std::time::Duration;

use domain::{Epoch, JobStatus, Lane, Pool, Priority, Rank};
use jiff::Timestamp;
use sqlx::Row;
use sqlx::postgres::PgRow;

/// What the database holds does not fit the domain's types. The constraints exclude it, so it is a defect.
fn misfit(column: &str, source: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(source) }
}

pub(crate) fn timestamp(row: &PgRow, column: &str) -> Result<Timestamp, sqlx::Error> {
    Ok(row.try_get::<jiff_sqlx::Timestamp, _>(column)?.to_jiff())
}

pub(crate) fn optional_timestamp(row: &PgRow, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    Ok(row.try_get::<Option<jiff_sqlx::Timestamp>, _>(column)?.map(jiff_sqlx::Timestamp::to_jiff))
}

/// A text column that holds the name of a variant.
pub(crate) fn named<T>(row: &PgRow, column: &str) -> Result<T, sqlx::Error>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.try_get::<&str, _>(column)?.parse().map_err(|error| misfit(column, error))
}

/// The same, where it may be NULL.
pub(crate) fn optional_named<T>(row: &PgRow, column: &str) -> Result<Option<T>, sqlx::Error>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let name: Option<&str> = row.try_get(column)?;
    name.map(str::parse).transpose().map_err(|error| misfit(column, error))
}

pub(crate) fn status(row: &PgRow, column: &str) -> Result<JobStatus, sqlx::Error> {
    named(row, column)
}

pub(crate) fn pool(row: &PgRow, column: &str) -> Result<Pool, sqlx::Error> {
    named(row, column)
}

pub(crate) fn priority(row: &PgRow, column: &str) -> Result<Priority, sqlx::Error> {
    i64::from(row.try_get::<i16, _>(column)?).try_into().map_err(|error| misfit(column, error))
}

/// A job's place in the queue, out of the columns `tenant`, `priority` and `created_at`.
pub(crate) fn rank(row: &PgRow) -> Result<Rank, sqlx::Error> {
    Ok(rank_of(row.try_get("tenant")?, priority(row, "priority")?, timestamp(row, "created_at")?))
}

/// The place in the queue of a tenant's job of this priority, accepted at this time.
pub(crate) fn rank_of(tenant: &str, priority: Priority, created_at: Timestamp) -> Rank {
    Rank::new(Lane::of(tenant), priority, u64::try_from(created_at.as_millisecond()).unwrap_or(0))
}

pub(crate) fn epoch(row: &PgRow, column: &str) -> Result<Epoch, sqlx::Error> {
    Ok(Epoch(row.try_get(column)?))
}

/// An INTEGER column that is never negative.
pub(crate) fn count(row: &PgRow, column: &str) -> Result<u32, sqlx::Error> {
    row.try_get::<i32, _>(column)?.try_into().map_err(|error| misfit(column, error))
}

/// A BIGINT column in milliseconds; what lies in the past is zero.
pub(crate) fn milliseconds(row: &PgRow, column: &str) -> Result<Duration, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map_or(Duration::ZERO, from_milliseconds))
}

pub(crate) fn from_milliseconds(milliseconds: i64) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}

/// A DOUBLE PRECISION column in seconds; what lies in the past is zero, and so is NULL.
pub(crate) fn seconds(row: &PgRow, column: &str) -> Result<Duration, sqlx::Error> {
    let seconds: Option<f64> = row.try_get(column)?;
    Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default())
}

/// A duration as a parameter, in milliseconds.
pub(crate) fn to_milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A number as an INTEGER parameter. One that does not fit becomes the largest, which no constraint lets pass.
pub(crate) fn to_integer(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
