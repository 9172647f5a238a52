//! Who asks: what stands in the header `Authorization` becomes a [`Caller`], or the request is refused.

mod bearer;
mod claims;
mod crypto;
mod jwt;
mod mint;
mod public;
mod recent;
mod refusal;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jsonwebtoken::Algorithm;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::app::SharedApp;
use crate::caller::Caller;
use crate::problem::Problem;

use claims::ClaimRules;
use jwt::{Head, Key, Rules};
use recent::{Digest, Recent};
use refusal::Refusal;

pub(crate) use claims::is_subject;
pub use mint::MintFlags;
pub use settings::{AuthenticationContradiction, AuthenticationFlags};

/// How long what was found out about a token is believed at most: short enough that no clock matters.
const BELIEVED: Duration = Duration::from_secs(300);

/// Tokens of which this is remembered. A class of many thousands may ask at the same time.
const REMEMBERED: usize = 10_000;

/// Everything that tells callers apart.
pub(crate) struct Authentication {
    secret: Option<Key>,
    rules: Rules,
    claims: ClaimRules,
    verified: Recent<Verified>,
}

/// A token that was found to be genuine.
#[derive(Clone)]
struct Verified {
    caller: Arc<Caller>,
    until: Instant,
}

impl Authentication {
    /// As the settings have it; none when they name nothing that could tell callers apart.
    ///
    /// # Errors
    /// When the secret cannot be read.
    pub(crate) fn start(flags: &AuthenticationFlags) -> anyhow::Result<Option<Authentication>> {
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
        info!(secret = secret.is_some(), "callers are authenticated");
        Ok(Some(Authentication {
            secret: secret.map(|secret| Key::secret(secret.as_bytes())),
            rules: Rules::new(flags),
            claims: flags.claims.rules(),
            verified: Recent::new(REMEMBERED),
        }))
    }

    /// Who sent a request with these headers.
    async fn caller(&self, headers: &HeaderMap) -> Result<Arc<Caller>, Refusal> {
        let token = bearer::token(headers)?;
        let digest = Digest::of(token);
        let now = Instant::now();
        if let Some(known) = self.verified.get(&digest).filter(|known| known.until > now) {
            return Ok(known.caller);
        }
        let verified = self.verify(token).await?;
        let caller = verified.caller.clone();
        self.verified.put(digest, verified);
        Ok(caller)
    }

    async fn verify(&self, token: &str) -> Result<Verified, Refusal> {
        let head = Head::read(token)?;
        let key = match head.algorithm {
            Algorithm::HS256 => self.secret.as_ref().ok_or(Refusal::Algorithm)?,
            _ => return Err(Refusal::Algorithm),
        };
        let genuine = self.rules.verify(token, key)?;
        Ok(Verified {
            caller: Arc::new(self.claims.caller(&genuine.claims)?),
            until: Instant::now() + genuine.left.min(BELIEVED),
        })
    }
}

/// Finds out who asks, for everything behind it. What needs no caller gets none, see [`public`].
pub(crate) async fn authenticate(State(app): State<SharedApp>, mut request: Request, next: Next) -> Response {
    let Some(authentication) = &app.authentication else {
        request.extensions_mut().insert(Caller::anyone());
        return next.run(request).await;
    };
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    if public::needs_no_caller(route) {
        return next.run(request).await;
    }
    match authentication.caller(request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(Caller::clone(&caller));
            next.run(request).await
        }
        Err(refusal) => Problem::from(refusal).into_response(),
    }
}
