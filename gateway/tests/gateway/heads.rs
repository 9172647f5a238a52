//! What stands before and around bodies: sizes, encodings, and what browsers are told.

use anyhow::Result;
use reqwest::Method;
use serde_json::json;

use crate::fixture::{Answer, Gateway, answer};

#[tokio::test]
async fn a_head_that_is_larger_than_anybody_needs_is_refused() -> Result<()> {
    let gateway = Gateway::alone().await?;
    gateway.get(&format!("/{}", "x".repeat(9_000))).await?.is_problem(414, "uri_too_long");
    gateway.get(&format!("/api/scoring?status={}", "x".repeat(5_000))).await?.is_problem(414, "uri_too_long");
    let with = async |count: usize, bytes: usize| {
        let request = gateway.request(Method::GET, "/api/scoring");
        answer(
            (0..count)
                .fold(request, |request, number| request.header(format!("x-{number}"), "x".repeat(bytes))),
        )
        .await
    };
    assert_eq!(with(90, 100).await?.status, 200);
    with(110, 1).await?.is_problem(431, "headers_too_large");
    with(5, 8_000).await?.is_problem(431, "headers_too_large");
    // Beyond what is read at all, the connection's own answer is a bare one.
    assert_eq!(with(300, 1).await?.status, 431);
    assert_eq!(with(10, 9_000).await?.status, 431);
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_nested_too_deeply_is_a_bad_request() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let post = async |path: &str, body: String| {
        let request = gateway.request(Method::POST, path).header("content-type", "application/json");
        answer(request.body(body)).await
    };
    for body in [
        deep(100_000),
        format!(r#"{{"content":{}}}"#, deep(100_000)),
        format!(r#"{{"content":{{"files":{}}}}}"#, deep(200)),
        format!(r#"{{"submissionId":{}}}"#, deep(100_000)),
    ] {
        for path in ["/api/submissions", "/api/scoring", "/api/scoring/batches", "/api/dead-letters/redrive"]
        {
            let refused = post(path, body.clone()).await?;
            assert!(matches!(refused.status, 400 | 422), "{path} {}: {refused:?}", &body[..30]);
            let code = refused.body["code"].as_str().unwrap_or_default();
            assert!(
                matches!(code, "malformed_json" | "invalid_body" | "invalid_content"),
                "{path} {}: {refused:?}",
                &body[..30]
            );
        }
    }
    gateway.job().await.map(drop)
}

#[tokio::test]
async fn a_compressed_body_is_refused_and_the_sender_told_how_to_send_it() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let body = json!({"submissionId": gateway.submission().await?});
    let post = async |encoding: &'static str| {
        let request = gateway.request(Method::POST, "/api/scoring").json(&body);
        answer(request.header("content-encoding", encoding)).await
    };
    let refused = post("gzip").await?;
    refused.is_problem(415, "unsupported_encoding");
    assert_eq!(refused.header("accept-encoding"), Some("identity"));
    assert_eq!(post("identity").await?.status, 202);
    Ok(())
}

fn is_guarded(answer: &Answer) {
    let expected = [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    for (name, value) in expected {
        assert_eq!(answer.header(name), Some(value), "{name} of {answer:?}");
    }
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(
        policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert_eq!(answer.header("strict-transport-security"), None, "it means nothing without TLS");
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(answer.header("server"), None);
}

#[tokio::test]
async fn every_answer_tells_browsers_to_make_nothing_else_of_it() -> Result<()> {
    let gateway = Gateway::alone().await?;
    for path in ["/api/scoring", "/api/scoring/seven", "/nothing", "/healthz", "/readyz"] {
        is_guarded(&gateway.get(path).await?);
    }
    is_guarded(&gateway.post("/api/scoring", &json!({})).await?);
    is_guarded(&gateway.delete("/api/scoring").await?);
    Ok(())
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_take_them_so() -> Result<()> {
    let gateway = Gateway::alone().await?;
    for _ in 0..8 {
        gateway.job().await?;
    }
    let get = async |path: &str, accepted: &'static str| {
        answer(gateway.request(Method::GET, path).header("accept-encoding", accepted)).await
    };
    let large = get("/api/scoring?limit=8", "gzip").await?;
    assert_eq!((large.status, large.header("content-encoding")), (200, Some("gzip")));
    assert!(large.header("vary").is_some_and(|vary| vary.to_ascii_lowercase().contains("accept-encoding")));
    assert_eq!(get("/api/scoring?limit=8", "identity").await?.header("content-encoding"), None);
    assert_eq!(get("/api/scoring/seven", "gzip").await?.header("content-encoding"), None, "too small");
    Ok(())
}

#[tokio::test]
async fn pages_of_listed_origins_may_use_the_api_and_others_may_not() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway =
        Gateway::ready(&database, &["--cors-origins", "https://lms.example.org,http://localhost:5173"])
            .await?;
    let ask = async |method: Method, origin: &'static str| {
        let request = gateway.request(method, "/api/scoring").header("origin", origin);
        answer(
            request
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "authorization,idempotency-key,content-type"),
        )
        .await
    };
    let preflight = ask(Method::OPTIONS, "https://lms.example.org").await?;
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://lms.example.org"));
    let allowed = preflight.header("access-control-allow-headers").unwrap_or_default();
    for name in ["authorization", "idempotency-key", "content-type"] {
        assert!(allowed.contains(name), "{allowed}");
    }
    let read = ask(Method::GET, "http://localhost:5173").await?;
    assert_eq!(read.header("access-control-allow-origin"), Some("http://localhost:5173"));
    let exposed = read.header("access-control-expose-headers").unwrap_or_default();
    for name in ["etag", "location", "retry-after", "ratelimit"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    assert!(read.header("vary").is_some_and(|vary| vary.contains("origin")), "{read:?}");
    assert_eq!(ask(Method::GET, "https://evil.example").await?.header("access-control-allow-origin"), None);
    // Problems too, or pages could not say what is wrong.
    let refused = gateway.request(Method::POST, "/api/scoring").header("origin", "https://lms.example.org");
    let refused = answer(refused.json(&json!({}))).await?;
    refused.is_problem(400, "invalid_body");
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://lms.example.org"));
    Ok(())
}
