//! Numbers as Kubernetes writes them.

const SUFFIXES: [&str; 7] = ["m", "", "k", "M", "G", "T", "P"];

/// A number of thousandths in the canonical form of a Kubernetes quantity: without a fraction, with the largest decimal
/// suffix that needs none.
pub(super) fn canonical(thousandths: u128) -> String {
    let (mut number, mut suffix) = (thousandths, 0);
    if number == 0 {
        return "0".to_owned();
    }
    while number.is_multiple_of(1000) && suffix + 1 < SUFFIXES.len() {
        number /= 1000;
        suffix += 1;
    }
    format!("{number}{}", SUFFIXES[suffix])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_canonical() {
        for (thousandths, text) in [
            (0, "0"),
            (1, "1m"),
            (250, "250m"),
            (1000, "1"),
            (1500, "1500m"),
            (12_000, "12"),
            (1_000_000, "1k"),
            (1_234_000, "1234"),
            (5_000_000, "5k"),
            (5_000_000_000, "5M"),
            (u128::from(u64::MAX) * 1000, "18446744073709551615"),
        ] {
            assert_eq!(canonical(thousandths), text);
        }
    }
}
