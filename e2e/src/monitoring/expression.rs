//! Which metrics and labels an expression of Prometheus names.
//!
//! Whether it is an expression at all is for promtool to say.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};

use super::DocumentedMetric;

/// A metric in an expression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mention {
    /// Its name as it stands there.
    pub name: String,
    /// What is asked of its labels: name, operator, value.
    pub matchers: Vec<(String, String, String)>,
}

/// What an expression names: metrics, and labels that it groups or joins by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// Metrics.
    pub metrics: Vec<Mention>,
    /// Labels after `by`, `on` and the like.
    pub grouping: BTreeSet<String>,
}

const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Labels that Prometheus itself adds.
const OF_SCRAPES: [&str; 4] = ["namespace", "job", "instance", "le"];

/// Finds what an expression names. Names of ours begin with `assay_` or `process_`.
///
/// # Errors
/// When a selector cannot be read.
pub fn mentions(expression: &str) -> Result<Mentions> {
    let mut found = Mentions::default();
    let mut rest = expression;
    while !rest.is_empty() {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            if let Some(quoted) = rest.strip_prefix('"') {
                rest = quoted.split_once('"').map_or("", |(_, after)| after);
            } else {
                rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
            }
        } else if GROUPING.contains(&word) && after.trim_start().starts_with('(') {
            let (inside, after) = inside(after.trim_start(), '(', ')')?;
            found.grouping.extend(inside.split(',').map(|label| label.trim().to_owned()));
            rest = after;
        } else if word.starts_with("assay_") || word.starts_with("process_") {
            let mut mention = Mention { name: word.to_owned(), ..Mention::default() };
            rest = after;
            if after.starts_with('{') {
                let (inside, after) = inside(after, '{', '}')?;
                mention.matchers = matchers(inside)?;
                rest = after;
            }
            found.metrics.push(mention);
        } else {
            rest = after;
        }
    }
    found.grouping.remove("");
    Ok(found)
}

fn inside(text: &str, open: char, close: char) -> Result<(&str, &str)> {
    let inner = text.strip_prefix(open).and_then(|rest| rest.split_once(close));
    match inner {
        Some(parts) => Ok(parts),
        None => bail!("{text:?} is not closed"),
    }
}

fn matchers(inside: &str) -> Result<Vec<(String, String, String)>> {
    let mut matchers = Vec::new();
    for matcher in inside.split("\",").filter(|matcher| !matcher.trim().is_empty()) {
        let Some((front, value)) = matcher.split_once('"') else { bail!("{matcher:?} is no matcher") };
        let name = front.trim_end_matches(['=', '~', '!']);
        let operator = &front[name.len()..];
        ensure!(["=", "!=", "=~", "!~"].contains(&operator), "{matcher:?} is no matcher");
        matchers.push((name.trim().to_owned(), operator.to_owned(), value.trim_end_matches('"').to_owned()));
    }
    Ok(matchers)
}

impl Mentions {
    /// Refuses what no service shows: a metric, a label, a value of a label.
    ///
    /// # Errors
    /// The first that there is not.
    pub fn check(&self, known: &[DocumentedMetric]) -> Result<()> {
        ensure!(!self.metrics.is_empty(), "no metric is named");
        let mut labels: BTreeSet<&str> = OF_SCRAPES.into();
        for mention in &self.metrics {
            let metric = known.iter().find(|metric| is_of(&mention.name, metric));
            let Some(metric) = metric else { bail!("there is no metric {}", mention.name) };
            labels.extend(metric.labels.keys().map(String::as_str));
            for (label, operator, value) in &mention.matchers {
                if OF_SCRAPES.contains(&label.as_str()) {
                    continue;
                }
                let Some(values) = metric.labels.get(label) else {
                    bail!("{} has no label {label}", metric.name)
                };
                let Some(values) = values else { continue };
                let asked: Vec<&str> =
                    if operator.contains('~') { value.split('|').collect() } else { vec![value] };
                for value in asked {
                    ensure!(values.contains(value), "{}: {label} is never {value:?}", metric.name);
                }
            }
        }
        for label in &self.grouping {
            ensure!(labels.contains(label.as_str()), "nothing here has the label {label}");
        }
        Ok(())
    }
}

/// Whether a name in an expression is that of the metric, or one under which a histogram is stored.
fn is_of(name: &str, metric: &DocumentedMetric) -> bool {
    if metric.kind != "histogram" {
        return name == metric.name;
    }
    let part = name.strip_prefix(metric.name.as_str());
    part.is_some_and(|part| ["_bucket", "_sum", "_count"].contains(&part))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn known() -> Vec<DocumentedMetric> {
        let values = |values: &[&str]| Some(values.iter().map(|value| (*value).to_owned()).collect());
        let metric = |name: &str, kind: &str, labels: BTreeMap<String, _>| DocumentedMetric {
            name: name.to_owned(),
            kind: kind.to_owned(),
            labels,
        };
        vec![
            metric("assay_x_total", "counter", [("status".to_owned(), values(&["2xx", "5xx"]))].into()),
            metric("assay_y_seconds", "histogram", [("pool".to_owned(), None)].into()),
        ]
    }

    #[test]
    fn an_expression_may_name_only_what_there_is() -> Result<()> {
        for good in [
            "sum by (status) (rate(assay_x_total{status=~\"2xx|5xx\",job=\"g\"}[5m])) > 0.5",
            "histogram_quantile(0.9, sum by (le, pool) (rate(assay_y_seconds_bucket{pool=~\"$pool\"}[5m])))",
        ] {
            mentions(good)?.check(&known())?;
        }
        for bad in [
            "assay_z",
            "assay_y_seconds",
            "assay_x_total_bucket",
            "assay_x_total{route=\"/\"}",
            "assay_x_total{status=\"3xx\"}",
            "assay_x_total{status=~\"2xx|3xx\"}",
            "sum by (pool) (assay_x_total)",
            "vector(1)",
        ] {
            assert!(mentions(bad)?.check(&known()).is_err(), "{bad}");
        }
        Ok(())
    }
}
