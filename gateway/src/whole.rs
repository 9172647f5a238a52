//! Whole numbers in JSON, where 5.0 is one, too.

use serde_json::Number;

/// The largest whole number up to which all are told apart by a number with a fraction: 2^53.
const LARGEST: f64 = 9_007_199_254_740_992.0;

/// The number, if it is whole. JSON knows no difference between 5 and 5.0, and neither do some of its writers.
pub(crate) fn whole(number: &Number) -> Option<i64> {
    let with_fraction = || {
        let number = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= LARGEST)?;
        // In these bounds nothing is lost.
        Some(number as i64)
    };
    number.as_i64().or_else(with_fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_whole_however_it_is_written() {
        let of = |text| whole(&serde_json::from_str(text).expect("a number"));
        for (text, number) in [("5", 5), ("5.0", 5), ("5e0", 5), ("-1.0", -1), ("0", 0), ("1e3", 1000)] {
            assert_eq!(of(text), Some(number), "{text}");
        }
        for text in ["5.5", "1e300", "123456789012345678901234567890", "-0.1"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
