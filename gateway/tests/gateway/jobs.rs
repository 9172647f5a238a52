//! Showing, listing, cancelling and retrying jobs.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use store::{Retirement, Settings, Store};
use uuid::Uuid;

use crate::fixture::Gateway;

pub(crate) const DONE: &str = "UPDATE scoring_jobs SET status = 'DONE', started_at = now(), completed_at = now(), scorer = 's', \
                    attempt = 1, lease_epoch = 1, score = 87.5, feedback = 'Good.', result = '{\"tests\": []}', \
                    version = version + 1";

#[tokio::test]
async fn a_job_is_shown_in_full() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let (job, submission) = gateway.job().await?;
    let path = format!("/api/scoring/{job}");
    let queued = gateway.get(&path).await?;
    let fields = [
        "attempts",
        "completedAt",
        "createdAt",
        "error",
        "feedback",
        "job_id",
        "pool",
        "priority",
        "result",
        "rubric",
        "rubricVersion",
        "score",
        "startedAt",
        "status",
        "submissionId",
    ];
    assert_eq!((queued.status, queued.fields()), (200, fields.to_vec()));
    assert_eq!((&queued.body["job_id"], &queued.body["submissionId"]), (&json!(job), &json!(submission)));
    assert_eq!((&queued.body["status"], &queued.body["attempts"]), (&json!("QUEUED"), &json!(0)));
    for open in ["score", "feedback", "result", "error", "startedAt", "completedAt"] {
        assert_eq!(queued.body[open], Value::Null, "{open}");
    }
    assert!(queued.body["createdAt"].as_str().is_some_and(|time| time.ends_with('Z')));

    gateway.execute(DONE).await?;
    let done = gateway.get(&path).await?;
    assert_eq!(done.fields(), fields);
    assert_eq!((&done.body["status"], &done.body["score"]), (&json!("DONE"), &json!(87.5)));
    assert_eq!((&done.body["result"], &done.body["feedback"]), (&json!({"tests": []}), &json!("Good.")));

    gateway.get(&format!("/api/scoring/{}", Uuid::now_v7())).await?.is_problem(404, "unknown_job");
    gateway.get("/api/scoring/seven").await?.is_problem(400, "invalid_id");
    Ok(())
}

#[tokio::test]
async fn a_job_in_the_history_is_shown_and_not_listed() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let (job, _) = gateway.job().await?;
    gateway.execute(DONE).await?;
    gateway.execute("UPDATE scoring_jobs SET resource_kind = 'none'").await?;
    let path = format!("/api/scoring/{job}");
    let before = gateway.get(&path).await?;
    let store = Store::connect(&Settings::new(&gateway.database))?;
    let moved = store.retire("default", Duration::ZERO, None, 10).await?;
    assert!(matches!(moved, Retirement::Moved(_)), "{moved:?}");
    let after = gateway.get(&path).await?;
    assert_eq!((after.status, after.body), (200, before.body));
    assert_eq!(gateway.get("/api/scoring").await?.body["items"], json!([]));
    gateway.delete(&path).await?.is_problem(409, "job_ended");
    Ok(())
}

