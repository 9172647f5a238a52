//! What holds for any text.

use domain::report::MAX_FEEDBACK_BYTES;
use domain::rubric::Rubric;
use domain::submission::Language;
use proptest::prelude::*;
use serde_json::json;

use super::scored;

/// Pieces of all languages, which in a random order come closer to code than random characters do.
const PIECES: &[&str] = &[
    "def f(x):\n",
    "    ",
    "\n",
    "\r\n",
    "if ",
    "else",
    ":\n",
    "return 1",
    "class A",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "\"\"\"",
    "'",
    "\"",
    "`",
    "//",
    "/**",
    "*/",
    "#",
    "///",
    "#[doc]",
    "pub ",
    "fn f",
    "func F",
    "package a\n",
    "type T struct",
    "export ",
    "function ",
    "=> ",
    "&&",
    "||",
    "match x ",
    "case 1:",
    "_ => ",
    "\u{feff}",
    "ü",
    "\t",
    "${",
    "r#\"",
    "let ",
    "const A = ",
    "var (",
    "@",
    "\\",
    "lambda x: ",
    "for x in y",
    "async ",
    "<div>",
    "0x",
    "1e999",
    "...",
    ";",
];

fn text() -> impl Strategy<Value = String> {
    let pieces =
        prop::collection::vec(prop::sample::select(PIECES), 0..120).prop_map(|pieces| pieces.concat());
    let bytes = prop::collection::vec(any::<u8>(), 0..400)
        .prop_map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', ""));
    prop_oneof![3 => pieces, 1 => bytes, 1 => "[^\\x00]{0,200}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_gets_a_score_in_range(text in text(), documentation in text(), language in 0..5_usize) {
        let language = Language::ALL.get(language).map(|language| language.as_str());
        // Never blank, which would be refused.
        let json = json!({"language": language, "code": format!("x{text}"), "documentation": documentation});
        for (name, rubric) in Rubric::builtins() {
            let report = scored(&json, rubric).unwrap();
            prop_assert!((0.0..=100.0).contains(&report.score), "{name}: {}", report.score);
            prop_assert!(!report.feedback.contains('\0') && report.feedback.len() <= MAX_FEEDBACK_BYTES);
            prop_assert!(!report.feedback.is_empty());
            let sum: f64 = report.tests.iter().map(|test| test.score).sum();
            prop_assert!((sum - report.score).abs() < 0.05, "{sum} {}", report.score);
            prop_assert_eq!(scored(&json, rubric).unwrap(), report);
        }
    }
}
