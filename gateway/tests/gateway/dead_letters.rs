//! Listing, inspecting and redriving dead letters.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use testkit::{Link, Weather};
use uuid::Uuid;

use crate::fixture::{Answer, Gateway, WAITS, number, until};

/// So many jobs that ended without a score for want of time, a second apart.
async fn many_dead(gateway: &Gateway, how_many: u32) -> Result<()> {
    let statement = format!(
        "WITH made AS (
           INSERT INTO submissions (id, status, content)
           SELECT gen_random_uuid(), 'SUBMITTED', '{{\"code\": \"1\"}}' FROM generate_series(1, {how_many}) RETURNING id
         ), numbered AS (SELECT id, row_number() OVER () AS n FROM made)
         INSERT INTO scoring_jobs (id, submission_id, tenant, status, rubric, rubric_version, feedback, error_code,
           created_at, completed_at, resource_kind)
         SELECT gen_random_uuid(), id, 'default', 'ERROR', 'quick', '1', 'failed', 'timeout', now() - INTERVAL '1 day',
           now() - n * INTERVAL '1 second', 'none' FROM numbered"
    );
    gateway.execute(&statement).await
}

/// A job that ended without a score after an attempt.
async fn dead(gateway: &Gateway) -> Result<Uuid> {
    let submission = gateway.submission().await?;
    let traced = gateway
        .request(reqwest::Method::POST, "/api/scoring")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .json(&json!({"submissionId": submission}));
    let job = crate::fixture::answer(traced).await?.id("job_id")?;
    let fail = format!(
        "UPDATE scoring_jobs SET status = 'ERROR', started_at = now(), completed_at = now(), scorer = 's', attempt = 1,
           lease_epoch = 7, error_code = 'invalid_content', error_message = 'empty', feedback = 'Not scored: empty',
           version = version + 1 WHERE id = '{job}';
         INSERT INTO scoring_attempts (job_id, lease_epoch, attempt, scorer, started_at, ended_at, outcome, error_code,
           message) VALUES ('{job}', 7, 1, 's', now(), now(), 'permanent', 'invalid_content', 'empty')"
    );
    gateway.execute(&fail).await?;
    Ok(job)
}

async fn redrive_many(gateway: &Gateway, body: Value) -> Result<Answer> {
    gateway.post("/api/dead-letters/redrive", &body).await
}

const REDRIVEN: &str = "SELECT count(*) FROM redrives";
const ACTIVE: &str = "SELECT count(*) FROM scoring_jobs WHERE completed_at IS NULL";

