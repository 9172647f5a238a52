//! What scoring a submission yields: a score, feedback for a person, and a result for each criterion.
//!
//! The JSON form follows Gradescope's `results.json` (`score`, `output`, `tests`), which graders and course tools read.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The longest feedback that is kept, in bytes.
pub const MAX_FEEDBACK_BYTES: usize = 16 * 1024;

/// The longest output of one criterion that is kept, in bytes.
pub const MAX_OUTPUT_BYTES: usize = 1024;

/// The outcome of scoring one submission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// 0 to 100, rounded to two decimals.
    pub score: f64,
    /// For the person who submitted: what to change, and where; what would gain the most comes first.
    #[serde(rename = "output")]
    pub feedback: String,
    /// One result a criterion of the rubric, in its order.
    pub tests: Vec<TestResult>,
}

/// The result of one criterion, as `results.json` calls it: a test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// The criterion's name.
    pub name: String,
    /// Points gained, of `max_score`.
    pub score: f64,
    /// Points to be had: the criterion's share of 100. 0 where there was nothing to measure.
    pub max_score: f64,
    /// Passed when all points were gained.
    pub status: TestStatus,
    /// What was found, in a sentence.
    pub output: String,
}

/// Whether a criterion is met in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TestStatus {
    /// All points were gained.
    Passed,
    /// Points were lost.
    Failed,
}

impl Report {
    /// A report that can be stored: the score brought into 0 to 100 and rounded, texts bounded and free of NUL.
    pub fn new(score: f64, feedback: &str, tests: Vec<TestResult>) -> Report {
        let score = if score.is_finite() { round(score.clamp(0.0, 100.0)) } else { 0.0 };
        Report { score, feedback: storable(feedback, MAX_FEEDBACK_BYTES), tests }
    }

    /// The value of the `result` column. The feedback has a column of its own and is left out.
    pub fn result(&self) -> Value {
        json!({"score": self.score, "tests": self.tests})
    }
}

impl TestResult {
    /// The result of a criterion that gained `credit`, from 0 to 1, of `max_score` points.
    pub fn new(name: &str, credit: f64, max_score: f64, output: &str) -> TestResult {
        let credit = if credit.is_finite() { credit.clamp(0.0, 1.0) } else { 0.0 };
        let status = if credit >= 1.0 { TestStatus::Passed } else { TestStatus::Failed };
        TestResult {
            name: name.to_owned(),
            score: round(credit * max_score),
            max_score: round(max_score),
            status,
            output: storable(output, MAX_OUTPUT_BYTES),
        }
    }
}

/// Rounds to two decimals.
pub fn round(points: f64) -> f64 {
    // Adding zero turns a negative zero, which would be written as -0, into a plain one.
    (points * 100.0).round() / 100.0 + 0.0
}

/// The text without NUL, cut at a character's edge where it is too long.
fn storable(text: &str, max_bytes: usize) -> String {
    const CUT: &str = " […]";
    let text = if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.to_owned() };
    if text.len() <= max_bytes {
        return text;
    }
    let mut end = max_bytes - CUT.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned() + CUT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn score_is_rounded_and_kept_in_range() {
        let score = |points| Report::new(points, "", Vec::new()).score;
        assert_eq!(score(66.666_666), 66.67);
        assert_eq!(score(100.000_000_1), 100.0);
        assert_eq!(score(-1.0), 0.0);
        assert_eq!(score(f64::NAN), 0.0);
        assert!(score(-0.0).is_sign_positive());
    }

    #[test]
    fn long_feedback_is_cut_at_a_character() {
        let report = Report::new(1.0, &"ü".repeat(MAX_FEEDBACK_BYTES), Vec::new());
        assert!(report.feedback.len() <= MAX_FEEDBACK_BYTES);
        assert!(report.feedback.ends_with("ü […]"));
    }

    #[test]
    fn feedback_holds_no_nul() {
        assert_eq!(Report::new(1.0, "a\0b", Vec::new()).feedback, "a\u{fffd}b");
    }

    #[test]
    fn report_is_written_in_the_terms_of_results_json() {
        let report =
            Report::new(7.5, "Shorten it.", vec![TestResult::new("nesting", 0.75, 10.0, "4 levels")]);
        let test = json!({"name": "nesting", "score": 7.5, "max_score": 10.0, "status": "failed", "output": "4 levels"});
        assert_eq!(
            serde_json::to_value(&report).unwrap(),
            json!({"score": 7.5, "output": "Shorten it.", "tests": [test]})
        );
        assert_eq!(report.result(), json!({"score": 7.5, "tests": [test]}));
        let back: Report = serde_json::from_value(serde_json::to_value(&report).unwrap()).unwrap();
        assert_eq!(back, report);
    }

    #[test]
    fn criterion_passes_with_all_its_points_only() {
        assert_eq!(TestResult::new("a", 1.0, 20.0, "").status, TestStatus::Passed);
        assert_eq!(TestResult::new("a", 0.999, 20.0, "").status, TestStatus::Failed);
    }
}
