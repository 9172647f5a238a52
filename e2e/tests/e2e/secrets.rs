//! What must stand in no log.

use std::fs;

use anyhow::{Context, Result, ensure};
use e2e::sources;
use e2e::world::{self, PATIENCE};

/// A ServiceAccount of the stack's namespace.
const ACCOUNT: &str = "grader";

#[tokio::test]
async fn no_log_has_a_secret_or_a_token_in_it() -> Result<()> {
    // All that there is to log, by the libraries too.
    let stack = world::stack()
        .gateway_env("ASSAY_LOG", "trace")
        .operator_env("ASSAY_LOG", "trace")
        .scorer_env("ASSAY_LOG", "trace")
        .gateway_env("ASSAY_AUTH_TOKEN_REVIEW", "true");
    world::with(stack, async |world| {
        let learner = world.stack.credentials.token("algebra", "ada", "learner", "1h").await?;
        world.stack.kubectl(&["create", "serviceaccount", ACCOUNT]).await?;
        let account = world.stack.kubectl(&["create", "token", ACCOUNT, "--audience=assay"]).await?;
        let not_for_us = world.stack.kubectl(&["create", "token", ACCOUNT]).await?;
        let tampered = format!("{}x", world.stack.token);

        let job = world.api.submit_and_score(&sources::python(1), "default").await?;
        world.database.until_job_is(job, "DONE", PATIENCE).await?;
        for (token, status) in
            [(&learner, 200), (&account, 200), (&not_for_us, 401), (&tampered, 401), (&"x".repeat(300), 401)]
        {
            let answer = world.api.with_token(token.trim()).get("/api/scoring").await?;
            ensure!(answer.status == status, "{answer:?} and not {status}");
        }

        let secret = fs::read_to_string(world.stack.credentials.secret_file())?;
        let mut hidden = vec![secret];
        for token in [&world.stack.token, &learner, &account, &not_for_us] {
            // The head of a token is the same for all. What it says and its signature are its own.
            hidden.extend(token.trim().split('.').skip(1).map(str::to_owned));
        }
        ensure!(hidden.iter().all(|text| text.len() >= 40), "these are too short to look for");
        for service in world.stack.services() {
            let log = fs::read_to_string(service.log()).with_context(|| service.name().to_owned())?;
            ensure!(log.contains(r#""level":"DEBUG""#), "{} does not say all that it could", service.name());
            for text in &hidden {
                let found = log.lines().find(|line| line.contains(text.as_str()));
                ensure!(found.is_none(), "{} logs a secret: {found:?}", service.name());
            }
        }
        Ok(())
    })
    .await
}
