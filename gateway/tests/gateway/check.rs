//! `gateway check`, which a cluster's `helm test` runs.

use anyhow::Result;
use axum::Router;
use axum::routing::get;
use clap::Parser;
use gateway::CheckFlags;
use tokio::net::TcpListener;

use crate::fixture::Gateway;

#[derive(Parser)]
struct Check {
    #[command(flatten)]
    flags: CheckFlags,
}

async fn check(url: &str, within: &str) -> Result<String> {
    Check::try_parse_from(["check", url, "--within", within])?.flags.check().await
}

#[tokio::test]
async fn a_gateway_that_is_ready_passes_the_check_and_what_answers_otherwise_is_told() -> Result<()> {
    let gateway = Gateway::alone().await?;
    assert_eq!(check(&format!("{}/readyz", gateway.url), "10s").await?.trim(), "postgres: ok");
    let error = check(&format!("{}/nowhere", gateway.url), "0s").await.expect_err("404 is not 200");
    assert!(error.to_string().contains("did not answer 200 within 0ns, at last: 404"), "{error}");
    gateway.stop().await
}

#[tokio::test]
async fn a_check_asks_again_until_it_is_answered() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let serving = tokio::spawn(async move {
        // Whoever asks first is hung up on.
        drop(listener.accept().await?);
        axum::serve(listener, Router::new().route("/", get(|| async { "here" }))).await
    });
    assert_eq!(check(&url, "20s").await?, "here");
    serving.abort();
    Ok(())
}
