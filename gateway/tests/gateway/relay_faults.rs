//! What becomes of jobs while Kubernetes is away, hangs or refuses.

use anyhow::Result;
use serde_json::json;
use std::time::{Duration, Instant};
use testkit::Weather;

use crate::fixture::{Gateway, LinkedCluster, until};
use crate::relay::Space;

const AWAY: &str = r#"assay_gateway_away{of="kubernetes"}"#;

#[tokio::test]
async fn while_the_api_server_is_away_posts_are_answered_and_resources_catch_up() -> Result<()> {
    let space = Space::new().await?;
    let cluster = LinkedCluster::new(Weather::Fair).await?;
    let database = testkit::fresh_database().await?;
    let flags = ["--namespace", &space.name, "--kubeconfig", cluster.kubeconfig()];
    let gateway = Gateway::ready(&database, &flags).await?;
    space.job(gateway.job().await?.0).await?;

    cluster.link.set(Weather::Cut);
    let mut jobs = vec![gateway.job().await?.0];
    until("the relay has noticed", async || Ok(gateway.metric(AWAY).await? == 1.0)).await?;
    jobs.push(gateway.job().await?.0);
    assert_eq!(gateway.get("/readyz").await?.status, 200, "the gateway serves without Kubernetes");

    cluster.link.set(Weather::Fair);
    for job in jobs {
        space.job(job).await?;
    }
    until("the relay is content", async || Ok(gateway.metric(AWAY).await? == 0.0)).await
}

#[tokio::test]
async fn an_api_server_that_never_answers_holds_up_neither_posts_nor_the_stop() -> Result<()> {
    let space = Space::new().await?;
    let cluster = LinkedCluster::new(Weather::Fair).await?;
    let database = testkit::fresh_database().await?;
    let flags = ["--namespace", &space.name, "--kubeconfig", cluster.kubeconfig()];
    let gateway = Gateway::ready(&database, &flags).await?;
    space.job(gateway.job().await?.0).await?;

    cluster.link.set(Weather::Mute);
    let (held, _) = gateway.job().await?;
    let posted = Instant::now();
    gateway.job().await?;
    assert!(posted.elapsed() < Duration::from_secs(2));
    until("the relay gives up waiting", async || Ok(gateway.metric(AWAY).await? == 1.0)).await?;
    let asked = Instant::now();
    gateway.stop().await?;
    assert!(asked.elapsed() < Duration::from_secs(15));

    // The next gateway finds what is left, some of which had been created unheard.
    let after =
        Gateway::ready(&database, &["--namespace", &space.name, "--kubeconfig", &space.kubeconfig]).await?;
    space.job(held).await?;
    let unmirrored = "SELECT count(*) FROM scoring_jobs WHERE resource_kind IS NULL";
    until("nothing is left", async || Ok(after.number(unmirrored).await? == 0)).await
}

#[tokio::test]
async fn a_job_that_the_api_server_refuses_does_not_stop_the_others() -> Result<()> {
    let space = Space::new().await?;
    let cluster = LinkedCluster::new(Weather::Cut).await?;
    let database = testkit::fresh_database().await?;
    let flags = ["--namespace", &space.name, "--kubeconfig", cluster.kubeconfig()];
    let gateway = Gateway::ready(&database, &flags).await?;
    // From the beginning, since the relay may have read it at any moment.
    gateway
        .execute(
            "CREATE FUNCTION misname() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN NEW.rubric := repeat('x', 300); RETURN NEW; END $$",
        )
        .await?;
    gateway
        .execute(
            "CREATE TRIGGER misname BEFORE INSERT ON scoring_jobs FOR EACH ROW EXECUTE FUNCTION misname()",
        )
        .await?;
    let (refused, _) = gateway.job().await?;
    gateway.execute("DROP TRIGGER misname ON scoring_jobs").await?;
    let (other, _) = gateway.job().await?;

    cluster.link.set(Weather::Fair);
    space.job(other).await?;
    space.job(gateway.job().await?.0).await?;
    assert!(space.jobs().get_opt(&refused.to_string()).await?.is_none());
    let count = r#"assay_gateway_relay_refused_total{kind="ScoringJob"}"#;
    until("the refusal is counted", async || Ok(gateway.metric(count).await? >= 1.0)).await?;

    gateway.execute(&format!("UPDATE scoring_jobs SET rubric = 'default' WHERE id = '{refused}'")).await?;
    space.job(refused).await.map(drop)
}

#[tokio::test]
async fn a_missing_namespace_is_waited_for() -> Result<()> {
    let space = Space::new().await?;
    let later = format!("{}-later", space.name);
    let database = testkit::fresh_database().await?;
    let flags = ["--namespace", &later, "--kubeconfig", &space.kubeconfig];
    let gateway = Gateway::ready(&database, &flags).await?;
    gateway.job().await?;
    until("the relay waits", async || Ok(gateway.metric(AWAY).await? == 1.0)).await?;
    testkit::kubectl(&["create", "namespace", &later]).await?;
    let mirrored = "SELECT count(*) FROM scoring_jobs WHERE resource_kind = 'job'";
    until("the job is mirrored", async || Ok(gateway.number(mirrored).await? == 1)).await
}

#[tokio::test]
async fn a_resource_that_someone_else_made_is_not_taken_for_ours() -> Result<()> {
    let space = Space::new().await?;
    let cluster = LinkedCluster::new(Weather::Cut).await?;
    let database = testkit::fresh_database().await?;
    let flags = ["--namespace", &space.name, "--kubeconfig", cluster.kubeconfig()];
    let gateway = Gateway::ready(&database, &flags).await?;
    let (job, submission) = gateway.job().await?;
    let theirs = json!({
        "apiVersion": "assay.dev/v1alpha1", "kind": "ScoringJob", "metadata": {"name": job.to_string()},
        "spec": {"submissionId": submission},
    });
    space.jobs().create(&Default::default(), &serde_json::from_value(theirs)?).await?;

    cluster.link.set(Weather::Fair);
    let count = r#"assay_gateway_relay_refused_total{kind="ScoringJob"}"#;
    until("it is refused", async || Ok(gateway.metric(count).await? >= 1.0)).await?;
    assert_eq!(gateway.number("SELECT count(*) FROM scoring_jobs WHERE resource_kind IS NULL").await?, 1);
    Ok(())
}
