//! By the keys that an issuer publishes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use serde_json::json;

use super::issuer::{Answers, Issuer, key_set};
use super::token::{SECRET, Signer, base64url, claims, claims_but, now};
use super::{ask, is_refused};
use crate::fixture::{Gateway, until};

/// A gateway that takes what an issuer signs.
pub(super) async fn trusting(issuer: &Issuer, more: &[&str]) -> Result<Gateway> {
    let flags =
        ["--auth-jwks-url", &issuer.url, "--auth-issuer", "https://issuer.test", "--auth-audience", "assay"];
    let gateway = Gateway::spawn(&testkit::fresh_database().await?, &[&flags, more].concat()).await?;
    gateway.until_ready().await?;
    Ok(gateway)
}

#[tokio::test]
async fn tokens_by_keys_of_every_kind_are_taken_beside_keys_that_are_of_no_use() -> Result<()> {
    let signers = [("r", Signer::rsa()?), ("p", Signer::p256()?), ("e", Signer::ed25519()?)];
    let mut keys: Vec<_> = signers.iter().map(|(kid, signer)| signer.jwk(kid)).collect();
    keys.push(json!({"kty": "EC", "crv": "P-521", "kid": "x", "x": "AA", "y": "AA"}));
    keys.push(json!({"kty": "new"}));
    let issuer = Issuer::with_keys(&keys).await?;
    let gateway = trusting(&issuer, &["--auth-secret", SECRET]).await?;
    for (kid, signer) in &signers {
        for _ in 0..2 {
            let answer = ask(&gateway, &signer.token(kid, &claims())?).await?;
            assert_eq!(answer.status, 200, "{} {answer:?}", signer.algorithm());
        }
        // Without a name, the only key of its kind.
        let header = json!({"alg": signer.algorithm(), "typ": "at+jwt"});
        assert_eq!(ask(&gateway, &signer.under(&header, &claims())?).await?.status, 200);
    }
    assert_eq!(ask(&gateway, &Signer::secret().token("any", &claims())?).await?.status, 200);
    gateway.stop().await
}

#[tokio::test]
async fn a_token_of_the_issuer_that_is_not_meant_for_us_now_is_refused() -> Result<()> {
    let signer = Signer::ed25519()?;
    let issuer = Issuer::with_keys(&[signer.jwk("e")]).await?;
    let gateway = trusting(&issuer, &[]).await?;
    for (changes, reason) in [
        (json!({"exp": now() - 60}), "expired"),
        (json!({"exp": null}), "exp"),
        (json!({"nbf": now() + 60}), "not valid yet"),
        (json!({"iss": "https://other.test"}), "issuer"),
        (json!({"iss": null}), "iss"),
        (json!({"aud": "someone"}), "audience"),
        (json!({"aud": null}), "aud"),
    ] {
        let token = signer.token("e", &claims_but(changes))?;
        is_refused(&ask(&gateway, &token).await?, &token, reason);
    }
    gateway.stop().await
}

#[tokio::test]
async fn a_public_key_is_never_taken_for_a_secret_nor_for_a_key_of_another_kind() -> Result<()> {
    let (rsa, p256, ed25519) = (Signer::rsa()?, Signer::p256()?, Signer::ed25519()?);
    let keys = [rsa.jwk("r"), p256.jwk("p"), ed25519.jwk("e")];
    let issuer = Issuer::with_keys(&keys).await?;
    // With a secret of its own, HS256 is a way to sign.
    let gateway = trusting(&issuer, &["--auth-secret", SECRET, "--auth-jwks-min-interval", "0s"]).await?;
    let mut forged = Vec::new();
    for (kid, jwk) in ["r", "p", "e"].into_iter().zip(&keys) {
        let published = [jwk["n"].as_str(), jwk["x"].as_str(), jwk["y"].as_str()];
        let mut secrets: Vec<Vec<u8>> = vec![jwk.to_string().into_bytes()];
        for text in published.into_iter().flatten() {
            secrets.push(text.into());
            let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text)?;
            secrets.push(bytes);
        }
        for secret in secrets {
            forged.push(Signer::Secret(secret).token(kid, &claims())?);
        }
        let said = base64url(claims().to_string());
        for alg in ["none", "HS256", "RS256", "ES256", "EdDSA", "PS256", "RS512", "ES384"] {
            let header = base64url(json!({"alg": alg, "kid": kid}).to_string());
            forged.push(format!("{header}.{said}."));
            forged.push(format!("{header}.{said}.{}", base64url([1; 64])));
        }
    }
    forged.push(p256.token("r", &claims())?);
    forged.push(rsa.token("p", &claims())?);
    forged.push(ed25519.token("p", &claims())?);
    forged.push(Signer::p256()?.token("p", &claims())?);
    forged.push(Signer::ed25519()?.token("e", &claims())?);
    // Its signature is right, and it says that it is of another kind.
    forged.push(rsa.under(&json!({"alg": "RS512", "kid": "r"}), &claims())?);
    forged.push(ed25519.under(&json!({"alg": "EdDSA", "kid": "e", "crit": ["x"], "x": 1}), &claims())?);
    for token in forged {
        is_refused(&ask(&gateway, &token).await?, &token, "");
    }
    gateway.stop().await
}

