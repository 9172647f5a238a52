//! The description of the API.

use anyhow::Result;

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
