//! Prometheus' own tool, which knows what a rule is.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

/// Runs promtool: the one in `ASSAY_PROMTOOL`, the one that `make test` brought, or one that is installed.
///
/// # Errors
/// When there is none, or it complains.
pub async fn promtool(arguments: &[&str], folder: &Path) -> Result<String> {
    let program = program();
    let output =
        Command::new(&program).args(arguments).current_dir(folder).output().await.with_context(|| {
            format!("{} cannot be run: hack/setup.sh tests brings it, as make test does", program.display())
        })?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "promtool {}: {said}", arguments.join(" "));
    Ok(said)
}

fn program() -> PathBuf {
    let given = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = given("ASSAY_CACHE_DIR").or_else(|| {
        let home = || Some(given("HOME")?.join(".cache"));
        Some(given("XDG_CACHE_HOME").or_else(home)?.join("assay"))
    });
    let brought = cache.map(|cache| cache.join("bin/promtool")).filter(|program| program.is_file());
    given("ASSAY_PROMTOOL").or(brought).unwrap_or_else(|| PathBuf::from("promtool"))
}
