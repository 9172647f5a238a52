//! Reports: points, feedback, and what is refused.

use std::time::Duration;

use domain::ErrorCode;
use domain::report::{MAX_FEEDBACK_BYTES, Report, TestStatus};
use domain::rubric::Rubric;
use domain::submission::Content;
use serde_json::json;

use super::super::{CompiledRubric, Limits, ScoringError, score};
use super::{default_rubric, report, scored};

fn rubric(criteria: serde_json::Value) -> Rubric {
    Rubric::from_json(&json!({ "criteria": criteria })).unwrap()
}

/// A function in Python with this many lines of code.
fn long(name: &str, lines: usize) -> String {
    format!("def {name}(a):\n    \"\"\"Doc.\"\"\"\n{}", "    a += 1\n".repeat(lines - 1))
}

fn points<'a>(report: &'a Report, criterion: &str) -> (f64, f64, &'a str) {
    let test = report.tests.iter().find(|test| test.name == criterion).unwrap();
    (test.score, test.max_score, &test.output)
}

const GOOD_README: &str = "# Orders\n\nReads orders.\n\n## Use\n\n```sh\npython orders.py\n```\n";

#[test]
fn flawless_submission_scores_100_and_is_told_so() {
    let readme = format!("{GOOD_README}{}", "More words about it. ".repeat(40));
    let json =
        json!({"files": [{"path": "a.py", "text": long("f", 10)}, {"path": "README.md", "text": readme}]});
    let report = scored(&json, default_rubric()).unwrap();
    assert_eq!(report.score, 100.0, "{}", report.feedback);
    assert!(report.tests.iter().all(|test| test.status == TestStatus::Passed));
    assert!(report.feedback.contains("nothing to change"));
}

#[test]
fn feedback_names_file_line_and_what_to_change() {
    let text = format!("import sys\n\n\n{}", long("parse_line", 96));
    let report = report("orders.py", &text);
    let advice = "orders.py:4 parse_line is 96 lines of code long (aim for at most 40): split it";
    assert!(report.feedback.contains(advice), "{}", report.feedback);
    // (120 - 96) / (120 - 40) of the points for the only function.
    assert_eq!(points(&report, "function length").0, 4.5);
}

#[test]
fn what_gains_the_most_comes_first() {
    let report = report("a.py", &format!("{}\n\n{}", long("short", 60), long("long", 200)));
    let place =
        |text: &str| report.feedback.find(text).unwrap_or_else(|| panic!("{text}: {}", report.feedback));
    assert!(place("long is 200") < place("The documentation has 1 word"));
    assert!(place("The documentation has 1 word") < place("short is 60"));
    let gains: Vec<f64> =
        report.feedback.split("(+").skip(1).map(|rest| rest[..4].parse().unwrap()).collect();
    assert!(gains.is_sorted_by(|a, b| a >= b), "{}", report.feedback);
}

#[test]
fn many_small_functions_cannot_hide_a_large_one() {
    let small: String = (0..20).map(|i| format!("def f{i}(a):\n    return a\n\n")).collect();
    let report = report("a.py", &format!("{small}{}", long("large", 160)));
    // 160 of 200 lines of code are in a function that earns nothing.
    assert_eq!(points(&report, "function length").0, 3.0);
}

#[test]
fn file_that_does_not_parse_still_gets_a_score() {
    let report = report("orders.py", "def f(a):\n    return a\n\ndef g(a:\n    return (a\n");
    assert!(report.score > 0.0 && report.score < 90.0);
    let (got, of, output) = points(&report, "parses");
    assert!(got > 0.0 && got <= of / 2.0, "{got} of {of}");
    assert_eq!(output, "1 of 1 file cannot be parsed.");
    assert!(report.feedback.contains("orders.py:4:"), "{}", report.feedback);
    assert!(report.feedback.contains("does not parse as Python"), "{}", report.feedback);
}

#[test]
fn file_with_windows_line_ends_and_byte_order_mark_scores_like_any() {
    let text = "def f(a):\n    \"\"\"Doc.\"\"\"\n    if a:\n        return 'ü'\n    return )\n";
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(report("a.py", text), report("a.py", &windows));
}

#[test]
fn empty_file_beside_others_changes_nothing() {
    let files = |extra: bool| {
        let mut files = vec![json!({"path": "a.py", "text": long("f", 50)})];
        files.extend(extra.then(|| json!({"path": "__init__.py", "text": ""})));
        scored(&json!({ "files": files }), default_rubric()).unwrap().score
    };
    assert_eq!(files(false), files(true));
}

#[test]
fn submission_of_comments_earns_nothing_for_code() {
    let report = report("a.py", "# nothing here\n");
    assert_eq!(points(&report, "parses").0, 0.0);
    assert_eq!(points(&report, "nesting").0, 0.0);
    assert!(report.feedback.contains("There is no code in the submission"));
}

#[test]
fn criterion_with_nothing_to_measure_leaves_its_share_to_the_others() {
    let report = report("a.rs", "pub(crate) const A: u8 = 1;\n");
    assert_eq!(points(&report, "nesting"), (0.0, 0.0, "There are no functions, so this does not count."));
    assert_eq!(points(&report, "parses").1, 57.14);
    let most: f64 = report.tests.iter().map(|test| test.max_score).sum();
    assert_eq!(most, 100.0);
}

