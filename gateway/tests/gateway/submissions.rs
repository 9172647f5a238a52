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

#[tokio::test]
async fn submissions_are_listed_newest_first_without_their_content() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let mut ids = Vec::new();
    for submit in [true, false, true] {
        let body = json!({"content": {"code": "1"}, "submit": submit});
        ids.push(gateway.post("/api/submissions", &body).await?.id("id")?);
    }
    ids.reverse();
    let listed = async |query: &str| {
        let page = gateway.get(&format!("/api/submissions?{query}")).await?;
        let items = page.body["items"].as_array().cloned().unwrap_or_default();
        anyhow::Ok(
            items.iter().map(|item| item["id"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>(),
        )
    };
    let named = |of: &[Uuid]| of.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(listed("").await?, named(&ids));
    assert_eq!(listed("tenant=default").await?, named(&ids));
    assert_eq!(listed("status=IN_PROGRESS").await?, named(&ids[1..2]));
    assert_eq!(listed("tenant=acme").await?, named(&[]));
    assert_eq!(listed("from=2100-01-01T00:00:00Z").await?, named(&[]));
    let first = gateway.get("/api/submissions?limit=2").await?;
    assert_eq!(first.body["items"][0]["content"], Value::Null);
    let cursor = first.body["nextCursor"].as_str().unwrap_or_default();
    assert_eq!(listed(&format!("limit=2&cursor={cursor}")).await?, named(&ids[2..]));
    for query in ["status=DONE", "limit=0", "cursor=x", "owner=me"] {
        gateway.get(&format!("/api/submissions?{query}")).await?.is_problem(400, "invalid_query");
    }
    Ok(())
}
