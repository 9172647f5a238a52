//! What `/metrics` shows, read: OpenMetrics text.

use std::collections::{BTreeMap, BTreeSet};

/// A metric as a service shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownMetric {
    /// As Prometheus stores it; a histogram without what it is stored under.
    pub name: String,
    /// `counter`, `gauge`, `histogram` or `info`.
    pub kind: String,
    /// The labels that were seen, with their values. The bounds of buckets are none.
    pub labels: BTreeMap<String, BTreeSet<String>>,
    /// Whether any series was shown.
    pub has_series: bool,
}

/// Every metric in the text of `/metrics`.
pub fn shown(text: &str) -> Vec<ShownMetric> {
    let mut metrics: Vec<ShownMetric> = Vec::new();
    for line in text.lines() {
        if let Some((family, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let suffix = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            let (name, labels) = (format!("{family}{suffix}"), BTreeMap::new());
            metrics.push(ShownMetric { name, kind: kind.to_owned(), labels, has_series: false });
        } else if !line.starts_with('#')
            && let Some(metric) = metrics.last_mut()
        {
            metric.has_series = true;
            for (label, value) in labels(line) {
                if label != "le" {
                    metric.labels.entry(label).or_default().insert(value);
                }
            }
        }
    }
    metrics
}

/// The labels of a line such as `name{a="1",b="2"} 3`. No value of ours has a quote in it.
fn labels(line: &str) -> Vec<(String, String)> {
    let inside = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map(|(inside, _)| inside);
    let pairs = inside.unwrap_or_default().split("\",").filter_map(|pair| pair.split_once("=\""));
    pairs.map(|(label, value)| (label.to_owned(), value.trim_end_matches('"').to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_belong_to_the_metric_before_them() {
        let text = "# HELP a_requests Answered.\n# TYPE a_requests counter\n\
                    a_requests_total{route=\"/x,{id}\",method=\"GET\"} 3\n# TYPE b_seconds histogram\n\
                    b_seconds_bucket{le=\"+Inf\",call=\"x\"} 0\n# TYPE c gauge\n# EOF\n";
        let found = shown(text);
        let names: Vec<_> = found.iter().map(|m| (m.name.as_str(), m.kind.as_str(), m.has_series)).collect();
        assert_eq!(
            names,
            [("a_requests_total", "counter", true), ("b_seconds", "histogram", true), ("c", "gauge", false)]
        );
        assert_eq!(found[1].labels.keys().collect::<Vec<_>>(), ["call"]);
        assert!(found[0].labels["method"].contains("GET"));
    }
}
