//! Prometheus' own tool, which knows what a rule is.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::tool::tool;

/// Runs promtool: the one in `ASSAY_PROMTOOL`, the one that `make test` brought, or one that is installed.
///
/// # Errors
/// When there is none, or it complains.
pub async fn promtool(arguments: &[&str], folder: &Path) -> Result<String> {
    let program = tool("promtool", "ASSAY_PROMTOOL");
    let output =
        Command::new(&program).args(arguments).current_dir(folder).output().await.with_context(|| {
            format!("{} cannot be run: hack/setup.sh tests brings it, as make test does", program.display())
        })?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "promtool {}: {said}", arguments.join(" "));
    Ok(said)
}
