//! One criterion of a rubric, and what makes it valid.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::MAX_PATTERN_BYTES;

/// The longest name of a criterion, in bytes.
const MAX_NAME_BYTES: usize = 80;

/// The largest weight. Any bound would do: it keeps sums exact enough to add up to 100.
const MAX_WEIGHT: f64 = 1e6;

/// Something that earns points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Criterion {
    /// What results call it. Defaults to its type, or its metric.
    #[serde(default)]
    pub name: String,
    /// Its share of the score, relative to the other criteria.
    pub weight: f64,
    /// What is measured.
    #[serde(flatten)]
    pub check: Check,
}

/// What a criterion measures. All but patterns need the submission to be parsed or rendered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Check {
    /// Source files parse.
    Parses {
        /// The most that files with a syntax error can earn, from 0 to 1, since they do not run. They earn it in
        /// proportion to the lines that can still be read.
        #[serde(default = "half")]
        broken_at_most: f64,
    },
    /// Functions keep a metric low. Each function earns in full up to `full_at`, nothing from `zero_at` on, linearly
    /// in between, and counts by its lines of code.
    Metric {
        /// What is measured.
        metric: Metric,
        /// The highest value that earns in full.
        full_at: f64,
        /// The lowest value that earns nothing.
        zero_at: f64,
    },
    /// Public items are documented, in percent; linear between the thresholds.
    DocumentationCoverage {
        /// From this percentage on it earns in full.
        #[serde(default = "ninety")]
        full_at: f64,
        /// Up to this percentage it earns nothing.
        #[serde(default)]
        zero_at: f64,
    },
    /// There is text for people: half of the points for words, a quarter each for headings and code examples.
    Documentation {
        /// How many words earn in full.
        #[serde(default = "default_words")]
        words: u32,
        /// How many headings earn in full.
        #[serde(default = "default_headings")]
        headings: u32,
        /// How many code examples earn in full.
        #[serde(default = "default_code_examples")]
        code_examples: u32,
    },
    /// A regular expression matches, or does not.
    Pattern {
        /// In the syntax of the Rust crate `regex`, which has no look-around and takes time linear in the text.
        pattern: String,
        /// Whether a match is wanted.
        #[serde(default)]
        expect: Expectation,
        /// Which texts are searched.
        #[serde(default, rename = "in")]
        scope: Scope,
        /// What to tell the person whose submission fails this.
        #[serde(default)]
        hint: Option<String>,
    },
}

/// A number that is taken of every function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Metric {
    /// Lines of code: blank lines, comments and docstrings do not count.
    FunctionLength,
    /// How deep control structures stand inside each other.
    Nesting,
    /// Cyclomatic complexity (T. J. McCabe, "A Complexity Measure", 1976): 1 + decision points.
    Complexity,
}

/// Whether a pattern should match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Expectation {
    /// At least one text matches.
    #[default]
    Match,
    /// No text matches.
    NoMatch,
}

/// Which texts a pattern is searched in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// All of them.
    #[default]
    Everything,
    /// All but documentation.
    Source,
    /// Documentation only.
    Documentation,
}

fn half() -> f64 {
    0.5
}

fn ninety() -> f64 {
    90.0
}

fn default_words() -> u32 {
    120
}

fn default_headings() -> u32 {
    2
}

fn default_code_examples() -> u32 {
    1
}

