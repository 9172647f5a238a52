//! Which other sites' pages may use the API from a browser (CORS).

use std::time::Duration;

use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use clap::Args;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember what it was told.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Other sites.
#[derive(Args, Clone, Debug)]
pub struct CrossOriginFlags {
    /// Origins whose pages may use the API, separated by commas, such as `https://lms.example.org`. None by default.
    #[arg(long, env = "ASSAY_CORS_ORIGINS", value_delimiter = ',', value_parser = origin)]
    pub cors_origins: Vec<HeaderValue>,
}

/// Reads an origin in the form in which browsers send it.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let form =
        || format!("{text:?} is not an origin: write it as browsers do, such as https://lms.example.org");
    let uri: Uri = text.parse().map_err(|_| form())?;
    let (scheme, authority) = uri.scheme_str().zip(uri.authority()).ok_or_else(form)?;
    let as_browsers_do = format!("{scheme}://{authority}").to_ascii_lowercase();
    if as_browsers_do != text || !matches!(scheme, "http" | "https") || text.contains(['@', '*']) {
        return Err(form());
    }
    HeaderValue::from_str(text).map_err(|_| form())
}

/// Answers browsers that ask whether a page may; none if no page may.
pub(crate) fn layer(settings: &CrossOriginFlags) -> Option<CorsLayer> {
    let named = HeaderName::from_static;
    let asked = [
        ACCEPT,
        AUTHORIZATION,
        CONTENT_TYPE,
        IF_MATCH,
        IF_NONE_MATCH,
        named("idempotency-key"),
        named("last-event-id"),
        named("prefer"),
        named("traceparent"),
        named("tracestate"),
    ];
    let told = [
        ETAG,
        LOCATION,
        RETRY_AFTER,
        WWW_AUTHENTICATE,
        named("idempotency-key"),
        named("idempotency-replayed"),
        named("link"),
        named("preference-applied"),
        named("ratelimit"),
        named("ratelimit-policy"),
    ];
    (!settings.cors_origins.is_empty()).then(|| {
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(settings.cors_origins.iter().cloned()))
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers(asked)
            .expose_headers(told)
            .max_age(REMEMBERED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host_and_nothing_else() {
        for good in ["https://lms.example.org", "http://localhost:5173", "https://[::1]:8443"] {
            assert_eq!(origin(good).expect("an origin"), good);
        }
        for bad in
            ["*", "null", "lms.example.org", "https://lms.example.org/", "https://LMS.example.org", "ftp://a"]
        {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
