//! How callers are told apart: flags and environment.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use domain::duration;

use super::claims::ClaimFlags;

/// The shortest secret, in bytes: that of the hash (RFC 7518, 3.2).
const SHORTEST_SECRET: usize = 32;

/// How callers are told apart. While nothing is given here, everyone may do everything.
#[derive(Args, Clone, Debug)]
pub struct AuthenticationFlags {
    /// The secret of HS256.
    #[command(flatten)]
    pub(super) secret: SecretFlags,
    /// The issuer that tokens must come from (`iss`).
    #[arg(long = "auth-issuer", env = "ASSAY_AUTH_ISSUER")]
    pub(super) issuer: Option<String>,
    /// The audiences of which tokens must name one (`aud`), separated by commas.
    #[arg(long = "auth-audience", env = "ASSAY_AUTH_AUDIENCE", value_delimiter = ',')]
    pub(super) audience: Vec<String>,
    /// How far the clocks of issuers may be from ours.
    #[arg(long = "auth-leeway", env = "ASSAY_AUTH_LEEWAY", default_value = "30s", value_parser = duration::parse)]
    pub(super) leeway: Duration,
    /// What tokens say.
    #[command(flatten)]
    pub(super) claims: ClaimFlags,
}

/// A secret that both signs and verifies tokens: for development, since whoever can check such tokens can make them.
#[derive(Args, Clone)]
pub(crate) struct SecretFlags {
    /// A secret of at least 32 bytes by which tokens are signed with HS256, for development: `gateway token` makes them.
    #[arg(long = "auth-secret", env = "ASSAY_AUTH_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// A file with that secret; white space around it does not count.
    #[arg(long = "auth-secret-file", env = "ASSAY_AUTH_SECRET_FILE")]
    secret_file: Option<PathBuf>,
}

/// Settings of authentication that cannot hold together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticationContradiction {
    /// It could be guessed.
    #[error("ASSAY_AUTH_SECRET has {0} bytes: at least {SHORTEST_SECRET} are needed, of random ones")]
    ShortSecret(usize),
    /// Nobody could tell which one counts.
    #[error("ASSAY_AUTH_SECRET and ASSAY_AUTH_SECRET_FILE are both given: give one")]
    TwoSecrets,
}

impl AuthenticationFlags {
    /// Whether anything here tells callers apart.
    pub(super) fn is_on(&self) -> bool {
        self.secret.is_given()
    }

    /// Refuses settings that cannot hold together.
    ///
    /// # Errors
    /// The first contradiction found.
    pub(crate) fn check(&self) -> Result<(), AuthenticationContradiction> {
        self.secret.check()
    }
}

impl SecretFlags {
    fn is_given(&self) -> bool {
        self.secret.is_some() || self.secret_file.is_some()
    }

    fn check(&self) -> Result<(), AuthenticationContradiction> {
        match &self.secret {
            Some(_) if self.secret_file.is_some() => Err(AuthenticationContradiction::TwoSecrets),
            Some(secret) if secret.len() < SHORTEST_SECRET => {
                Err(AuthenticationContradiction::ShortSecret(secret.len()))
            }
            _ => Ok(()),
        }
    }

    /// The secret, if there is one.
    ///
    /// # Errors
    /// When its file cannot be read, or the secret is too short.
    pub(super) fn read(&self) -> anyhow::Result<Option<String>> {
        self.check()?;
        let Some(file) = &self.secret_file else {
            return Ok(self.secret.clone());
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| anyhow::anyhow!("read {}: {error}", file.display()))?;
        let secret = text.trim();
        if secret.len() < SHORTEST_SECRET {
            return Err(AuthenticationContradiction::ShortSecret(secret.len()).into());
        }
        Ok(Some(secret.to_owned()))
    }
}

impl std::fmt::Debug for SecretFlags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretFlags")
            .field("secret", &self.secret.as_ref().map(|_| "[redacted]"))
            .field("secret_file", &self.secret_file)
            .finish()
    }
}
