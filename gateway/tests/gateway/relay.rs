//! What becomes of jobs in Kubernetes.

use std::collections::HashSet;

use anyhow::{Context, Result};
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt};
use reqwest::Method;
use resources::{ScoringBatch, ScoringJob};
use serde_json::json;
use testkit::Weather;
use tokio::time::timeout;
use uuid::Uuid;

use crate::fixture::{Gateway, LIMIT, LinkedCluster, answer, until};

/// A namespace in the cluster for tests.
pub(crate) struct Space {
    pub(crate) name: String,
    pub(crate) kubeconfig: String,
    client: Client,
}

impl Space {
    /// A new one.
    pub(crate) async fn new() -> Result<Space> {
        let cluster = testkit::kubernetes().await?;
        cluster.apply_definitions().await?;
        let file = kube::config::Kubeconfig::read_from(&cluster.kubeconfig)?;
        let config = kube::Config::from_custom_kubeconfig(file, &Default::default()).await?;
        let kubeconfig = cluster.kubeconfig.to_str().context("a path of ASCII characters")?.to_owned();
        Ok(Space { name: testkit::fresh_namespace().await?, kubeconfig, client: Client::try_from(config)? })
    }

    /// A gateway whose resources live here.
    pub(crate) async fn gateway(&self) -> Result<Gateway> {
        let database = testkit::fresh_database().await?;
        Gateway::ready(&database, &["--namespace", &self.name, "--kubeconfig", &self.kubeconfig]).await
    }

    pub(crate) fn jobs(&self) -> Api<ScoringJob> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    pub(crate) fn batches(&self) -> Api<ScoringBatch> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Waits until the job has its resource.
    pub(crate) async fn job(&self, id: Uuid) -> Result<ScoringJob> {
        let is_there = |found: Option<&ScoringJob>| found.is_some();
        let job = timeout(LIMIT, await_condition(self.jobs(), &id.to_string(), is_there)).await;
        job.with_context(|| format!("job {id} has no resource after {LIMIT:?}"))??.context("it was there")
    }

    /// Waits until the batch has its resource.
    pub(crate) async fn batch(&self, id: Uuid) -> Result<ScoringBatch> {
        let is_there = |found: Option<&ScoringBatch>| found.is_some();
        let batch = timeout(LIMIT, await_condition(self.batches(), &id.to_string(), is_there)).await;
        batch.with_context(|| format!("batch {id} has no resource after {LIMIT:?}"))??.context("it was there")
    }
}

#[tokio::test]
async fn a_job_becomes_a_resource_of_its_own_name() -> Result<()> {
    let space = Space::new().await?;
    let gateway = space.gateway().await?;
    let submission = gateway.submission().await?;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let body = json!({"submissionId": submission, "rubric": "quick", "priority": 7});
    let request = gateway.request(Method::POST, "/api/scoring").json(&body).header("traceparent", trace);
    let id = answer(request).await?.id("job_id")?;

    let job = space.job(id).await?;
    assert_eq!((job.spec.submission_id, job.spec.knobs.priority), (submission, 7));
    assert_eq!(job.spec.knobs.rubric, "quick");
    assert_eq!(job.labels()[resources::MANAGED_BY], resources::MADE_BY_GATEWAY);
    assert_eq!(job.annotations()["assay.dev/traceparent"], trace);

    let noted = format!(
        "SELECT count(*) FROM scoring_jobs WHERE id = '{id}' AND resource_kind = 'job' AND resource_uid = '{}' \
         AND resource_namespace = '{}' AND resource_name = id::text",
        job.uid().context("uid")?,
        space.name
    );
    until("the row names its resource", async || Ok(gateway.number(&noted).await? == 1)).await?;
    let created = r#"assay_gateway_relay_created_total{kind="ScoringJob"}"#;
    until("it is counted", async || Ok(gateway.metric(created).await? == 1.0)).await
}

#[tokio::test]
async fn a_retried_job_gets_its_own_resource() -> Result<()> {
    let space = Space::new().await?;
    let gateway = space.gateway().await?;
    let (first, _) = gateway.job().await?;
    gateway.delete(&format!("/api/scoring/{first}")).await?;
    let second = gateway.act(&format!("/api/scoring/{first}/retry")).await?.id("job_id")?;
    space.job(second).await.map(drop)
}

