//! Whether functions keep a metric low.

use domain::rubric::Metric;

use super::super::facts::{FileFacts, Function};
use super::{Evidence, Finding, MAX_FINDINGS, Outcome, counted, linear, short};

/// A function over the bound, and what it costs.
struct Excess<'a> {
    gain: f64,
    file: &'a FileFacts,
    function: &'a Function,
}

/// Each function counts by its lines of code, so that many small ones cannot hide a large one.
pub(super) fn apply(metric: Metric, full_at: f64, zero_at: f64, evidence: &Evidence<'_>) -> Outcome {
    let functions =
        || evidence.files.iter().flat_map(|file| file.functions.iter().map(move |one| (file, one)));
    let total: f64 = functions().map(|(_, function)| function.length as f64).sum();
    if evidence.code_lines() == 0 || functions().next().is_none() {
        return evidence.none_found("functions");
    }
    let mut excesses: Vec<_> = functions()
        .map(|(file, function)| {
            let credit = linear(value(metric, function) as f64, full_at, zero_at);
            Excess { gain: function.length as f64 * (1.0 - credit) / total, file, function }
        })
        .filter(|excess| excess.gain > 0.0)
        .collect();
    let credit = 1.0 - excesses.iter().map(|excess| excess.gain).sum::<f64>();
    let number = counted(functions().count(), "function");
    let highest = functions().map(|(_, function)| value(metric, function)).max().unwrap_or_default();
    let output = match excesses.len() {
        0 => format!("{number}, the highest {} is {highest}.", title(metric)),
        n => format!("{n} of {number} over {full_at}; the highest {} is {highest}.", title(metric)),
    };
    excesses.sort_by(|a, b| b.gain.total_cmp(&a.gain));
    let finding =
        |excess: &Excess<'_>| Finding { gain: excess.gain, text: describe(metric, full_at, excess) };
    // With nothing over the bound the credit is 1, whatever adding up fractions has made of it.
    let credit = if excesses.is_empty() { 1.0 } else { credit };
    Outcome {
        credit: Some(credit),
        output,
        findings: excesses.iter().take(MAX_FINDINGS).map(finding).collect(),
    }
}

fn value(metric: Metric, function: &Function) -> usize {
    match metric {
        Metric::FunctionLength => function.length,
        Metric::Nesting => function.nesting,
        Metric::Complexity => function.complexity,
    }
}

fn title(metric: Metric) -> &'static str {
    match metric {
        Metric::FunctionLength => "number of lines",
        Metric::Nesting => "nesting",
        Metric::Complexity => "complexity",
    }
}

fn describe(metric: Metric, full_at: f64, excess: &Excess<'_>) -> String {
    let Excess { file: FileFacts { path, .. }, function, .. } = excess;
    let (line, value) = (function.line, value(metric, function));
    let name = function.name.as_deref().map_or_else(|| "the code outside of functions".to_owned(), short);
    match (metric, &function.name) {
        (Metric::FunctionLength, Some(_)) => format!(
            "{path}:{line} {name} is {value} lines of code long (aim for at most {full_at}): split it into functions \
             that do one thing each."
        ),
        (Metric::FunctionLength, None) => format!(
            "{path}:{line} {name} is {value} lines long (aim for at most {full_at}): move it into functions with names."
        ),
        (Metric::Nesting, _) => format!(
            "{path}:{line} {name} is nested {value} levels deep, deepest at line {} (aim for at most {full_at}): \
             return early, or move the inner part into a function of its own.",
            function.deepest_line
        ),
        (Metric::Complexity, _) => format!(
            "{path}:{line} {name} has a cyclomatic complexity of {value} (aim for at most {full_at}): it takes as many \
             tests to cover; split it, or replace conditions by a table."
        ),
    }
}
