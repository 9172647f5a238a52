//! docs/metrics.md, read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};

/// A metric as the page of metrics has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentedMetric {
    /// As Prometheus stores it; a histogram without what it is stored under.
    pub name: String,
    /// `counter`, `gauge`, `histogram` or `info`.
    pub kind: String,
    /// The labels, each with its values unless it may have any.
    pub labels: BTreeMap<String, Option<BTreeSet<String>>>,
}

/// The metrics of a section of the page, such as `Gateway`.
///
/// # Errors
/// When there is no such section, or a row cannot be read.
pub fn documented(section: &str) -> Result<Vec<DocumentedMetric>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let page = fs::read_to_string(path).context(path)?;
    let rest = page.split(&format!("\n## {section}\n")).nth(1);
    let text = rest.with_context(|| format!("{path} has no section {section:?}"))?;
    let text = text.split("\n## ").next().unwrap_or_default();
    text.lines().filter(|line| line.starts_with("| `")).map(read).collect()
}

fn read(row: &str) -> Result<DocumentedMetric> {
    let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
    ensure!(cells.len() == 5, "{row:?} has {} cells", cells.len());
    let mut labels = BTreeMap::new();
    // `method` (GET, POST), `route` (any)
    for (at, part) in cells[2].split('`').enumerate() {
        if at % 2 == 0 {
            continue;
        }
        let values = cells[2].split(&format!("`{part}` (")).nth(1).and_then(|rest| rest.split(')').next());
        let values = values.with_context(|| format!("the label {part} in {row:?} has no values"))?;
        let values: BTreeSet<String> = values.split(", ").map(str::to_owned).collect();
        let is_any = values.len() == 1 && values.contains("any");
        labels.insert(part.to_owned(), (!is_any).then_some(values));
    }
    Ok(DocumentedMetric { name: cells[0].trim_matches('`').to_owned(), kind: cells[1].to_owned(), labels })
}
