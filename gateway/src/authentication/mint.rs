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
