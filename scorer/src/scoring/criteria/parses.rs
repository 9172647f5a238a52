//! Whether source files parse.

use super::super::facts::{Break, FileFacts, Problem};
use super::{Evidence, Finding, MAX_FINDINGS, Outcome, counted, percent};

/// Each file counts by its lines of code. One with an error earns at most `broken_at_most`, by the share of its
/// lines that can be read.
pub(super) fn apply(broken_at_most: f64, evidence: &Evidence<'_>) -> Outcome {
    let total: f64 = evidence.files.iter().map(weight).sum();
    if evidence.code_lines() == 0 {
        let finding = "There is no code in the submission: add some.".to_owned();
        let findings = vec![Finding { gain: 1.0, text: finding }];
        return Outcome { credit: Some(0.0), output: "There is no code.".to_owned(), findings };
    }
    let credit_of =
        |file: &FileFacts| if file.breaks.is_empty() { 1.0 } else { broken_at_most * readable(file) };
    let credit = evidence.files.iter().map(|file| weight(file) * credit_of(file)).sum::<f64>() / total;
    let mut broken: Vec<_> = evidence.files.iter().filter(|file| !file.breaks.is_empty()).collect();
    let output = match broken.len() {
        0 => format!("{} parsed.", counted(evidence.files.len(), "file")),
        n => format!("{n} of {} cannot be parsed.", counted(evidence.files.len(), "file")),
    };
    let gain = |file: &FileFacts| weight(file) * (1.0 - credit_of(file)) / total;
    broken.sort_by(|a, b| gain(b).total_cmp(&gain(a)));
    let finding = |file: &&FileFacts| Finding { gain: gain(file), text: describe(file) };
    let findings = broken.iter().take(MAX_FINDINGS).map(finding).collect();
    Outcome { credit: Some(credit), output, findings }
}

fn weight(file: &FileFacts) -> f64 {
    file.code_lines as f64
}

fn readable(file: &FileFacts) -> f64 {
    1.0 - file.broken_lines as f64 / file.code_lines.max(1) as f64
}

fn describe(file: &FileFacts) -> String {
    let places = file.breaks.iter().map(|place| in_words(&file.path, place)).collect::<Vec<_>>().join("; ");
    let share = percent(readable(file));
    let others = "fix the first place first, the others may follow from it";
    let hint = if file.breaks.len() > 1 { others } else { "fix it so that the code can run" };
    format!(
        "{places}. {} does not parse as {} ({share}% of its lines can be read): {hint}.",
        file.path, file.language
    )
}

fn in_words(path: &str, place: &Break) -> String {
    let (line, column) = (place.line, place.column);
    match &place.problem {
        Problem::Unexpected(text) if text.is_empty() => {
            format!("{path}:{line}:{column} something is incomplete")
        }
        Problem::Unexpected(text) => format!("{path}:{line}:{column} cannot make sense of `{text}`"),
        Problem::Missing(what) => format!("{path}:{line}:{column} `{what}` is missing"),
        Problem::Unclosed(bracket) => format!("{path}:{line}:{column} this `{bracket}` is never closed"),
    }
}
