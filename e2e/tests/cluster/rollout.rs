//! `helm upgrade` and `helm rollback` while clients ask, and a new certificate of the external metrics.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::Installation;
use e2e::installation::NAMESPACE;
use jiff::Timestamp;
use testkit::{Seen, until};
use uuid::Uuid;

use crate::TURN;
use crate::load::Load;
use crate::record::{Attempts, Heap, submissions};
use crate::release::install;

/// As the chart has it.
const GATEWAYS: usize = 2;

const BACKLOG: &str =
    "/apis/external.metrics.k8s.io/v1beta1/namespaces/assay/scoring_backlog?labelSelector=pool%3Ddefault";

/// What the operators' Lease says.
#[derive(Clone, Debug)]
struct Held {
    /// Nobody while it is free.
    holder: String,
    acquired: Timestamp,
    renewed: Timestamp,
}

impl Held {
    async fn now(installation: &Installation) -> Result<Held> {
        let fields = "-o=jsonpath={.spec.acquireTime} {.spec.renewTime} {.spec.holderIdentity}";
        let lease = installation.kubectl(&["get", "lease", "assay-operator", fields]).await?;
        let mut fields = lease.split(' ');
        let mut next = || fields.next().with_context(|| format!("a Lease with {lease:?}"));
        Ok(Held { acquired: next()?.parse()?, renewed: next()?.parse()?, holder: next()?.trim().to_owned() })
    }
}

/// Installs once more, with Pods of all services replaced.
async fn upgrade() -> Result<()> {
    let round = Uuid::now_v7();
    let pods =
        ["gateway", "operator", "scorer.defaults"].map(|it| format!("{it}.podAnnotations.round={round}"));
    install(&["--set-string", &pods.join(",")]).await
}

/// Waits until somebody leads who did not; returns how long nobody has, at most.
async fn handover(installation: &Installation) -> Result<Duration> {
    let before = Held::now(installation).await?;
    let (mut last, mut left) = (before.clone(), None);
    loop {
        let now = Held::now(installation).await?;
        if now.holder != before.holder && !now.holder.is_empty() {
            // Taken between two looks, or after it had run out: no longer than since the one before was last heard of.
            let at_most = || Duration::try_from(now.acquired.duration_since(last.renewed));
            return Ok(left.map_or_else(at_most, |left: Instant| Ok(left.elapsed()))?);
        }
        if now.holder.is_empty() {
            left.get_or_insert_with(Instant::now);
        }
        last = now;
    }
}

/// Replaces the Pods of all services; the operator that leads hands over.
async fn replace(installation: &Installation, change: impl Future<Output = Result<()>>) -> Result<()> {
    let handed_over = tokio::time::timeout(Duration::from_secs(120), handover(installation));
    let (changed, handed_over) = tokio::join!(change, handed_over);
    changed?;
    let handed_over = handed_over.context("nobody else leads")??;
    println!("nobody led for {handed_over:.2?} at most");
    ensure!(handed_over < Duration::from_secs(3), "nobody led for {handed_over:?}");
    until("the gateways of before have gone", Duration::from_secs(90), async || {
        let gateways = "--selector=app.kubernetes.io/component=gateway";
        let pods = installation.kubectl(&["get", "pods", gateways, "-o=name"]).await?;
        Ok(Seen::when(pods.lines().count() == GATEWAYS, || pods))
    })
    .await
}

#[tokio::test]
async fn an_upgrade_and_its_rollback_under_load_lose_no_request_and_spend_no_attempt() -> Result<()> {
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    let reached = installation.reach().await?;
    let ids = submissions(&installation, 16_000).await?;
    let heap = Heap::from_now(&installation).await?;
    let load = Load::begin(&reached.api, &ids);
    replace(&installation, upgrade()).await?;
    replace(&installation, async {
        installation.helm(&["rollback", NAMESPACE, "--wait", "--timeout=5m"]).await.map(drop)
    })
    .await?;
    let answered = load.end().await?;
    println!("{answered} requests answered");
    ensure!(answered > 100, "too few requests");
    let attempts = heap.was_scored_once().await?;
    ensure!(attempts == Attempts { done: attempts.done, lease_lost: 0, others: 0 }, "{attempts:?}");
    Ok(())
}

#[tokio::test]
async fn a_new_certificate_drops_no_metric() -> Result<()> {
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    let secret = ["secret", "assay-external-metrics-tls"];
    let certificate = async || {
        installation.kubectl(&[&["get"], &secret[..], &["-o=jsonpath={.data.tls\\.crt}"]].concat()).await
    };
    let before = certificate().await?;
    installation
        .kubectl(&[&["annotate", "--overwrite"], &secret[..], &["assay.dev/rotate=authority"]].concat())
        .await?;
    let begun = Instant::now();
    let (mut asked, mut changed_at) = (0, None);
    // Some time longer: the other replica follows.
    while changed_at.is_none_or(|at: Instant| at.elapsed() < Duration::from_secs(5)) {
        installation.kubectl(&["get", "--raw", BACKLOG]).await.with_context(|| format!("request {asked}"))?;
        asked += 1;
        if changed_at.is_none() && certificate().await? != before {
            changed_at = Some(Instant::now());
        }
        ensure!(begun.elapsed() < Duration::from_secs(90), "no new certificate is made");
    }
    println!("asked {asked} times in {:?}", begun.elapsed());
    Ok(())
}
