//! `/api/submissions`

use anyhow::Result;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::Gateway;

fn code(text: &str) -> Value {
    json!({"language": "python", "code": text, "documentation": "# Title"})
}

#[tokio::test]
async fn a_submission_changes_until_it_is_submitted_and_never_after() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let created = gateway.post("/api/submissions", &json!({"content": code("a = 1")})).await?;
    assert_eq!((created.status, created.fields()), (201, vec!["id", "status"]));
    assert_eq!(created.body["status"], "IN_PROGRESS");
    let id = created.id("id")?;
    let path = format!("/api/submissions/{id}");
    assert_eq!(created.header("location"), Some(path.as_str()));

    let replaced = gateway.put(&format!("{path}/content"), &code("a = 2")).await?;
    assert_eq!((replaced.status, &replaced.body), (200, &json!({"id": id, "status": "IN_PROGRESS"})));
    for _ in 0..2 {
        let submitted = gateway.act(&format!("{path}/submit")).await?;
        assert_eq!((submitted.status, &submitted.body), (200, &json!({"id": id, "status": "SUBMITTED"})));
    }
    gateway.put(&format!("{path}/content"), &code("a = 3")).await?.is_problem(409, "already_submitted");

    let shown = gateway.get(&path).await?;
    assert_eq!(
        (shown.status, shown.fields()),
        (200, vec!["content", "createdAt", "id", "owner", "status", "tenant"])
    );
    assert_eq!((&shown.body["content"], &shown.body["tenant"]), (&code("a = 2"), &json!("default")));
    assert_eq!(shown.body["status"], "SUBMITTED");
    Ok(())
}

#[tokio::test]
async fn a_submission_can_be_created_submitted_and_for_a_tenant() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let body = json!({"content": code("a = 1"), "submit": true, "tenant": "algebra"});
    let created = gateway.post("/api/submissions", &body).await?;
    assert_eq!((created.status, &created.body["status"]), (201, &json!("SUBMITTED")));
    let shown = gateway.get(&format!("/api/submissions/{}", created.id("id")?)).await?;
    assert_eq!(shown.body["tenant"], "algebra");
    Ok(())
}

#[tokio::test]
async fn content_that_cannot_be_stored_or_scored_is_refused_before_it_is_stored() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let refused = [
        json!({}),
        json!([]),
        json!({"code": 1}),
        json!({"files": []}),
        json!({"code": "a\u{0}b"}),
        json!({"code": "a", "note": {"deep": ["\u{0}"]}}),
        json!({"files": [{"path": "../up", "text": "x"}]}),
        json!({"code": "x", "language": "cobol"}),
    ];
    let kept = gateway.post("/api/submissions", &json!({"content": code("a = 1")})).await?.id("id")?;
    for content in &refused {
        let answer = gateway.post("/api/submissions", &json!({"content": content})).await?;
        answer.is_problem(422, "invalid_content");
        gateway
            .put(&format!("/api/submissions/{kept}/content"), content)
            .await?
            .is_problem(422, "invalid_content");
    }
    assert_eq!(gateway.number("SELECT count(*) FROM submissions").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_tenant_needs_a_name() -> Result<()> {
    let gateway = Gateway::alone().await?;
    for tenant in ["", "a\u{0}", &"x".repeat(254)] {
        let body = json!({"content": code("a"), "tenant": tenant});
        gateway.post("/api/submissions", &body).await?.is_problem(422, "invalid_tenant");
    }
    Ok(())
}

#[tokio::test]
async fn a_submission_that_is_not_there_is_not_found() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let path = format!("/api/submissions/{}", Uuid::now_v7());
    gateway.get(&path).await?.is_problem(404, "unknown_submission");
    gateway.act(&format!("{path}/submit")).await?.is_problem(404, "unknown_submission");
    gateway.put(&format!("{path}/content"), &code("a")).await?.is_problem(404, "unknown_submission");
    gateway.get("/api/submissions/seven").await?.is_problem(400, "invalid_id");
    Ok(())
}
