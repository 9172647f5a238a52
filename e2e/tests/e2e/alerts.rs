//! Alert rules, the dashboard, and the runbook.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use e2e::monitoring::promtool::promtool;
use e2e::monitoring::{DocumentedMetric, documented, mentions};
use serde_json::Value;
use testkit::TempFolder;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rules() -> PathBuf {
    root().join("charts/assay/rules")
}

fn yaml(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_yaml_ng::from_str(&text).with_context(|| path.display().to_string())
}

fn items<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str> {
    value[key].as_str().with_context(|| format!("no {key} in {value}"))
}

fn alerts() -> Result<Vec<Value>> {
    let file = yaml(&rules().join("assay.yaml"))?;
    let alerts: Vec<Value> =
        items(&file, "groups").iter().flat_map(|group| items(group, "rules")).cloned().collect();
    ensure!(alerts.len() > 10, "only {} alerts", alerts.len());
    Ok(alerts)
}

fn known() -> Result<Vec<DocumentedMetric>> {
    let sections = ["Every service", "Gateway", "Operator", "Scorer"].map(documented);
    Ok(sections.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

/// Every expression of the dashboard, with the panel or variable that has it.
fn dashboard_expressions() -> Result<Vec<(String, String)>> {
    let path = root().join("charts/assay/dashboards/assay.json");
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(&path)?).context("the dashboard is JSON")?;
    let mut found = Vec::new();
    for panel in items(&dashboard, "panels") {
        for target in items(panel, "targets") {
            ensure!(text(&target["datasource"], "uid")? == "${datasource}", "{panel} chooses its own source");
            found.push((text(panel, "title")?.to_owned(), text(target, "expr")?.to_owned()));
        }
    }
    for variable in items(&dashboard["templating"], "list") {
        if variable["type"] == "query" {
            found.push((text(variable, "name")?.to_owned(), text(variable, "definition")?.to_owned()));
        }
    }
    ensure!(found.len() > 30, "only {} expressions", found.len());
    Ok(found)
}

#[test]
fn alerts_and_panels_name_only_metrics_and_labels_that_there_are() -> Result<()> {
    let known = known()?;
    for alert in alerts()? {
        let expression = text(&alert, "expr")?;
        mentions(expression)?.check(&known).with_context(|| format!("{}: {expression}", alert["alert"]))?;
    }
    for (panel, expression) in dashboard_expressions()? {
        mentions(&expression)?.check(&known).with_context(|| format!("{panel:?}: {expression}"))?;
    }
    Ok(())
}

#[test]
fn every_metric_is_on_the_dashboard_or_in_an_alert() -> Result<()> {
    // Of interest for one process, or to tell one from another.
    let elsewhere =
        ["assay_spans_exported_total", "assay_operator_retired_total", "assay_scorer_claims_total"];
    let mut named = BTreeSet::new();
    for (_, expression) in dashboard_expressions()? {
        named.extend(mentions(&expression)?.metrics.into_iter().map(|mention| mention.name));
    }
    for alert in alerts()? {
        named.extend(mentions(text(&alert, "expr")?)?.metrics.into_iter().map(|mention| mention.name));
    }
    for metric in known()? {
        let parts = ["", "_bucket", "_count"].map(|part| format!("{}{part}", metric.name));
        let shown = parts.iter().any(|part| named.contains(part));
        ensure!(shown || elsewhere.contains(&metric.name.as_str()), "nobody sees {}", metric.name);
    }
    Ok(())
}

#[test]
fn every_alert_has_a_severity_and_an_entry_in_the_runbook_and_no_entry_is_left_over() -> Result<()> {
    let runbook = fs::read_to_string(root().join("docs/runbook.md"))?;
    let entries: BTreeMap<&str, &str> =
        runbook.split("\n## ").skip(1).map(|entry| entry.split_once('\n').unwrap_or((entry, ""))).collect();
    let mut names = BTreeSet::new();
    for alert in alerts()? {
        let name = text(&alert, "alert")?;
        let severity = text(&alert["labels"], "severity")?;
        ensure!(["critical", "warning", "info"].contains(&severity), "{name}: {severity:?}");
        ensure!(text(&alert["annotations"], "summary")?.len() > 20, "{name} has no summary");
        let url = text(&alert["annotations"], "runbook_url")?;
        ensure!(url == format!("docs/runbook.md#{}", name.to_lowercase()), "{name} points to {url}");
        let entry = entries.get(name).with_context(|| format!("the runbook has no entry {name}"))?;
        for part in [&format!("Severity {severity}"), "\nLook:\n\n- ", "\nDo:\n\n- "] {
            ensure!(entry.contains(part), "the entry {name} lacks {part:?}");
        }
        names.insert(name.to_owned());
    }
    let left_over: Vec<_> = entries.keys().filter(|entry| !names.contains(**entry)).collect();
    ensure!(left_over.is_empty(), "the runbook has entries without an alert: {left_over:?}");
    Ok(())
}

#[tokio::test]
async fn every_alert_fires_on_the_series_it_is_for_and_on_no_others() -> Result<()> {
    let said = promtool(&["check", "rules", "assay.yaml"], &rules()).await?;
    ensure!(said.contains(&format!("{} rules found", alerts()?.len())), "{said}");
    let cases = yaml(&rules().join("assay_test.yaml"))?;
    let (mut fires, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for case in items(&cases, "tests").iter().flat_map(|test| items(test, "alert_rule_test")) {
        let kind = if items(case, "exp_alerts").is_empty() { &mut silent } else { &mut fires };
        kind.insert(text(case, "alertname")?.to_owned());
    }
    for alert in alerts()? {
        let name = text(&alert, "alert")?;
        ensure!(fires.contains(name) && silent.contains(name), "{name} is not tested both ways");
    }
    promtool(&["test", "rules", "assay_test.yaml"], &rules()).await.map(drop)
}

#[tokio::test]
async fn every_panel_has_an_expression_that_prometheus_understands() -> Result<()> {
    let mut file = "groups:\n- name: panels\n  rules:\n".to_owned();
    for (at, (panel, expression)) in dashboard_expressions()?.iter().enumerate() {
        // Grafana puts in an interval and the chosen pools; names of labels are asked for in its own words.
        let expression = expression.replace("$__rate_interval", "5m").replace("$pool", ".*");
        let expression = expression
            .strip_prefix("label_values(")
            .and_then(|rest| rest.split(',').next())
            .map_or(expression.clone(), str::to_owned);
        let quoted = expression.replace('\'', "''");
        file.push_str(&format!("  # {panel}\n  - record: panel:{at}\n    expr: '{quoted}'\n"));
    }
    let folder = TempFolder::new()?;
    fs::write(folder.path().join("panels.yaml"), file)?;
    promtool(&["check", "rules", "--lint=none", "panels.yaml"], folder.path()).await.map(drop)
}
