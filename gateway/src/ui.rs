//! The queue page: files that Vite built from `web/` and that are part of this program (`build.rs`).

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::problem::{Code, Problem};

/// One file of the page.
struct Asset {
    /// Its path below `/ui/`.
    path: &'static str,
    content: &'static [u8],
    content_type: &'static str,
    /// Names its content, quotes included.
    etag: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// What the browser may load for the page and what the page may do: nothing but what is served here. No text becomes
/// HTML or a script, even by mistake.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// Names below this hold a hash of the content, so what they name never changes.
const HASHED: &str = "assets/";

/// The page. Needs no token: it asks for one and sends it along with what it asks the API.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    // Relative, so that they hold behind a proxy that takes a part of the path away.
    Router::new()
        .route("/", get(async || to("ui/")))
        .route("/ui", get(async || to("ui/")))
        .route("/ui/", get(async |headers: HeaderMap| file("index.html", &headers)))
        .route("/ui/{*path}", get(async |Path(path): Path<String>, headers: HeaderMap| file(&path, &headers)))
}

fn to(path: &'static str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, path)]).into_response()
}

fn file(path: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.path == path) else {
        return Problem::new(Code::UnknownRoute, "The page has no such file.").into_response();
    };
    let caching = if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let mut response = if known.is_some_and(|tags| names(tags, asset.etag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, asset.content_type)], asset.content).into_response()
    };
    let fixed: [(HeaderName, &'static str); 5] = [
        (header::CACHE_CONTROL, caching),
        (header::ETAG, asset.etag),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether If-None-Match names this ETag. A proxy that compresses may have made it a weak one.
fn names(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_part_of_the_program() {
        let index = ASSETS.iter().find(|asset| asset.path == "index.html").expect("the page itself");
        let html = std::str::from_utf8(index.content).expect("text");
        for asset in ASSETS.iter().filter(|asset| asset.path.starts_with(HASHED)) {
            assert!(html.contains(asset.path), "{} is not used", asset.path);
        }
        let scripts = ASSETS.iter().filter(|asset| asset.content_type.starts_with("text/javascript"));
        let size: usize = scripts.map(|asset| asset.content.len()).sum();
        assert!((1..100_000).contains(&size), "{size} bytes of scripts");
    }

    #[test]
    fn a_tag_is_found_in_a_list_also_when_it_was_made_weak() {
        assert!(names("\"a\", W/\"b\"", "\"b\"") && names("*", "\"b\"") && !names("\"ab\"", "\"b\""));
    }
}
