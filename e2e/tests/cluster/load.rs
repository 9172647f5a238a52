//! Clients that keep asking.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::api::Api;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

const CLIENTS: usize = 8;

/// Between two requests of a client: the load is to last, not to be as much as it can be.
const PAUSE: Duration = Duration::from_millis(50);

/// Clients that ask for scores and lists until they are told to stop.
pub(crate) struct Load {
    clients: JoinSet<Result<()>>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

impl Load {
    /// Begins to ask for the scores of these submissions.
    pub(crate) fn begin(api: &Api, submissions: &[Uuid]) -> Load {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut clients = JoinSet::new();
        for submissions in submissions.chunks(submissions.len().div_ceil(CLIENTS)) {
            clients.spawn(client(api.clone(), submissions.to_vec(), stop.clone(), answered.clone()));
        }
        Load { clients, stop, answered }
    }

    /// Stops; returns how many requests were answered, which all of them were.
    pub(crate) async fn end(mut self) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended??;
        }
        Ok(self.answered.load(Ordering::Relaxed))
    }
}

async fn client(
    api: Api,
    submissions: Vec<Uuid>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
) -> Result<()> {
    for id in submissions {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let posted = api.ask(&json!({ "submissionId": id })).await?;
        ensure!(posted.status == 202, "{posted:?}");
        let listed = api.get("/api/scoring?limit=1").await?;
        ensure!(listed.status == 200, "{listed:?}");
        answered.fetch_add(2, Ordering::Relaxed);
        sleep(PAUSE).await;
    }
    anyhow::bail!("there are no submissions left to ask for")
}
