//! What cannot be read, and what is not there.

use anyhow::Result;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fixture::{Gateway, answer};

#[tokio::test]
async fn a_body_that_cannot_be_read_is_a_bad_request_that_says_why() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let id = gateway.submission().await?;
    let post = async |body: &str| {
        let request = gateway.request(Method::POST, "/api/scoring").body(body.to_owned());
        answer(request.header("content-type", "application/json")).await
    };
    let followed = format!(r#"{{"submissionId":"{id}"}} x"#);
    for malformed in ["", "{", "{\"submissionId\":", "nonsense", "{'a': 1}", &followed] {
        post(malformed).await?.is_problem(400, "malformed_json");
    }
    let unreadable = [
        "{}".to_owned(),
        "[]".to_owned(),
        r#"{"submissionId":"seven"}"#.to_owned(),
        r#"{"submissionId":7}"#.to_owned(),
        format!(r#"{{"submissionId":"{id}","prioritee":1}}"#),
        format!(r#"{{"submissionId":"{id}","priority":"high"}}"#),
        format!(r#"{{"submissionId":"{id}","notBefore":"tomorrow"}}"#),
        format!(r#"{{"submissionId":"{id}","submissionId":"{id}"}}"#),
    ];
    for body in &unreadable {
        post(body).await?.is_problem(400, "invalid_body");
    }
    let misspelt = post(&unreadable[4]).await?;
    assert!(
        misspelt.body["detail"].as_str().is_some_and(|detail| detail.contains("prioritee")),
        "{misspelt:?}"
    );
    assert_eq!(gateway.number("SELECT count(*) FROM scoring_jobs").await?, 0);
    Ok(())
}

#[tokio::test]
async fn only_json_is_taken() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let body = json!({"submissionId": gateway.submission().await?}).to_string();
    let post = async |kind: Option<&str>| {
        let request = gateway.request(Method::POST, "/api/scoring").body(body.clone());
        answer(kind.into_iter().fold(request, |request, kind| request.header("content-type", kind))).await
    };
    post(Some("text/plain")).await?.is_problem(415, "unsupported_media_type");
    post(None).await?.is_problem(415, "unsupported_media_type");
    assert_eq!(post(Some("application/json; charset=utf-8")).await?.status, 202);
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_its_sender_hears_of_it() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::ready(&database, &["--body-limit", "20000"]).await?;
    let sized = |bytes: usize| {
        let empty = json!({"content": {"code": ""}}).to_string().len();
        json!({"content": {"code": "x".repeat(bytes - empty)}})
    };
    assert_eq!(gateway.post("/api/submissions", &sized(20_000)).await?.status, 201);
    for bytes in [20_001, 300_000] {
        gateway.post("/api/submissions", &sized(bytes)).await?.is_problem(413, "body_too_large");
    }
    // Sent in chunks, a body does not say beforehand how long it is.
    for (bytes, status) in [(20_000, 201), (20_001, 413), (300_000, 413)] {
        assert_eq!(post_in_chunks(&gateway, &sized(bytes).to_string()).await?, status, "{bytes} bytes");
    }
    Ok(())
}

/// POSTs a submission in chunks of 1,000 bytes; the status of the answer.
async fn post_in_chunks(gateway: &Gateway, body: &str) -> Result<u16> {
    let address = gateway.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await?;
    let mut request = format!(
        "POST /api/submissions HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    for chunk in body.as_bytes().chunks(1000) {
        request.push_str(&format!("{:x}\r\n{}\r\n", chunk.len(), str::from_utf8(chunk)?));
    }
    request.push_str("0\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.split(' ').nth(1).unwrap_or_default().parse()?)
}

#[tokio::test]
async fn a_body_that_never_arrives_is_given_up() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::ready(&database, &["--body-timeout", "200ms"]).await?;
    let address = gateway.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "POST /api/scoring HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\nConnection: close\r\n\r\n{{"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() -> Result<()> {
    let gateway = Gateway::alone().await?;
    for path in ["/api", "/api/scoring/", "/nothing"] {
        gateway.get(path).await?.is_problem(404, "unknown_route");
    }
    let wrong = gateway.delete("/api/scoring").await?;
    wrong.is_problem(405, "method_not_allowed");
    let allowed = wrong.header("allow").unwrap_or_default();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
    gateway.get("/api/scoring/batches").await?.is_problem(405, "method_not_allowed");
    gateway.get("/api/scoring/%ff").await?.is_problem(400, "invalid_id");
    Ok(())
}

#[tokio::test]
async fn health_is_served_beside_the_api_and_metrics_on_their_own_port() -> Result<()> {
    let gateway = Gateway::alone().await?;
    gateway.job().await?;
    assert_eq!(gateway.get("/healthz").await?.status, 200);
    assert_eq!(gateway.get("/readyz").await?.status, 200);
    gateway.get("/metrics").await?.is_problem(404, "unknown_route");
    let posted = r#"assay_gateway_requests_total{method="POST",route="/api/scoring",status="2xx"}"#;
    assert_eq!(gateway.metric(posted).await?, 1.0);
    assert_eq!(gateway.metric("assay_gateway_accept_batch_jobs_sum").await?, 1.0);
    let other = r#"assay_gateway_requests_total{method="GET",route="other",status="4xx"}"#;
    assert_eq!(gateway.metric(other).await?, 1.0);
    Ok(())
}
