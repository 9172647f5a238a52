//! Tokens, genuine and forged.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use ring::{hmac, rsa};
use serde_json::{Value, json};

/// The secret of the gateways here.
pub(crate) const SECRET: &str = "a secret for tests that is long enough";

/// The only one of its kind that is not made anew: `ring` makes none. It opens nothing.
const RSA: &[u8] = include_bytes!("rsa.pk8");

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed())
}

/// What a token says that any gateway here takes.
pub(crate) fn claims() -> Value {
    json!({
        "iss": "https://issuer.test", "aud": "assay", "exp": now() + 600,
        "tenant": "algebra", "sub": "ada", "role": "instructor"
    })
}

/// The claims with some changed; null takes one away.
pub(crate) fn claims_but(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().into_iter().flatten() {
        match value {
            Value::Null => drop(claims.as_object_mut().and_then(|claims| claims.remove(name))),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

/// What signs tokens.
pub(crate) enum Signer {
    Secret(Vec<u8>),
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl Signer {
    /// The secret of the gateways here.
    pub(crate) fn secret() -> Signer {
        Signer::Secret(SECRET.into())
    }

    pub(crate) fn rsa() -> Result<Signer> {
        Ok(Signer::Rsa(Box::new(RsaKeyPair::from_pkcs8(RSA).map_err(refused)?)))
    }

    /// A new one.
    pub(crate) fn p256() -> Result<Signer> {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).map_err(refused)?;
        let pair = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).map_err(refused)?;
        Ok(Signer::P256(Box::new(pair)))
    }

    /// A new one.
    pub(crate) fn ed25519() -> Result<Signer> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(refused)?;
        Ok(Signer::Ed25519(Box::new(Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(refused)?)))
    }

    /// The name of its algorithm.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Signer::Secret(_) => "HS256",
            Signer::Rsa(_) => "RS256",
            Signer::P256(_) => "ES256",
            Signer::Ed25519(_) => "EdDSA",
        }
    }

    /// Its public half, as an issuer publishes it.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let mut jwk = match self {
            Signer::Secret(secret) => json!({"kty": "oct", "k": base64url(secret)}),
            Signer::Rsa(pair) => {
                let rsa::PublicKeyComponents::<Vec<u8>> { n, e } = pair.public().into();
                json!({"kty": "RSA", "n": base64url(n), "e": base64url(e)})
            }
            Signer::P256(pair) => {
                // 4, then both coordinates.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y)})
            }
            Signer::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key().as_ref())})
            }
        };
        jwk["kid"] = kid.into();
        jwk["alg"] = self.algorithm().into();
        jwk["use"] = "sig".into();
        jwk
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        Ok(match self {
            Signer::Secret(secret) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
            }
            Signer::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(refused)?;
                signature
            }
            Signer::P256(pair) => pair.sign(&random, message).map_err(refused)?.as_ref().to_vec(),
            Signer::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        })
    }

    /// A token under a header that may say anything.
    pub(crate) fn under(&self, header: &Value, claims: &Value) -> Result<String> {
        let message = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        let signature = base64url(self.sign(message.as_bytes())?);
        Ok(format!("{message}.{signature}"))
    }

    /// A token with these claims that names its key.
    pub(crate) fn token(&self, kid: &str, claims: &Value) -> Result<String> {
        self.under(&json!({"alg": self.algorithm(), "typ": "JWT", "kid": kid}), claims)
    }
}

fn refused(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("ring: {error}")
}
