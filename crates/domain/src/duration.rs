//! Durations as people write them in flags: `500ms`, `30s`, `5m`, `2h`, `90d`.

use std::time::Duration;

/// The text is not a duration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration: write a whole number and its unit, such as 500ms, 30s, 5m, 2h or 90d")]
pub struct InvalidDuration(String);

/// Reads a whole number followed by `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// When the unit is missing or unknown, or the number does not fit.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration(text.to_owned());
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
    let number: u64 = text[..unit_at].parse().map_err(|_| invalid())?;
    let milliseconds_of_unit = match &text[unit_at..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(invalid()),
    };
    number.checked_mul(milliseconds_of_unit).map(Duration::from_millis).ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_unit() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(parse("90d"), Ok(Duration::from_secs(90 * 24 * 3600)));
    }

    #[test]
    fn a_duration_without_unit_or_number_is_refused() {
        for text in ["30", "s", "", "1.5s", "-1s", "30 s", "99999999999999999999s", "18446744073709551615h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
