//! Entity tags: what has not changed is not sent again, and what has changed is not overwritten.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};

use crate::fixture::{Answer, Gateway, answer};
use crate::jobs::DONE;

async fn conditional(
    gateway: &Gateway,
    method: Method,
    path: &str,
    (name, tag): (&'static str, &str),
    body: Option<&Value>,
) -> Result<Answer> {
    let request = gateway.request(method, path).header(name, tag);
    answer(match body {
        Some(body) => request.json(body),
        None => request,
    })
    .await
}

fn tag(answer: &Answer) -> Result<String> {
    Ok(answer.header("etag").context("a tag")?.to_owned())
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let submission = gateway.submission().await?;
    let batch = gateway.post("/api/scoring/batches", &json!({"submissionIds": [submission]})).await?;
    let batch = batch.id("batch_id")?;
    let page = gateway.get(&format!("/api/scoring?submissionId={submission}")).await?;
    let job = page.body["items"][0]["job_id"].as_str().context("an id")?.to_owned();
    let paths = [
        format!("/api/scoring/{job}"),
        format!("/api/scoring/batches/{batch}"),
        format!("/api/submissions/{submission}"),
    ];
    let mut before = Vec::new();
    for path in &paths {
        let shown = gateway.get(path).await?;
        assert_eq!(shown.header("cache-control"), Some("private, no-cache"), "{path}");
        let tag = tag(&shown)?;
        assert_eq!(gateway.get(path).await?.header("etag"), Some(tag.as_str()), "{path}");
        for named in [tag.clone(), format!("\"x\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
            let same = conditional(&gateway, Method::GET, path, ("if-none-match", &named), None).await?;
            assert_eq!((same.status, &same.body), (304, &json!("")), "{path} {named}");
            assert_eq!(same.header("etag"), Some(tag.as_str()), "{path}");
        }
        before.push(tag);
    }
    gateway.execute(DONE).await?;
    for (path, tag) in paths.iter().zip(&before).take(2) {
        let other = conditional(&gateway, Method::GET, path, ("if-none-match", tag), None).await?;
        assert_eq!(other.status, 200, "{path}");
        assert_ne!(other.header("etag"), Some(tag.as_str()));
    }
    // The priority of what waits may change by itself.
    gateway.execute("UPDATE scoring_jobs SET priority = 9").await?;
    let other = conditional(&gateway, Method::GET, &paths[0], ("if-none-match", "\"2.5\""), None).await?;
    assert_eq!((other.status, &other.body["priority"]), (200, &json!(9)));
    Ok(())
}

#[tokio::test]
async fn a_job_is_cancelled_only_in_the_state_that_is_named() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let (job, _) = gateway.job().await?;
    let path = format!("/api/scoring/{job}");
    let before = tag(&gateway.get(&path).await?)?;
    gateway
        .execute(
            "UPDATE scoring_jobs SET status = 'RUNNING', started_at = now(), scorer = 's', attempt = 1, \
             lease_epoch = 1, version = version + 1",
        )
        .await?;
    let cancel =
        async |tag: &str| conditional(&gateway, Method::DELETE, &path, ("if-match", tag), None).await;
    for other in [before.as_str(), "\"x\"", "2.5"] {
        cancel(other).await?.is_problem(412, "precondition_failed");
    }
    assert_eq!(gateway.get(&path).await?.body["status"], "RUNNING");
    let now = tag(&gateway.get(&path).await?)?;
    for now in [format!("W/{now}"), now] {
        let cancelled = cancel(&now).await?;
        assert_eq!((cancelled.status, &cancelled.body["status"]), (200, &json!("ERROR")), "be it repeated");
    }
    let (other, _) = gateway.job().await?;
    let path = format!("/api/scoring/{other}");
    let any = conditional(&gateway, Method::DELETE, &path, ("if-match", "*"), None).await?;
    assert_eq!(any.status, 200);
    Ok(())
}

#[tokio::test]
async fn content_is_replaced_only_if_nobody_else_has_done_so() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let id = gateway.post("/api/submissions", &json!({"content": {"code": "0"}})).await?.id("id")?;
    let (shown, path) = (format!("/api/submissions/{id}"), format!("/api/submissions/{id}/content"));
    let before = tag(&gateway.get(&shown).await?)?;
    let put = async |tag: &str, code: &str| {
        conditional(&gateway, Method::PUT, &path, ("if-match", tag), Some(&json!({ "code": code }))).await
    };
    assert_eq!(put(&before, "mine").await?.status, 200);
    assert_eq!(put(&before, "mine").await?.status, 200, "the answer to the first may have been lost");
    put(&before, "yours").await?.is_problem(412, "precondition_failed");
    assert_eq!(gateway.get(&shown).await?.body["content"], json!({"code": "mine"}));
    let now = tag(&gateway.get(&shown).await?)?;
    assert_eq!(put(&now, "yours").await?.status, 200);
    assert_eq!(put("*", "anybody's").await?.status, 200);
    gateway.act(&format!("/api/submissions/{id}/submit")).await?;
    let last = tag(&gateway.get(&shown).await?)?;
    put(&last, "too late").await?.is_problem(409, "already_submitted");
    Ok(())
}
