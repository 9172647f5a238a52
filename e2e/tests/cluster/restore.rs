//! The record as it was before, as docs/operations.md says how ("Back up and restore").

use std::time::Duration;

use anyhow::Result;
use e2e::world::PATIENCE;
use e2e::{Installation, sources};
use serde_json::json;

use crate::TURN;
use crate::record::{ask, run};
use crate::release::{asked_for_later, beside, helm, scores, until_done, with_pools};

/// The release, and its namespace.
const RESTORED: &str = "restored";

const DUMP: &str = "/tmp/assay.dump";

/// Goes back to the backup, step by step as documented.
async fn restore(release: &Installation, options: &[String]) -> Result<()> {
    release.kubectl(&["scale", "deployment", "--all", "--replicas=0"]).await?;
    let pods = "--selector=app.kubernetes.io/component in (gateway,operator,scorer)";
    release.kubectl(&["wait", "pod", pods, "--for=delete", "--timeout=90s"]).await?;

    for statement in ["DROP DATABASE assay", "CREATE DATABASE assay"] {
        run(release, "psql", &["-qc", statement, "postgres"]).await?;
    }
    run(release, "pg_restore", &["--exit-on-error", "--dbname=assay", DUMP]).await?;

    ask(release, "UPDATE resource_definitions SET uid = gen_random_uuid()").await?;
    release.kubectl(&["delete", "scoringjobs,scoringbatches", "--all", "--timeout=30s"]).await?;

    release.kubectl(&["delete", "pod", &release.name_of("redis-0")]).await?;
    helm(release, &["upgrade", RESTORED, "charts/assay"], options).await
}

#[tokio::test]
async fn a_restored_record_keeps_its_scores_and_goes_on_with_what_had_not_ended() -> Result<()> {
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    beside(&installation, RESTORED, async |release| {
        let options = with_pools(&json!({ "default": {} }));
        helm(release, &["install", RESTORED, "charts/assay"], &options).await?;
        let before = release.reach().await?;
        let done = before.api.submit_and_score(&sources::python(1), "default").await?;
        let score = before.api.job_once_ended(done, PATIENCE).await?["score"].clone();
        let later = asked_for_later(&before.api, Duration::from_secs(40)).await?;
        let of_later = format!("scoringjob/{later}");
        release.kubectl(&["wait", &of_later, "--for=create", "--timeout=30s"]).await?;
        run(release, "pg_dump", &["--format=custom", &format!("--file={DUMP}"), "assay"]).await?;

        // What the backup does not know: the job that waits has been cancelled, and there is one more.
        release.kubectl(&["delete", &of_later, "--timeout=30s"]).await?;
        let cancelled = before.api.job_once_ended(later, PATIENCE).await?;
        assert_eq!(cancelled["status"], "ERROR", "{cancelled}");
        let unknown = before.api.submit_and_score(&sources::python(2), "default").await?;
        before.api.job_once_ended(unknown, PATIENCE).await?;
        drop(before);

        restore(release, &options).await?;
        let after = release.reach().await?;
        let shown = after.api.job(done).await?;
        assert_eq!((&shown["status"], &shown["score"]), (&json!("DONE"), &score), "{shown}");
        assert_eq!(after.api.get(&format!("/api/scoring/{unknown}")).await?.status, 404);
        until_done(&after.api, later).await?;
        release.kubectl(&["wait", &of_later, "--for=condition=Complete", "--timeout=30s"]).await?;
        scores(release, 3, "default").await
    })
    .await
}
