//! What a sentinel says of the primary it watches.

use std::collections::HashMap;

use redis::{ConnectionInfo, RedisError};

use crate::deployment::{View, dial_server};

/// Where a sentinel says the primary is.
#[derive(Debug)]
pub(crate) struct PrimaryView {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// How many failovers it knows of, so to speak: a sentinel that was cut off has an older one.
    epoch: u64,
}

impl View for PrimaryView {
    fn age(&self) -> impl Ord {
        self.epoch
    }
}

/// Asks a sentinel for the primary of this name.
pub(crate) async fn ask(sentinel: ConnectionInfo, name: String) -> Result<PrimaryView, RedisError> {
    let mut connection = dial_server(sentinel).await?;
    let mut questions = redis::pipe();
    questions.cmd("SENTINEL").arg("MASTER").arg(&name);
    questions.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(&name);
    let (state, (host, port)): (HashMap<String, String>, (String, u16)) =
        questions.query_async(&mut connection).await?;
    let epoch = state.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
    Ok(PrimaryView { host, port, epoch })
}
