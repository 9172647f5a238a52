//! Rubrics made ready to apply: regular expressions compiled once, not once a job.

use domain::rubric::{Check, Criterion, Rubric};
use regex::{Regex, RegexBuilder};

use super::ScoringError;

/// The largest compiled pattern, in bytes. Matching takes time in proportion to it.
const MAX_PATTERN_SIZE: usize = 256 * 1024;

/// A rubric whose patterns are compiled.
#[derive(Debug)]
pub struct CompiledRubric {
    /// The rubric as JSON text.
    spec: String,
    criteria: Vec<(Criterion, Option<Regex>)>,
}

impl CompiledRubric {
    /// Compiles a rubric, which also shows whether its patterns are valid.
    pub fn compile(rubric: &Rubric) -> Result<CompiledRubric, ScoringError> {
        let compile = |criterion: &Criterion| -> Result<_, ScoringError> {
            let regex = match &criterion.check {
                Check::Pattern { pattern, .. } => Some(compile_pattern(&criterion.name, pattern)?),
                _ => None,
            };
            Ok((criterion.clone(), regex))
        };
        Ok(CompiledRubric {
            spec: rubric.to_json().to_string(),
            criteria: rubric.criteria().iter().map(compile).collect::<Result<_, ScoringError>>()?,
        })
    }

    /// Whether it asks for more than the text of a submission, so that its files have to be parsed.
    pub fn needs_source(&self) -> bool {
        self.criteria.iter().any(|(criterion, _)| criterion.check.needs_source())
    }

    /// The rubric as JSON text: what another process needs to compile it.
    pub(crate) fn spec(&self) -> &str {
        &self.spec
    }

    pub(super) fn criteria(&self) -> impl ExactSizeIterator<Item = (&Criterion, Option<&Regex>)> {
        self.criteria.iter().map(|(criterion, regex)| (criterion, regex.as_ref()))
    }
}

fn compile_pattern(name: &str, pattern: &str) -> Result<Regex, ScoringError> {
    let regex = RegexBuilder::new(pattern).size_limit(MAX_PATTERN_SIZE).build();
    regex.map_err(|error| ScoringError::invalid_rubric(format!("{name}: `pattern` cannot be used: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rubric(pattern: &str) -> Rubric {
        let criterion = json!({"type": "pattern", "pattern": pattern, "weight": 1});
        Rubric::from_json(&json!({"criteria": [criterion]})).unwrap()
    }

    #[test]
    fn invalid_and_oversized_patterns_are_permanent_errors() {
        for pattern in ["(", "(?=look)", r"\w{1000}"] {
            let error = CompiledRubric::compile(&rubric(pattern)).unwrap_err();
            assert!(matches!(error, ScoringError::Permanent { .. }), "{error}");
            assert!(error.to_string().starts_with("invalid_rubric: pattern: "), "{error}");
        }
    }
}
