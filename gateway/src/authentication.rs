//! Who asks: what stands in the header `Authorization` becomes a [`Caller`], or the request is refused.

mod bearer;
mod claims;
mod crypto;
mod jwks;
mod jwt;
mod keys;
mod mint;
mod recent;
mod refusal;
mod service_accounts;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::{MatchedPath, Request};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use jsonwebtoken::Algorithm;
use runtime::Outage;
use runtime::metrics::Dependency;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::app::App;
use crate::caller::Caller;
use crate::cluster::Cluster;
use crate::metrics::Metrics;
use crate::problem::Problem;

use claims::ClaimRules;
use jwks::Jwks;
use jwt::{Head, Key, Rules, Unproven};
use recent::{Digest, Recent};
use refusal::Refusal;
use service_accounts::ServiceAccounts;

pub(crate) use claims::is_subject;
pub use jwks::JwksContradiction;
pub use mint::MintFlags;
pub use service_accounts::ServiceAccountContradiction;
pub use settings::{AuthenticationContradiction, AuthenticationFlags};

/// How long what was found out about a token is believed at most: short enough that no clock matters.
const BELIEVED: Duration = Duration::from_secs(300);

/// Tokens of which this is remembered. A class of many thousands may ask at the same time.
const REMEMBERED: usize = 10_000;

/// Everything that tells callers apart.
pub(crate) struct Authentication {
    secret: Option<Key>,
    jwks: Option<Jwks>,
    accounts: Option<ServiceAccounts>,
    rules: Rules,
    claims: ClaimRules,
    verified: Recent<Verified>,
}

/// A token that was found to be genuine.
#[derive(Clone)]
struct Verified {
    caller: Arc<Caller>,
    until: Instant,
    /// The set that its key is of, if that may be replaced.
    of: Option<Digest>,
}

/// Who can say whether a token is genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Witness {
    Secret,
    Issuer,
    Kubernetes,
}

impl Authentication {
    /// As the settings have it; none when they name nothing that could tell callers apart. What it does in the background
    /// ends with those tasks.
    ///
    /// # Errors
    /// When a file that the settings name cannot be read.
    pub(crate) fn start(
        flags: &AuthenticationFlags,
        cluster: Cluster,
        metrics: &Metrics,
        background: &mut JoinSet<()>,
    ) -> anyhow::Result<Option<Authentication>> {
        if !flags.is_on() {
            warn!(
                "authentication is off: whoever reaches this gateway may do everything. To turn it on, set \
                 ASSAY_AUTH_JWKS_URL with ASSAY_AUTH_ISSUER and ASSAY_AUTH_AUDIENCE, or ASSAY_AUTH_TOKEN_REVIEW=true, \
                 or, for development, ASSAY_AUTH_SECRET"
            );
            return Ok(None);
        }
        crypto::install();
        let secret = flags.secret.read().context("the secret of HS256")?;
        let jwks = match &flags.jwks.auth_jwks_url {
            Some(url) => {
                let outage = Outage::shown_by(
                    "the issuer of tokens",
                    metrics.dependencies.away(Dependency::named("token_issuer")),
                );
                let (jwks, fetching) = Jwks::new(&flags.jwks, url.clone(), outage)?;
                background.spawn(fetching);
                Some(jwks)
            }
            None => None,
        };
        let accounts = flags.accounts.auth_token_review.then(|| {
            let outage =
                Outage::shown_by("TokenReview", metrics.dependencies.away(Dependency::named("token_review")));
            ServiceAccounts::new(&flags.accounts, cluster, outage)
        });
        info!(
            jwks = jwks.is_some(),
            token_review = accounts.is_some(),
            secret = secret.is_some(),
            "callers are authenticated"
        );
        Ok(Some(Authentication {
            secret: secret.map(|secret| Key::secret(secret.as_bytes())),
            jwks,
            accounts,
            rules: Rules::new(flags),
            claims: flags.claims.rules(),
            verified: Recent::new(REMEMBERED),
        }))
    }

    /// Who sent a request with these headers.
    async fn caller(&self, headers: &HeaderMap) -> Result<Arc<Caller>, Refusal> {
        let token = bearer::token(headers)?;
        let digest = Digest::of(token);
        if let Some(known) = self.verified.get(&digest).filter(|known| self.believes(known)) {
            return Ok(known.caller);
        }
        let head = Head::read(token)?;
        let says = Unproven::read(token)?;
        let (key, of) = match self.witness(&head, &says)? {
            Witness::Kubernetes => {
                let accounts = self.accounts.as_ref().ok_or(Refusal::Algorithm)?;
                return accounts.caller(token, digest, &says).await;
            }
            Witness::Issuer => {
                let (key, set) = self.jwks.as_ref().ok_or(Refusal::Algorithm)?.key(&head).await?;
                (key, Some(set))
            }
            Witness::Secret => (self.secret.clone().ok_or(Refusal::Algorithm)?, None),
        };
        let genuine = self.rules.verify(token, &key)?;
        let caller = Arc::new(self.claims.caller(&genuine.claims)?);
        let until = Instant::now() + genuine.left.min(BELIEVED);
        self.verified.put(digest, Verified { caller: caller.clone(), until, of });
        Ok(caller)
    }

    fn believes(&self, known: &Verified) -> bool {
        let of_a_set_that_counts = match (known.of, &self.jwks) {
            (Some(set), Some(jwks)) => jwks.believes(set),
            (Some(_), None) => false,
            (None, _) => true,
        };
        known.until > Instant::now() && of_a_set_that_counts
    }

    /// Whom to ask about a token, by what it says of itself: whoever is asked proves it.
    fn witness(&self, head: &Head, says: &Unproven) -> Result<Witness, Refusal> {
        if head.algorithm == Algorithm::HS256 {
            return self.secret.as_ref().map(|_| Witness::Secret).ok_or(Refusal::Algorithm);
        }
        let is_the_issuers = self.jwks.is_some() && self.rules.is_from_the_issuer(says);
        match (&self.accounts, &self.jwks) {
            (Some(_), _) if !is_the_issuers && service_accounts::claims_to_be_one(says) => {
                Ok(Witness::Kubernetes)
            }
            (_, Some(_)) => Ok(Witness::Issuer),
            _ => Err(Refusal::Algorithm),
        }
    }
}

/// Finds out who asks, for everything behind it. What is served to anyone stands before it. A path that leads nowhere gets
/// no caller: it is answered 404, which tells no more than the public description of the API.
pub(crate) async fn authenticate<F: Future<Output = Response>>(
    app: &App,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let Some(authentication) = &app.authentication else {
        request.extensions_mut().insert(Caller::anyone());
        return next(request).await;
    };
    if request.extensions().get::<MatchedPath>().is_none() {
        return next(request).await;
    }
    match authentication.caller(request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(Caller::clone(&caller));
            next(request).await
        }
        Err(refusal) => Problem::from(refusal).into_response(),
    }
}
