//! An issuer of tokens on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How an issuer answers when it is asked for its keys.
#[derive(Clone, Debug)]
pub(crate) enum Answers {
    /// With this text.
    Text(String),
    /// With this status.
    Status(StatusCode),
    /// By sending the client elsewhere.
    Elsewhere(String),
    /// Not, until it answers in another way.
    Silence,
}

/// An issuer that publishes its keys until it is dropped.
pub(crate) struct Issuer {
    pub(crate) url: String,
    answers: watch::Sender<Answers>,
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    answers: watch::Receiver<Answers>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    /// One that answers like this.
    pub(crate) async fn new(answers: Answers) -> Result<Issuer> {
        let (answers, seen) = watch::channel(answers);
        let asked = Arc::new(AtomicUsize::new(0));
        let shared = Shared { answers: seen, asked: asked.clone() };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/keys", listener.local_addr()?);
        let router = Router::new().route("/keys", get(keys)).with_state(shared);
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Issuer { url, answers, asked, serving })
    }

    /// One that has these keys.
    pub(crate) async fn with_keys(keys: &[Value]) -> Result<Issuer> {
        Issuer::new(key_set(keys)).await
    }

    /// Answers like this from now on.
    pub(crate) fn answer(&self, answers: Answers) {
        self.answers.send_replace(answers);
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The text of a set of keys.
pub(crate) fn key_set(keys: &[Value]) -> Answers {
    Answers::Text(json!({ "keys": keys }).to_string())
}

async fn keys(State(mut shared): State<Shared>) -> Response {
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let answers = shared.answers.wait_for(|answers| !matches!(answers, Answers::Silence)).await;
    match answers.map(|answers| answers.clone()) {
        Ok(Answers::Text(text)) => text.into_response(),
        Ok(Answers::Status(status)) => status.into_response(),
        Ok(Answers::Elsewhere(url)) => (StatusCode::FOUND, [("location", url)]).into_response(),
        Ok(Answers::Silence) | Err(_) => StatusCode::GONE.into_response(),
    }
}
