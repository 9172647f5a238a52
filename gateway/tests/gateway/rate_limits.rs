//! How much one client and one caller may ask.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Place, Redis, TempFolder};
use uuid::Uuid;

use crate::authentication::token::{SECRET, Signer, claims_but};
use crate::fixture::{Answer, Gateway, answer, until};

const AUTHENTICATED: [&str; 6] =
    ["--auth-secret", SECRET, "--auth-issuer", "https://issuer.test", "--auth-audience", "assay"];
const FEW_WRITES: [&str; 2] = ["--rate-address-writes", "3/1h"];
const BEHIND_A_PROXY: [&str; 2] = ["--trusted-proxies", "127.0.0.0/8,10.0.0.0/8"];

async fn gateway(flags: &[&[&str]]) -> Result<Gateway> {
    Gateway::ready(&testkit::fresh_database().await?, &flags.concat()).await
}

/// Asks for what does not exist: that is a write as any other.
async fn write(gateway: &Gateway) -> Result<Answer> {
    gateway.post("/api/scoring", &json!({"submissionId": Uuid::nil()})).await
}

async fn write_for(gateway: &Gateway, name: &str, value: &str) -> Result<u16> {
    let request = gateway.request(Method::POST, "/api/scoring").json(&json!({"submissionId": Uuid::nil()}));
    Ok(answer(request.header(name, value)).await?.status)
}

fn token(subject: &str) -> Result<String> {
    Signer::secret().token("any", &claims_but(json!({"sub": subject})))
}

async fn own_redis() -> Result<(Redis, TempFolder)> {
    let folder = TempFolder::new()?;
    Ok((Redis::start(&Place::owned(folder.path())).await?, folder))
}