#[tokio::test]
async fn a_batch_becomes_one_resource_that_lists_what_was_asked_for() -> Result<()> {
    let space = Space::new().await?;
    let gateway = space.gateway().await?;
    let (one, two, unknown) = (gateway.submission().await?, gateway.submission().await?, Uuid::now_v7());
    let body = json!({"submissionIds": [one, unknown, two]});
    let id = gateway.post("/api/scoring/batches", &body).await?.id("batch_id")?;
    let batch = space.batch(id).await?;
    assert_eq!(HashSet::from_iter(batch.spec.submission_ids), HashSet::<Uuid>::from([one, unknown, two]));
    assert!(
        space.jobs().list(&Default::default()).await?.items.is_empty(),
        "members are not mirrored singly"
    );

    Ok(())
}

#[tokio::test]
async fn a_batch_without_members_gets_no_resource_and_stops_no_other() -> Result<()> {
    let space = Space::new().await?;
    let gateway = space.gateway().await?;
    let none = json!({"submissionIds": [Uuid::now_v7()]});
    let none = gateway.post("/api/scoring/batches", &none).await?;
    assert_eq!((none.status, &none.body["accepted"]), (202, &json!(0)));
    let one = json!({"submissionIds": [gateway.submission().await?]});
    let one = gateway.post("/api/scoring/batches", &one).await?.id("batch_id")?;
    space.batch(one).await?;
    assert!(space.batches().get_opt(&none.id("batch_id")?.to_string()).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn more_jobs_than_there_may_be_resources_share_one() -> Result<()> {
    let space = Space::new().await?;
    let cluster = LinkedCluster::new(Weather::Cut).await?;
    let database = testkit::fresh_database().await?;
    let flags =
        ["--namespace", &space.name, "--kubeconfig", cluster.kubeconfig(), "--mirror-live-limit", "3"];
    let gateway = Gateway::ready(&database, &flags).await?;
    let mut submissions = HashSet::new();
    for _ in 0..10 {
        submissions.insert(gateway.job().await?.1);
    }
    cluster.link.set(Weather::Fair);
    until("every job is mirrored", async || {
        Ok(gateway.number("SELECT count(*) FROM scoring_jobs WHERE resource_kind IS NULL").await? == 0)
    })
    .await?;
    let unmade = "SELECT count(*) FROM scoring_batches WHERE resource_kind IS NULL";
    until("every batch is mirrored", async || Ok(gateway.number(unmade).await? == 0)).await?;

    let jobs = space.jobs().list(&Default::default()).await?.items;
    let batches = space.batches().list(&Default::default()).await?.items;
    assert!(jobs.len() <= 3, "{} resources of single jobs", jobs.len());
    assert_eq!(batches.len(), 1);
    let in_batches = batches.iter().flat_map(|batch| batch.spec.submission_ids.iter().copied());
    let mirrored: Vec<Uuid> = jobs.iter().map(|job| job.spec.submission_id).chain(in_batches).collect();
    assert_eq!(mirrored.len(), 10, "each job is mirrored once");
    assert_eq!(HashSet::from_iter(mirrored), submissions);
    Ok(())
}

#[tokio::test]
async fn without_overflow_every_job_has_its_own_resource() -> Result<()> {
    let space = Space::new().await?;
    let database = testkit::fresh_database().await?;
    let flags = [
        "--namespace",
        &space.name,
        "--kubeconfig",
        &space.kubeconfig,
        "--mirror-live-limit",
        "1",
        "--mirror-batch-overflow",
        "false",
    ];
    let gateway = Gateway::ready(&database, &flags).await?;
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.push(gateway.job().await?.0);
    }
    for job in jobs {
        space.job(job).await?;
    }
    Ok(())
}

#[tokio::test]
async fn gateways_take_turns_and_leave_nothing_behind() -> Result<()> {
    let space = Space::new().await?;
    let database = testkit::fresh_database().await?;
    let flags = ["--namespace", &space.name, "--kubeconfig", &space.kubeconfig];
    let (one, other) = (Gateway::ready(&database, &flags).await?, Gateway::ready(&database, &flags).await?);
    let mut jobs = Vec::new();
    for _ in 0..10 {
        jobs.push(one.job().await?.0);
        jobs.push(other.job().await?.0);
    }
    for job in jobs {
        space.job(job).await?;
    }
    one.stop().await?;
    let (last, _) = other.job().await?;
    space.job(last).await.map(drop)
}
