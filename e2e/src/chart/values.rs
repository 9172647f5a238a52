//! The chart's values and the comments above them, as the tables of docs/values.md.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use super::folder;
use super::settings::{NOT_TO_BE_SET, SERVICES, known, set_by_chart};

/// A value of values.yaml.
#[derive(Debug, Clone, PartialEq)]
pub struct Documented {
    /// Its place, such as `gateway.replicas`.
    pub path: String,
    /// What it is unless given.
    pub default: Value,
    /// The comment above it.
    pub meaning: String,
}

/// The whole of docs/values.md.
///
/// # Errors
/// When a value has no comment, or a service cannot be asked for its settings.
pub async fn document() -> Result<String> {
    let path = folder().join("values.yaml");
    let values = documented(&fs::read_to_string(&path).with_context(|| path.display().to_string())?)?;
    let mut text = "# Values of the chart\n\nMade by `make values` from the comments in `charts/assay/values.yaml` and from what the services \
        say of their settings; a test fails when it differs.\nA pool takes everything below `scorer.defaults` for itself: \
        `scorer.pools.NAME.concurrency`.\n\n| value | default | meaning |\n| --- | --- | --- |\n"
        .to_owned();
    for value in values {
        let default = serde_json::to_string(&value.default)?.replace('|', "\\|");
        writeln!(text, "| `{}` | `{default}` | {} |", value.path, cell(&value.meaning))?;
    }
    text.push_str(
        "\n## Settings without a value of their own\n\nFor the `extraEnv` of the service. What a value sets is refused there. \
         `--help` says more, and what holds unless they are given.\n",
    );
    for service in SERVICES {
        write!(text, "\n### {service}\n\n| variable | meaning |\n| --- | --- |\n")?;
        let set = set_by_chart(service)?;
        for (name, meaning) in known(service).await? {
            if !set.contains(&name) && !NOT_TO_BE_SET.contains(&name.as_str()) {
                writeln!(text, "| `{name}` | {} |", cell(&meaning))?;
            }
        }
    }
    Ok(text)
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Each value that has a comment above it, in their order.
///
/// # Errors
/// When a value has none, nor anything that it is part of.
pub fn documented(yaml: &str) -> Result<Vec<Documented>> {
    let values: Value = serde_yaml_ng::from_str(yaml).context("values.yaml is YAML")?;
    let mut found: Vec<Documented> = Vec::new();
    // The keys that lead to the line, each with its indentation.
    let mut above: Vec<(usize, String)> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in yaml.lines() {
        let content = line.trim_start();
        if let Some(words) = content.strip_prefix('#') {
            comment.push(words.trim());
            continue;
        }
        let key = content.split_once(':').map(|(key, _)| key).filter(|key| !key.starts_with("- "));
        let Some(key) = key else {
            comment.clear();
            continue;
        };
        let indentation = line.len() - content.len();
        above.retain(|(other, _)| *other < indentation);
        above.push((indentation, key.to_owned()));
        if !comment.is_empty() {
            let keys = above.iter().map(|(_, key)| key.as_str());
            let default = keys.clone().fold(&values, |value, key| &value[key]).clone();
            let path = keys.collect::<Vec<_>>().join(".");
            found.push(Documented { path, default, meaning: comment.join(" ") });
            comment.clear();
        }
    }
    let paths: BTreeSet<&str> = found.iter().map(|value| value.path.as_str()).collect();
    every_leaf(&values, "", &paths)?;
    Ok(found)
}

/// Checks that each value is explained, or is part of one that is.
fn every_leaf(value: &Value, path: &str, explained: &BTreeSet<&str>) -> Result<()> {
    if explained.contains(path) {
        return Ok(());
    }
    let parts = value.as_object().filter(|parts| !parts.is_empty());
    let parts = parts.with_context(|| format!("{path} in values.yaml has no comment above it"))?;
    for (key, part) in parts {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        every_leaf(part, &path, explained)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_explained_by_the_comment_above_it_and_its_parts_with_it() -> Result<()> {
        let found = documented(
            "# About the file.\n\na:\n  # One,\n  # two.\n  b: 1\n  # All of it.\n  c:\n    d: {e: 2}\n",
        )?;
        let value = |path: &str, default: Value, meaning: &str| Documented {
            path: path.to_owned(),
            default,
            meaning: meaning.to_owned(),
        };
        assert_eq!(
            found,
            [value("a.b", json!(1), "One, two."), value("a.c", json!({"d": {"e": 2}}), "All of it.")]
        );
        Ok(())
    }

    #[test]
    fn a_value_without_a_comment_is_told_by_name() {
        let error = documented("a:\n  # One.\n  b: 1\n  c: 2\n").expect_err("c has none");
        assert_eq!(error.to_string(), "a.c in values.yaml has no comment above it");
    }
}
