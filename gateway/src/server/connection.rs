//! One connection.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service as _;
use tracing::debug;

use super::activity::{Activity, Overdue, Patience};
use super::peer::Peer;
use super::protocol;
use super::stream::Watched;
use super::tracked::{Tracked, TrackedBody};
use crate::metrics::Metrics;

/// What all connections share.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) router: Router,
    pub(super) patience: Patience,
    pub(super) write_timeout: std::time::Duration,
    pub(super) metrics: Metrics,
    /// Requests under way are answered, and then connections end.
    pub(super) leaving: CancellationToken,
}

impl Serving {
    /// Serves a connection over TLS until it ends. The handshake has the time of a head.
    pub(super) async fn encrypted(self, stream: TcpStream, tls: TlsAcceptor, peer: Peer) {
        let handshake = timeout(self.patience.header, tls.accept(stream));
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            () = self.leaving.cancelled() => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.connection(stream, peer).await,
            Ok(Err(error)) => debug!(%error, peer = %peer.address, "a TLS handshake failed"),
            Err(_elapsed) => self.metrics.connection_timed_out("handshake"),
        }
    }

    /// Serves a connection until it ends.
    pub(super) async fn connection<S>(self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::new(Activity::new(Instant::now()));
        let io = TokioIo::new(Watched::new(stream, activity.clone(), self.write_timeout));
        let requests = Requests { router: self.router, peer, activity: activity.clone() };
        let builder = protocol::builder();
        let mut connection = pin!(builder.serve_connection(io, requests));
        let mut leaving = false;
        // A head that begins brings the deadline nearer: it is looked at no later than a head's time from now.
        let next_look = |deadline: Instant| deadline.min(Instant::now() + self.patience.header);
        let mut clock = pin!(sleep_until(next_look(activity.deadline(&self.patience).0)));
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        // Whatever a client does to its own connection is no event of ours.
                        debug!(%error, peer = %peer.address, "a connection failed");
                    }
                    return;
                }
                () = self.leaving.cancelled(), if !leaving => {
                    leaving = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = clock.as_mut() => {
                    let (deadline, why) = activity.deadline(&self.patience);
                    if deadline > Instant::now() {
                        clock.as_mut().reset(next_look(deadline));
                    } else if why == Overdue::Idle && !leaving {
                        // Orderly, for a request may be on its way; whoever does not let go by the next time is cut off.
                        leaving = true;
                        self.metrics.connection_timed_out(why.into());
                        connection.as_mut().graceful_shutdown();
                        clock.as_mut().reset(Instant::now() + self.patience.header);
                    } else {
                        self.metrics.connection_timed_out(why.into());
                        return;
                    }
                }
            }
        }
    }
}

impl From<Overdue> for &'static str {
    fn from(why: Overdue) -> &'static str {
        match why {
            Overdue::Header => "header",
            Overdue::Idle => "idle",
            Overdue::Stalled => "stalled",
        }
    }
}

/// The requests of one connection.
struct Requests {
    router: Router,
    peer: Peer,
    activity: Arc<Activity>,
}

impl Service<Request<Incoming>> for Requests {
    type Response = Response<TrackedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<TrackedBody>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let tracked = Tracked::new(self.activity.clone());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer);
        let mut router = self.router.clone();
        Box::pin(async move {
            let response = router.call(request).await?;
            Ok(response.map(|body| TrackedBody::new(body, tracked)))
        })
    }
}
