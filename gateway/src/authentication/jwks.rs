//! The keys of an issuer, fetched from where it publishes them, and fetched again.
//!
//! One task fetches, so no number of requests makes two fetches at once. It does so every so often, and when a request
//! names a key that is not known, but not more often than a shortest interval allows. While the issuer does not answer,
//! its last keys are believed for a grace.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use domain::duration;
use reqwest::{Certificate, Client, Url, redirect};
use runtime::{Outage, in_full};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::info;

use super::jwt::{Head, Key};
use super::keys::{Keys, Unreadable};
use super::recent::Digest;
use super::refusal::Refusal;

/// The largest key set, in bytes. Some issuers publish certificates with each key.
const LARGEST: usize = 512 * 1024;

/// How long an issuer may take to accept a connection, and to send everything.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request waits for a fetch.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long to wait after the first failure; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Where the keys of the issuer are.
#[derive(Args, Clone, Debug)]
pub(crate) struct JwksFlags {
    /// Where the issuer publishes the keys that its tokens are signed with (a JSON Web Key Set), by RS256, ES256 or EdDSA.
    #[arg(long, env = "ASSAY_AUTH_JWKS_URL")]
    pub(super) auth_jwks_url: Option<Url>,
    /// A file with certificates (PEM) of authorities to trust at that URL, besides those of the system.
    #[arg(long, env = "ASSAY_AUTH_JWKS_CA_FILE")]
    auth_jwks_ca_file: Option<std::path::PathBuf>,
    /// How often the keys are fetched again.
    #[arg(long, env = "ASSAY_AUTH_JWKS_REFRESH", default_value = "5m", value_parser = duration::parse)]
    auth_jwks_refresh: Duration,
    /// The shortest time between two fetches, however many tokens name keys that are not known.
    #[arg(long, env = "ASSAY_AUTH_JWKS_MIN_INTERVAL", default_value = "10s", value_parser = duration::parse)]
    auth_jwks_min_interval: Duration,
    /// How long keys are believed after they were last fetched, while the issuer does not answer.
    #[arg(long, env = "ASSAY_AUTH_JWKS_GRACE", default_value = "1h", value_parser = duration::parse)]
    auth_jwks_grace: Duration,
}

/// Settings of key sets that cannot hold together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksContradiction {
    /// Whoever stands in between could give us keys.
    #[error("ASSAY_AUTH_JWKS_URL must be https: keys that come unprotected prove nothing")]
    Unprotected,
    /// Keys would be forgotten while all is well.
    #[error("ASSAY_AUTH_JWKS_GRACE ({grace:?}) is shorter than ASSAY_AUTH_JWKS_REFRESH ({refresh:?})")]
    ShortGrace {
        /// The grace.
        grace: Duration,
        /// The interval.
        refresh: Duration,
    },
    /// It would never be reached.
    #[error(
        "ASSAY_AUTH_JWKS_MIN_INTERVAL ({shortest:?}) is longer than ASSAY_AUTH_JWKS_REFRESH ({refresh:?})"
    )]
    LongInterval {
        /// The shortest interval.
        shortest: Duration,
        /// The usual one.
        refresh: Duration,
    },
    /// The issuer would be asked without a pause.
    #[error("ASSAY_AUTH_JWKS_REFRESH is {0:?}: at least 1s is needed")]
    NoPause(Duration),
}

/// Requests that wait for keys to be fetched.
const WAITING: usize = 32;

impl JwksFlags {
    /// Refuses settings that cannot hold together.
    ///
    /// # Errors
    /// The first contradiction found.
    pub(super) fn check(&self) -> Result<(), JwksContradiction> {
        let (refresh, shortest, grace) =
            (self.auth_jwks_refresh, self.auth_jwks_min_interval, self.auth_jwks_grace);
        if self.auth_jwks_url.as_ref().is_some_and(|url| url.scheme() != "https" && !is_loopback(url)) {
            return Err(JwksContradiction::Unprotected);
        }
        if refresh < Duration::from_secs(1) {
            return Err(JwksContradiction::NoPause(refresh));
        }
        if grace < refresh {
            return Err(JwksContradiction::ShortGrace { grace, refresh });
        }
        if shortest > refresh {
            return Err(JwksContradiction::LongInterval { shortest, refresh });
        }
        Ok(())
    }
}