async fn decided_by(gateway: &Gateway, who: &str) -> Result<f64> {
    gateway.metric(&format!(r#"assay_gateway_rate_decisions_total{{by="{who}"}}"#)).await
}

#[tokio::test]
async fn who_asks_too_much_is_answered_429_and_told_when_to_ask_again() -> Result<()> {
    let gateway = gateway(&[&FEW_WRITES]).await?;
    for left in [2, 1, 0] {
        let answer = write(&gateway).await?;
        assert_eq!(answer.status, 404);
        assert_eq!(answer.header("ratelimit-policy"), Some(r#""address-writes";q=3;w=3600"#));
        let told = answer.header("ratelimit").unwrap_or_default().to_owned();
        assert!(told.starts_with(&format!(r#""address-writes";r={left};t="#)), "{told}");
    }
    let refused = write(&gateway).await?;
    refused.is_problem(429, "rate_limited");
    let seconds: u64 = refused.header("retry-after").context("no Retry-After")?.parse()?;
    assert!((1190..=1200).contains(&seconds), "{seconds}");
    assert_eq!(refused.header("ratelimit"), Some(r#""address-writes";r=0;t=3600"#));
    assert_eq!(gateway.metric(r#"assay_gateway_rate_limited_total{limit="address-writes"}"#).await?, 1.0);

    let read = gateway.get("/api/scoring").await?;
    assert_eq!(read.status, 200, "reads have a limit of their own");
    assert_eq!(read.header("ratelimit-policy"), Some(r#""address-reads";q=30000;w=60"#));
    let probe = gateway.get("/readyz").await?;
    assert_eq!((probe.status, probe.header("ratelimit")), (200, None));
    Ok(())
}

#[tokio::test]
async fn gateways_share_a_limit_by_way_of_redis() -> Result<()> {
    let (redis, _folder) = own_redis().await?;
    let url = redis.url();
    let flags: [&[&str]; 2] = [&["--redis-url", &url], &["--rate-address-writes", "10/1h"]];
    let (one, other) = (gateway(&flags).await?, gateway(&flags).await?);
    let mut answered = 0;
    for _ in 0..10 {
        for gateway in [&one, &other] {
            answered += usize::from(write(gateway).await?.status == 404);
        }
    }
    assert_eq!(answered, 10);
    write(&one).await?.is_problem(429, "rate_limited");
    write(&other).await?.is_problem(429, "rate_limited");
    assert!(decided_by(&one, "redis").await? > 0.0);
    Ok(())
}

#[tokio::test]
async fn requests_at_the_same_time_share_a_question_and_none_too_many_is_let_through() -> Result<()> {
    let (redis, _folder) = own_redis().await?;
    let gateway = gateway(&[&["--redis-url", &redis.url()], &["--rate-address-writes", "40/1h"]]).await?;
    let asked = futures::future::try_join_all((0..100).map(|_| write(&gateway))).await?;
    assert_eq!(asked.iter().filter(|answer| answer.status == 404).count(), 40);
    assert_eq!(asked.iter().filter(|answer| answer.status == 429).count(), 60);
    Ok(())
}

#[tokio::test]
async fn while_redis_is_away_requests_are_answered_at_once_and_limits_hold_for_each_gateway() -> Result<()> {
    let (redis, _folder) = own_redis().await?;
    let gateway = gateway(&[&["--redis-url", &redis.url()], &["--rate-address-writes", "20/1h"]]).await?;
    for _ in 0..5 {
        assert_eq!(write(&gateway).await?.status, 404);
    }
    redis.pause().await?;
    let begun = Instant::now();
    let mut answered = 0;
    for _ in 0..30 {
        answered += usize::from(write(&gateway).await?.status == 404);
    }
    // One question in half a second finds out whether Redis is back; nobody waits longer than a moment for it.
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(answered, 15, "what was spent before is not forgotten");
    assert!(decided_by(&gateway, "gateway").await? >= 15.0);

    redis.resume()?;
    let before = decided_by(&gateway, "redis").await?;
    crate::fixture::until("Redis decides again", async || {
        gateway.get("/api/scoring").await?;
        Ok(decided_by(&gateway, "redis").await? > before)
    })
    .await
}

#[tokio::test]
async fn a_gateway_whose_redis_was_never_there_limits_by_itself() -> Result<()> {
    let nobody = format!("redis://127.0.0.1:{}/", testkit::free_port()?);
    let gateway = gateway(&[&["--redis-url", &nobody], &FEW_WRITES]).await?;
    for _ in 0..3 {
        assert_eq!(write(&gateway).await?.status, 404);
    }
    write(&gateway).await?.is_problem(429, "rate_limited");
    Ok(())
}

#[tokio::test]
async fn saying_to_be_somebody_else_does_not_help() -> Result<()> {
    let gateway = gateway(&[&FEW_WRITES]).await?;
    for number in 0..3 {
        let made_up = format!("203.0.113.{number}");
        assert_eq!(write_for(&gateway, "x-forwarded-for", &made_up).await?, 404);
    }
    assert_eq!(write_for(&gateway, "x-forwarded-for", "203.0.113.77").await?, 429);
    assert_eq!(write_for(&gateway, "forwarded", "for=203.0.113.78").await?, 429);
    Ok(())
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_a_limit_and_none_hides_behind_made_up_ones() -> Result<()> {
    let gateway = gateway(&[&FEW_WRITES, &BEHIND_A_PROXY]).await?;
    for number in 0..3 {
        let path = format!("198.51.100.{number}, 203.0.113.7, 10.1.1.1");
        assert_eq!(write_for(&gateway, "x-forwarded-for", &path).await?, 404);
    }
    assert_eq!(write_for(&gateway, "x-forwarded-for", "198.51.100.9, 203.0.113.7").await?, 429);
    assert_eq!(write_for(&gateway, "x-forwarded-for", "203.0.113.8").await?, 404);
    assert_eq!(write_for(&gateway, "forwarded", "for=203.0.113.7;proto=https").await?, 429);
    // One customer's IPv6 network is one client.
    for number in 0..3 {
        let address = format!("2001:db8:1:2:{number}::{number}");
        assert_eq!(write_for(&gateway, "x-forwarded-for", &address).await?, 404);
    }
    assert_eq!(write_for(&gateway, "x-forwarded-for", "2001:db8:1:2:ffff::1").await?, 429);
    assert_eq!(write_for(&gateway, "x-forwarded-for", "2001:db8:1:3::1").await?, 404);
    Ok(())
}

#[tokio::test]
async fn callers_behind_one_address_have_a_limit_each() -> Result<()> {
    let gateway = gateway(&[&AUTHENTICATED, &["--rate-subject-writes", "2/1h"]]).await?;
    let write_as = async |subject: &str| {
        let token = token(subject)?;
        let request = gateway.request(Method::POST, "/api/scoring").bearer_auth(token);
        answer(request.json(&json!({"submissionId": Uuid::nil()}))).await
    };
    for left in [1, 0] {
        let told = write_as("ada").await?;
        assert_ne!(told.status, 429);
        let limits: Vec<_> =
            told.headers.get_all("ratelimit").iter().map(|it| it.to_str()).collect::<Result<_, _>>()?;
        assert!(limits[0].starts_with(&format!(r#""subject-writes";r={left};"#)), "{limits:?}");
        assert!(limits[1].starts_with(r#""address-writes";r="#), "{limits:?}");
    }
    write_as("ada").await?.is_problem(429, "rate_limited");
    assert_ne!(write_as("grace").await?.status, 429);
    Ok(())
}

#[tokio::test]
async fn nobody_takes_all_streams_and_all_places_of_those_who_wait_from_others() -> Result<()> {
    let gateway = gateway(&[&AUTHENTICATED, &["--streams", "40", "--watchers", "40"]]).await?;
    let ask = async |subject: &str, path: &str, prefer: &'static str| {
        let request = gateway.request(Method::GET, path).bearer_auth(token(subject)?);
        anyhow::Ok(request.header("prefer", prefer).send().await?)
    };
    let job_of = async |subject: &str| {
        let content = json!({"content": {"code": "1"}, "submit": true});
        let post = |path: &str| gateway.request(Method::POST, path);
        let made = answer(post("/api/submissions").bearer_auth(token(subject)?).json(&content)).await?;
        let body = json!({"submissionId": made.body["id"]});
        let job = answer(post("/api/scoring").bearer_auth(token(subject)?).json(&body)).await?;
        anyhow::Ok(job.body["job_id"].as_str().map(str::to_owned).unwrap_or_default())
    };
    let (of_ada, of_grace) = (job_of("ada").await?, job_of("grace").await?);
    let events = |job: &str| format!("/api/scoring/{job}/events");
    // A twentieth of what there is.
    let held = [ask("ada", &events(&of_ada), "").await?, ask("ada", &events(&of_ada), "").await?];
    assert!(held.iter().all(|response| response.status() == 200));
    let third = ask("ada", &events(&of_ada), "").await?;
    assert_eq!(third.status(), 503);
    assert_eq!(third.json::<Value>().await?["code"], "too_many_streams");
    let waiting = ask("ada", &format!("/api/scoring/{of_ada}"), "wait=20").await?;
    assert_eq!(waiting.json::<Value>().await?["code"], "too_many_watchers");
    assert_eq!(ask("grace", &events(&of_grace), "").await?.status(), 200);
    drop(held);
    until("there is room", async || Ok(ask("ada", &events(&of_ada), "").await?.status() == 200)).await
}

#[tokio::test]
async fn guessing_tokens_is_limited_too() -> Result<()> {
    let gateway = gateway(&[&AUTHENTICATED, &["--rate-address-reads", "5/1h"]]).await?;
    for _ in 0..5 {
        let guess = gateway.request(Method::GET, "/api/scoring").bearer_auth("guessed");
        assert_eq!(answer(guess).await?.status, 401);
    }
    let genuine = gateway.request(Method::GET, "/api/scoring").bearer_auth(token("ada")?);
    answer(genuine).await?.is_problem(429, "rate_limited");
    Ok(())
}
