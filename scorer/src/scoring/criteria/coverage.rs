//! How many public items are documented.

use super::super::facts::{FileFacts, Item};
use super::{Evidence, Finding, MAX_FINDINGS, Outcome, counted, linear, percent, short};

/// How many items of a file are named in feedback.
const MAX_NAMED: usize = 10;

/// Test files are left out: the name of a test is its documentation.
pub(super) fn apply(full_at: f64, zero_at: f64, evidence: &Evidence<'_>) -> Outcome {
    let files = || evidence.files.iter().filter(|file| !is_test(&file.path));
    let items: usize = files().map(|file| file.items.len()).sum();
    if evidence.code_lines() == 0 || items == 0 {
        return evidence.none_found("public items");
    }
    let missing: usize = files().map(|file| undocumented(file).count()).sum();
    let share = (items - missing) as f64 / items as f64;
    let credit = linear(share * 100.0, full_at, zero_at);
    let output =
        format!("{} of {} documented ({}%).", items - missing, counted(items, "public item"), percent(share));
    if credit >= 1.0 {
        return Outcome { credit: Some(credit), output, findings: Vec::new() };
    }
    let mut lacking: Vec<_> =
        files().map(|file| (undocumented(file).count(), file)).filter(|(n, _)| *n > 0).collect();
    lacking.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let finding = |(number, file): &(usize, &FileFacts)| Finding {
        gain: (1.0 - credit) * *number as f64 / missing as f64,
        text: describe(file, *number),
    };
    Outcome {
        credit: Some(credit),
        output,
        findings: lacking.iter().take(MAX_FINDINGS).map(finding).collect(),
    }
}

fn undocumented(file: &FileFacts) -> impl Iterator<Item = &Item> {
    file.items.iter().filter(|item| !item.documented)
}

fn describe(file: &FileFacts, number: usize) -> String {
    let first = undocumented(file).map(|item| item.line).next().unwrap_or(1);
    let named =
        undocumented(file).take(MAX_NAMED).map(|item| format!("{} (line {})", short(&item.name), item.line));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = if number > MAX_NAMED { format!(" and {} more", number - MAX_NAMED) } else { String::new() };
    format!(
        "{}:{first} {number} of {} without a {}: {named}{more}. Say what each is for, and what it takes and gives.",
        file.path,
        counted(file.items.len(), "public item"),
        file.documentation
    )
}

/// Whether the path is one that the language's test runner, or custom, reserves for tests.
fn is_test(path: &str) -> bool {
    let mut parts = path.rsplit(['/', '\\']);
    let name = parts.next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let marked = stem.starts_with("test_")
        || ["_test", "_tests", ".test", ".spec"].iter().any(|end| stem.ends_with(end));
    marked || parts.any(|folder| matches!(folder, "test" | "tests" | "__tests__"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_files_are_told_by_their_path() {
        for path in
            ["test_a.py", "a/b_test.go", "src/a.test.js", "a.spec.mjs", "tests/a.rs", "x/__tests__/a.js"]
        {
            assert!(is_test(path), "{path}");
        }
        for path in ["a.py", "testing.py", "contest/a.go", "latest_a.py"] {
            assert!(!is_test(path), "{path}");
        }
    }
}
