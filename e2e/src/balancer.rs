//! A load balancer as a Service is one: it leads new connections to whatever says that it is ready, and leaves those that
//! are open alone.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use testkit::{Seen, readiness, until};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::world::PATIENCE;

/// How late it learns that a gateway is no longer ready.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A loopback port behind which are several.
#[derive(Debug)]
pub struct Balancer {
    port: u16,
    ready: watch::Receiver<Vec<u16>>,
    looking: JoinHandle<()>,
}

impl Balancer {
    /// A balancer before the gateways on these loopback ports.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn before(ports: Vec<u16>) -> Result<Balancer> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let port = listener.local_addr()?.port();
        let (found, ready) = watch::channel(Vec::new());
        let looking = tokio::spawn(async move {
            let mut looks = interval(LOOK_EVERY);
            loop {
                looks.tick().await;
                let mut answering = Vec::new();
                for port in &ports {
                    if readiness::http_ok(*port, "/readyz").await.is_ok() {
                        answering.push(*port);
                    }
                }
                found.send_replace(answering);
            }
        });
        let backends = Arc::new(ready.clone());
        tokio::spawn(async move {
            let mut turn = 0;
            while let Ok((client, _)) = listener.accept().await {
                turn += 1;
                let ready = backends.borrow().clone();
                if !ready.is_empty() {
                    tokio::spawn(lead(client, ready[turn % ready.len()]));
                }
            }
        });
        Ok(Balancer { port, ready, looking })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until so many gateways are known to be ready.
    ///
    /// # Errors
    /// When they are not in time.
    pub async fn until_ready(&self, count: usize) -> Result<()> {
        until(format!("{count} gateways are ready"), PATIENCE, async || {
            let ready = self.ready.borrow().clone();
            Ok(Seen::when(ready.len() == count, || format!("ready are {ready:?}")))
        })
        .await
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// A connection that is refused ends the client's, too: nothing is tried again here.
async fn lead(mut client: TcpStream, port: u16) {
    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
