//! How much a request may say before its body.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::problem::{Code, Problem};

/// The longest path with its query, in bytes.
const URI_BYTES: usize = 8 * 1024;

/// The longest query, in bytes.
const QUERY_BYTES: usize = 4 * 1024;

/// The most header fields. The server reads some more (`server/protocol.rs`), so that this can be said properly.
const HEADER_FIELDS: usize = 100;

/// The largest header section, in bytes, each field with 32 more as RFC 9113 counts them.
const HEADER_BYTES: usize = 32 * 1024;

/// Lets a request through if its head is no larger than anybody needs, and its body comes as it is.
pub(crate) async fn hold<F: Future<Output = Response>>(
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let checked = check_uri(request.uri())
        .and_then(|()| check_headers(request.headers()))
        .and_then(|()| check_encoding(request.headers()));
    match checked {
        Ok(()) => next(request).await,
        Err(problem) => {
            let mut response = problem.clone().into_response();
            if problem.code() == Code::UnsupportedEncoding {
                response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            }
            response
        }
    }
}

fn check_uri(uri: &Uri) -> Result<(), Problem> {
    let query = uri.query().unwrap_or_default().len();
    let too_long = |what: &str, most: usize| {
        Err(Problem::new(Code::UriTooLong, format!("The {what} is longer than the limit of {most} bytes.")))
    };
    if query > QUERY_BYTES {
        too_long("query", QUERY_BYTES)
    } else if uri.path().len() + query > URI_BYTES {
        too_long("path", URI_BYTES)
    } else {
        Ok(())
    }
}

fn check_headers(headers: &HeaderMap) -> Result<(), Problem> {
    let too_large = |limit: String| Err(Problem::new(Code::HeadersTooLarge, limit));
    if headers.len() > HEADER_FIELDS {
        return too_large(format!("The request has more than {HEADER_FIELDS} header fields."));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    if bytes > HEADER_BYTES {
        return too_large(format!("The header fields are larger than the limit of {HEADER_BYTES} bytes."));
    }
    Ok(())
}

/// A body that is compressed says nothing of how large it is.
fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let is_plain =
        |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity") || value.is_empty();
    if headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedEncoding, "Send the body as it is, without Content-Encoding."))
}
