//! The alert rules as they are installed.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use e2e::chart::{folder, rendered};
use e2e::monitoring::mentions;
use e2e::monitoring::promtool::promtool;
use serde_json::{Value, json};
use testkit::TempFolder;

const RUNBOOK: &str = "https://git.example.org/docs/runbook.md";

/// The rules of a release in the namespace `one`.
async fn installed() -> Result<Value> {
    let set = format!("monitoring.rules=true,monitoring.runbookUrl={RUNBOOK}");
    let rendered = rendered("one", &["--set", &set]).await?;
    Ok(rendered.object("PrometheusRule", "assay")?["spec"].clone())
}

fn file(name: &str) -> Result<Value> {
    Ok(serde_yaml_ng::from_str(&fs::read_to_string(folder().join("rules").join(name))?)?)
}

fn list<'v>(value: &'v Value, key: &str) -> Result<&'v [Value]> {
    Ok(value[key].as_array().with_context(|| format!("no {key} in {value}"))?)
}

fn rules(groups: &Value) -> Result<Vec<Value>> {
    let mut rules = Vec::new();
    for group in list(groups, "groups")? {
        rules.extend_from_slice(list(group, "rules")?);
    }
    Ok(rules)
}

/// The series of a recorded case, as they would be of a release in this namespace.
fn series_in(namespace: &str, test: &Value) -> Result<Vec<Value>> {
    let mut moved = Vec::new();
    for series in list(test, "input_series")? {
        let name = series["series"].as_str().context("a series")?;
        let (metric, labels) = name.split_once('{').unwrap_or((name, "}"));
        let name = format!("{metric}{{namespace=\"{namespace}\",{labels}");
        moved.push(json!({ "series": name.replace(",}", "}"), "values": series["values"] }));
    }
    Ok(moved)
}

#[tokio::test]
async fn installed_rules_are_those_of_the_file_for_the_release_s_namespace() -> Result<()> {
    let (installed, written) = (rules(&installed().await?)?, rules(&file("assay.yaml")?)?);
    ensure!(installed.len() == written.len());
    for (installed, written) in installed.iter().zip(&written) {
        let expression = |rule: &Value| mentions(rule["expr"].as_str().unwrap_or_default());
        let mut expected = expression(written)?;
        let mine = || ("namespace".to_owned(), "=".to_owned(), "one".to_owned());
        expected.metrics.iter_mut().for_each(|mention| mention.matchers.insert(0, mine()));
        assert_eq!(expression(installed)?, expected);
        assert_eq!(installed["alert"], written["alert"]);
        assert_eq!(installed["for"], written["for"]);
        assert_eq!(installed["annotations"]["summary"], written["annotations"]["summary"]);
        let entry = written["annotations"]["runbook_url"].as_str().context("an entry")?;
        assert_eq!(installed["annotations"]["runbook_url"], entry.replace("docs/runbook.md", RUNBOOK));
    }
    Ok(())
}

/// Each recorded case again, beside a release in another namespace that is in the opposite state.
#[tokio::test]
async fn another_release_neither_sets_off_an_alert_nor_hides_one() -> Result<()> {
    let recorded = file("assay_test.yaml")?;
    let mut cases: BTreeMap<&str, [Option<(&Value, &Value)>; 2]> = BTreeMap::new();
    for test in list(&recorded, "tests")? {
        for asked in list(test, "alert_rule_test")? {
            let fires = usize::from(!list(asked, "exp_alerts")?.is_empty());
            let alert = asked["alertname"].as_str().context("an alert")?;
            cases.entry(alert).or_default()[fires] = Some((test, asked));
        }
    }
    let mut tests = Vec::new();
    for (alert, case) in cases {
        let [Some((silent, _)), Some((fires, _))] = case else { anyhow::bail!("{alert}: both ways") };
        for (here, beside, asked) in [(fires, silent, case[1]), (silent, fires, case[0])] {
            let mut asked = asked.context("what is asked")?.1.clone();
            for expected in asked["exp_alerts"].as_array_mut().context("alerts")? {
                expected["exp_labels"]["namespace"] = "one".into();
                let entry = expected["exp_annotations"]["runbook_url"].as_str().context("an entry")?;
                let entry = entry.replace("docs/runbook.md", RUNBOOK);
                expected["exp_annotations"]["runbook_url"] = entry.into();
            }
            let series = [series_in("one", here)?, series_in("two", beside)?].concat();
            let interval = here["interval"].clone();
            tests.push(json!({ "interval": interval, "input_series": series, "alert_rule_test": [asked] }));
        }
    }
    ensure!(tests.len() == 2 * rules(&file("assay.yaml")?)?.len());
    let place = TempFolder::new()?;
    let all = json!({
        "rule_files": ["rules.yaml"],
        "evaluation_interval": recorded["evaluation_interval"],
        "tests": tests,
    });
    // JSON is YAML as well.
    fs::write(place.path().join("rules.yaml"), serde_json::to_vec(&installed().await?)?)?;
    fs::write(place.path().join("test.yaml"), serde_json::to_vec(&all)?)?;
    promtool(&["test", "rules", "test.yaml"], place.path()).await.map(drop)
}
