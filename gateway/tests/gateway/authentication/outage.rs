//! While an issuer does not answer, or not with keys.

use anyhow::Result;
use axum::http::StatusCode;
use serde_json::json;

use super::issuer::{Answers, Issuer, key_set};
use super::jwks::trusting;
use super::token::{Signer, claims, claims_but, now};
use super::{ask, is_refused};
use crate::fixture::{Answer, until};

/// Asserts that nobody could say whether a token is genuine, which is not the caller's fault.
#[track_caller]
fn is_unavailable(answer: &Answer) {
    answer.is_problem(503, "authentication_unavailable");
    assert!(
        answer.header("retry-after").is_some() && answer.header("www-authenticate").is_none(),
        "{answer:?}"
    );
}

#[tokio::test]
async fn known_keys_are_believed_for_a_grace_and_then_nobody_is_to_blame() -> Result<()> {
    let signer = Signer::ed25519()?;
    let issuer = Issuer::with_keys(&[signer.jwk("e")]).await?;
    let times = ["--auth-jwks-refresh", "1s", "--auth-jwks-min-interval", "100ms", "--auth-jwks-grace", "4s"];
    let gateway = trusting(&issuer, &times).await?;
    let token = |changes| signer.token("e", &claims_but(changes));
    let remembered = token(json!({}))?;
    assert_eq!(ask(&gateway, &remembered).await?.status, 200);

    issuer.answer(Answers::Status(StatusCode::BAD_GATEWAY));
    let asked = issuer.asked();
    until("the issuer has failed", async || Ok(issuer.asked() > asked + 1)).await?;
    // What nobody has seen yet is verified all the same.
    assert_eq!(ask(&gateway, &token(json!({"sub": "grace"}))?).await?.status, 200);
    assert_eq!(ask(&gateway, &remembered).await?.status, 200);
    // It might be of a new key.
    is_unavailable(&ask(&gateway, &signer.token("new", &claims())?).await?);
    // What is wrong by the keys that are known is wrong.
    let expired = token(json!({"exp": now() - 60}))?;
    is_refused(&ask(&gateway, &expired).await?, &expired, "expired");
    assert!((gateway.metric(r#"assay_gateway_away{of="token_issuer"}"#).await? - 1.0).abs() < 0.1);

    until("the grace is over", async || Ok(ask(&gateway, &remembered).await?.status == 503)).await?;
    is_unavailable(&ask(&gateway, &remembered).await?);
    is_unavailable(&ask(&gateway, &token(json!({"sub": "late"}))?).await?);
    gateway.get("/api/scoring").await?.is_problem(401, "unauthenticated");

    issuer.answer(key_set(&[signer.jwk("e")]));
    until("the issuer is back", async || Ok(ask(&gateway, &remembered).await?.status == 200)).await?;
    gateway.stop().await
}

#[tokio::test]
async fn a_gateway_that_starts_before_its_issuer_is_ready_and_answers_503_until_it_has_keys() -> Result<()> {
    let signer = Signer::p256()?;
    let token = signer.token("p", &claims())?;
    let issuer = Issuer::new(Answers::Silence).await?;
    let gateway = trusting(&issuer, &["--auth-jwks-min-interval", "100ms"]).await?;
    is_unavailable(&ask(&gateway, &token).await?);
    let elsewhere = Issuer::with_keys(&[signer.jwk("p")]).await?;
    for useless in [
        Answers::Status(StatusCode::NOT_FOUND),
        Answers::Text("<html>".to_owned()),
        key_set(&[]),
        key_set(&[json!({"kty": "oct", "k": "c2VjcmV0", "kid": "p"})]),
        Answers::Text(format!(r#"{{"keys": [{}], "more": "{}"}}"#, signer.jwk("p"), "x".repeat(600 * 1024))),
        Answers::Elsewhere(elsewhere.url.clone()),
    ] {
        issuer.answer(useless);
        let asked = issuer.asked();
        until("the issuer was asked again", async || {
            is_unavailable(&ask(&gateway, &token).await?);
            Ok(issuer.asked() > asked + 1)
        })
        .await?;
    }
    assert_eq!(elsewhere.asked(), 0, "keys come from nowhere else");
    issuer.answer(key_set(&[signer.jwk("p")]));
    until("it has keys", async || Ok(ask(&gateway, &token).await?.status == 200)).await?;
    gateway.stop().await
}