#[tokio::test]
async fn jobs_are_listed_newest_first_page_by_page() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.push(gateway.job().await?);
    }
    jobs.reverse();
    let (mut listed, mut path, mut pages) = (Vec::new(), "/api/scoring?limit=2".to_owned(), 0);
    loop {
        let page = gateway.get(&path).await?;
        assert_eq!((page.status, page.fields()), (200, vec!["cutShort", "items", "nextCursor"]));
        let items = page.body["items"].as_array().cloned().unwrap_or_default();
        listed.extend(items.iter().map(|item| item["job_id"].clone()));
        pages += 1;
        match page.body["nextCursor"].as_str() {
            Some(cursor) => path = format!("/api/scoring?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    let expected: Vec<Value> = jobs.iter().map(|(job, _)| json!(job)).collect();
    assert_eq!((listed, pages), (expected, 3));

    let count = async |query: &str| {
        let page = gateway.get(&format!("/api/scoring?{query}")).await?;
        anyhow::Ok(page.body["items"].as_array().map_or(0, Vec::len))
    };
    assert_eq!(count("").await?, 5);
    assert_eq!(count("status=QUEUED").await?, 5);
    assert_eq!(count("status=DONE").await?, 0);
    assert_eq!(count(&format!("submissionId={}", jobs[0].1)).await?, 1);
    assert_eq!(count(&format!("submissionId={}", Uuid::now_v7())).await?, 0);
    gateway
        .execute("UPDATE scoring_jobs SET pool = 'gpu' WHERE id = (SELECT id FROM scoring_jobs LIMIT 1)")
        .await?;
    for (query, matches) in [
        ("pool=gpu".to_owned(), 1),
        ("pool=gpu&status=DONE".to_owned(), 0),
        ("rubric=default&tenant=default&pool=default".to_owned(), 4),
        ("tenant=acme".to_owned(), 0),
        (format!("batchId={}", Uuid::now_v7()), 0),
        (format!("q={}", jobs[1].0), 1),
        (format!("q={}", jobs[1].1), 1),
        (format!("q={}", &jobs[1].0.to_string().to_uppercase()[..30]), 1),
        ("from=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z".to_owned(), 5),
        ("from=2100-01-01T00:00:00Z".to_owned(), 0),
        ("until=-009999-01-02T01:59:59Z".to_owned(), 0),
    ] {
        assert_eq!(count(&query).await?, matches, "{query}");
    }
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "status=done",
        "submissionId=x",
        "cursor=x",
        "cursor=",
        "stats=DONE",
        "batchId=x",
        "from=yesterday",
        "q=",
        "pool=%00",
    ] {
        gateway.get(&format!("/api/scoring?{query}")).await?.is_problem(400, "invalid_query");
    }
    Ok(())
}

#[tokio::test]
async fn words_of_a_failure_are_searched_whatever_their_case() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let (job, _) = gateway.job().await?;
    gateway.job().await?;
    gateway.delete(&format!("/api/scoring/{job}")).await?;
    for query in
        ["q=ASKED+for", "q=Cancelled+by", "code=cancelled", "status=ERROR&code=cancelled&tenant=default"]
    {
        let page = gateway.get(&format!("/api/scoring?{query}")).await?;
        let found: Vec<&Value> =
            page.body["items"].as_array().into_iter().flatten().map(|item| &item["job_id"]).collect();
        assert_eq!(found, [&json!(job)], "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn a_cancelled_job_is_shown_as_such_however_often_it_is_cancelled() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let (job, submission) = gateway.job().await?;
    for _ in 0..2 {
        let cancelled = gateway.delete(&format!("/api/scoring/{job}")).await?;
        assert_eq!((cancelled.status, &cancelled.body["status"]), (200, &json!("ERROR")));
        assert_eq!(cancelled.body["error"]["code"], "cancelled");
        assert!(cancelled.fields().contains(&"result"));
    }
    let next = gateway.post("/api/scoring", &json!({"submissionId": submission})).await?;
    assert_eq!(next.status, 202, "the submission is free for another job");
    gateway.delete(&format!("/api/scoring/{}", Uuid::now_v7())).await?.is_problem(404, "unknown_job");
    Ok(())
}

#[tokio::test]
async fn a_job_that_has_a_score_cannot_be_cancelled() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let (job, _) = gateway.job().await?;
    gateway.execute(DONE).await?;
    gateway.delete(&format!("/api/scoring/{job}")).await?.is_problem(409, "job_ended");
    Ok(())
}

#[tokio::test]
async fn a_retry_is_a_new_job_with_the_same_choices() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let body = json!({"submissionId": gateway.submission().await?, "rubric": "quick", "priority": 8});
    let job = gateway.post("/api/scoring", &body).await?.id("job_id")?;
    let retry = format!("/api/scoring/{job}/retry");

    let active = gateway.act(&retry).await?;
    assert_eq!((active.status, &active.body), (200, &json!({"job_id": job, "status": "QUEUED"})));

    gateway.delete(&format!("/api/scoring/{job}")).await?;
    let retried = gateway.act(&retry).await?;
    let new = retried.id("job_id")?;
    assert_eq!((retried.status, &retried.body), (202, &json!({"job_id": new, "status": "QUEUED"})));
    assert_ne!(new, job);
    let shown = gateway.get(&format!("/api/scoring/{new}")).await?.body;
    assert_eq!((&shown["rubric"], &shown["priority"]), (&json!("quick"), &json!(8)));

    let again = gateway.act(&retry).await?;
    assert_eq!((again.status, again.id("job_id")?), (200, new));
    gateway.act(&format!("/api/scoring/{}/retry", Uuid::now_v7())).await?.is_problem(404, "unknown_job");
    Ok(())
}
