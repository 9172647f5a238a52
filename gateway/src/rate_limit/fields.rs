//! What an answer says of limits: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), lists of
//! structured fields.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use domain::Rate;

use super::limiter::{Limiter, Verdict};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

const MICROSECONDS: u64 = 1_000_000;

/// The policy of a rate: so many (`q`) in so many seconds (`w`).
pub(super) fn policy(name: &str, rate: &Rate) -> HeaderValue {
    let seconds = rate.window().as_secs().max(1);
    // What is fewer than a second is told by the second.
    let quota = u64::from(rate.quota()) * 1000 * seconds
        / u64::try_from(rate.window().as_millis()).unwrap_or(u64::MAX).max(1);
    HeaderValue::try_from(format!("\"{name}\";q={quota};w={seconds}"))
        .unwrap_or(HeaderValue::from_static("\"unknown\""))
}

/// Says what the limit is, how many more requests it leaves (`r`), and in how many seconds it leaves all (`t`).
pub(super) fn tell(headers: &mut HeaderMap, limiter: &Limiter, verdict: Verdict) {
    let left = limiter.rate().left(verdict.ahead_us);
    let restored = verdict.ahead_us.div_ceil(MICROSECONDS);
    headers.append(RATE_LIMIT_POLICY, limiter.policy().clone());
    if let Ok(value) = HeaderValue::try_from(format!("\"{}\";r={left};t={restored}", limiter.name())) {
        headers.append(RATE_LIMIT, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_a_structured_field_in_whole_seconds() {
        let told = |rate: &str| policy("address-reads", &rate.parse().expect("a rate"));
        assert_eq!(told("600/1m"), r#""address-reads";q=600;w=60"#);
        assert_eq!(told("10/500ms"), r#""address-reads";q=20;w=1"#);
    }
}
