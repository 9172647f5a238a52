//! `helm upgrade` while clients ask, and a new certificate of the external metrics.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::{Installation, Reached};
use jiff::Timestamp;
use serde_json::json;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use crate::TURN;
use crate::record::{Attempts, Heap, submissions};

const CLIENTS: usize = 8;
const PAUSE: Duration = Duration::from_millis(50);

const BACKLOG: &str =
    "/apis/external.metrics.k8s.io/v1beta1/namespaces/assay/scoring_backlog?labelSelector=pool%3Ddefault";

/// Asks for the score of one after the other and lists jobs, until told to stop; counts what was answered.
async fn client(
    reached: Arc<Reached>,
    ids: Vec<Uuid>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
) -> Result<()> {
    for id in ids {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let posted = reached.api.ask(&json!({ "submissionId": id })).await?;
        ensure!(posted.status == 202, "{posted:?}");
        let listed = reached.api.get("/api/scoring?limit=1").await?;
        ensure!(listed.status == 200, "{listed:?}");
        answered.fetch_add(2, Ordering::Relaxed);
        sleep(PAUSE).await;
    }
    Ok(())
}

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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let round = Uuid::now_v7();
    let pods =
        ["gateway", "operator", "scorer.defaults"].map(|it| format!("{it}.podAnnotations.round={round}"));
    let mut install = Command::new(root.join("hack/cluster/install.sh"));
    let output = install.args(["--set-string", &pods.join(",")]).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[tokio::test]
async fn an_upgrade_under_load_loses_no_request_and_spends_no_attempt() -> Result<()> {
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    let reached = Arc::new(installation.reach().await?);
    let ids = submissions(&installation, 8_000).await?;
    let heap = Heap::from_now(&installation).await?;
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for ids in ids.chunks(ids.len() / CLIENTS) {
        clients.spawn(client(reached.clone(), ids.to_vec(), stop.clone(), answered.clone()));
    }
    let before = Held::now(&installation).await?;
    let handover = async {
        let (mut last, mut left) = (before.clone(), None);
        loop {
            let now = Held::now(&installation).await?;
            if now.holder != before.holder && !now.holder.is_empty() {
                // Taken between two looks, or after it had run out: no longer than since the one before was last heard of.
                let at_most = || Duration::try_from(now.acquired.duration_since(last.renewed));
                return anyhow::Ok(match left {
                    Some(left) => Instant::elapsed(&left),
                    None => at_most()?,
                });
            }
            if now.holder.is_empty() {
                left.get_or_insert_with(Instant::now);
            }
            last = now;
        }
    };
    let (upgraded, handover) =
        tokio::join!(upgrade(), tokio::time::timeout(Duration::from_secs(120), handover));
    upgraded?;
    let handover = handover.context("nobody else leads")??;
    // Connections that were kept open to Pods that went are noticed by now.
    sleep(Duration::from_secs(3)).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    println!("{} requests answered; nobody led for {handover:.2?} at most", answered.load(Ordering::Relaxed));
    ensure!(answered.load(Ordering::Relaxed) > 100, "too few requests");
    ensure!(handover < Duration::from_secs(3), "nobody led for {handover:?}");
    heap.until_ended().await?;
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
