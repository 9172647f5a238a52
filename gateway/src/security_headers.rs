//! What browsers are told about answers, so that none is taken for something else. An answer that has a field of its own,
//! as pages have a policy of theirs (`ui.rs`), keeps it.

use axum::http::HeaderValue;
use axum::http::header::{self, HeaderName};
use axum::response::Response;

/// For data, which are no page: nothing is loaded, run or framed.
const CSP_OF_DATA: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
);

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// A year.
const STRICT_TRANSPORT_SECURITY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Whether connections are encrypted here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encrypted(pub(crate) bool);

/// Adds what an answer does not say by itself.
pub(crate) fn add(Encrypted(encrypted): Encrypted, mut response: Response) -> Response {
    let fields = [
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, CSP_OF_DATA),
        (CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
        (CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin")),
    ];
    let headers = response.headers_mut();
    for (name, value) in fields {
        headers.entry(name).or_insert(value);
    }
    if encrypted {
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(STRICT_TRANSPORT_SECURITY);
    }
    response
}
