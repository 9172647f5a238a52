//! By a secret for development.

use anyhow::Result;
use serde_json::{Value, json};

use super::token::{SECRET, Signer, base64url, claims, claims_but, now};
use super::{PROTECTED, ask, is_refused};
use crate::fixture::Gateway;

/// A gateway that takes tokens signed with the secret, for the audience `assay`, by one issuer.
async fn with_secret() -> Result<Gateway> {
    let flags =
        ["--auth-secret", SECRET, "--auth-issuer", "https://issuer.test", "--auth-audience", "other,assay"];
    Gateway::ready(&testkit::fresh_database().await?, &flags).await
}

/// A token signed with the secret that says this.
fn signed(claims: &Value) -> Result<String> {
    Signer::secret().token("any", claims)
}

#[tokio::test]
async fn a_request_without_a_token_is_answered_401_and_told_how_to_send_one() -> Result<()> {
    let gateway = with_secret().await?;
    let answer = gateway.get(PROTECTED).await?;
    answer.is_problem(401, "unauthenticated");
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="assay""#));
    for path in ["/healthz", "/readyz"] {
        assert_eq!(gateway.get(path).await?.status, 200, "{path}");
    }
    gateway.get("/nothing").await?.is_problem(404, "unknown_route");
    gateway.stop().await
}

#[tokio::test]
async fn a_token_signed_with_the_secret_is_taken_again_and_again_until_it_ends() -> Result<()> {
    let gateway = with_secret().await?;
    let token = signed(&claims())?;
    let ada = json!({"tenant": "algebra", "subject": "ada", "role": "instructor"});
    for _ in 0..3 {
        assert_eq!(ask(&gateway, &token).await?.body, ada);
    }
    // Within the leeway.
    assert_eq!(ask(&gateway, &signed(&claims_but(json!({"exp": now() - 5})))?).await?.status, 200);
    assert_eq!(
        ask(&gateway, &signed(&claims_but(json!({"nbf": now() + 5, "iat": now() + 5})))?).await?.status,
        200
    );
    assert_eq!(ask(&gateway, &signed(&claims_but(json!({"aud": ["x", "assay"]})))?).await?.status, 200);
    gateway.stop().await
}

#[tokio::test]
async fn a_token_that_is_not_meant_for_us_now_is_refused_and_told_why() -> Result<()> {
    let gateway = with_secret().await?;
    for (changes, reason) in [
        (json!({"exp": now() - 60}), "expired"),
        (json!({"exp": null}), "exp"),
        (json!({"exp": "soon"}), "exp"),
        (json!({"nbf": now() + 60}), "not valid yet"),
        (json!({"nbf": "later"}), "nbf"),
        (json!({"iat": now() + 60}), "not valid yet"),
        (json!({"iat": "now"}), "iat"),
        (json!({"iss": "https://other.test"}), "issuer"),
        (json!({"iss": null}), "iss"),
        (json!({"iss": ["https://issuer.test"]}), "issuer"),
        (json!({"aud": "someone"}), "audience"),
        (json!({"aud": []}), "audience"),
        (json!({"aud": null}), "aud"),
    ] {
        let token = signed(&claims_but(changes.clone()))?;
        for _ in 0..2 {
            is_refused(&ask(&gateway, &token).await?, &token, reason);
        }
    }
    gateway.stop().await
}

#[tokio::test]
async fn a_forged_token_is_refused() -> Result<()> {
    let gateway = with_secret().await?;
    let genuine = signed(&claims())?;
    let parts: Vec<&str> = genuine.split('.').collect();
    let [head, said, signature] = parts[..] else { anyhow::bail!("three parts") };
    let admin = base64url(claims_but(json!({"role": "admin"})).to_string());
    let unsigned = |alg: &str| base64url(json!({"alg": alg, "typ": "JWT"}).to_string());
    let rsa = Signer::rsa()?;
    let other = Signer::Secret(b"another secret that is long enough, too".to_vec());
    let forged = [
        format!("{head}.{admin}.{signature}"),
        format!("{head}.{said}."),
        format!("{head}.{said}.{}", base64url([0; 32])),
        format!("{head}.{said}.{}", &signature[..20]),
        format!("{}.{said}.", unsigned("none")),
        format!("{}.{said}.", unsigned("None")),
        format!("{}.{said}.{signature}", unsigned("none")),
        format!("{}.{said}.{signature}", unsigned("HS512")),
        other.token("any", &claims())?,
        Signer::Secret(Vec::new()).token("any", &claims())?,
        rsa.token("any", &claims())?,
        // Of a kind that the key does not have.
        Signer::secret().under(&json!({"alg": "RS256"}), &claims())?,
        Signer::secret().under(&json!({"alg": "HS384"}), &claims())?,
        // What must be understood, and is not.
        Signer::secret().under(&json!({"alg": "HS256", "crit": ["exp"]}), &claims())?,
        Signer::secret().under(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}), &claims())?,
        Signer::secret().under(&json!({"alg": "HS256", "typ": "logout+jwt"}), &claims())?,
        format!("{genuine}.x"),
        format!("{head}.{said}"),
        "nothing".to_owned(),
        "a.b.c".to_owned(),
        "x".repeat(8193),
    ];
    for token in forged {
        is_refused(&ask(&gateway, &token).await?, &token, "");
    }
    assert_eq!(ask(&gateway, &genuine).await?.status, 200);
    gateway.stop().await
}

#[tokio::test]
async fn a_genuine_token_that_does_not_place_its_bearer_is_answered_403() -> Result<()> {
    let gateway = with_secret().await?;
    for changes in
        [json!({"tenant": null}), json!({"sub": null}), json!({"role": "root"}), json!({"tenant": ""})]
    {
        let token = signed(&claims_but(changes))?;
        ask(&gateway, &token).await?.is_problem(403, "unusable_claims");
    }
    let learner = ask(&gateway, &signed(&claims_but(json!({"role": null})))?).await?;
    assert_eq!((learner.status, learner.body["role"].as_str()), (200, Some("learner")));
    gateway.stop().await
}
