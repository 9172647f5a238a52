//! Rubrics: by which criteria a submission is scored.
//!
//! A rubric is data. What a criterion measures is the scorer's affair; here stands what may be asked of it.

mod builtin;
mod canonical;
mod criterion;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use criterion::{Check, Criterion, Expectation, Metric, Scope};

/// How many criteria one rubric may hold.
pub const MAX_CRITERIA: usize = 50;

/// The longest pattern that is accepted, in bytes.
pub const MAX_PATTERN_BYTES: usize = 1000;

/// A checked list of criteria with its version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Value", try_from = "Value")]
pub struct Rubric {
    criteria: Vec<Criterion>,
    version: String,
}

/// The rubric cannot be applied; the message names the criterion and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRubric(String);

impl Rubric {
    /// Checks the criteria and takes them for a rubric.
    pub fn new(criteria: Vec<Criterion>) -> Result<Rubric, InvalidRubric> {
        if criteria.is_empty() {
            return Err(InvalidRubric("`criteria` is empty: name at least one".to_owned()));
        }
        if criteria.len() > MAX_CRITERIA {
            return Err(InvalidRubric(format!(
                "`criteria` holds more than {MAX_CRITERIA}, which is the limit"
            )));
        }
        for (index, criterion) in criteria.iter().enumerate() {
            let faulty = |fault| InvalidRubric(format!("criteria[{index}] ({}): {fault}", criterion.name));
            criterion.check().map_err(faulty)?;
            if criteria[..index].iter().any(|earlier| earlier.name == criterion.name) {
                return Err(faulty(
                    "an earlier criterion has the same name; give it a `name` of its own".to_owned(),
                ));
            }
        }
        Ok(Rubric::from_checked(criteria))
    }

    /// Reads `{"criteria": [{"type": …, "weight": …, …}, …]}`.
    ///
    /// Fields that a criterion does not know are refused, since a misspelt threshold would change every score.
    pub fn from_json(json: &Value) -> Result<Rubric, InvalidRubric> {
        let object =
            json.as_object().ok_or_else(|| InvalidRubric("a rubric must be an object".to_owned()))?;
        if let Some(unknown) = object.keys().find(|key| *key != "criteria") {
            return Err(InvalidRubric(format!("{unknown:?} is not a field of a rubric")));
        }
        let list = object.get("criteria").and_then(Value::as_array);
        let list = list.ok_or_else(|| InvalidRubric("`criteria` must be a list".to_owned()))?;
        if list.len() > MAX_CRITERIA {
            return Err(InvalidRubric(format!(
                "`criteria` holds more than {MAX_CRITERIA}, which is the limit"
            )));
        }
        let read = |(index, json)| {
            Criterion::from_json(json).map_err(|fault| InvalidRubric(format!("criteria[{index}]: {fault}")))
        };
        Rubric::new(list.iter().enumerate().map(read).collect::<Result<_, _>>()?)
    }

    /// The rubric as JSON, with all defaults written out: the spec that is stored beside the version.
    pub fn to_json(&self) -> Value {
        canonical::spec(&self.criteria)
    }

    /// The criteria, in the order in which results are listed.
    pub fn criteria(&self) -> &[Criterion] {
        &self.criteria
    }

    /// Names what is asked, not how it was written: the first 32 hex digits of the SHA-256 of the rubric's JSON with
    /// sorted keys, defaults written out and no spaces.
    ///
    /// 128 bits, because versions find rubrics in caches and in the database, and nobody should be able to craft two
    /// that share one.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The rubric of this name that Assay brings along.
    pub fn builtin(name: &str) -> Option<&'static Rubric> {
        Rubric::builtins().iter().find(|(known, _)| *known == name).map(|(_, rubric)| rubric)
    }

    /// The rubrics that Assay brings along, with their names.
    pub fn builtins() -> &'static [(&'static str, Rubric)] {
        builtin::all()
    }

    fn from_checked(criteria: Vec<Criterion>) -> Rubric {
        let version = canonical::version(&canonical::spec(&criteria));
        Rubric { criteria, version }
    }
}

impl TryFrom<Value> for Rubric {
    type Error = InvalidRubric;

    fn try_from(json: Value) -> Result<Self, Self::Error> {
        Rubric::from_json(&json)
    }
}

