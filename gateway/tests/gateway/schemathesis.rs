//! What schemathesis, which knows nothing but the description, finds wrong with a gateway: nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testkit::TempFolder;

use crate::authentication::token::{SECRET, Signer, claims_but};
use crate::fixture::{Gateway, answer};

/// Requests for each operation and phase, unless `EXAMPLES` says otherwise.
const EXAMPLES: &str = "20";

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_server_error_and_nothing_that_is_not_described() -> Result<()> {
    let program = program()?;
    let redis = testkit::redis_url().await?;
    let database = testkit::fresh_database().await?;
    let flags = ["--auth-secret", SECRET, "--auth-audience", "assay", "--redis-url", &redis];
    let gateway = Gateway::ready(&database, &flags).await?;
    let token = |role: &str, name: &str| {
        Signer::secret().token("any", &claims_but(json!({"role": role, "sub": name, "tenant": "default"})))
    };
    let admin = token("admin", "root")?;
    fill(&gateway, &admin).await?;

    let folder = TempFolder::new()?;
    let identities = folder.path().join("identities.json");
    let identity = |name: &str, token: &str| {
        let header = json!({"name": "Authorization", "value": format!("Bearer {token}")});
        json!({"name": name, "fixedHeaders": [header]})
    };
    let known = json!({"auth": [identity("root", &admin)]});
    std::fs::write(&identities, serde_json::to_vec(&known)?)?;

    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let setting = |name: &str, otherwise: &str| std::env::var(name).unwrap_or(otherwise.to_owned());
    let mut command = Command::new(&program);
    command
        .arg("--config-file")
        .arg(project.join("hack/schemathesis/schemathesis.toml"))
        .args(["--no-color", "run", &format!("{}/openapi.json", gateway.url)])
        .arg("--auth-wfc")
        .arg(&identities)
        .args(["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--mode", "all"])
        .args(["--max-examples", &setting("EXAMPLES", EXAMPLES), "--seed", &setting("SEED", "1")])
        .arg("--continue-on-failure")
        .current_dir(folder.path())
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    ensure!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    gateway.stop().await
}

/// The program that `hack/setup.sh tests` installs. A machine without it cannot run this test, and must not
/// look as if it had.
fn program() -> Result<PathBuf> {
    let program =
        testkit::cache_folder().context("a folder for what is kept")?.join("schemathesis/bin/schemathesis");
    ensure!(program.is_file(), "{} is missing: run hack/setup.sh tests", program.display());
    Ok(program)
}

/// Has something of each kind on record, as scorers and people leave it.
async fn fill(gateway: &Gateway, token: &str) -> Result<()> {
    let post = async |path: &str, body: &Value| {
        let request = gateway.request(reqwest::Method::POST, path).bearer_auth(token).json(body);
        let answer = answer(request).await?;
        ensure!(answer.status < 300, "{path}: {answer:?}");
        anyhow::Ok(answer)
    };
    let mut submissions = Vec::new();
    for number in 0..8 {
        let content = json!({"code": format!("def f():\n    return {number}\n"), "language": "python"});
        let body = json!({"content": content, "submit": true});
        submissions.push(post("/api/submissions", &body).await?.id("id")?);
    }
    for submission in &submissions[..4] {
        post("/api/scoring", &json!({"submissionId": submission})).await?;
    }
    post("/api/scoring/batches", &json!({"submissionIds": submissions[4..]})).await?;
    for ended in [
        "status = 'DONE', scorer = 's', attempt = 1, lease_epoch = 1, score = 87.5, feedback = 'Good.', result = \
         '{\"score\": 87.5, \"tests\": [{\"name\": \"size\", \"score\": 87.5, \"max_score\": 100, \
         \"status\": \"failed\", \"output\": \"9 lines\"}]}'",
        "status = 'ERROR', scorer = 's', attempt = 4, lease_epoch = 4, feedback = 'It took too long.', error_code = \
         'timeout', error_message = 'It took too long.'",
    ] {
        let statement = format!(
            "UPDATE scoring_jobs SET started_at = now(), completed_at = now(), version = version + 1, {ended} WHERE id IN \
             (SELECT id FROM scoring_jobs WHERE status = 'QUEUED' ORDER BY batch_id NULLS FIRST, id LIMIT 2)"
        );
        gateway.execute(&statement).await?;
    }
    Ok(())
}
