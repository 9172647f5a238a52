//! Reading requests, with every way in which that fails answered as a problem.

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::{HeaderMap, header, request::Parts};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use uuid::Uuid;

use crate::app::{App, SharedApp};
use crate::overload::{Overload, Place};
use crate::problem::{Code, Problem};

/// The id in a route.
pub(crate) struct Id(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        let invalid = || Problem::new(Code::InvalidId, "The id in the path is not a UUID.");
        let Path(text) = text.map_err(|_| invalid())?;
        Ok(Id(text.parse().map_err(|_| invalid())?))
    }
}

/// The query of a request.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(query) = Query::try_from_uri(&parts.uri)
            .map_err(|error| Problem::new(Code::InvalidQuery, error.body_text()))?;
        Ok(Asked(query))
    }
}

/// The body of a request, as JSON.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<SharedApp> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &SharedApp) -> Result<Self, Problem> {
        let JsonText(text) = JsonText::from_request(request, app).await?;
        serde_json::from_slice(&text).map(Json).map_err(|error| unreadable(&error))
    }
}

/// The body of a request that says it is JSON, unread.
pub(crate) struct JsonText(pub(crate) Bytes);

impl FromRequest<SharedApp> for JsonText {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &SharedApp) -> Result<Self, Problem> {
        if !says_json(request.headers()) {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "Send JSON, with Content-Type: application/json.",
            ));
        }
        body_of(request, app).await.map(JsonText)
    }
}

/// The body of a request, within the limits of size and time.
pub(crate) async fn body_of(request: Request, app: &App) -> Result<Bytes, Problem> {
    let too_slow =
        |_| Problem::new(Code::BodyTimeout, "The body did not arrive in time. Send the request again.");
    let place = request.extensions().get::<Place>().cloned();
    let reading = timeout(app.body_timeout, read(request, app.body_limit, &app.overload));
    let read = match place {
        Some(place) => place.wait_for_client(reading).await?,
        None => reading.await,
    };
    read.map_err(too_slow)?
}

/// What is wrong with a body, in words.
pub(crate) fn unreadable(error: &serde_json::Error) -> Problem {
    let code = if error.is_data() { Code::InvalidBody } else { Code::MalformedJson };
    Problem::new(code, error.to_string())
}

/// `application/json`, or a type derived from it such as `application/merge-patch+json`.
fn says_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// How much of a body is read to the end, past the limit, for the sake of its sender: most send all of it before
/// they look for the answer, and would see a broken connection instead of it.
const SWALLOWED: usize = 16;

async fn read(request: Request, limit: usize, overload: &Overload) -> Result<Bytes, Problem> {
    let too_large =
        || Problem::new(Code::BodyTooLarge, format!("The body is larger than the limit of {limit} bytes."));
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let waits = request.headers().contains_key(header::EXPECT);
    let length: usize = announced.unwrap_or(0);
    let body = request.into_body();
    if length > limit {
        if !waits && length <= limit.saturating_mul(SWALLOWED) {
            swallow(body, limit.saturating_mul(SWALLOWED)).await;
        }
        return Err(too_large());
    }
    let most = body.size_hint().upper().and_then(|most| most.try_into().ok()).unwrap_or(limit);
    let _memory = overload.body(most.min(limit))?;
    let mut frames = body.into_data_stream();
    let mut read = Vec::new();
    let mut first = Bytes::new();
    while let Some(frame) = frames.next().await {
        let frame =
            frame.map_err(|_| Problem::new(Code::InvalidBody, "The body ended before it was complete."))?;
        if first.len() + read.len() + frame.len() > limit {
            swallow(Body::from_stream(frames), limit.saturating_mul(SWALLOWED)).await;
            return Err(too_large());
        }
        // A small body is one frame, which need not be copied.
        if first.is_empty() && read.is_empty() {
            first = frame;
        } else {
            if read.is_empty() {
                read = Vec::with_capacity(length.max(first.len() + frame.len()));
                read.extend_from_slice(&std::mem::take(&mut first));
            }
            read.extend_from_slice(&frame);
        }
    }
    Ok(if read.is_empty() { first } else { read.into() })
}

async fn swallow(body: Body, limit: usize) {
    let mut frames = body.into_data_stream();
    let mut swallowed = 0;
    while let Some(Ok(frame)) = frames.next().await {
        swallowed += frame.len();
        if swallowed > limit {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn json_is_told_by_its_content_type() {
        let says = |value: &'static str| {
            says_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]))
        };
        assert!(
            says("application/json") && says("Application/JSON; charset=utf-8") && says("application/x+json")
        );
        assert!(
            !says("text/plain") && !says("application/x-www-form-urlencoded") && !says("application/jsonp")
        );
        assert!(!says_json(&HeaderMap::new()));
    }
}