impl From<Rubric> for Value {
    fn from(rubric: Rubric) -> Self {
        rubric.to_json()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(criterion: Value) -> Result<Rubric, InvalidRubric> {
        Rubric::from_json(&json!({"criteria": [criterion]}))
    }

    fn refusal(criterion: Value) -> String {
        one(criterion).expect_err("should be refused").to_string()
    }

    #[test]
    fn builtin_rubrics_are_valid_and_read_back_the_same() {
        for (name, rubric) in Rubric::builtins() {
            assert_eq!(Rubric::new(rubric.criteria.clone()).as_ref(), Ok(rubric), "{name}");
            assert_eq!(Rubric::from_json(&rubric.to_json()).as_ref(), Ok(rubric), "{name}");
            assert_eq!(Rubric::builtin(name), Some(rubric));
        }
        assert_eq!(Rubric::builtin("no-such"), None);
    }

    #[test]
    fn builtin_versions_change_only_with_their_criteria() {
        let versions: Vec<_> =
            Rubric::builtins().iter().map(|(name, rubric)| (*name, rubric.version())).collect();
        assert_eq!(
            versions,
            [("default", "50e42b442660d425ad91da64c5fafd44"), ("quick", "b98f5c401420c82a1c5449ea05ac1b0b")]
        );
    }

    #[test]
    fn weights_of_the_default_rubric_add_up_to_100() {
        let rubric = Rubric::builtin("default").unwrap();
        assert_eq!(rubric.criteria().iter().map(|criterion| criterion.weight).sum::<f64>(), 100.0);
    }

    #[test]
    fn version_depends_on_meaning_not_on_spelling() {
        let short = one(json!({"type": "pattern", "pattern": "x", "weight": 1})).unwrap();
        let long = one(json!({
            "weight": 1.0, "pattern": "x", "name": "pattern", "expect": "match", "in": "everything", "hint": null,
            "type": "pattern"
        }))
        .unwrap();
        let other = one(json!({"type": "pattern", "pattern": "y", "weight": 1})).unwrap();
        assert_eq!(short.version(), long.version());
        assert_ne!(short.version(), other.version());
        assert_eq!(short.version().len(), 32);
    }

    #[test]
    fn misspelt_fields_are_refused() {
        let message = refusal(json!({"type": "parses", "weight": 1, "wieght": 2}));
        assert_eq!(message, "criteria[0]: \"wieght\" is not a field of this criterion");
        assert!(Rubric::from_json(&json!({"criteria": [], "extra": 1})).is_err());
    }

    #[test]
    fn unknown_type_is_refused_with_the_known_ones() {
        let message = refusal(json!({"type": "vibes", "weight": 1}));
        assert!(message.contains("vibes") && message.contains("documentationCoverage"), "{message}");
    }

    #[test]
    fn thresholds_must_be_in_order() {
        let message =
            refusal(json!({"type": "metric", "metric": "nesting", "weight": 1, "fullAt": 5, "zeroAt": 3}));
        assert_eq!(message, "criteria[0] (nesting): `fullAt` must be below `zeroAt`");
        assert!(
            refusal(json!({"type": "documentationCoverage", "weight": 1, "fullAt": 101})).contains("percent")
        );
        assert!(
            refusal(json!({"type": "documentationCoverage", "weight": 1, "fullAt": 0})).contains("below")
        );
    }

    #[test]
    fn weights_must_be_positive() {
        for weight in [0.0, -1.0, 1e9] {
            assert!(refusal(json!({"type": "parses", "weight": weight})).contains("`weight` must be"));
        }
        assert!(refusal(json!({"type": "parses"})).contains("weight"));
    }

    #[test]
    fn empty_and_oversized_rubrics_are_refused() {
        assert!(Rubric::from_json(&json!({"criteria": []})).is_err());
        let many: Vec<_> = (0..=MAX_CRITERIA)
            .map(|i| json!({"type": "parses", "name": i.to_string(), "weight": 1}))
            .collect();
        assert!(Rubric::from_json(&json!({"criteria": many})).is_err());
        for json in [json!(null), json!({}), json!({"criteria": {}})] {
            assert!(Rubric::from_json(&json).is_err());
        }
    }

    #[test]
    fn two_criteria_need_two_names() {
        let twice = json!({"criteria": [{"type": "parses", "weight": 1}, {"type": "parses", "weight": 1}]});
        assert!(Rubric::from_json(&twice).unwrap_err().to_string().contains("same name"));
    }

    #[test]
    fn unusable_patterns_are_refused() {
        assert!(refusal(json!({"type": "pattern", "pattern": "", "weight": 1})).contains("empty"));
        assert!(
            refusal(json!({"type": "pattern", "pattern": "x".repeat(1001), "weight": 1})).contains("longer")
        );
        assert!(refusal(json!({"type": "pattern", "pattern": "a\0", "weight": 1})).contains("NUL"));
    }
}