impl Check {
    /// The name of a criterion that was given none.
    pub fn default_name(&self) -> &'static str {
        match self {
            Check::Parses { .. } => "parses",
            Check::Metric { metric: Metric::FunctionLength, .. } => "function length",
            Check::Metric { metric: Metric::Nesting, .. } => "nesting",
            Check::Metric { metric: Metric::Complexity, .. } => "complexity",
            Check::DocumentationCoverage { .. } => "documentation coverage",
            Check::Documentation { .. } => "documentation",
            Check::Pattern { .. } => "pattern",
        }
    }

    /// Whether it is about code, so that a submission without any in a known language cannot be scored by it.
    pub fn needs_source(&self) -> bool {
        match self {
            Check::Parses { .. } | Check::Metric { .. } | Check::DocumentationCoverage { .. } => true,
            Check::Documentation { .. } | Check::Pattern { .. } => false,
        }
    }

    fn fault(&self) -> Option<String> {
        let usable = |threshold: f64| threshold.is_finite() && threshold >= 0.0;
        match self {
            Check::Parses { broken_at_most: share } if !(0.0..=1.0).contains(share) => {
                Some("`brokenAtMost` must be from 0 to 1".to_owned())
            }
            Check::Metric { full_at, zero_at, .. } if !usable(*full_at) || !usable(*zero_at) => {
                Some("`fullAt` and `zeroAt` must be 0 or more".to_owned())
            }
            Check::Metric { full_at, zero_at, .. } if full_at >= zero_at => {
                Some("`fullAt` must be below `zeroAt`".to_owned())
            }
            Check::DocumentationCoverage { full_at, zero_at }
                if !(0.0..=100.0).contains(full_at) || !(0.0..=100.0).contains(zero_at) =>
            {
                Some("`fullAt` and `zeroAt` must be percentages, from 0 to 100".to_owned())
            }
            Check::DocumentationCoverage { full_at, zero_at } if zero_at >= full_at => {
                Some("`zeroAt` must be below `fullAt`".to_owned())
            }
            Check::Documentation { words: 0, headings: 0, code_examples: 0 } => {
                Some("one of `words`, `headings` and `codeExamples` must be above 0".to_owned())
            }
            Check::Pattern { pattern, .. } if pattern.is_empty() => Some("`pattern` is empty".to_owned()),
            Check::Pattern { pattern, .. } if pattern.len() > MAX_PATTERN_BYTES => {
                Some(format!("`pattern` is longer than {MAX_PATTERN_BYTES} bytes"))
            }
            Check::Pattern { pattern, hint, .. }
                if has_nul(pattern) || hint.as_deref().is_some_and(has_nul) =>
            {
                Some("`pattern` and `hint` must not hold NUL characters".to_owned())
            }
            Check::Pattern { hint: Some(hint), .. } if hint.len() > MAX_PATTERN_BYTES => {
                Some(format!("`hint` is longer than {MAX_PATTERN_BYTES} bytes"))
            }
            _ => None,
        }
    }
}

impl Criterion {
    /// A criterion under its default name.
    pub fn new(weight: f64, check: Check) -> Criterion {
        Criterion { name: check.default_name().to_owned(), weight, check }
    }

    pub(super) fn from_json(json: &Value) -> Result<Criterion, String> {
        let mut criterion = Criterion::deserialize(json).map_err(|error| error.to_string())?;
        if criterion.name.is_empty() {
            criterion.name = criterion.check.default_name().to_owned();
        }
        // Flattened fields cannot be denied by serde; all known ones appear in what it writes.
        let known = criterion.to_json();
        match json
            .as_object()
            .into_iter()
            .flat_map(|object| object.keys())
            .find(|key| known.get(key).is_none())
        {
            Some(key) => Err(format!("{key:?} is not a field of this criterion")),
            None => Ok(criterion),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        // Only a map with keys that are not text, or a failing Serialize, could make this fail: here are neither.
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.name.trim().is_empty()
            || self.name.len() > MAX_NAME_BYTES
            || self.name.chars().any(char::is_control)
        {
            return Err(format!("`name` must be 1 to {MAX_NAME_BYTES} bytes without control characters"));
        }
        if !self.weight.is_finite() || self.weight <= 0.0 || self.weight > MAX_WEIGHT {
            return Err(format!("`weight` must be above 0 and at most {MAX_WEIGHT}"));
        }
        self.check.fault().map_or(Ok(()), Err)
    }
}

fn has_nul(text: &str) -> bool {
    text.contains('\0')
}
