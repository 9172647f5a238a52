//! The rubrics that Assay brings along.

use std::sync::LazyLock;

use super::{Check, Criterion, Expectation, Metric, Rubric, Scope};

/// Built without the checks of [`Rubric::new`], which a test makes instead.
static ALL: LazyLock<[(&str, Rubric); 2]> = LazyLock::new(|| {
    [("default", Rubric::from_checked(default())), ("quick", Rubric::from_checked(quick()))]
});

pub(super) fn all() -> &'static [(&'static str, Rubric)] {
    ALL.as_slice()
}

/// Readable code with documentation. 10 is the bound that McCabe proposed for complexity.
fn default() -> Vec<Criterion> {
    let metric = |metric, full_at, zero_at| Check::Metric { metric, full_at, zero_at };
    vec![
        Criterion::new(20.0, Check::Parses { broken_at_most: 0.5 }),
        Criterion::new(15.0, metric(Metric::FunctionLength, 40.0, 120.0)),
        Criterion::new(15.0, metric(Metric::Nesting, 3.0, 7.0)),
        Criterion::new(20.0, metric(Metric::Complexity, 10.0, 30.0)),
        Criterion::new(15.0, Check::DocumentationCoverage { full_at: 90.0, zero_at: 0.0 }),
        Criterion::new(15.0, Check::Documentation { words: 120, headings: 2, code_examples: 1 }),
    ]
}

/// One regular expression over the text: as little scoring as there can be, for benchmarks.
fn quick() -> Vec<Criterion> {
    let hint = "Define at least one function.";
    vec![Criterion::new(
        100.0,
        Check::Pattern {
            pattern: r"(?-u:\b(?:def|function|func|fn)\s+[A-Za-z_])".to_owned(),
            expect: Expectation::Match,
            scope: Scope::Source,
            hint: Some(hint.to_owned()),
        },
    )]
}
