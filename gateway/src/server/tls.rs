//! TLS in this process, for those who have nothing in front that does it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use runtime::Shutdown;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tracing::{error, info};

use crate::metrics::Metrics;

/// How often the files are looked at. They are small, and looking is the one thing that works for every way in which files
/// are replaced: renamed, written over, or swapped by the links of a mounted Secret.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is spoken over TLS, the better first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The certificate of the API.
#[derive(Args, Clone, Debug, Default)]
pub struct TlsFlags {
    /// The certificate with which to serve the API over TLS, as a PEM file, with those that lead to the root. It is read
    /// again when it changes. Without it the API is served in the clear.
    #[arg(long, env = "ASSAY_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its key, as a PEM file.
    #[arg(long, env = "ASSAY_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

/// The certificate as it is now.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    current: watch::Receiver<Arc<ServerConfig>>,
}

/// Keeps it as it is in the files.
pub(crate) struct Reloader {
    files: Files,
    seen: Result<Pair, String>,
    current: watch::Sender<Arc<ServerConfig>>,
    metrics: Metrics,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// The contents of both files.
#[derive(PartialEq, Eq)]
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// Reads the files that are named; none if none are.
    ///
    /// # Errors
    /// When they cannot be read, or are no certificate and its key.
    pub(crate) async fn start(args: &TlsFlags, metrics: Metrics) -> anyhow::Result<Option<(Tls, Reloader)>> {
        let (Some(certificate), Some(key)) = (args.tls_cert.clone(), args.tls_key.clone()) else {
            return Ok(None);
        };
        let files = Files { certificate, key };
        let pair = files.read().await.map_err(anyhow::Error::msg)?;
        let (current, receiver) = watch::channel(Arc::new(pair.config()?));
        Ok(Some((Tls { current: receiver }, Reloader { files, seen: Ok(pair), current, metrics })))
    }

    /// For one connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.borrow().clone())
    }
}

impl Reloader {
    /// Has new connections use what is in the files, until the stop. A pair that cannot be used is not: the one before
    /// goes on being used.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.unless_requested(looks.tick()).await.is_some() {
            let found = self.files.read().await;
            if found == self.seen {
                continue;
            }
            match found.as_ref().map_err(|error| anyhow::Error::msg(error.clone())).and_then(Pair::config) {
                Ok(config) => {
                    self.current.send_replace(Arc::new(config));
                    self.metrics.tls_reloaded("used");
                    info!("a new certificate is used from now on");
                }
                Err(error) => {
                    self.metrics.tls_reloaded("refused");
                    let reason = format!("{error:#}");
                    error!(reason, "the new certificate cannot be used, the one before goes on being used");
                }
            }
            self.seen = found;
        }
    }
}

impl Files {
    async fn read(&self) -> Result<Pair, String> {
        let read = async |path: &Path| {
            tokio::fs::read(path).await.map_err(|error| format!("cannot read {}: {error}", path.display()))
        };
        Ok(Pair { certificate: read(&self.certificate).await?, key: read(&self.key).await? })
    }
}

impl Pair {
    fn config(&self) -> anyhow::Result<ServerConfig> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .context("the certificate is no PEM")?;
        anyhow::ensure!(!chain.is_empty(), "the file of the certificate has none");
        // What is wrong with a key must not say what is in it.
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| anyhow::anyhow!("the file of the key has no key in PEM"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("TLS 1.2 and 1.3")?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .context("the certificate and the key")?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(config)
    }
}