#[tokio::test]
async fn a_key_that_a_token_brings_along_is_neither_believed_nor_fetched() -> Result<()> {
    let signer = Signer::ed25519()?;
    let issuer = Issuer::with_keys(&[signer.jwk("e")]).await?;
    let thief = Signer::ed25519()?;
    let lair = Issuer::with_keys(&[thief.jwk("e")]).await?;
    let gateway = trusting(&issuer, &["--auth-jwks-min-interval", "0s"]).await?;
    for header in [
        json!({"alg": "EdDSA", "kid": "e", "jku": lair.url}),
        json!({"alg": "EdDSA", "kid": "e", "x5u": lair.url}),
        json!({"alg": "EdDSA", "kid": "e", "jwk": thief.jwk("e")}),
        json!({"alg": "EdDSA", "jwk": thief.jwk("e")}),
        json!({"alg": "EdDSA", "kid": lair.url}),
    ] {
        let token = thief.under(&header, &claims())?;
        is_refused(&ask(&gateway, &token).await?, &token, "");
    }
    assert_eq!(lair.asked(), 0);
    gateway.stop().await
}

#[tokio::test]
async fn a_new_key_is_found_when_a_token_names_it_and_one_that_is_gone_is_believed_no_more() -> Result<()> {
    let (old, new) = (Signer::p256()?, Signer::ed25519()?);
    let issuer = Issuer::with_keys(&[old.jwk("old")]).await?;
    let gateway = trusting(&issuer, &["--auth-jwks-min-interval", "0s"]).await?;
    let (by_old, by_new) = (old.token("old", &claims())?, new.token("new", &claims())?);
    assert_eq!(ask(&gateway, &by_old).await?.status, 200);
    is_refused(&ask(&gateway, &by_new).await?, &by_new, "key");
    issuer.answer(key_set(&[new.jwk("new"), old.jwk("old")]));
    assert_eq!(ask(&gateway, &by_new).await?.status, 200);
    assert_eq!(ask(&gateway, &by_old).await?.status, 200);
    issuer.answer(key_set(&[new.jwk("new")]));
    // Somebody names a key that nobody knows, so the keys are fetched.
    let unknown = new.token("unknown", &claims())?;
    is_refused(&ask(&gateway, &unknown).await?, &unknown, "key");
    is_refused(&ask(&gateway, &by_old).await?, &by_old, "key");
    assert_eq!(ask(&gateway, &by_new).await?.status, 200);
    gateway.stop().await
}

#[tokio::test]
async fn keys_are_fetched_again_without_anybody_asking() -> Result<()> {
    let signer = Signer::ed25519()?;
    let issuer = Issuer::with_keys(&[signer.jwk("e")]).await?;
    let gateway = trusting(&issuer, &["--auth-jwks-refresh", "1s", "--auth-jwks-min-interval", "1s"]).await?;
    let token = signer.token("e", &claims())?;
    assert_eq!(ask(&gateway, &token).await?.status, 200);
    issuer.answer(key_set(&[Signer::ed25519()?.jwk("other")]));
    until(
        "the key that is gone is believed no more",
        async || Ok(ask(&gateway, &token).await?.status == 401),
    )
    .await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_unknown_keys_makes_one_fetch() -> Result<()> {
    const INTERVAL: Duration = Duration::from_secs(2);
    let signer = Signer::ed25519()?;
    let issuer = Issuer::with_keys(&[signer.jwk("e")]).await?;
    let gateway = trusting(&issuer, &["--auth-jwks-min-interval", "2s"]).await?;
    until("the keys are there", async || {
        Ok(ask(&gateway, &signer.token("e", &claims())?).await?.status == 200)
    })
    .await?;
    let storm = async |number: usize| {
        let token = signer.token(&format!("unknown-{number}"), &claims())?;
        Ok::<u16, anyhow::Error>(ask(&gateway, &token).await?.status)
    };
    // Within the interval nobody is asked, whatever comes.
    let before = issuer.asked();
    let began = Instant::now();
    let answers = try_join_all((0..100).map(storm)).await?;
    let asked = issuer.asked() - before;
    assert!(answers.iter().all(|status| *status == 401) && asked <= 1, "{asked} fetches, {answers:?}");
    // After it, all wait for the same fetch.
    tokio::time::sleep((began + INTERVAL).saturating_duration_since(Instant::now())).await;
    let before = issuer.asked();
    let answers = try_join_all((100..200).map(storm)).await?;
    let asked = issuer.asked() - before;
    assert!(answers.iter().all(|status| *status == 401) && asked == 1, "{asked} fetches, {answers:?}");
    gateway.stop().await.context("stop")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_a_few_wait_for_an_issuer_that_is_silent() -> Result<()> {
    const WAITING: usize = 32;
    let signer = Signer::ed25519()?;
    let issuer = Issuer::with_keys(&[signer.jwk("e")]).await?;
    let gateway = trusting(&issuer, &["--auth-jwks-min-interval", "0s"]).await?;
    let known = signer.token("e", &claims())?;
    until("the keys are there", async || Ok(ask(&gateway, &known).await?.status == 200)).await?;
    issuer.answer(Answers::Silence);
    let begun = Instant::now();
    let answers = try_join_all((0..WAITING + 8).map(async |number| {
        let token = signer.token(&format!("unknown-{number}"), &claims())?;
        Ok::<_, anyhow::Error>((ask(&gateway, &token).await?.status, begun.elapsed()))
    }))
    .await?;
    let waited = |(status, after): &&(u16, Duration)| *status == 503 && *after >= Duration::from_secs(3);
    assert_eq!(answers.iter().filter(waited).count(), WAITING, "{answers:?}");
    assert_eq!(answers.iter().filter(|(status, _)| *status == 401).count(), 8, "{answers:?}");
    gateway.stop().await
}
