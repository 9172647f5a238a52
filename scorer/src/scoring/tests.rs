//! Facts about scoring, on small texts with known answers.

mod go;
mod hostile;
mod javascript;
mod places;
mod properties;
mod python;
mod reports;
mod rust;

use std::time::Duration;

use domain::report::Report;
use domain::rubric::Rubric;
use domain::submission::{Content, Language};
use serde_json::{Value, json};

use super::facts::FileFacts;
use super::grammar::Grammar;
use super::limits::Deadline;
use super::{CompiledRubric, Limits, ScoringError, parse, walk};

/// What is found in a text.
fn facts(language: Language, text: &str) -> FileFacts {
    let grammar = Grammar::of(language);
    let deadline = Deadline::after(Duration::from_secs(60));
    let tree = parse::parse(grammar, text, &deadline).unwrap();
    walk::measure(grammar, "file", text, &tree, &deadline).unwrap()
}

/// Name, length, nesting and complexity of each function; the code outside is called `-`.
fn functions(language: Language, text: &str) -> Vec<(String, usize, usize, usize)> {
    let facts = facts(language, text);
    assert_eq!(facts.breaks, [], "the example should parse");
    let row =
        |f: super::facts::Function| (f.name.unwrap_or("-".to_owned()), f.length, f.nesting, f.complexity);
    facts.functions.into_iter().map(row).collect()
}

/// The complexity of the only function.
fn complexity(language: Language, text: &str) -> usize {
    let found = functions(language, text);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].3
}

/// The nesting of the only function.
fn nesting(language: Language, text: &str) -> usize {
    let found = functions(language, text);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].2
}

/// Public items, `+` before documented ones.
fn items(language: Language, text: &str) -> Vec<String> {
    let facts = facts(language, text);
    assert_eq!(facts.breaks, [], "the example should parse");
    let mark = |item: super::facts::Item| format!("{}{}", if item.documented { "+" } else { "" }, item.name);
    facts.items.into_iter().map(mark).collect()
}

fn scored(json: &Value, rubric: &Rubric) -> Result<Report, ScoringError> {
    super::score(&Content::from_json(json)?, &CompiledRubric::compile(rubric)?, &Limits::default())
}

fn default_rubric() -> &'static Rubric {
    Rubric::builtin("default").unwrap()
}

/// The report on one file under the default rubric.
fn report(path: &str, text: &str) -> Report {
    scored(&json!({"files": [{"path": path, "text": text}], "documentation": "x"}), default_rubric()).unwrap()
}
