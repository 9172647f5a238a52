//! `/api/scoring/batches`

use anyhow::Result;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::Gateway;

#[tokio::test]
async fn a_batch_accepts_what_it_can_and_names_the_rest() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let open = json!({"content": {"code": "a = 1"}});
    let open = gateway.post("/api/submissions", &open).await?.id("id")?;
    let (_, busy) = gateway.job().await?;
    let (one, two, unknown) = (gateway.submission().await?, gateway.submission().await?, Uuid::now_v7());
    let body = json!({"submissionIds": [one, unknown, open, busy, two, one], "rubric": "quick"});
    let accepted = gateway.post("/api/scoring/batches", &body).await?;
    let batch = accepted.id("batch_id")?;
    let rejected = json!([
        {"submissionId": unknown, "code": "unknown_submission"},
        {"submissionId": open, "code": "not_submitted"},
        {"submissionId": busy, "code": "active_job"},
        {"submissionId": one, "code": "active_job"},
    ]);
    assert_eq!(accepted.status, 202);
    assert_eq!(accepted.body, json!({"batch_id": batch, "total": 6, "accepted": 2, "rejected": rejected}));

    let shown = gateway.get(&format!("/api/scoring/batches/{batch}")).await?;
    assert_eq!(shown.status, 200);
    assert_eq!((&shown.body["total"], &shown.body["accepted"]), (&json!(6), &json!(2)));
    assert_eq!((&shown.body["queued"], &shown.body["done"]), (&json!(2), &json!(0)));
    assert_eq!((&shown.body["rejected"], &shown.body["rubric"]), (&rejected, &json!("quick")));
    assert_eq!((&shown.body["meanScore"], &shown.body["completedAt"]), (&Value::Null, &Value::Null));
    Ok(())
}

#[tokio::test]
async fn a_batch_of_a_thousand_is_one_request() -> Result<()> {
    let gateway = Gateway::alone().await?;
    gateway
        .execute("INSERT INTO submissions (status, content) SELECT 'SUBMITTED', '{\"code\": \"a\"}' FROM generate_series(1, 1000)")
        .await?;
    let mut ids: Vec<Uuid> = Vec::new();
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&gateway.database).await?;
    for (id,) in sqlx::query_as::<_, (Uuid,)>("SELECT id FROM submissions").fetch_all(&mut connection).await?
    {
        ids.push(id);
    }
    let accepted = gateway.post("/api/scoring/batches", &json!({"submissionIds": ids})).await?;
    assert_eq!((accepted.status, &accepted.body["accepted"]), (202, &json!(1000)));
    Ok(())
}

#[tokio::test]
async fn a_batch_that_cannot_be_is_refused_as_a_whole() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let id = gateway.submission().await?;
    let many: Vec<Uuid> = (0..1001).map(|_| Uuid::now_v7()).collect();
    let refused = [
        (json!({"submissionIds": []}), 422, "invalid_batch"),
        (json!({"submissionIds": many}), 422, "invalid_batch"),
        (json!({"submissionIds": [id], "rubric": "none"}), 422, "unknown_rubric"),
        (json!({"submissionIds": [id], "pool": "none"}), 422, "unknown_pool"),
        (json!({"submissionIds": [id], "priority": 99}), 422, "invalid_priority"),
        (json!({"submissionIds": ["x"]}), 400, "invalid_body"),
        (json!({"submissionId": id}), 400, "invalid_body"),
    ];
    for (body, status, code) in &refused {
        gateway.post("/api/scoring/batches", body).await?.is_problem(*status, code);
    }
    assert_eq!(gateway.number("SELECT count(*) FROM scoring_batches").await?, 0);
    gateway.get(&format!("/api/scoring/batches/{id}")).await?.is_problem(404, "unknown_batch");
    Ok(())
}
