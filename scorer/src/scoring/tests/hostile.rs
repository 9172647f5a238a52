//! Texts made to hurt: deep, flat, long, odd. Each ends soon and without overflowing a small stack.

use std::time::{Duration, Instant};

use domain::submission::{Content, Language};
use serde_json::json;

use super::super::{CompiledRubric, Limits, ScoringError, score};
use super::default_rubric;

const MEGABYTE: usize = 1 << 20;

/// Scores a text as every language, on a stack as small as a thread of tokio has. It must end within the limit, with
/// a score or with a timeout.
fn survives(text: &str) {
    for language in Language::ALL {
        let json = json!({"language": language.as_str(), "code": text, "documentation": "x"});
        let scoring = move || {
            let limits = Limits { timeout: Duration::from_secs(20), ..Limits::default() };
            let rubric = CompiledRubric::compile(default_rubric()).unwrap();
            let start = Instant::now();
            let content = Content::from_json(&json).unwrap();
            (score(&content, &rubric, &limits), start.elapsed())
        };
        let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(scoring).unwrap();
        let (outcome, elapsed) = thread.join().unwrap();
        match outcome {
            Ok(report) => assert!((0.0..=100.0).contains(&report.score)),
            Err(error) => assert!(matches!(error, ScoringError::Retryable { .. }), "{error}"),
        }
        let shown: String = text.chars().take(20).collect();
        assert!(elapsed < Duration::from_secs(25), "{language} took {elapsed:?} for {shown:?}");
    }
}

#[test]
fn deep_text_does_not_overflow_the_stack() {
    survives(&"(".repeat(MEGABYTE));
    for unit in ["[", "{", "f(", "if(x){", "-", "!", "x.", "<", "\\", "a=("] {
        survives(&unit.repeat(MEGABYTE / 64 / unit.len()));
    }
}

#[test]
fn deep_text_that_parses_does_not_overflow_the_stack() {
    let depth = MEGABYTE / 16;
    survives(&format!("x = {}1{}", "(".repeat(depth), ")".repeat(depth)));
    survives(&format!("x = {}1{}", "[".repeat(depth), "]".repeat(depth)));
    survives(&format!("fn f() {}{}", "{".repeat(depth), "}".repeat(depth)));
    survives(&format!(
        "package a\nfunc f() {{\n{}x{}\n}}\n",
        "if a {\n".repeat(depth / 8),
        "\n}".repeat(depth / 8)
    ));
    survives(&format!("x = {}1\n", "a + ".repeat(depth / 4)));
    let indented: String = (0..500).map(|depth| format!("{}if a:\n", " ".repeat(depth))).collect();
    survives(&format!("{indented}{}pass\n", " ".repeat(500)));
}

#[test]
fn long_flat_text_ends_within_the_limit() {
    // Python's scanner looks ahead over all comment lines from each of them: the deadline is what bounds that.
    for unit in [
        "x = 1\n",
        "x=1;",
        "# comment\n",
        "/// comment\n",
        "\n",
        "\r\n",
        "ü",
        "é = 'ä'\n",
        "aaaa",
        "def f(): pass\n",
        ")\n",
    ] {
        survives(&format!("x{}", unit.repeat(MEGABYTE / 32 / unit.len())));
    }
}

#[test]
fn text_left_open_is_read_to_its_end() {
    for start in ["\"\"\"", "'", "`", "/*", "r#\"", "<!--", "\"${", "f\"{"] {
        survives(&format!("{start}{}", "some text\n".repeat(MEGABYTE / 640)));
    }
}
