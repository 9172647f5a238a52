//! The gateway's API, as far as this tool uses it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::sources::Source;

/// Talks to a gateway.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// A job as the gateway shows it.
#[derive(Deserialize, Debug)]
pub(crate) struct Job {
    /// QUEUED, RUNNING, DONE or ERROR.
    pub(crate) status: String,
    /// Of a job that is DONE.
    pub(crate) score: Option<f64>,
    /// Of a job that has ended.
    pub(crate) feedback: Option<String>,
}

impl Job {
    /// Whether it has come to its end, good or bad.
    pub(crate) fn has_ended(&self) -> bool {
        self.status == "DONE" || self.status == "ERROR"
    }
}

impl Client {
    /// For a gateway at this URL, which knows this token.
    pub(crate) fn new(url: &str, token: &str) -> Result<Self> {
        // Straight to the gateway: a proxy meant for the internet does not know our loopback.
        runtime::use_ring();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), token: token.to_owned() })
    }

    /// Submits a source file and asks for its score: the job's id.
    pub(crate) async fn submit(&self, source: &Source) -> Result<String> {
        #[derive(Deserialize)]
        struct Created {
            id: String,
        }
        let files = json!([{ "path": source.path, "text": source.text }]);
        let content = json!({ "files": files, "documentation": source.documentation });
        let created: Created =
            self.post("/api/submissions", &json!({ "content": content, "submit": true })).await?;
        self.ask_for_score(&json!({ "submissionId": created.id })).await
    }

    /// Asks for the score of what is submitted: the job's id.
    pub(crate) async fn score(&self, submission: &str, rubric: &str) -> Result<String> {
        self.ask_for_score(&json!({ "submissionId": submission, "rubric": rubric })).await
    }

    /// A job as it is now.
    pub(crate) async fn job(&self, id: &str) -> Result<Job> {
        let path = format!("/api/scoring/{id}");
        self.answer(&path, self.http.get(format!("{}{path}", self.url))).await
    }

    async fn ask_for_score(&self, body: &Value) -> Result<String> {
        #[derive(Deserialize)]
        struct Accepted {
            job_id: String,
        }
        let accepted: Accepted = self.post("/api/scoring", body).await?;
        Ok(accepted.job_id)
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.answer(path, self.http.post(format!("{}{path}", self.url)).json(body)).await
    }

    async fn answer<T: DeserializeOwned>(&self, path: &str, request: reqwest::RequestBuilder) -> Result<T> {
        let answer = request
            .bearer_auth(&self.token)
            .send()
            .await
            .with_context(|| format!("ask the gateway at {}", self.url))?;
        let status = answer.status();
        let text = answer.text().await.context("read the gateway's answer")?;
        if !status.is_success() {
            bail!("{path} answers {status}: {text}");
        }
        serde_json::from_str(&text).with_context(|| format!("{path} answers {text}"))
    }
}
