//! Where a file does not parse.

use domain::submission::Language::{self, Go, JavaScript, Python, Rust};

use super::super::facts::Problem;
use super::facts;

/// The first place, in words.
fn first(language: Language, text: &str) -> String {
    let facts = facts(language, text);
    let place = facts.breaks.first().expect("should not parse");
    let problem = match &place.problem {
        Problem::Unexpected(text) => format!("unexpected {text}"),
        Problem::Missing(what) => format!("missing {what}"),
        Problem::Unclosed(bracket) => format!("unclosed {bracket}"),
    };
    format!("{}:{} {problem}", place.line, place.column)
}

#[test]
fn stray_token_is_shown_where_it_stands() {
    assert_eq!(first(Python, "a = 1\nb = (2))\n"), "2:8 unexpected )");
    assert_eq!(first(JavaScript, "let a = 1;\nlet b = 2 @ 3;\n"), "2:11 unexpected @ 3;");
}

#[test]
fn missing_token_is_named() {
    assert_eq!(first(Rust, "fn f() { let a = 1 }\n"), "1:19 missing ;");
}

#[test]
fn bracket_without_counterpart_is_pointed_at_or_supplied() {
    assert_eq!(first(Python, "def f(a):\n    return [1, (2, a\n\nx = 1\n"), "2:12 unclosed [");
    assert_eq!(first(Go, "package a\n\nfunc f() {\n\tg(1\n}\n"), "4:5 missing )");
}

#[test]
fn what_can_be_read_before_the_break_is_not_blamed() {
    let text = "\"\"\"Doc.\"\"\"\n\ndef f(a):\n    return a\n\ndef g(a):\n    b = list(f(a)\n    while b:\n        b = a\n    return b\n";
    assert_eq!(first(Python, text), "7:13 unclosed (");
}

#[test]
fn columns_are_counted_in_characters() {
    assert_eq!(first(Python, "ü = 'ä' ) b\n"), "1:9 unexpected )");
}

#[test]
fn functions_in_the_readable_part_are_still_measured() {
    let facts = facts(Python, "def f(a):\n    return a\n\n)\n\ndef g(a):\n    return a\n");
    assert_eq!(facts.functions.iter().filter_map(|f| f.name.as_deref()).collect::<Vec<_>>(), ["f", "g"]);
    assert_eq!((facts.broken_lines, facts.code_lines), (1, 5));
}
