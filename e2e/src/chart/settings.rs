//! The settings of the services, as their `--help` has them and as the chart sets them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use super::folder;

/// The services, in the order of a job.
pub const SERVICES: [&str; 3] = ["gateway", "operator", "scorer"];

/// What would part a service from its Service, its probes or its account.
pub const NOT_TO_BE_SET: [&str; 3] = ["ASSAY_LISTEN", "ASSAY_METRICS_ADDR", "KUBECONFIG"];

/// The variables that a service reads, with what the first line of their help says.
///
/// # Errors
/// When it cannot be asked.
pub async fn known(service: &str) -> Result<BTreeMap<String, String>> {
    let program = testkit::program_folder()?.join(service);
    let output = Command::new(&program)
        .arg("--help")
        .output()
        .await
        .with_context(|| format!("run {}", program.display()))?;
    ensure!(output.status.success(), "{service} --help fails");
    let found = from_help(&String::from_utf8(output.stdout)?);
    ensure!(found.len() > 10, "{service} --help shows only {found:?}");
    Ok(found)
}

fn from_help(help: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut said = "";
    let mut flag_begun = false;
    for line in help.lines().map(str::trim) {
        if line.starts_with("--") {
            flag_begun = true;
        } else if let Some(variable) = line.strip_prefix("[env: ") {
            let name = variable.split(['=', ']']).next().unwrap_or_default();
            found.insert(name.to_owned(), said.to_owned());
        } else if flag_begun {
            said = line;
            flag_begun = false;
        }
    }
    found
}

/// The variables that the chart's templates set for a service by values of their own.
///
/// # Errors
/// When a template cannot be read.
pub fn set_by_chart(service: &str) -> Result<BTreeSet<String>> {
    let templates = folder().join("templates");
    let mut found = BTreeSet::new();
    for file in ["_env.tpl".to_owned(), format!("{service}/_env.tpl")] {
        let path = templates.join(&file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let words = text.split(|c: char| !c.is_ascii_uppercase() && c != '_' && !c.is_ascii_digit());
        found.extend(words.filter(|word| word.contains('_') && word.len() > 6).map(str::to_owned));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_read_by_its_variables() {
        let help = "Options:\n      --log <FILTER>\n          What to log: `info`\n          \n          [env: ASSAY_LOG=x]\n\n\
            \x20     --url <URL>\n          Where\n\n          Possible values:\n          - a: first\n\n          [env: ASSAY_URL]\n";
        let expected = [("ASSAY_LOG", "What to log: `info`"), ("ASSAY_URL", "Where")];
        let expected = expected.map(|(name, said)| (name.to_owned(), said.to_owned()));
        assert_eq!(from_help(help), BTreeMap::from(expected));
    }
}
