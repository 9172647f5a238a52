//! Scores one submission by one rubric: a pure function, but for its clock.
//!
//! ```text
//! Content ──► sources: parse, walk ──► facts of each file ──► criteria ──► findings ──► Report
//! ```
//!
//! Texts are untrusted. Nothing recurses on them, everything here is linear in their length or bounded, and the deadline
//! is looked at throughout, also inside the parser, whose own time is not always linear.

mod breaks;
mod compiled;
mod criteria;
mod error;
mod facts;
mod feedback;
mod functions;
mod grammar;
mod limits;
mod lines;
mod parse;
mod sources;
mod walk;

#[cfg(test)]
mod tests;

use domain::report::{Report, TestResult};
use domain::submission::Content;

pub use compiled::CompiledRubric;
pub use error::ScoringError;
pub use limits::Limits;

use criteria::{Evidence, Finding, Outcome};
use limits::Deadline;

/// Scores a submission.
///
/// The score is the share of points gained, over all criteria that have something to measure, by their weights.
pub fn score(
    content: &Content<'_>,
    rubric: &CompiledRubric,
    limits: &Limits,
) -> Result<Report, ScoringError> {
    let deadline = Deadline::after(limits.timeout);
    let bytes = content.total_bytes();
    if bytes > limits.max_bytes {
        let message = format!(
            "the submission holds {bytes} bytes of text, more than the limit of {}",
            limits.max_bytes
        );
        return Err(ScoringError::invalid_content(message));
    }
    let needs_source = rubric.needs_source();
    let files = if needs_source { sources::read(content, &deadline)? } else { Vec::new() };
    let evidence = Evidence { content, files: &files, deadline: &deadline };
    let mut outcomes = Vec::with_capacity(rubric.criteria().len());
    for (criterion, regex) in rubric.criteria() {
        let outcome = criteria::apply(criterion, regex, &evidence)?;
        outcomes.push((criterion.name.as_str(), criterion.weight, outcome));
    }
    let notes = if needs_source { feedback::notes(content, &files) } else { Vec::new() };
    Ok(report(outcomes, &notes))
}

/// Adds up what the criteria gained. Those with nothing to measure leave their share to the others.
fn report(outcomes: Vec<(&str, f64, Outcome)>, notes: &[String]) -> Report {
    let applicable = outcomes.iter().filter(|(_, _, outcome)| outcome.credit.is_some());
    let total: f64 = applicable.map(|(_, weight, _)| weight).sum();
    // With nothing to measure at all there is nothing to find fault with.
    let mut score = if total > 0.0 { 0.0 } else { 100.0 };
    let mut tests = Vec::with_capacity(outcomes.len());
    let mut findings = Vec::new();
    for (name, weight, outcome) in outcomes {
        let max_score = if outcome.credit.is_some() { 100.0 * weight / total } else { 0.0 };
        let credit = outcome.credit.unwrap_or(1.0).clamp(0.0, 1.0);
        score += credit * max_score;
        tests.push(TestResult::new(name, credit, max_score, &outcome.output));
        let in_points = |finding: Finding| Finding { gain: finding.gain * max_score, ..finding };
        findings.extend(outcome.findings.into_iter().map(in_points));
    }
    let feedback = feedback::compose(domain::report::round(score.clamp(0.0, 100.0)), findings, notes);
    Report::new(score, &feedback, tests)
}
