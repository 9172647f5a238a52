//! Answers that are worth it go out compressed to those who take them so.

use axum::http::{HeaderValue, header};
use axum::response::Response;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

/// Below it, what is saved is not worth the time, in bytes.
const WORTH_IT: u64 = 1024;

/// Compresses by gzip what is large enough. Events go out as they come, pictures are compressed already, and what has an
/// encoding keeps it.
pub(crate) fn layer() -> CompressionLayer<impl Predicate> {
    let worth_it = SizeAbove::new(WORTH_IT)
        .and(NotForContentType::const_new("text/event-stream"))
        .and(NotForContentType::IMAGES);
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(worth_it)
}

/// A strong tag promises the same bytes, which a compressed answer has not: there it becomes a weak one.
pub(crate) fn weaken_tag(mut response: Response) -> Response {
    let headers = response.headers_mut();
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip")
        && let Some(tag) = headers.get(header::ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"))
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        headers.insert(header::ETAG, weak);
    }
    response
}
