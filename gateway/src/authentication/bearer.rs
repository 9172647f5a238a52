//! The token in a request (RFC 6750).

use axum::http::{HeaderMap, header};

use super::refusal::Refusal;

/// The longest token, in bytes. Tokens with many groups in them have been seen to reach 4 KB.
const LONGEST: usize = 8 * 1024;

/// The token that a request bears.
pub(super) fn token(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::Unauthenticated)?;
    if values.next().is_some() {
        return Err(Refusal::Malformed);
    }
    let text = value.to_str().map_err(|_| Refusal::Malformed)?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::Unauthenticated);
    }
    let token = token.trim();
    match token.len() {
        0 => Err(Refusal::Malformed),
        length if length > LONGEST => Err(Refusal::TooLong(LONGEST)),
        _ => Ok(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn of(values: &[&str]) -> Result<String, Refusal> {
        let value = |value: &&str| HeaderValue::from_str(value).expect("a header");
        let headers = values.iter().map(|text| (header::AUTHORIZATION, value(text))).collect();
        token(&headers).map(str::to_owned)
    }

    #[test]
    fn a_bearer_token_is_taken_whatever_the_case_of_its_scheme() {
        assert_eq!(of(&["Bearer abc"]), Ok("abc".to_owned()));
        assert_eq!(of(&["bearer  abc"]), Ok("abc".to_owned()));
    }

    #[test]
    fn no_token_and_a_bad_one_are_told_apart() {
        assert_eq!(of(&[]), Err(Refusal::Unauthenticated));
        assert_eq!(of(&["Basic YTpi"]), Err(Refusal::Unauthenticated));
        assert_eq!(of(&["Bearer"]), Err(Refusal::Malformed));
        assert_eq!(of(&["Bearer "]), Err(Refusal::Malformed));
        assert_eq!(of(&["Bearer abc", "Bearer abc"]), Err(Refusal::Malformed));
        assert_eq!(of(&[&format!("Bearer {}", "a".repeat(LONGEST + 1))]), Err(Refusal::TooLong(LONGEST)));
    }
}
