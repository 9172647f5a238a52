//! Conditions, for `kubectl wait --for=condition=...`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The condition of a job that was scored, or of a batch whose members have all ended.
pub const COMPLETE: &str = "Complete";

/// The condition of a job that ended without a score or was not accepted, or of a batch with such a member.
pub const FAILED: &str = "Failed";

/// One condition. `since` comes from the record rather than from this process's clock, so that the same row always
/// gives the same status.
pub fn condition(kind: &str, holds: bool, reason: &str, message: &str, since: Time) -> Condition {
    Condition {
        type_: kind.to_owned(),
        status: if holds { "True" } else { "False" }.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: since,
        observed_generation: None,
    }
}
