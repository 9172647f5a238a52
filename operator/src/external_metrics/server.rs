//! The door: connections over TLS, with or without a certificate of the client.
//!
//! Any client certificate whose key the client has is taken here; what it is worth is judged for each request. So a CA
//! that is exchanged, and a certificate that expires, also count for connections that are open.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use runtime::{Outage, Shutdown, in_full};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service as _;
use tracing::{debug, warn};

use super::trust::Trust;

/// The most connections at a time: API servers share few among all who ask them.
const MOST_CONNECTIONS: usize = 256;

/// How long the head of a request may take; over HTTP/1, also how long a connection may be idle.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a handshake may take, and a connection last over which nobody known has proved themselves: whoever may ask
/// nothing does not keep the API server out.
const PATIENCE_WITH_STRANGERS: Duration = Duration::from_secs(10);

/// How often a client of HTTP/2 is asked whether it is still there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);

/// How long to go on accepting once the stop was asked for: until then some proxy may still lead here.
const DRAIN_DELAY: Duration = Duration::from_secs(2);

/// How long requests under way may take after that.
const GRACE: Duration = Duration::from_secs(5);

/// How long nothing is accepted after the machine would not let us, as when no file descriptors are left.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// What is spoken over TLS, the better first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The certificates that a client has shown, its own first, and proved to have the key of.
#[derive(Clone, Debug)]
pub(super) struct Shown(pub(super) Arc<[CertificateDer<'static>]>);

/// What serves this certificate.
///
/// # Errors
/// When the key is not that of the certificate.
pub(super) fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let any = AnyClient { algorithms: provider.signature_verification_algorithms };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(any))
        .with_single_cert(chain, key)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

/// Serves with the certificate of the moment until the stop is asked for. Nobody is served before there is one.
pub(super) async fn serve(
    listener: TcpListener,
    mut tls: watch::Receiver<Option<Arc<ServerConfig>>>,
    trust: watch::Receiver<Option<Arc<Trust>>>,
    router: Router,
    shutdown: Shutdown,
) {
    if shutdown.unless_requested(super::is_known(&mut tls)).await != Some(true) {
        return;
    }
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let leaving = CancellationToken::new();
    let accepting = Outage::of("accepting connections for external metrics");
    let mut connections = JoinSet::new();
    let stopping = async {
        shutdown.requested().await;
        sleep(DRAIN_DELAY).await;
    };
    let mut stopping = std::pin::pin!(stopping);
    loop {
        let next = async {
            let permit = room.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        tokio::select! {
            () = stopping.as_mut() => break,
            Some(_ended) = connections.join_next() => {}
            (permit, accepted) = next => match accepted {
                Ok((stream, _)) => {
                    accepting.end();
                    let Some(config) = tls.borrow().clone() else { continue };
                    let connection =
                        connection(stream, config, trust.clone(), router.clone(), leaving.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    accepting.begin(&in_full(&error));
                    sleep(PAUSE_AFTER_ERROR).await;
                }
            },
        }
    }
    drop(listener);
    leaving.cancel();
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(GRACE, all_ended).await.is_err() {
        warn!(connections = connections.len(), "requests for external metrics did not finish in time");
    }
}

async fn connection(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    trust: watch::Receiver<Option<Arc<Trust>>>,
    router: Router,
    leaving: CancellationToken,
) {
    let handshake = timeout(PATIENCE_WITH_STRANGERS, TlsAcceptor::from(config).accept(stream));
    let stream = match leaving.run_until_cancelled(handshake).await {
        Some(Ok(Ok(stream))) => stream,
        Some(Ok(Err(error))) => return debug!(%error, "a TLS handshake failed"),
        Some(Err(_)) | None => return,
    };
    let shown = Shown(stream.get_ref().1.peer_certificates().unwrap_or_default().into());
    let is_known = trust.borrow().as_ref().is_some_and(|trust| trust.knows(&shown.0, UnixTime::now()));
    let requests = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(shown.clone());
        router.clone().call(request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let connection = builder.serve_connection(TokioIo::new(stream), requests);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = sleep(PATIENCE_WITH_STRANGERS), if !is_known => return,
        () = leaving.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(error, "a connection failed");
    }
}

/// Asks for a certificate, and takes any whose key the client has.
#[derive(Debug)]
struct AnyClient {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        // Not what it says: what it is worth is judged for each request.
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
