//! Rubrics made ready to apply: regular expressions compiled once, not once a job.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use domain::rubric::{Check, Criterion, Rubric};
use regex::{Regex, RegexBuilder};

use super::ScoringError;

/// How many rubrics are kept ready. Beyond it all are dropped, since so many are no one's working set.
const MAX_KEPT: usize = 256;

/// The largest compiled pattern, in bytes. Matching takes time in proportion to it.
const MAX_PATTERN_SIZE: usize = 256 * 1024;

/// A rubric whose patterns are compiled.
#[derive(Debug)]
pub struct CompiledRubric {
    criteria: Vec<(Criterion, Option<Regex>)>,
}

static KEPT: LazyLock<RwLock<HashMap<String, Arc<CompiledRubric>>>> = LazyLock::new(RwLock::default);

impl CompiledRubric {
    /// The compiled form of a rubric, made on first use and kept by version.
    pub fn of(rubric: &Rubric) -> Result<Arc<CompiledRubric>, ScoringError> {
        // A panic elsewhere cannot leave the map half changed, so a poisoned lock is still good.
        if let Some(ready) = KEPT.read().unwrap_or_else(PoisonError::into_inner).get(rubric.version()) {
            return Ok(Arc::clone(ready));
        }
        let ready = Arc::new(CompiledRubric::compile(rubric)?);
        let mut kept = KEPT.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(rubric.version().to_owned(), Arc::clone(&ready));
        Ok(ready)
    }

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
            criteria: rubric.criteria().iter().map(compile).collect::<Result<_, ScoringError>>()?,
        })
    }

    pub(super) fn criteria(&self) -> impl Iterator<Item = (&Criterion, Option<&Regex>)> {
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
    fn rubric_is_compiled_once() {
        let rubric = rubric("compiled once");
        assert!(Arc::ptr_eq(&CompiledRubric::of(&rubric).unwrap(), &CompiledRubric::of(&rubric).unwrap()));
    }

    #[test]
    fn invalid_and_oversized_patterns_are_permanent_errors() {
        for pattern in ["(", "(?=look)", r"\w{1000}"] {
            let error = CompiledRubric::of(&rubric(pattern)).unwrap_err();
            assert!(matches!(error, ScoringError::Permanent { .. }), "{error}");
            assert!(error.to_string().starts_with("invalid_rubric: pattern: "), "{error}");
        }
    }
}
