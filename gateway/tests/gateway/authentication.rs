//! Who is let in.

mod issuer;
mod jwks;
mod outage;
mod secret;
mod service_accounts;
pub(crate) mod token;

use anyhow::Result;
use reqwest::Method;

use crate::fixture::{Answer, Gateway, answer};

/// Not for everyone, and says whom it takes the caller for.
const PROTECTED: &str = "/api/caller";

/// Asks for something that is not for everyone.
async fn ask(gateway: &Gateway, token: &str) -> Result<Answer> {
    answer(gateway.request(Method::GET, PROTECTED).header("authorization", format!("Bearer {token}"))).await
}

/// Asserts that a token is refused for this reason, and that the answer does not repeat it.
#[track_caller]
fn is_refused(answer: &Answer, token: &str, reason: &str) {
    answer.is_problem(401, "invalid_token");
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(
        challenge.starts_with(r#"Bearer realm="assay", error="invalid_token", error_description=""#),
        "{answer:?}"
    );
    assert!(
        answer.body["detail"].as_str().is_some_and(|detail| detail.contains(reason)),
        "{reason}: {answer:?}"
    );
    for part in token.split('.').filter(|part| part.len() > 4) {
        assert!(!format!("{answer:?}").contains(part), "the answer repeats the token: {answer:?}");
    }
}