#[tokio::test]
async fn a_dead_letter_is_shown_with_its_attempts_trace_and_redrives() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let job = dead(&gateway).await?;
    let path = format!("/api/dead-letters/{job}");
    let redriven = gateway.act(&format!("{path}/redrive")).await?;
    let new = redriven.id("job_id")?;
    assert_eq!((redriven.status, &redriven.body), (202, &json!({"job_id": new, "status": "QUEUED"})));

    let shown = gateway.get(&path).await?;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.fields(), ["attempts", "job", "redriveOf", "redrives", "traceId"]);
    assert_eq!(shown.body["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    let letter = &shown.body["job"];
    assert_eq!((&letter["job_id"], &letter["cause"]), (&json!(job), &json!("permanent")));
    assert_eq!(letter["error"], json!({"code": "invalid_content", "message": "empty"}));
    assert_eq!(letter["redrivenAs"]["job_id"], json!(new));
    let attempt = &shown.body["attempts"][0];
    let fields: Vec<&String> = attempt.as_object().context("an attempt")?.keys().collect();
    let expected = ["attempt", "endedAt", "epoch", "errorCode", "message", "outcome", "scorer", "startedAt"];
    assert_eq!(fields, expected);
    assert_eq!((&attempt["outcome"], &attempt["epoch"]), (&json!("permanent"), &json!(7)));
    let redrive = &shown.body["redrives"][0];
    assert_eq!((&redrive["by"], &redrive["job_id"]), (&json!("the API"), &json!(new)));
    assert_eq!(redrive["status"], "QUEUED");

    gateway.get(&format!("/api/dead-letters/{new}")).await?.is_problem(404, "unknown_dead_letter");
    let unknown = format!("/api/dead-letters/{}/redrive", Uuid::now_v7());
    gateway.act(&unknown).await?.is_problem(404, "unknown_dead_letter");
    Ok(())
}

#[tokio::test]
async fn redriving_twice_is_answered_with_the_job_that_was_made() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let job = dead(&gateway).await?;
    let path = format!("/api/dead-letters/{job}/redrive");
    let new = gateway.act(&path).await?.id("job_id")?;
    let again = gateway.act(&path).await?;
    assert_eq!((again.status, &again.body), (200, &json!({"job_id": new, "status": "QUEUED"})));
    let not_failed = gateway.act(&format!("/api/dead-letters/{new}/redrive")).await?;
    not_failed.is_problem(409, "not_failed");
    assert_eq!(gateway.number(ACTIVE).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_submission_that_has_another_job_is_answered_with_that_one() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let (job, submission) = gateway.job().await?;
    gateway.delete(&format!("/api/scoring/{job}")).await?;
    let other = gateway.post("/api/scoring", &json!({"submissionId": submission})).await?.id("job_id")?;
    let path = format!("/api/dead-letters/{job}/redrive");
    let answer = gateway.act(&path).await?;
    assert_eq!((answer.status, &answer.body), (200, &json!({"job_id": other, "status": "QUEUED"})));
    let done = format!(
        "UPDATE scoring_jobs SET status = 'DONE', started_at = now(), completed_at = now(), scorer = 's', attempt = 1,
           lease_epoch = 1, score = 1, feedback = 'Good.', version = version + 1 WHERE id = '{other}'"
    );
    gateway.execute(&done).await?;
    let answer = gateway.act(&path).await?;
    assert_eq!((answer.status, &answer.body), (200, &json!({"job_id": other, "status": "DONE"})));
    assert_eq!(gateway.number(REDRIVEN).await?, 0);
    Ok(())
}

#[tokio::test]
async fn dead_letters_are_listed_page_by_page_and_narrowed() -> Result<()> {
    let gateway = Gateway::alone().await?;
    many_dead(&gateway, 5).await?;
    let last = dead(&gateway).await?;
    gateway.job().await?;
    let (mut ended, mut path, mut pages) = (Vec::new(), "/api/dead-letters?limit=4".to_owned(), 0);
    loop {
        let page = gateway.get(&path).await?;
        assert_eq!((page.status, page.fields()), (200, vec!["items", "nextCursor"]));
        for item in page.body["items"].as_array().context("items")? {
            ended.push(item["completedAt"].as_str().context("a time")?.parse::<jiff::Timestamp>()?);
        }
        pages += 1;
        match page.body["nextCursor"].as_str() {
            Some(cursor) => path = format!("/api/dead-letters?limit=4&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!((ended.len(), pages), (6, 2));
    assert!(ended.is_sorted_by(|a, b| a > b), "{ended:?}");

    let listed = async |query: &str| {
        let page = gateway.get(&format!("/api/dead-letters?{query}")).await?;
        let items = page.body["items"].as_array().with_context(|| format!("{page:?}"))?;
        anyhow::Ok(items.iter().map(|item| item["job_id"].clone()).collect::<Vec<_>>())
    };
    assert_eq!(listed("code=invalid_content").await?, [json!(last)]);
    assert_eq!(listed("rubric=quick&pool=default&tenant=default").await?.len(), 5);
    assert_eq!(listed(&format!("until={}", ended[3])).await?.len(), 2);
    assert_eq!(listed(&format!("from={}", ended[3])).await?.len(), 4);
    assert_eq!(listed("redriven=true").await?.len(), 0);
    gateway.act(&format!("/api/dead-letters/{last}/redrive")).await?;
    assert_eq!(listed("redriven=true").await?, [json!(last)]);
    for query in ["limit=0", "limit=201", "cursor=x", "from=yesterday", "redriven=maybe", "cod=timeout"] {
        gateway.get(&format!("/api/dead-letters?{query}")).await?.is_problem(400, "invalid_query");
    }
    Ok(())
}

#[tokio::test]
async fn all_of_a_database_is_redriven_only_when_that_is_said() -> Result<()> {
    let gateway = Gateway::alone().await?;
    many_dead(&gateway, 3).await?;
    for body in [
        json!({}),
        json!({"filter": {}}),
        json!({"all": false, "dryRun": false}),
        json!({"all": true, "filter": {"code": "timeout"}}),
        json!({"all": true, "perSecond": 0}),
        json!({"all": true, "perSecond": -1}),
        json!({"all": true, "limit": 0}),
    ] {
        redrive_many(&gateway, body).await?.is_problem(422, "invalid_redrive");
    }
    for body in [json!({"filter": {"cod": "timeout"}}), json!({"all": true, "dry_run": true})] {
        redrive_many(&gateway, body).await?.is_problem(400, "invalid_body");
    }
    assert_eq!(gateway.number(REDRIVEN).await?, 0);
    let all = redrive_many(&gateway, json!({"all": true})).await?;
    assert_eq!((all.status, &all.body["redriven"]), (200, &json!(3)));
    Ok(())
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_does_nothing() -> Result<()> {
    let gateway = Gateway::alone().await?;
    many_dead(&gateway, 30).await?;
    let (cancelled, _) = gateway.job().await?;
    gateway.delete(&format!("/api/scoring/{cancelled}")).await?;
    let before = gateway.number("SELECT count(*) FROM audit_log").await?;
    let dry = redrive_many(&gateway, json!({"all": true, "dryRun": true})).await?.body;
    assert_eq!((&dry["matched"], &dry["redriven"]), (&json!(31), &json!(30)));
    assert_eq!((&dry["skipped"], &dry["complete"]), (&json!({"cancelled": 1}), &json!(true)));
    assert_eq!(dry["first"].as_array().map(Vec::len), Some(10));
    for query in [REDRIVEN, ACTIVE] {
        assert_eq!(gateway.number(query).await?, 0, "{query}");
    }
    assert_eq!(gateway.number("SELECT count(*) FROM audit_log").await?, before);

    let done = redrive_many(&gateway, json!({"all": true})).await?.body;
    assert_eq!((&done["matched"], &done["redriven"]), (&dry["matched"], &dry["redriven"]));
    let by = "SELECT count(*) FROM audit_log WHERE action = 'redrive' AND actor = 'the API'";
    assert_eq!(gateway.number(by).await?, 30);
    let again = redrive_many(&gateway, json!({"all": true})).await?.body;
    assert_eq!((&again["matched"], &again["redriven"]), (&json!(1), &json!(0)));
    Ok(())
}

#[tokio::test]
async fn what_people_cancelled_comes_back_only_by_its_name() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let (cancelled, _) = gateway.job().await?;
    gateway.delete(&format!("/api/scoring/{cancelled}")).await?;
    for body in [json!({"all": true}), json!({"filter": {"pool": "default"}})] {
        let answer = redrive_many(&gateway, body).await?.body;
        assert_eq!((&answer["redriven"], &answer["skipped"]), (&json!(0), &json!({"cancelled": 1})));
    }
    let answer = redrive_many(&gateway, json!({"filter": {"code": "cancelled"}})).await?.body;
    assert_eq!(answer["redriven"], 1);
    assert_eq!(answer["first"][0]["job_id"], json!(cancelled));
    Ok(())
}

#[tokio::test]
async fn a_large_redrive_goes_page_by_page_and_a_limit_is_kept() -> Result<()> {
    let gateway = Gateway::alone().await?;
    many_dead(&gateway, 3000).await?;
    // The statements themselves tell how many jobs each made.
    gateway
        .execute(
            "CREATE TABLE made (rows BIGINT);
             CREATE FUNCTION count_made() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN INSERT INTO made SELECT count(*) FROM fresh; RETURN NULL; END $$;
             CREATE TRIGGER count_made AFTER INSERT ON scoring_jobs REFERENCING NEW TABLE AS fresh
               FOR EACH STATEMENT EXECUTE FUNCTION count_made()",
        )
        .await?;
    let first = redrive_many(&gateway, json!({"filter": {"code": "timeout"}, "limit": 700})).await?.body;
    assert_eq!((&first["redriven"], &first["complete"]), (&json!(700), &json!(false)));
    assert_eq!(gateway.number(REDRIVEN).await?, 700);
    let until = first["continueUntil"].as_str().context("where to go on")?;
    let looked_at = format!("SELECT count(*) FROM scoring_jobs WHERE completed_at >= '{until}'");
    assert_eq!(gateway.number(&looked_at).await?, 699, "all but the last, whose time others may share");
    let filter = json!({"code": "timeout", "until": until});
    let rest = redrive_many(&gateway, json!({"filter": filter})).await?.body;
    assert_eq!(rest["continueUntil"], Value::Null);
    assert_eq!((&rest["redriven"], &rest["complete"]), (&json!(2300), &json!(true)));
    assert_eq!(gateway.number(REDRIVEN).await?, 3000);
    assert_eq!(gateway.number("SELECT max(rows) FROM made").await?, 500);
    Ok(())
}

#[tokio::test]
async fn two_gateways_that_redrive_all_at_once_make_each_job_once() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let (one, other) = tokio::try_join!(Gateway::ready(&database, &[]), Gateway::ready(&database, &[]))?;
    many_dead(&one, 2000).await?;
    let all = || json!({"all": true});
    let (a, b) = tokio::try_join!(redrive_many(&one, all()), redrive_many(&other, all()))?;
    assert_eq!((a.status, b.status), (200, 200));
    let redriven = |answer: &Answer| answer.body["redriven"].as_u64();
    assert_eq!(redriven(&a).zip(redriven(&b)).map(|(a, b)| a + b), Some(2000), "{a:?} {b:?}");
    assert_eq!(one.number(REDRIVEN).await?, 2000);
    assert_eq!(one.number(ACTIVE).await?, 2000);
    assert_eq!(one.number("SELECT count(*) FROM audit_log WHERE action = 'redrive'").await?, 2000);
    Ok(())
}

#[tokio::test]
async fn a_rate_spreads_the_jobs_whichever_request_made_them() -> Result<()> {
    let gateway = Gateway::alone().await?;
    many_dead(&gateway, 1200).await?;
    for limit in [700, 700] {
        let answer = redrive_many(&gateway, json!({"all": true, "perSecond": 10, "limit": limit})).await?;
        assert_eq!(answer.status, 200);
        assert!(answer.body["lastNotBefore"].is_string(), "{answer:?}");
    }
    assert_eq!(gateway.number(REDRIVEN).await?, 1200);
    let densest = "SELECT max(n) FROM (SELECT count(*) AS n FROM scoring_jobs WHERE completed_at IS NULL
      GROUP BY floor(extract(epoch FROM not_before))) s";
    assert!(gateway.number(densest).await? <= 10);
    let seconds = "SELECT extract(epoch FROM max(not_before) - min(not_before))::bigint FROM scoring_jobs";
    assert!((119..=150).contains(&gateway.number(seconds).await?));
    Ok(())
}

#[tokio::test]
async fn a_redrive_whose_commit_was_not_answered_is_made_once() -> Result<()> {
    let direct = testkit::fresh_database().await?;
    let (link, linked) = Link::to_url(&direct, Weather::Fair).await?;
    let gateway = Gateway::ready(&linked, &[]).await?;
    let job = dead(&gateway).await?;
    // Held by a lock until the way back is lost; the gateway repeats by itself once it is there again.
    let path = format!("/api/dead-letters/{job}/redrive");
    let mut other = PgConnection::connect(&direct).await?;
    sqlx::raw_sql("BEGIN; SELECT id FROM submissions FOR UPDATE").execute(&mut other).await?;
    let (answer, lost) = tokio::join!(gateway.act(&path), async {
        until("the redrive waits", async || Ok(number(&direct, WAITS).await? == 1)).await?;
        link.set(Weather::Mute);
        sqlx::raw_sql("COMMIT").execute(&mut other).await?;
        until("it is made", async || Ok(number(&direct, REDRIVEN).await? == 1)).await?;
        link.set(Weather::Cut);
        link.set(Weather::Fair);
        anyhow::Ok(())
    });
    lost?;
    let answer = answer?;
    assert_eq!(answer.status, 202, "{answer:?}");
    let made = number(&direct, ACTIVE).await?;
    assert_eq!((made, number(&direct, REDRIVEN).await?), (1, 1));
    assert_eq!(number(&direct, "SELECT count(*) FROM audit_log").await?, 1);
    let shown = gateway.get(&format!("/api/scoring/{}", answer.id("job_id")?)).await?;
    assert_eq!(shown.status, 200);
    Ok(())
}
