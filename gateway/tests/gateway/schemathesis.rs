//! What schemathesis, which knows nothing but the description, finds wrong with a gateway: nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use testkit::{Place, Redis, TempFolder};

use crate::authentication::token::{SECRET, Signer, claims_but};
use crate::fixture::{Gateway, answer};

/// Requests for each operation and phase, unless `EXAMPLES` says otherwise.
const EXAMPLES: &str = "20";

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_server_error_and_nothing_that_is_not_described() -> Result<()> {
    let program = program()?;
    // Its own: gateways that share one share what is left of a limit, too.
    let servers = TempFolder::new()?;
    let redis = Redis::start(&Place::owned(servers.path())).await?;
    let redis_url = redis.url();
    let database = testkit::fresh_database().await?;
    let mut flags = vec!["--auth-secret", SECRET, "--auth-audience", "assay", "--redis-url", &redis_url];
    // What is limited would be all that schemathesis sees.
    for limit in
        ["--rate-address-reads", "--rate-address-writes", "--rate-subject-reads", "--rate-subject-writes"]
    {
        flags.extend([limit, "1000000/1s"]);
    }
    let gateway = Gateway::ready(&database, &flags).await?;
    fill(&gateway, &token("admin")?).await?;
    let folder = TempFolder::new()?;
    write_ids(&gateway, folder.path()).await?;
    for name in ["schemathesis.toml", "hooks.py"] {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hack/schemathesis").join(name);
        std::fs::copy(kept, folder.path().join(name))?;
    }
    for role in ["admin", "instructor", "learner"] {
        let mut command = command(&program, &gateway, folder.path(), role)?;
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let said = String::from_utf8_lossy(&output.stdout);
        println!("As {role}:\n{said}");
        ensure!(output.status.success(), "as {role}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    gateway.stop().await
}

/// A token of somebody of this role.
fn token(role: &str) -> Result<String> {
    Signer::secret().token("any", &claims_but(json!({"role": role, "sub": role, "tenant": "default"})))
}

/// Schemathesis with all checks, in this folder, asking as somebody of this role.
fn command(program: &Path, gateway: &Gateway, folder: &Path, role: &str) -> Result<Command> {
    let header = json!({"name": "Authorization", "value": format!("Bearer {}", token(role)?)});
    let identities = json!({"auth": [{"name": role, "fixedHeaders": [header]}]});
    std::fs::write(folder.join("identities.json"), serde_json::to_vec(&identities)?)?;
    let setting = |name: &str, otherwise: &str| std::env::var(name).unwrap_or(otherwise.to_owned());
    let mut command = Command::new(program);
    command
        .args(["--config-file", "schemathesis.toml", "--no-color"])
        .args(["run", &format!("{}/openapi.json", gateway.url), "--auth-wfc", "identities.json"])
        .args(["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--mode", "all"])
        .args(["--max-examples", &setting("EXAMPLES", EXAMPLES), "--seed", &setting("SEED", "1")])
        .arg("--continue-on-failure")
        .current_dir(folder)
        .stdin(Stdio::null());
    Ok(command)
}

/// The program that `hack/setup.sh tests` installs. A machine without it cannot run this test, and must not
/// look as if it had.
fn program() -> Result<PathBuf> {
    let program =
        testkit::cache_folder().context("a folder for what is kept")?.join("schemathesis/bin/schemathesis");
    ensure!(program.is_file(), "{} is missing: run hack/setup.sh tests", program.display());
    Ok(program)
}

/// How many of each kind there are.
const EACH: usize = 12;

/// Has something of each kind on record, as scorers and people leave it.
async fn fill(gateway: &Gateway, token: &str) -> Result<()> {
    let send = async |method: Method, path: &str, body: Option<Value>| {
        let request = gateway.request(method, path).bearer_auth(token);
        let answer = answer(body.iter().fold(request, |request, body| request.json(body))).await?;
        ensure!(answer.status < 300, "{path}: {answer:?}");
        anyhow::Ok(answer)
    };
    let submission = async |submit: bool| {
        let body =
            json!({"content": {"code": "def f():\n    pass\n", "language": "python"}, "submit": submit});
        send(Method::POST, "/api/submissions", Some(body)).await?.id("id")
    };
    let job = async || {
        let body = json!({"submissionId": submission(true).await?});
        send(Method::POST, "/api/scoring", Some(body)).await?.id("job_id")
    };
    let mut members = Vec::new();
    for _ in 0..EACH {
        submission(false).await?;
        submission(true).await?;
        members.push(submission(true).await?);
        send(Method::DELETE, &format!("/api/scoring/{}", job().await?), None).await?;
        for ended in [DONE, TIMED_OUT] {
            let statement = format!(
                "UPDATE scoring_jobs SET started_at = now(), completed_at = now(), version = version + 1, scorer = 's', \
                 lease_epoch = 4, {ended} WHERE id = '{}'",
                job().await?
            );
            gateway.execute(&statement).await?;
        }
        job().await?;
    }
    send(Method::POST, "/api/scoring/batches", Some(json!({"submissionIds": members}))).await?;
    Ok(())
}

const DONE: &str = r#"status = 'DONE', attempt = 1, score = 87.5, feedback = 'Good.', result = '{"score": 87.5, "tests":
    [{"name": "size", "score": 87.5, "max_score": 100, "status": "failed", "output": "9 lines"}]}'"#;

const TIMED_OUT: &str =
    "status = 'ERROR', attempt = 4, feedback = 'It took too long.', error_code = 'timeout',
    error_message = 'It took too long.'";

/// Writes down what there is, for schemathesis to ask for.
async fn write_ids(gateway: &Gateway, folder: &Path) -> Result<()> {
    let mut connection = PgConnection::connect(&gateway.database).await?;
    for (name, query) in [
        ("submissions", "SELECT id::text FROM submissions"),
        ("jobs", "SELECT id::text FROM scoring_jobs"),
        ("batches", "SELECT id::text FROM scoring_batches"),
        ("dead-letters", "SELECT id::text FROM scoring_jobs WHERE status = 'ERROR'"),
    ] {
        let ids: Vec<String> = sqlx::query_scalar(query).fetch_all(&mut connection).await?;
        ensure!(!ids.is_empty(), "there are no {name}");
        let lines: String = ids.iter().map(|id| format!("\"{id}\"\n")).collect();
        std::fs::write(folder.join(format!("{name}.dict")), lines)?;
    }
    Ok(())
}
