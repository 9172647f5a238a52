//! The keys that an issuer publishes (RFC 7517).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use serde::Deserialize;
use serde_json::Value;

use super::jwt::{Head, Key};
use super::refusal::Refusal;

/// The most keys that are looked at. An issuer has two or three.
const MOST: usize = 100;

/// The shortest modulus of RSA, in bytes.
const SHORTEST_MODULUS: usize = 2048 / 8;

/// The keys of an issuer that can be used here: for signatures by RS256, ES256 or EdDSA. A set may have others.
#[derive(Debug)]
pub(super) struct Keys(Vec<Named>);

#[derive(Debug)]
struct Named {
    kid: Option<String>,
    key: Key,
}

/// The text has no keys for us.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is no JSON Web Key Set")]
    Form(#[from] serde_json::Error),
    #[error("none of its {0} keys is one for RS256, ES256 or EdDSA")]
    Useless(usize),
}

impl Keys {
    /// Reads a JSON Web Key Set. What cannot be used in it is passed over, so that an issuer may also publish what
    /// others need.
    pub(super) fn read(text: &[u8]) -> Result<Keys, Unreadable> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let Set { keys } = serde_json::from_slice(text)?;
        let published = keys.len();
        let usable = keys.into_iter().take(MOST).filter_map(|key| usable(&serde_json::from_value(key).ok()?));
        let usable: Vec<Named> = usable.collect();
        if usable.is_empty() { Err(Unreadable::Useless(published)) } else { Ok(Keys(usable)) }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The key that a token says it was signed with: by its name, or, when it names none, the only one of its algorithm.
    ///
    /// # Errors
    /// [`Refusal::UnknownKey`] when there may be such a key meanwhile; another refusal when that changes nothing.
    pub(super) fn find(&self, head: &Head) -> Result<&Key, Refusal> {
        let fits = |named: &&Named| named.key.is_for(head.algorithm);
        let Some(kid) = &head.kid else {
            let mut fitting = self.0.iter().filter(fits);
            return match (fitting.next(), fitting.next()) {
                (Some(only), None) => Ok(&only.key),
                _ => Err(Refusal::UnknownKey),
            };
        };
        let mut of_this_name = self.0.iter().filter(|named| named.kid.as_ref() == Some(kid)).peekable();
        if of_this_name.peek().is_none() {
            return Err(Refusal::UnknownKey);
        }
        of_this_name.find(fits).map(|named| &named.key).ok_or(Refusal::Algorithm)
    }
}

fn usable(jwk: &Jwk) -> Option<Named> {
    let common = &jwk.common;
    let signs = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
    let verifies =
        common.key_operations.as_ref().is_none_or(|for_what| for_what.contains(&KeyOperations::Verify));
    // A secret that is published is none, so `oct` is not here.
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return None,
    };
    let named = common.key_algorithm.is_none_or(|named| named == KeyAlgorithm::from(algorithm));
    let key = DecodingKey::from_jwk(jwk).ok()?;
    let sound = match (algorithm, key.kind()) {
        (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, .. }) => {
            n.iter().skip_while(|byte| **byte == 0).count() >= SHORTEST_MODULUS
        }
        (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => point.len() == 65,
        (_, DecodingKeyKind::SecretOrDer(point)) => point.len() == 32,
        _ => false,
    };
    (signs && verifies && named && sound)
        .then(|| Named { kid: common.key_id.clone(), key: Key::new(algorithm, key) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// 32 bytes of 1.
    const COORDINATE: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";

    fn point(kid: &str) -> Value {
        json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": COORDINATE, "y": COORDINATE})
    }

    fn edwards(kid: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": COORDINATE})
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    fn keys(keys: &[Value]) -> Result<Keys, Unreadable> {
        Keys::read(json!({"keys": keys, "more": 1}).to_string().as_bytes())
    }

    fn found(keys: &Keys, algorithm: Algorithm, kid: Option<&str>) -> Result<(), Refusal> {
        keys.find(&Head { algorithm, kid: kid.map(str::to_owned) }).map(drop)
    }

    #[test]
    fn what_cannot_verify_a_signature_is_no_key_here() {
        let short = json!({"kty": "RSA", "n": COORDINATE, "e": "AQAB"});
        for useless in [
            json!({"kty": "oct", "k": COORDINATE, "alg": "HS256"}),
            json!({"kty": "new", "x": 1}),
            json!(7),
            short,
            with(point("a"), "use", json!("enc")),
            with(point("a"), "key_ops", json!(["sign"])),
            with(point("a"), "alg", json!("ES384")),
            with(point("a"), "alg", json!("HS256")),
            with(point("a"), "crv", json!("P-384")),
            with(point("a"), "x", json!("AQ")),
            with(edwards("a"), "crv", json!("X25519")),
            with(edwards("a"), "x", json!("AQ")),
        ] {
            assert!(matches!(keys(std::slice::from_ref(&useless)), Err(Unreadable::Useless(1))), "{useless}");
            let both = keys(&[useless.clone(), point("b")]).expect("one that can be used");
            assert_eq!((both.len(), found(&both, Algorithm::ES256, Some("b"))), (1, Ok(())), "{useless}");
        }
        for text in ["", "[]", "{}", r#"{"keys": 7}"#] {
            assert!(matches!(Keys::read(text.as_bytes()), Err(Unreadable::Form(_))), "{text}");
        }
    }

    #[test]
    fn the_key_decides_its_algorithm_whatever_the_token_says() {
        let keys = keys(&[point("a"), with(edwards("b"), "key_ops", json!(["verify"]))]).expect("keys");
        assert_eq!(found(&keys, Algorithm::ES256, Some("a")), Ok(()));
        assert_eq!(found(&keys, Algorithm::EdDSA, Some("b")), Ok(()));
        for algorithm in [Algorithm::HS256, Algorithm::EdDSA, Algorithm::RS256, Algorithm::ES384] {
            assert_eq!(found(&keys, algorithm, Some("a")), Err(Refusal::Algorithm), "{algorithm:?}");
        }
    }

    #[test]
    fn a_token_that_names_no_key_is_for_the_only_one_of_its_algorithm() {
        let keys = keys(&[point("a"), point("b"), edwards("c")]).expect("keys");
        assert_eq!(found(&keys, Algorithm::EdDSA, None), Ok(()));
        assert_eq!(found(&keys, Algorithm::ES256, None), Err(Refusal::UnknownKey));
        assert_eq!(found(&keys, Algorithm::HS256, None), Err(Refusal::UnknownKey));
        assert_eq!(found(&keys, Algorithm::ES256, Some("x")), Err(Refusal::UnknownKey));
    }
}
