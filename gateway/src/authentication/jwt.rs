//! Whether a JWT is genuine and meant for us.

use std::time::Duration;

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, get_current_timestamp};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::refusal::Refusal;
use super::settings::AuthenticationFlags;

/// A key that signatures are checked with. It has one algorithm, whatever a token says of itself.
#[derive(Clone, Debug)]
pub(super) struct Key {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Key {
    /// A key for this algorithm and no other.
    pub(super) fn new(algorithm: Algorithm, key: DecodingKey) -> Key {
        Key { algorithm, key }
    }

    /// The key of HS256.
    pub(super) fn secret(secret: &[u8]) -> Key {
        Key::new(Algorithm::HS256, DecodingKey::from_secret(secret))
    }

    /// Whether it is for this algorithm.
    pub(super) fn is_for(&self, algorithm: Algorithm) -> bool {
        self.algorithm == algorithm
    }
}

/// What a token says of how it is signed, before anything about it is believed.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) algorithm: Algorithm,
    /// The name of the key.
    pub(super) kid: Option<String>,
}

impl Head {
    /// Reads it.
    pub(super) fn read(token: &str) -> Result<Head, Refusal> {
        // An algorithm that is not known, `none` among them, makes it unreadable.
        let header = decode_header(token).map_err(|_| Refusal::Malformed)?;
        // Who does not understand what is critical must refuse it (RFC 7515, 4.1.11), and we understand none of it.
        if header.crit.is_some() {
            return Err(Refusal::Header("crit"));
        }
        // Issuers sign other things with the same keys, such as notices of logout.
        let kind = header.typ.as_deref().map(str::to_ascii_lowercase);
        let kind = kind.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind));
        if !matches!(kind, None | Some("jwt" | "at+jwt")) {
            return Err(Refusal::Header("typ"));
        }
        Ok(Head { algorithm: header.alg, kid: header.kid })
    }
}

/// What a token says of whose it is, before anything about it is believed.
#[derive(Debug, Deserialize)]
pub(super) struct Unproven {
    #[serde(default, rename = "iss", deserialize_with = "text")]
    issuer: Option<String>,
    #[serde(default, rename = "sub", deserialize_with = "text")]
    pub(super) subject: Option<String>,
    #[serde(default, rename = "exp")]
    ends: Option<Value>,
}

impl Unproven {
    /// Reads it.
    pub(super) fn read(token: &str) -> Result<Unproven, Refusal> {
        insecure_decode_claims(token).map_err(|_| Refusal::Malformed)
    }

    /// Whether it says that its time is over: that needs no proof.
    pub(super) fn has_expired(&self) -> bool {
        let ends = self.ends.as_ref().and_then(Value::as_f64);
        ends.is_some_and(|ends| ends < get_current_timestamp() as f64)
    }
}

/// A text, if it is one.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// What a token must say to be meant for us, whoever signed it.
pub(super) struct Rules {
    issuer: Option<String>,
    audiences: Vec<String>,
    leeway: Duration,
}

/// What a genuine token says.
#[derive(Debug)]
pub(super) struct Genuine {
    /// All of it.
    pub(super) claims: Value,
    /// How long it is valid, the leeway included.
    pub(super) left: Duration,
}

impl Rules {
    /// As the settings have it.
    pub(super) fn new(flags: &AuthenticationFlags) -> Rules {
        Rules {
            issuer: flags.auth_issuer.clone(),
            audiences: flags.auth_audience.clone(),
            leeway: flags.auth_leeway,
        }
    }

    /// Whether a token says that it comes from the issuer that is trusted.
    pub(super) fn is_from_the_issuer(&self, says: &Unproven) -> bool {
        self.issuer.is_some() && says.issuer == self.issuer
    }

    /// What a token says, if this key signed it and it is meant for us.
    pub(super) fn verify(&self, token: &str, key: &Key) -> Result<Genuine, Refusal> {
        let claims = decode::<Value>(token, &key.key, &self.validation(key.algorithm))?.claims;
        let number = |name: &str| claims[name].as_f64();
        let now = get_current_timestamp() as f64;
        let leeway = self.leeway.as_secs_f64();
        if !claims["iat"].is_null() {
            let issued = number("iat").ok_or_else(|| Refusal::Claim("iat".to_owned()))?;
            if issued > now + leeway {
                return Err(Refusal::NotYet);
            }
        }
        if self.issuer.is_some() && !claims["iss"].is_string() {
            return Err(Refusal::Issuer);
        }
        let ends = number("exp").ok_or_else(|| Refusal::Claim("exp".to_owned()))?;
        let left = Duration::try_from_secs_f64((ends + leeway - now).max(0.0)).unwrap_or(Duration::MAX);
        Ok(Genuine { claims, left })
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.leeway.as_secs();
        validation.validate_nbf = true;
        let mut required = vec!["exp"];
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if self.audiences.is_empty() {
            validation.validate_aud = false;
        } else {
            validation.set_audience(&self.audiences);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error.into_kind() {
            ErrorKind::ExpiredSignature => Refusal::Expired,
            ErrorKind::ImmatureSignature => Refusal::NotYet,
            ErrorKind::InvalidIssuer => Refusal::Issuer,
            ErrorKind::InvalidAudience => Refusal::Audience,
            ErrorKind::InvalidSignature => Refusal::Signature,
            ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Refusal::Algorithm,
            ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
                Refusal::Claim(claim)
            }
            _ => Refusal::Malformed,
        }
    }
}
