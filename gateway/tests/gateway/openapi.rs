//! The description of the API.

use anyhow::Result;
use serde_json::json;

use crate::fixture::Gateway;

#[test]
fn the_description_in_docs_is_that_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let committed = std::fs::read_to_string(path).expect("a description");
    assert!(
        committed == gateway::openapi::text(),
        "docs/openapi.json differs from the code: run `make openapi`"
    );
}

#[tokio::test]
async fn the_gateway_serves_its_description() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let answer = gateway.get("/openapi.json").await?;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.body["openapi"], "3.1.0");
    assert_eq!(answer.body, serde_json::from_str::<serde_json::Value>(gateway::openapi::text())?);
    Ok(())
}

#[tokio::test]
async fn the_page_that_shows_the_description_brings_all_that_it_needs() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let page = gateway.get("/docs").await?;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let text = page.body.as_str().unwrap_or_default();
    for (asset, kind) in [("docs/docs.css", "text/css"), ("docs/docs.js", "text/javascript")] {
        assert!(text.contains(&format!("\"{asset}\"")), "{asset}");
        let answer = gateway.get(&format!("/{asset}")).await?;
        assert_eq!(answer.status, 200, "{asset}");
        assert!(answer.header("content-type").is_some_and(|given| given.starts_with(kind)), "{answer:?}");
    }
    for elsewhere in ["http://", "https://", "<style", "style=", "onclick"] {
        assert!(!text.contains(elsewhere), "{elsewhere}");
    }
    Ok(())
}

/// JSON knows no difference, and what is an integer by the description is taken.
#[tokio::test]
async fn a_whole_number_may_be_written_with_a_decimal_point() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let choices = json!({"submissionId": gateway.submission().await?, "priority": 7.0, "retries": 2e0});
    let accepted = gateway.post("/api/scoring", &choices).await?;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let job = gateway.get(&format!("/api/scoring/{}", accepted.id("job_id")?)).await?;
    assert_eq!(job.body["priority"], 7);
    let redriven = gateway.post("/api/dead-letters/redrive", &json!({"all": true, "limit": 32.0})).await?;
    assert_eq!(redriven.status, 200, "{redriven:?}");
    gateway
        .post("/api/dead-letters/redrive", &json!({"all": true, "limit": 32.5}))
        .await?
        .is_problem(422, "invalid_redrive");
    Ok(())
}
