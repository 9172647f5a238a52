//! `gateway token`: a token for development.

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use domain::{Tenant, duration};
use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Map, Value, json};

use super::claims::{ClaimFlags, is_subject};
use super::crypto;
use super::settings::SecretFlags;
use crate::caller::{Caller, Role};

/// What the token shall say.
#[derive(Args, Clone, Debug)]
pub struct MintFlags {
    /// Who bears it.
    #[arg(long)]
    subject: String,
    /// Their tenant.
    #[arg(long, default_value_t)]
    tenant: Tenant,
    /// What they may do: learner, instructor or admin.
    #[arg(long, value_enum, default_value_t = Role::Learner)]
    pub(crate) role: Role,
    /// How long it is valid.
    #[arg(long, default_value = "1h", value_parser = duration::parse)]
    ttl: Duration,
    /// Whom it is for, separated by commas.
    #[arg(long, env = "ASSAY_AUTH_AUDIENCE", value_delimiter = ',')]
    audience: Vec<String>,
    /// Who says that they issued it.
    #[arg(long, env = "ASSAY_AUTH_ISSUER")]
    issuer: Option<String>,
    /// The secret.
    #[command(flatten)]
    secret: SecretFlags,
    /// Where it says so.
    #[command(flatten)]
    claims: ClaimFlags,
}

impl MintFlags {
    /// Makes the token.
    ///
    /// # Errors
    /// When there is no secret, or what it shall say is nothing that a gateway would take.
    pub fn mint(&self) -> anyhow::Result<String> {
        let secret = self.secret.read().context("the secret of HS256")?;
        let secret = secret.context(
            "there is no secret to sign a token with: set ASSAY_AUTH_SECRET or ASSAY_AUTH_SECRET_FILE to that of the gateway",
        )?;
        ensure!(is_subject(&self.subject), "--subject has 1 to 255 bytes and no control characters");
        ensure!(self.ttl >= Duration::from_secs(1), "--ttl is at least 1s");
        let now = get_current_timestamp();
        let mut claims = Map::new();
        let caller =
            Caller { tenant: self.tenant.to_string(), subject: self.subject.clone(), role: self.role };
        self.claims.rules().write(&caller, &mut claims).map_err(anyhow::Error::msg)?;
        claims.insert("iat".to_owned(), json!(now));
        claims.insert("exp".to_owned(), json!(now.saturating_add(self.ttl.as_secs())));
        if let Some(issuer) = &self.issuer {
            claims.insert("iss".to_owned(), json!(issuer));
        }
        if !self.audience.is_empty() {
            claims.insert("aud".to_owned(), json!(self.audience));
        }
        crypto::install();
        let key = EncodingKey::from_secret(secret.as_bytes());
        encode(&Header::default(), &Value::Object(claims), &key).context("sign the token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authentication::jwt::{Head, Key, Rules};
    use crate::authentication::settings::AuthenticationFlags;
    use clap::Parser;

    #[derive(Parser)]
    struct Token {
        #[command(flatten)]
        flags: MintFlags,
    }

    #[derive(Parser)]
    struct Gateway {
        #[command(flatten)]
        flags: AuthenticationFlags,
    }

    const SECRET: &str = "a secret for tests that is long enough";
    const ALWAYS: [&str; 5] = ["x", "--auth-secret", SECRET, "--auth-issuer", "us"];

    fn mint(flags: &[&str]) -> anyhow::Result<String> {
        Token::try_parse_from(["gateway token"].iter().chain(flags))?.flags.mint()
    }

    #[test]
    fn a_gateway_with_the_same_settings_takes_the_token() -> anyhow::Result<()> {
        let names = ["--auth-role-claim", "/realm/roles", "--auth-audience", "assay"];
        let gateway = Gateway::try_parse_from(ALWAYS.iter().chain(&names))?.flags;
        let who = ["--subject", "ada", "--tenant", "algebra", "--role", "instructor", "--ttl", "10m"];
        let token = mint(
            &[&ALWAYS[1..3], &["--issuer", "us"], &names[..2], &["--audience", "assay"], &who].concat(),
        )?;
        assert_eq!(Head::read(&token)?.algorithm, jsonwebtoken::Algorithm::HS256);
        let genuine = Rules::new(&gateway).verify(&token, &Key::secret(SECRET.as_bytes()))?;
        assert!((590..=640).contains(&genuine.left.as_secs()), "{genuine:?}");
        let caller = gateway.claims.rules().caller(&genuine.claims)?;
        let ada = Caller { tenant: "algebra".to_owned(), subject: "ada".to_owned(), role: Role::Instructor };
        assert_eq!(caller, ada);
        Ok(())
    }

    #[test]
    fn no_token_is_made_without_a_secret_or_for_nobody() {
        let refused = |flags: &[&str]| mint(flags).expect_err("no token").to_string();
        assert!(refused(&["--subject", "ada"]).contains("no secret"));
        let secret = ["--auth-secret", SECRET];
        assert!(refused(&[&secret[..], &["--subject", ""]].concat()).contains("--subject"));
        assert!(refused(&[&secret[..], &["--subject", "a", "--ttl", "10ms"]].concat()).contains("--ttl"));
        assert!(refused(&["--auth-secret", "short", "--subject", "a"]).contains("HS256"));
    }
}
