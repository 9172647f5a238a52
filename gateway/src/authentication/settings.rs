//! How callers are told apart: flags and environment.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use domain::duration;

use super::claims::ClaimFlags;
use super::jwks::{JwksContradiction, JwksFlags};
use super::service_accounts::{ServiceAccountContradiction, ServiceAccountFlags};

/// The shortest secret, in bytes: that of the hash (RFC 7518, 3.2).
const SHORTEST_SECRET: usize = 32;

/// No clock that is kept is as far off.
const LONGEST_LEEWAY: Duration = Duration::from_secs(300);

/// How callers are told apart. While nothing is given here, everyone may do everything.
#[derive(Args, Clone, Debug)]
pub struct AuthenticationFlags {
    /// The keys of an issuer.
    #[command(flatten)]
    pub(super) jwks: JwksFlags,
    /// Those that Kubernetes vouches for.
    #[command(flatten)]
    pub(super) accounts: ServiceAccountFlags,
    /// The secret of HS256.
    #[command(flatten)]
    pub(super) secret: SecretFlags,
    /// The issuer that tokens must come from (`iss`).
    #[arg(long, env = "ASSAY_AUTH_ISSUER")]
    pub(super) auth_issuer: Option<String>,
    /// The audiences of which tokens must name one (`aud`), separated by commas.
    #[arg(long, env = "ASSAY_AUTH_AUDIENCE", value_delimiter = ',')]
    pub(super) auth_audience: Vec<String>,
    /// How far the clocks of issuers may be from ours.
    #[arg(long, env = "ASSAY_AUTH_LEEWAY", default_value = "30s", value_parser = duration::parse)]
    pub(super) auth_leeway: Duration,
    /// What tokens say.
    #[command(flatten)]
    pub(super) claims: ClaimFlags,
}

/// A secret that both signs and verifies tokens: for development, since whoever can check such tokens can make them.
#[derive(Args, Clone)]
pub(crate) struct SecretFlags {
    /// A secret of at least 32 bytes by which tokens are signed with HS256, for development: `gateway token` makes them.
    #[arg(long, env = "ASSAY_AUTH_SECRET", hide_env_values = true)]
    auth_secret: Option<String>,
    /// A file with that secret; white space around it does not count.
    #[arg(long, env = "ASSAY_AUTH_SECRET_FILE")]
    auth_secret_file: Option<PathBuf>,
}

/// Settings of authentication that cannot hold together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticationContradiction {
    /// Of key sets.
    #[error(transparent)]
    Jwks(#[from] JwksContradiction),
    /// Of ServiceAccounts.
    #[error(transparent)]
    ServiceAccounts(#[from] ServiceAccountContradiction),
    /// A token for somebody else, or by somebody else, would be taken.
    #[error("ASSAY_AUTH_JWKS_URL needs both ASSAY_AUTH_ISSUER and ASSAY_AUTH_AUDIENCE")]
    AnyIssuer,
    /// What is empty names nobody.
    #[error("ASSAY_AUTH_ISSUER or ASSAY_AUTH_AUDIENCE is given, and empty")]
    EmptyName,
    /// Tokens would be taken long after their end.
    #[error("ASSAY_AUTH_LEEWAY is {0:?}: it is for clocks, and 5m are plenty")]
    LongLeeway(Duration),
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
        self.jwks.auth_jwks_url.is_some() || self.accounts.auth_token_review || self.secret.is_given()
    }

    /// Refuses settings that cannot hold together.
    ///
    /// # Errors
    /// The first contradiction found.
    pub(crate) fn check(&self) -> Result<(), AuthenticationContradiction> {
        self.secret.check()?;
        self.jwks.check()?;
        self.accounts.check()?;
        if self.jwks.auth_jwks_url.is_some() && (self.auth_issuer.is_none() || self.auth_audience.is_empty())
        {
            return Err(AuthenticationContradiction::AnyIssuer);
        }
        if self.auth_issuer.iter().chain(&self.auth_audience).any(String::is_empty) {
            return Err(AuthenticationContradiction::EmptyName);
        }
        if self.auth_leeway > LONGEST_LEEWAY {
            return Err(AuthenticationContradiction::LongLeeway(self.auth_leeway));
        }
        Ok(())
    }
}

impl SecretFlags {
    fn is_given(&self) -> bool {
        self.auth_secret.is_some() || self.auth_secret_file.is_some()
    }

    fn check(&self) -> Result<(), AuthenticationContradiction> {
        match &self.auth_secret {
            Some(_) if self.auth_secret_file.is_some() => Err(AuthenticationContradiction::TwoSecrets),
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
        let Some(file) = &self.auth_secret_file else {
            return Ok(self.auth_secret.clone());
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
            .field("secret", &self.auth_secret.as_ref().map(|_| "[redacted]"))
            .field("secret_file", &self.auth_secret_file)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Settings {
        #[command(flatten)]
        flags: AuthenticationFlags,
    }

    fn flags(given: &[&str]) -> AuthenticationFlags {
        let given = ["gateway"].iter().chain(given);
        Settings::try_parse_from(given).expect("flags that can be read").flags
    }

    const SECRET: &str = "a secret for tests that is long enough";
    const ISSUER: [&str; 6] = [
        "--auth-jwks-url",
        "https://issuer.test/keys",
        "--auth-issuer",
        "https://issuer.test",
        "--auth-audience",
        "assay",
    ];

    fn with_issuer(more: &[&str]) -> AuthenticationFlags {
        flags(&[&ISSUER, more].concat())
    }

    #[test]
    fn authentication_is_on_once_something_tells_callers_apart() {
        assert!(!flags(&[]).is_on() && !flags(&["--auth-issuer", "x"]).is_on());
        for given in [&["--auth-secret", SECRET][..], &["--auth-token-review", "true"], &ISSUER] {
            assert!(flags(given).is_on(), "{given:?}");
            assert_eq!(flags(given).check(), Ok(()), "{given:?}");
        }
    }

    #[test]
    fn settings_that_would_let_in_too_many_are_refused() {
        use AuthenticationContradiction::{AnyIssuer, EmptyName, Jwks, LongLeeway, ShortSecret, TwoSecrets};
        let refused = |flags: AuthenticationFlags| flags.check().expect_err("a contradiction");
        assert_eq!(refused(flags(&["--auth-secret", "short"])), ShortSecret(5));
        assert_eq!(refused(flags(&["--auth-secret", SECRET, "--auth-secret-file", "x"])), TwoSecrets);
        assert_eq!(refused(flags(&ISSUER[..2])), AnyIssuer);
        assert_eq!(refused(flags(&ISSUER[..4])), AnyIssuer);
        assert_eq!(refused(with_issuer(&["--auth-leeway", "1h"])), LongLeeway(Duration::from_secs(3600)));
        assert_eq!(refused(flags(&["--auth-secret", SECRET, "--auth-issuer", ""])), EmptyName);
        let plain = ["--auth-jwks-url", "http://issuer.test/keys"];
        assert_eq!(refused(flags(&plain)), Jwks(JwksContradiction::Unprotected));
        for times in
            [["--auth-jwks-grace", "1m"], ["--auth-jwks-refresh", "1ms"], ["--auth-jwks-min-interval", "6m"]]
        {
            assert!(matches!(refused(with_issuer(&times)), Jwks(_)), "{times:?}");
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert!(!format!("{:?}", flags(&["--auth-secret", SECRET])).contains(SECRET));
    }
}