/// Nobody stands between us and ourselves.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    url.scheme() == "http"
        && (host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback()))
}

/// What is known of the issuer's keys.
#[derive(Clone, Default)]
struct Known {
    fetched: Option<Fetched>,
    /// How often a fetch has ended, well or not.
    attempts: u64,
    /// When the last one did.
    attempted: Option<Instant>,
    /// Whether the last one failed.
    failing: bool,
}

#[derive(Clone)]
struct Fetched {
    keys: Arc<Keys>,
    digest: Digest,
    at: Instant,
}

impl Known {
    /// The keys, unless they are too old to be believed.
    fn fresh(&self, grace: Duration) -> Option<&Fetched> {
        self.fetched.as_ref().filter(|fetched| fetched.at.elapsed() < grace)
    }

    /// The key that a token names.
    fn find(&self, head: &Head, grace: Duration) -> Result<(Key, Digest), Refusal> {
        let away = Refusal::Unavailable("The keys of the issuer of tokens cannot be fetched.");
        let Some(fetched) = self.fresh(grace) else { return Err(away) };
        match fetched.keys.find(head) {
            Ok(key) => Ok((key.clone(), fetched.digest)),
            // It may be a new one, which the issuer cannot tell us of.
            Err(Refusal::UnknownKey) if self.failing => Err(away),
            Err(refusal) => Err(refusal),
        }
    }
}

/// The keys of an issuer.
pub(super) struct Jwks {
    known: watch::Receiver<Known>,
    /// The number of the attempt that somebody waits for.
    wanted: watch::Sender<u64>,
    min_interval: Duration,
    grace: Duration,
    /// Of those who wait for a fetch.
    places: Semaphore,
}

impl Jwks {
    /// The keys at a URL, and what fetches them until it is dropped.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub(super) fn new(
        flags: &JwksFlags,
        url: Url,
        outage: Outage,
    ) -> anyhow::Result<(Jwks, impl Future<Output = ()> + Send + use<>)> {
        let (tell, known) = watch::channel(Known::default());
        let (wanted, asked) = watch::channel(0);
        let fetcher =
            Fetcher { client: client(flags, &url)?, url, outage, tell, asked, flags: flags.clone() };
        Ok((
            Jwks {
                known,
                wanted,
                min_interval: flags.auth_jwks_min_interval,
                grace: flags.auth_jwks_grace,
                places: Semaphore::new(WAITING),
            },
            fetcher.run(),
        ))
    }

    /// The key that a token says it was signed with, and of which set it is.
    pub(super) async fn key(&self, head: &Head) -> Result<(Key, Digest), Refusal> {
        let mut known = self.known.clone();
        let seen = known.borrow_and_update().clone();
        let found = seen.find(head, self.grace);
        let may_change = matches!(found, Err(Refusal::UnknownKey | Refusal::Unavailable(_)));
        if !may_change || seen.attempted.is_some_and(|at| at.elapsed() < self.min_interval) {
            return found;
        }
        // Whoever waits holds the place of another who could be served.
        let Ok(_place) = self.places.try_acquire() else { return found };
        self.wanted.send_if_modified(|wanted| {
            let later = seen.attempts + 1;
            let asks = *wanted < later;
            *wanted = later.max(*wanted);
            asks
        });
        let attempted = known.wait_for(|known| known.attempts > seen.attempts);
        match timeout(PATIENCE, attempted).await {
            Ok(Ok(known)) => known.find(head, self.grace),
            _ => Err(Refusal::Unavailable("The issuer of tokens does not answer with its keys.")),
        }
    }

    /// Whether a set of keys is still the one that is believed.
    pub(super) fn believes(&self, set: Digest) -> bool {
        self.known.borrow().fresh(self.grace).is_some_and(|fetched| fetched.digest == set)
    }
}

