//! Taking connections.

use std::io;
use std::time::Duration;

use axum::Router;
use ipnet::IpNet;
use runtime::{Outage, Shutdown, in_full};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::activity::Patience;
use super::admission::{Admission, Full};
use super::connection::Serving;
use super::peer::{Client, Peer};
use super::settings::ServerFlags;
use super::tls::Tls;
use crate::metrics::Metrics;
use crate::proxies::is_trusted;

/// How long nothing is accepted after the machine would not let us, as when no file descriptors are left.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// How long a request, or its answer, may make no progress at all. Longer than anything that waits on purpose.
const STALLED: Duration = Duration::from_secs(180);

/// The door.
pub(crate) struct Door {
    /// Where it is.
    pub(crate) listener: TcpListener,
    /// How it is kept.
    pub(crate) settings: ServerFlags,
    /// The certificate, unless connections are in the clear.
    pub(crate) tls: Option<Tls>,
    /// Those whose connections are many clients'.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// How long to go on accepting once the stop is requested.
    pub(crate) drain_delay: Duration,
    /// How long requests under way may take after that.
    pub(crate) drain_grace: Duration,
    /// What is counted.
    pub(crate) metrics: Metrics,
}

/// Serves until the stop is requested and what was under way is answered. Says when the grace ends.
pub(crate) async fn serve(door: Door, router: Router, shutdown: &Shutdown) -> Instant {
    let Door { listener, settings, tls, trusted_proxies, drain_delay, drain_grace, metrics } = door;
    let admission = Admission::new(settings.connections, settings.connections_per_address);
    let leaving = CancellationToken::new();
    let serving = Serving {
        router,
        patience: Patience {
            header: settings.header_timeout,
            idle: settings.idle_timeout,
            stalled: STALLED.max(2 * settings.idle_timeout),
        },
        write_timeout: settings.write_timeout,
        metrics: metrics.clone(),
        leaving: leaving.clone(),
    };
    let accepting = Outage::of("accepting connections");
    let mut connections = JoinSet::new();
    let mut closes_at = None;
    loop {
        tokio::select! {
            () = shutdown.requested(), if closes_at.is_none() => {
                closes_at = Some(Instant::now() + drain_delay);
            }
            () = until(closes_at) => break,
            Some(_ended) = connections.join_next() => metrics.connections(admission.open()),
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    accepting.end();
                    let peer = Peer { address: address.ip().to_canonical() };
                    let client = (!is_trusted(peer.address, &trusted_proxies)).then(|| Client::of(peer.address));
                    match admission.admit(client) {
                        Ok(admitted) => {
                            metrics.connections(admission.open());
                            send_at_once(&stream);
                            let (serving, tls) = (serving.clone(), tls.as_ref().map(Tls::acceptor));
                            connections.spawn(async move {
                                match tls {
                                    None => serving.connection(stream, peer).await,
                                    Some(tls) => serving.encrypted(stream, tls, peer).await,
                                }
                                drop(admitted);
                            });
                        }
                        Err(full) => refuse(stream, full, &metrics),
                    }
                }
                Err(error) if concerns_one_connection(&error) => debug!(%error, "a connection came to nothing"),
                Err(error) => {
                    accepting.begin(&in_full(&error));
                    sleep(PAUSE_AFTER_ERROR).await;
                }
            },
        }
    }
    drop(listener);
    let grace_ends = Instant::now() + drain_grace;
    leaving.cancel();
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout_at(grace_ends, all_ended).await.is_err() {
        warn!(connections = connections.len(), "requests under way did not finish in time and are cut off");
    }
    metrics.connections(0);
    grace_ends
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn send_at_once(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection goes on with delays");
    }
}

/// Closed without a word: an answer would cost what there is too little of, and a TLS client could not read it.
fn refuse(stream: TcpStream, full: Full, metrics: &Metrics) {
    metrics.connection_refused(match full {
        Full::Gateway => "full",
        Full::Client => "address",
    });
    drop(stream);
}

/// Whether the next connection may well be accepted.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
