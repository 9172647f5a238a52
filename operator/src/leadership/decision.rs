//! Whose turn it is.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;

/// What a candidate does about the Lease it sees.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is no Lease: make one.
    Create,
    /// It is free, one's own, or has run out: take it.
    Take,
    /// Another holds it.
    Wait,
}

/// Which version of another's Lease was seen, and since when. Its holder's clock is never compared with this one's:
/// a Lease has run out when it stays the same for its whole duration.
#[derive(Debug, Default)]
pub(super) struct Observation {
    seen: Option<(String, Instant)>,
}

pub(super) fn turn(lease: Option<&Lease>, me: &str, seen: &mut Observation, now: Instant) -> Turn {
    let Some(lease) = lease else { return Turn::Create };
    let spec = lease.spec.as_ref();
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
    if holder.is_empty() || holder == me {
        return Turn::Take;
    }
    let version = lease.metadata.resource_version.clone().unwrap_or_default();
    match &seen.seen {
        Some((known, since)) if *known == version => {
            let seconds = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
            let duration = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            if now.duration_since(*since) >= duration { Turn::Take } else { Turn::Wait }
        }
        _ => {
            seen.seen = Some((version, now));
            Turn::Wait
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    fn lease(holder: Option<&str>, version: &str) -> Lease {
        Lease {
            metadata: ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: holder.map(str::to_owned),
                lease_duration_seconds: Some(15),
                ..LeaseSpec::default()
            }),
        }
    }

    #[test]
    fn an_absent_lease_is_created_and_a_free_one_taken() {
        let (now, mut seen) = (Instant::now(), Observation::default());
        assert_eq!(turn(None, "a", &mut seen, now), Turn::Create);
        assert_eq!(turn(Some(&lease(None, "1")), "a", &mut seen, now), Turn::Take);
        assert_eq!(turn(Some(&lease(Some(""), "1")), "a", &mut seen, now), Turn::Take);
        assert_eq!(turn(Some(&lease(Some("a"), "1")), "a", &mut seen, now), Turn::Take);
    }

    #[test]
    fn anothers_lease_is_taken_only_after_it_stood_still_for_its_duration() {
        let (start, mut seen) = (Instant::now(), Observation::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(turn(Some(&lease(Some("b"), "1")), "a", &mut seen, at(0)), Turn::Wait);
        assert_eq!(turn(Some(&lease(Some("b"), "1")), "a", &mut seen, at(14)), Turn::Wait);
        assert_eq!(turn(Some(&lease(Some("b"), "2")), "a", &mut seen, at(16)), Turn::Wait);
        assert_eq!(turn(Some(&lease(Some("b"), "2")), "a", &mut seen, at(30)), Turn::Wait);
        assert_eq!(turn(Some(&lease(Some("b"), "2")), "a", &mut seen, at(31)), Turn::Take);
    }
}
