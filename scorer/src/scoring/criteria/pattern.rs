//! Whether a regular expression matches.

use domain::rubric::{Expectation, Scope};
use domain::submission::FileKind;
use regex::Regex;

use super::{Evidence, Finding, Outcome, ScoringError};

/// Searches text by text, and stops at the first match.
pub(super) fn apply(
    regex: &Regex,
    expect: Expectation,
    scope: Scope,
    hint: Option<&str>,
    evidence: &Evidence<'_>,
) -> Result<Outcome, ScoringError> {
    let mut found = None;
    for file in evidence.content.files().iter().filter(|file| is_within(scope, file.kind)) {
        evidence.deadline.check()?;
        if let Some(place) = regex.find(&file.text) {
            let line =
                file.text.as_bytes()[..place.start()].iter().filter(|byte| **byte == b'\n').count() + 1;
            found = Some(format!("{}:{line}", file.path));
            break;
        }
    }
    let (met, output) = match (expect, &found) {
        (Expectation::Match, Some(place)) => (true, format!("Found at {place}.")),
        (Expectation::Match, None) => (false, "Not found.".to_owned()),
        (Expectation::NoMatch, Some(place)) => (false, format!("Found at {place}, where it should not be.")),
        (Expectation::NoMatch, None) => (true, "Not found, as it should be.".to_owned()),
    };
    let findings =
        if met { Vec::new() } else { vec![Finding { gain: 1.0, text: advice(regex, hint, found) }] };
    Ok(Outcome { credit: Some(if met { 1.0 } else { 0.0 }), output, findings })
}

fn is_within(scope: Scope, kind: FileKind) -> bool {
    match scope {
        Scope::Everything => true,
        Scope::Source => kind != FileKind::Document,
        Scope::Documentation => kind == FileKind::Document,
    }
}

fn advice(regex: &Regex, hint: Option<&str>, found: Option<String>) -> String {
    let place = found.as_ref().map(|place| format!("{place} ")).unwrap_or_default();
    match hint {
        Some(hint) => format!("{place}{hint}"),
        None if found.is_some() => format!("{place}remove what matches `{regex}`."),
        None => format!("Nothing matches `{regex}`: add it."),
    }
}
