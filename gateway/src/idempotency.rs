//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a client that repeats a request under the same key has
//! the same answer, and nothing is done twice.
//!
//! A request under a key is claimed first, along with the id of what will come of it. Should the gateway die in the middle,
//! whoever repeats the request makes the same thing under the same id, and thereby finds out whether it was made. What was
//! answered is kept, unless that was only that the request could not be served now.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use clap::Args;
use domain::duration;
use ring::digest;
use runtime::in_full;
use store::{IdempotencyKey, KeptAnswer, KeyClaim, Store};
use tokio::time::sleep;
use tracing::{Instrument, Span, warn};
use uuid::Uuid;

use crate::app::{App, SharedApp};
use crate::caller::Caller;
use crate::extract::body_of;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest key, in bytes.
const LONGEST_KEY: usize = 255;

/// The largest answer that is kept, in bytes. None is larger.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// How often keys are forgotten, and how many in one statement.
const FORGET_EVERY: Duration = Duration::from_secs(60);
const FORGET_AT_ONCE: u32 = 1_000;

/// Requests that clients give a key.
#[derive(Args, Clone, Debug)]
pub struct IdempotencyFlags {
    /// How long the answer to a request with an `Idempotency-Key` is kept for whoever repeats it.
    #[arg(long, env = "ASSAY_IDEMPOTENCY_TTL", default_value = "24h", value_parser = duration::parse)]
    pub idempotency_ttl: Duration,
}

/// The id of what comes of a request: a new one, or under a key the one that it had when the request first came.
pub(crate) struct NewId(pub(crate) Uuid);

#[derive(Clone, Copy)]
struct Drawn(Uuid);

impl<S: Send + Sync> FromRequestParts<S> for NewId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(NewId(parts.extensions.get().map_or_else(Uuid::now_v7, |Drawn(id)| *id)))
    }
}

