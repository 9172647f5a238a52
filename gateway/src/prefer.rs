//! `Prefer: wait=N` (RFC 7240): a client that would rather wait than ask again.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

/// The longest that an answer is put off, whatever was asked for: what lies in between ends requests that take longer.
const LONGEST: u64 = 60;

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Says that an answer was put off, as the client wished.
pub(crate) const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// How long an answer may be put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    seconds: u64,
}

impl Wait {
    /// What the headers prefer. A preference that cannot be read is none.
    pub(crate) fn preferred(headers: &HeaderMap) -> Option<Wait> {
        let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
        let mut preferences = values.flat_map(|value| value.split(','));
        let seconds = preferences.find_map(|preference| {
            let (name, value) = preference.split(';').next()?.split_once('=')?;
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("wait").then(|| value.parse().ok())?
        })?;
        Some(Wait { seconds: LONGEST.min(seconds) })
    }

    /// As a duration.
    pub(crate) fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// Says so on the answer.
    pub(crate) fn applied_to(self, mut answer: Response) -> Response {
        if let Ok(applied) = HeaderValue::try_from(format!("wait={}", self.seconds)) {
            answer.headers_mut().insert(APPLIED, applied);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preferred(values: &[&'static str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, HeaderValue::from_static(value));
        }
        Wait::preferred(&headers).map(|wait| wait.seconds)
    }

    #[test]
    fn the_preference_is_found_among_others_and_bounded() {
        assert_eq!(preferred(&["wait=10"]), Some(10));
        assert_eq!(preferred(&["respond-async, Wait = \"7\"; x=1"]), Some(7));
        assert_eq!(preferred(&["return=minimal", "wait=0"]), Some(0));
        assert_eq!(preferred(&["wait=99999"]), Some(60));
    }

    #[test]
    fn what_cannot_be_read_is_no_preference() {
        for value in ["", "wait", "wait=", "wait=-1", "wait=1.5", "await=3", "wait=99999999999999999999999"] {
            assert_eq!(preferred(&[value]), None, "{value}");
        }
        assert_eq!(preferred(&[]), None);
    }
}