#[test]
fn undocumented_items_are_listed_by_file() {
    let report = report("a.go", "package a\n\n// A is.\nfunc A() {}\n\nfunc B() {}\n\nfunc C() {}\n");
    let advice = "a.go:6 2 of 3 public items without a comment directly above: B (line 6), C (line 8).";
    assert!(report.feedback.contains(advice), "{}", report.feedback);
    assert_eq!(points(&report, "documentation coverage").2, "1 of 3 public items documented (33%).");
}

#[test]
fn tests_need_no_documentation() {
    let files = json!({"files": [{"path": "a_test.go", "text": "package a\n\nfunc TestA() {}\n"}]});
    let report = scored(&files, default_rubric()).unwrap();
    assert_eq!(points(&report, "documentation coverage").1, 0.0);
}

#[test]
fn code_without_language_is_read_as_the_one_that_fits_best() {
    for (code, language) in [
        ("def f(a):\n    return a\n", "Python"),
        ("export const f = (a) => { return a?.b; };\n", "JavaScript"),
        ("package a\n\nfunc f() (int, error) {\n\tx := <-c\n\treturn x, nil\n}\n", "Go"),
        ("impl A { pub fn f<'a>(&'a self) -> &'a u8 { &self.0 } }\n", "Rust"),
        ("impl A { pub fn f<'a>(&'a self -> &'a u8 { &self.0 } }\n", "Rust"),
    ] {
        let report = scored(&json!({"code": code, "documentation": "x"}), default_rubric()).unwrap();
        assert!(
            report.feedback.contains(&format!("it was read as {language}")),
            "{code}: {}",
            report.feedback
        );
    }
}

#[test]
fn file_in_another_language_is_named_but_not_an_error() {
    let files = json!({"files": [{"path": "a.py", "text": "x = 1\n"}, {"path": "b.c", "text": "int x;"}]});
    let report = scored(&files, default_rubric()).unwrap();
    assert!(report.feedback.contains("Not parsed, because only Python, JavaScript, Go, Rust can be: b.c."));
}

#[test]
fn submission_without_code_in_a_known_language_is_a_permanent_error() {
    let files =
        json!({"files": [{"path": "b.c", "text": "int x;"}, {"path": "README.md", "text": GOOD_README}]});
    let error = scored(&files, default_rubric()).unwrap_err();
    assert!(
        matches!(&error, ScoringError::Permanent { code, .. } if *code == ErrorCode::INVALID_CONTENT),
        "{error}"
    );
    // A rubric that asks for text only can score it.
    let rubric = rubric(json!([{"type": "documentation", "weight": 1, "words": 2}]));
    assert_eq!(scored(&files, &rubric).unwrap().score, 100.0);
}

#[test]
fn oversized_content_is_a_permanent_error_and_a_passed_deadline_a_retryable_one() {
    let json = json!({"code": "x = 1\n".repeat(1000)});
    let content = Content::from_json(&json).unwrap();
    let rubric = CompiledRubric::compile(default_rubric()).unwrap();
    let error = score(&content, &rubric, &Limits { max_bytes: 100, ..Limits::default() }).unwrap_err();
    assert!(matches!(error, ScoringError::Permanent { .. }), "{error}");
    let error =
        score(&content, &rubric, &Limits { timeout: Duration::ZERO, ..Limits::default() }).unwrap_err();
    assert!(matches!(&error, ScoringError::Retryable { code, .. } if *code == ErrorCode::TIMEOUT), "{error}");
    // The parser that was stopped begins afresh.
    assert!(score(&content, &rubric, &Limits::default()).is_ok());
}

#[test]
fn quick_rubric_searches_the_text_without_parsing_it() {
    let quick = Rubric::builtin("quick").unwrap();
    let of = |code: &str| scored(&json!({"code": code, "documentation": "def x"}), quick).unwrap();
    assert_eq!(of("\n\nfn main() {}").score, 100.0);
    assert_eq!(of("\n\nfn main() {}").tests[0].output, "Found at code:3.");
    let missing = of("0cc175b9c0f1b6a831c399e269772661");
    assert_eq!(missing.score, 0.0);
    assert!(missing.feedback.contains("Define at least one function."), "{}", missing.feedback);
}

#[test]
fn unwanted_pattern_is_reported_where_it_stands() {
    let criterion =
        json!({"type": "pattern", "pattern": r"\beval\(", "expect": "noMatch", "in": "source", "weight": 1});
    let report = scored(&json!({"code": "x = 1\neval(x)\n"}), &rubric(json!([criterion]))).unwrap();
    assert_eq!(report.score, 0.0);
    assert!(report.feedback.contains(r"code:2 remove what matches `\beval\(`"), "{}", report.feedback);
}

#[test]
fn feedback_on_thousands_of_faults_stays_short() {
    let faults: String = (0..3000)
        .map(|i| {
            format!(
                "def f{i}(a):
    if a:
        return a
"
            )
        })
        .collect();
    let criteria = json!([{"type": "metric", "metric": "nesting", "fullAt": 0, "zeroAt": 5, "weight": 1}]);
    let report = scored(&json!({"language": "python", "code": faults}), &rubric(criteria)).unwrap();
    assert!(report.feedback.len() <= MAX_FEEDBACK_BYTES && report.feedback.lines().count() < 60);
    assert_eq!(report.score, 80.0);
}

#[test]
fn control_characters_of_a_submission_do_not_reach_the_feedback() {
    let report = report("a.py", "x = \u{1b}[31m (\u{7}\n");
    assert!(report.feedback.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", report.feedback);
}