/// Does what a request asks for once, if it has a key and is one of those that make something.
pub(crate) async fn once(app: SharedApp, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(KEY) {
        return next.run(request).await;
    }
    // What is nowhere is answered as such.
    if request.extensions().get::<MatchedPath>().is_none() {
        return next.run(request).await;
    }
    keyed(app, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

async fn keyed(app: SharedApp, request: Request, next: Next) -> Result<Response, Problem> {
    let Some(Caller { tenant, subject, .. }) = request.extensions().get::<Caller>().cloned() else {
        return Ok(next.run(request).await);
    };
    let key = IdempotencyKey { tenant, subject, key: read_key(request.headers())? };
    let (parts, body) = request.into_parts();
    let body = body_of(Request::from_parts(parts.clone(), body), &app).await?;
    let (hash, new_id, claim) = (hash(&parts, &body), Uuid::now_v7(), Uuid::new_v4());
    match repeat(|| app.record.claim_key(&key, &hash, new_id, claim)).await? {
        KeyClaim::Answered(answer) => Ok(replay(answer)),
        KeyClaim::InProgress => Err(Problem::new(
            Code::RequestInProgress,
            "The request with this Idempotency-Key is being served. Its answer will be kept: ask again.",
        )),
        KeyClaim::OtherRequest => Err(Problem::new(
            Code::IdempotencyKeyReused,
            "This Idempotency-Key was given to another request. Repeat that one as it was, or use another key.",
        )),
        KeyClaim::Mine { new_id } => {
            let mut request = Request::from_parts(parts, Body::from(body));
            request.extensions_mut().insert(Drawn(new_id));
            // To the end, also when the client does not wait for it.
            let work = do_and_keep(app, key, claim, request, next).instrument(Span::current());
            tokio::spawn(work).await.unwrap_or_else(|_panic| Err(Problem::internal()))
        }
    }
}

async fn do_and_keep(
    app: Arc<App>,
    key: IdempotencyKey,
    claim: Uuid,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    // A panic here leaves the claim to lapse.
    let (parts, body) = next.run(request).await.into_parts();
    let body = to_bytes(body, LARGEST_ANSWER).await.map_err(|_| Problem::internal())?;
    let kept = if is_kept(parts.status) {
        let text = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let answer = KeptAnswer {
            status: i16::try_from(parts.status.as_u16()).unwrap_or(i16::MAX),
            content_type: text(header::CONTENT_TYPE).map(str::to_owned),
            location: text(header::LOCATION).map(str::to_owned),
            body: body.to_vec(),
        };
        repeat(|| app.record.keep_answer(&key, claim, &answer)).await
    } else {
        repeat(|| app.record.release_key(&key, claim)).await
    };
    if let Err(error) = kept {
        // The same request finds out later what was done.
        warn!(error = in_full(&error), "the answer to a request with a key is not kept");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Whether the answer holds for whoever repeats the request: not if it only says that this is not the moment.
fn is_kept(status: StatusCode) -> bool {
    !status.is_server_error()
        && !matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::UNAUTHORIZED
        )
}

fn replay(answer: KeptAnswer) -> Response {
    let status = u16::try_from(answer.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), answer.body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    let kept = [(header::CONTENT_TYPE, answer.content_type), (header::LOCATION, answer.location)];
    for (name, value) in kept {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// The key that the headers give: in quotation marks, as the draft has it, or as it is.
fn read_key(headers: &HeaderMap) -> Result<String, Problem> {
    let invalid = |detail: String| Problem::new(Code::InvalidIdempotencyKey, detail);
    let mut values = headers.get_all(KEY).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(invalid("Idempotency-Key is given more than once.".to_owned()));
    };
    let text = value.to_str().unwrap_or_default().trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').filter(|key| !key.contains(['"', '\\'])),
        None => Some(text).filter(|key| !key.contains(['"', ' ', ',', ';'])),
    };
    match key {
        Some(key) if (1..=LONGEST_KEY).contains(&key.len()) => Ok(key.to_owned()),
        _ => Err(invalid(format!(
            "Idempotency-Key must have 1 to {LONGEST_KEY} characters of ASCII, be it in quotation marks. A UUID is a good one."
        ))),
    }
}

/// A hash of all that a request asks for.
fn hash(parts: &Parts, body: &Bytes) -> Vec<u8> {
    let content_type = parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let mut hash = digest::Context::new(&digest::SHA256);
    // Not the host, which is in the URI with HTTP/2 alone: whoever repeats a request may find another way here.
    let path = parts.uri.path_and_query().map_or(parts.uri.path(), PathAndQuery::as_str);
    for part in [parts.method.as_str().as_bytes(), path.as_bytes(), content_type, body] {
        hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finish().as_ref().to_vec()
}

/// Forgets keys when their time is over, for ever.
pub(crate) async fn forget(store: Store, ttl: Duration) {
    loop {
        sleep(FORGET_EVERY).await;
        while store
            .drop_keys(ttl, FORGET_AT_ONCE)
            .await
            .is_ok_and(|dropped| dropped >= u64::from(FORGET_AT_ONCE))
        {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(values: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(KEY, HeaderValue::from_static(value));
        }
        read_key(&headers).ok()
    }

    #[test]
    fn a_key_is_the_same_with_and_without_quotation_marks() {
        assert_eq!(key(&["8e03978e"]).as_deref(), Some("8e03978e"));
        assert_eq!(key(&["\"8e03978e\""]).as_deref(), Some("8e03978e"));
        assert_eq!(key(&["\"two words, really\""]).as_deref(), Some("two words, really"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for values in
            [&[""][..], &["\"\""], &["\"a"], &["a\""], &["a b"], &["a", "b"], &["\"a\\\"b\""], &["\"a\";q=1"]]
        {
            assert_eq!(key(values), None, "{values:?}");
        }
        let long: &'static str = Box::leak("x".repeat(LONGEST_KEY + 1).into_boxed_str());
        assert_eq!(key(&[long]), None);
        assert!(key(&[&long[1..]]).is_some());
    }

    #[test]
    fn a_request_is_the_same_over_http_2_and_by_another_name_of_the_gateway() {
        let of = |uri: &str| {
            let request = Request::post(uri).body(()).expect("a request");
            hash(&request.into_parts().0, &Bytes::from_static(b"{}"))
        };
        assert_eq!(of("/api/scoring"), of("http://one:8080/api/scoring"));
        assert_eq!(of("/api/scoring"), of("https://another/api/scoring"));
        assert_ne!(of("/api/scoring"), of("/api/scoring?x=1"));
    }

    #[test]
    fn an_answer_is_kept_unless_it_only_says_not_now() {
        for kept in [200, 201, 202, 400, 403, 404, 409, 413, 422] {
            assert!(is_kept(StatusCode::from_u16(kept).expect("a status")), "{kept}");
        }
        for left in [401, 408, 429, 500, 503] {
            assert!(!is_kept(StatusCode::from_u16(left).expect("a status")), "{left}");
        }
    }
}
