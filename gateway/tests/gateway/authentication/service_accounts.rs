//! By what Kubernetes says of a ServiceAccount's token.

use anyhow::Result;
use testkit::Weather;

use super::issuer::Issuer;
use super::token::{Signer, base64url, claims, claims_but, now};
use super::{ask, is_refused};
use crate::fixture::{Gateway, LinkedCluster, until};
use serde_json::json;

/// An account of its own.
struct Account {
    namespace: String,
}

impl Account {
    async fn new() -> Result<Account> {
        let namespace = testkit::fresh_namespace().await?;
        testkit::kubectl(&["create", "serviceaccount", "grader", "--namespace", &namespace]).await?;
        Ok(Account { namespace })
    }

    /// A token of it, for an audience or for the API server itself.
    async fn token(&self, audience: Option<&str>) -> Result<String> {
        let audience = audience.map(|audience| format!("--audience={audience}"));
        let mut args = vec!["create", "token", "grader", "--namespace", &self.namespace];
        args.extend(audience.as_deref());
        Ok(testkit::kubectl(&args).await?.trim().to_owned())
    }
}

/// A gateway that asks the API server.
async fn asking(kubeconfig: &str, more: &[&str]) -> Result<Gateway> {
    let flags = ["--kubeconfig", kubeconfig, "--auth-token-review", "true"];
    Gateway::ready(&testkit::fresh_database().await?, &[&flags, more].concat()).await
}

async fn kubeconfig() -> Result<String> {
    Ok(testkit::kubeconfig().await?.to_string_lossy().into_owned())
}

#[tokio::test]
async fn a_service_account_is_let_in_by_a_token_for_us_and_by_no_other() -> Result<()> {
    let account = Account::new().await?;
    let gateway = asking(&kubeconfig().await?, &[]).await?;
    let token = account.token(Some("assay")).await?;
    let subject = format!("system:serviceaccount:{}:grader", account.namespace);
    let grader = json!({"tenant": account.namespace, "subject": subject, "role": "learner"});
    for _ in 0..2 {
        assert_eq!(ask(&gateway, &token).await?.body, grader);
    }
    for other in [account.token(None).await?, account.token(Some("someone")).await?] {
        is_refused(&ask(&gateway, &other).await?, &other, "");
    }
    let parts: Vec<&str> = token.split('.').collect();
    let admin = json!({"iss": "https://kubernetes.default.svc.cluster.local", "aud": ["assay"], "exp": now() + 600,
        "sub": "system:serviceaccount:kube-system:default"});
    let forged = [
        format!("{}.{}.{}", parts[0], base64url(admin.to_string()), parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        Signer::rsa()?.token("any", &admin)?,
        Signer::secret().token("any", &admin)?,
        Signer::rsa()?.token("any", &claims())?,
    ];
    for token in forged {
        for _ in 0..2 {
            is_refused(&ask(&gateway, &token).await?, &token, "");
        }
    }
    gateway.stop().await
}

#[tokio::test]
async fn an_account_that_is_deleted_is_let_in_no_longer_than_its_review_is_believed() -> Result<()> {
    let account = Account::new().await?;
    let gateway = asking(&kubeconfig().await?, &["--auth-token-review-cache", "1s"]).await?;
    let token = account.token(Some("assay")).await?;
    assert_eq!(ask(&gateway, &token).await?.status, 200);
    testkit::kubectl(&["delete", "serviceaccount", "grader", "--namespace", &account.namespace]).await?;
    until("it is not let in any more", async || Ok(ask(&gateway, &token).await?.status == 401)).await?;
    gateway.stop().await
}

#[tokio::test]
async fn an_account_that_was_refused_is_not_let_in_again_by_what_was_said_before() -> Result<()> {
    let account = Account::new().await?;
    let cluster = LinkedCluster::new(Weather::Fair).await?;
    let times = ["--auth-token-review-cache", "10ms", "--auth-token-review-grace", "1m"];
    let gateway = asking(cluster.kubeconfig(), &times).await?;
    let token = account.token(Some("assay")).await?;
    assert_eq!(ask(&gateway, &token).await?.status, 200);
    testkit::kubectl(&["delete", "serviceaccount", "grader", "--namespace", &account.namespace]).await?;
    until("it is not let in any more", async || Ok(ask(&gateway, &token).await?.status == 401)).await?;
    cluster.link.set(Weather::Cut);
    until("its last review is too old to do without another", async || {
        let status = ask(&gateway, &token).await?.status;
        anyhow::ensure!(status != 200, "it is let in");
        Ok(status == 503)
    })
    .await?;
    gateway.stop().await
}

#[tokio::test]
async fn without_the_api_server_those_it_vouched_for_are_let_in_for_a_grace() -> Result<()> {
    let account = Account::new().await?;
    let cluster = LinkedCluster::new(Weather::Fair).await?;
    let times = ["--auth-token-review-cache", "10ms", "--auth-token-review-grace", "10s"];
    let gateway = asking(cluster.kubeconfig(), &times).await?;
    let (known, other) = (account.token(Some("assay")).await?, account.token(Some("assay")).await?);
    assert_eq!(ask(&gateway, &known).await?.status, 200);
    for weather in [Weather::Cut, Weather::Mute] {
        cluster.link.set(weather);
        assert_eq!(ask(&gateway, &known).await?.status, 200, "{weather:?}");
        let answer = ask(&gateway, &other).await?;
        answer.is_problem(503, "authentication_unavailable");
        assert!(answer.header("retry-after").is_some());
    }
    until("the grace is over", async || Ok(ask(&gateway, &known).await?.status == 503)).await?;
    cluster.link.set(Weather::Fair);
    until("the API server is back", async || Ok(ask(&gateway, &known).await?.status == 200)).await?;
    assert_eq!(ask(&gateway, &other).await?.status, 200);
    gateway.stop().await
}

#[tokio::test]
async fn an_issuers_tokens_and_service_accounts_are_let_in_side_by_side() -> Result<()> {
    let account = Account::new().await?;
    let signer = Signer::rsa()?;
    let issuer = Issuer::with_keys(&[signer.jwk("r")]).await?;
    let flags =
        ["--auth-jwks-url", &issuer.url, "--auth-issuer", "https://issuer.test", "--auth-audience", "assay"];
    let gateway = asking(&kubeconfig().await?, &flags).await?;
    assert_eq!(ask(&gateway, &account.token(Some("assay")).await?).await?.status, 200);
    assert_eq!(ask(&gateway, &signer.token("r", &claims())?).await?.status, 200);
    // The issuer may say of somebody what it likes, but not in another's name.
    let posing = signer.token("r", &claims_but(json!({"iss": "x", "sub": "system:serviceaccount:a:b"})))?;
    is_refused(&ask(&gateway, &posing).await?, &posing, "Kubernetes");
    gateway.stop().await
}
