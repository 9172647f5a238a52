//! Messages for tables.

/// The longest message, in characters: it is one column of a table.
const LONGEST: usize = 200;

/// The first line of a text, cut where it gets too long.
pub(crate) fn one_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut short: String = line.chars().take(LONGEST).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_to_one_line_of_a_table() {
        assert_eq!(one_line(&"ä".repeat(500)).chars().count(), LONGEST + 1);
        assert_eq!(one_line("first\nsecond"), "first");
    }
}
