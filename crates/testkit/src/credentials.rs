//! How clients of a stack are let in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use uuid::Uuid;

use crate::place::Place;

/// What makes tokens for the gateways of a stack.
#[derive(Debug, Clone)]
pub struct Credentials {
    secret_file: PathBuf,
    gateway: PathBuf,
}

impl Credentials {
    /// Those of a place, with a random secret that is made once and stays there.
    pub(crate) fn of(place: &Place, programs: &Path) -> Result<Self> {
        let secret_file = place.folder("credentials")?.join("secret");
        if !secret_file.exists() {
            let describe = || format!("write {}", secret_file.display());
            let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
            fs::write(&secret_file, secret).with_context(describe)?;
            fs::set_permissions(&secret_file, fs::Permissions::from_mode(0o600)).with_context(describe)?;
        }
        Ok(Self { secret_file, gateway: programs.join("gateway") })
    }

    /// The file with the secret that tokens are signed with.
    pub fn secret_file(&self) -> &Path {
        &self.secret_file
    }

    /// A token for somebody of a tenant: a learner, an instructor or an admin. It is valid for so long, as `1h`.
    pub async fn token(&self, tenant: &str, subject: &str, role: &str, ttl: &str) -> Result<String> {
        let mut command = Command::new(&self.gateway);
        command.args(["token", "--tenant", tenant, "--subject", subject, "--role", role, "--ttl", ttl]);
        command.env_clear().env("ASSAY_AUTH_SECRET_FILE", &self.secret_file).kill_on_drop(true);
        let output = command.output().await.with_context(|| format!("run {}", self.gateway.display()))?;
        if !output.status.success() {
            bail!("gateway token: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout).context("a token is text")?.trim().to_owned())
    }
}