struct Fetcher {
    client: Client,
    url: Url,
    outage: Outage,
    tell: watch::Sender<Known>,
    asked: watch::Receiver<u64>,
    flags: JwksFlags,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the issuer of tokens cannot be reached")]
    Http(#[from] reqwest::Error),
    #[error("the issuer of tokens answers {0} where its keys should be")]
    Status(u16),
    #[error("the issuer of tokens sends more than {LARGEST} bytes of keys")]
    TooLarge,
    #[error("the key set of the issuer of tokens cannot be used")]
    Unreadable(#[from] Unreadable),
}

impl Fetcher {
    async fn run(mut self) {
        let mut failures = 0;
        loop {
            let outcome = self.fetch().await;
            match &outcome {
                Ok(_) => self.outage.end(),
                Err(error) => self.outage.begin(&in_full(error)),
            }
            failures = if outcome.is_ok() { 0 } else { failures + 1 };
            self.note(outcome.ok());
            let attempts = self.tell.borrow().attempts;
            let pause = pause(failures, self.flags.auth_jwks_refresh);
            // Whoever asks meanwhile is told what is known.
            sleep(self.flags.auth_jwks_min_interval.min(pause)).await;
            let rest = sleep(pause.saturating_sub(self.flags.auth_jwks_min_interval));
            tokio::select! {
                () = rest => {}
                asked = self.asked.wait_for(|wanted| *wanted > attempts) => if asked.is_err() { return },
            }
        }
    }

    async fn fetch(&self) -> Result<(Keys, Digest), FetchError> {
        let mut response =
            self.client.get(self.url.clone()).send().await.map_err(reqwest::Error::without_url)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
            if text.len() + chunk.len() > LARGEST {
                return Err(FetchError::TooLarge);
            }
            text.extend_from_slice(&chunk);
        }
        Ok((Keys::read(&text)?, Digest::of(&text)))
    }

    fn note(&self, fetched: Option<(Keys, Digest)>) {
        self.tell.send_modify(|known| {
            let now = Instant::now();
            known.attempts += 1;
            known.attempted = Some(now);
            known.failing = fetched.is_none();
            if let Some((keys, digest)) = fetched {
                if known.fetched.as_ref().is_none_or(|before| before.digest != digest) {
                    info!(keys = keys.len(), "the issuer of tokens has these keys");
                }
                known.fetched = Some(Fetched { keys: Arc::new(keys), digest, at: now });
            }
        });
    }
}

/// How long after an attempt the next one is made, if nobody asks.
fn pause(failures: u32, refresh: Duration) -> Duration {
    match failures.checked_sub(1) {
        None => refresh,
        Some(repeated) => (FIRST_PAUSE * 2_u32.pow(repeated.min(10))).min(LONGEST_PAUSE).min(refresh),
    }
}

fn client(flags: &JwksFlags, url: &Url) -> anyhow::Result<Client> {
    let mut builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(FETCH_TIMEOUT)
        // Keys come from where the settings say, and from nowhere else.
        .redirect(redirect::Policy::none())
        .user_agent("assay-gateway");
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    if let Some(file) = &flags.auth_jwks_ca_file {
        let describe = || format!("read the certificates in {}", file.display());
        let text = std::fs::read(file).with_context(describe)?;
        builder = builder.tls_certs_merge(Certificate::from_pem_bundle(&text).with_context(describe)?);
    }
    builder.build().context("make a client for ASSAY_AUTH_JWKS_URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_that_fails_is_asked_less_and_less_often() {
        let refresh = Duration::from_secs(300);
        let pauses: Vec<u64> = (0..8).map(|failures| pause(failures, refresh).as_secs()).collect();
        assert_eq!(pauses, [300, 1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(pause(9, Duration::from_secs(2)).as_secs(), 2);
        assert_eq!(pause(u32::MAX, refresh), LONGEST_PAUSE);
    }

    #[test]
    fn keys_may_come_unprotected_only_from_this_machine() {
        let loopback = |url: &str| is_loopback(&url.parse().expect("a URL"));
        for url in ["http://127.0.0.1:8/keys", "http://localhost/keys", "http://[::1]/keys"] {
            assert!(loopback(url), "{url}");
        }
        for url in
            ["http://10.0.0.1/", "http://localhost.example.com/", "ftp://127.0.0.1/", "http://example.com/"]
        {
            assert!(!loopback(url), "{url}");
        }
    }
}
