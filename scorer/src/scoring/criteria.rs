//! One file a criterion: what it measures, and what it tells the person who submitted.

mod coverage;
mod documentation;
mod metric;
mod parses;
mod pattern;

use domain::rubric::{Check, Criterion};
use domain::submission::{Content, FileKind};
use regex::Regex;

use super::ScoringError;
use super::facts::FileFacts;
use super::limits::Deadline;

/// The most findings a criterion passes on: more than anyone reads, and few enough to keep.
const MAX_FINDINGS: usize = 40;

/// What a criterion found.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The share of the points that was gained, from 0 to 1; `None` where there is nothing that could be measured.
    pub(super) credit: Option<f64>,
    /// What was found, in a sentence.
    pub(super) output: String,
    /// What to change, and the share of the points that it would gain.
    pub(super) findings: Vec<Finding>,
}

/// One thing to change.
#[derive(Debug, PartialEq)]
pub(super) struct Finding {
    /// The share of the criterion's points that it would gain, from 0 to 1.
    pub(super) gain: f64,
    pub(super) text: String,
}

/// What criteria look at.
pub(super) struct Evidence<'a> {
    pub(super) content: &'a Content<'a>,
    /// The source files in a known language. Empty if no criterion of the rubric needs them.
    pub(super) files: &'a [FileFacts],
    pub(super) deadline: &'a Deadline,
}

impl Evidence<'_> {
    /// Lines of code in all source files.
    fn code_lines(&self) -> usize {
        self.files.iter().map(|file| file.code_lines).sum()
    }

    fn any_broken(&self) -> bool {
        self.files.iter().any(|file| !file.breaks.is_empty())
    }

    /// What to answer where there is none of what a criterion measures: a file that does not parse may well hold
    /// some, and a file without code earns nothing by it.
    fn none_found(&self, what: &str) -> Outcome {
        if self.code_lines() == 0 {
            Outcome {
                credit: Some(0.0),
                output: "There is no code to measure.".to_owned(),
                findings: Vec::new(),
            }
        } else if self.any_broken() {
            let output = format!("No {what} could be read, because the code does not parse.");
            Outcome { credit: Some(0.0), output, findings: Vec::new() }
        } else {
            let output = format!("There are no {what}, so this does not count.");
            Outcome { credit: None, output, findings: Vec::new() }
        }
    }

    fn documents(&self) -> impl Iterator<Item = &str> {
        let documents = self.content.files().iter().filter(|file| file.kind == FileKind::Document);
        documents.map(|file| file.text.as_ref())
    }
}

/// Applies one criterion.
pub(super) fn apply(
    criterion: &Criterion,
    regex: Option<&Regex>,
    evidence: &Evidence<'_>,
) -> Result<Outcome, ScoringError> {
    evidence.deadline.check()?;
    Ok(match &criterion.check {
        Check::Parses { broken_at_most } => parses::apply(*broken_at_most, evidence),
        Check::Metric { metric, full_at, zero_at } => metric::apply(*metric, *full_at, *zero_at, evidence),
        Check::DocumentationCoverage { full_at, zero_at } => coverage::apply(*full_at, *zero_at, evidence),
        Check::Documentation { words, headings, code_examples } => {
            documentation::apply(*words, *headings, *code_examples, evidence)?
        }
        Check::Pattern { expect, scope, hint, .. } => {
            let regex = regex.ok_or_else(|| ScoringError::defect("a pattern was not compiled"))?;
            pattern::apply(regex, *expect, *scope, hint.as_deref(), evidence)?
        }
    })
}

/// 1 at `full_at`, 0 at `zero_at`, linear in between, whichever of the two is larger.
fn linear(value: f64, full_at: f64, zero_at: f64) -> f64 {
    ((zero_at - value) / (zero_at - full_at)).clamp(0.0, 1.0)
}

/// `1 file`, `2 files`.
fn counted(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// A share as a whole percentage that says 100 only for all and 0 only for nothing.
fn percent(share: f64) -> u32 {
    let rounded = (share * 100.0).round();
    let honest = if share < 1.0 { rounded.min(99.0) } else { rounded };
    let honest = if share > 0.0 { honest.max(1.0) } else { honest };
    // Between 0 and 100, so that nothing is cut off.
    honest.clamp(0.0, 100.0) as u32
}

/// A name from a submission, short enough for a sentence.
fn short(name: &str) -> String {
    const MAX_CHARS: usize = 60;
    let line: String = name.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_falls_linearly_between_the_thresholds() {
        assert_eq!(linear(10.0, 40.0, 120.0), 1.0);
        assert_eq!(linear(80.0, 40.0, 120.0), 0.5);
        assert_eq!(linear(500.0, 40.0, 120.0), 0.0);
        assert_eq!(linear(45.0, 90.0, 0.0), 0.5);
    }

    #[test]
    fn percentages_do_not_round_up_to_all() {
        assert_eq!(
            [percent(0.0), percent(0.001), percent(0.5), percent(0.999), percent(1.0)],
            [0, 1, 50, 99, 100]
        );
    }
}
