//! The gateway's API, as its clients use it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

/// A client of one gateway.
#[derive(Clone, Debug)]
pub struct Api {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// What the gateway answered, whatever that is.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header Retry-After.
    pub retry_after: Option<String>,
    /// The body.
    pub body: Value,
}

impl Answer {
    /// The job that was accepted or is active already.
    ///
    /// # Errors
    /// When the answer is neither 202 nor 200.
    pub fn job(&self) -> Result<Uuid> {
        ensure!(matches!(self.status, 200 | 202), "not accepted: {self:?}");
        self.id("job_id")
    }

    /// The stable code of a problem.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    fn id(&self, field: &str) -> Result<Uuid> {
        let text = self.body[field].as_str().with_context(|| format!("no {field} in {self:?}"))?;
        text.parse().with_context(|| format!("{field} {text:?}"))
    }
}

impl Api {
    /// For the gateway at this URL, which knows this token.
    ///
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(url: String, token: &str) -> Result<Api> {
        runtime::use_ring();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        Ok(Api { http, url, token: token.to_owned() })
    }

    /// The same client as somebody else.
    pub fn with_token(&self, token: &str) -> Api {
        Api { token: token.to_owned(), ..self.clone() }
    }

    /// Submits content.
    ///
    /// # Errors
    /// When it is not created.
    pub async fn submit(&self, content: &Value) -> Result<Uuid> {
        let answer = self.post("/api/submissions", &json!({ "content": content, "submit": true })).await?;
        ensure!(answer.status == 201, "not created: {answer:?}");
        answer.id("id")
    }

    /// Asks for a score; the answer may be anything.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(&self, request: &Value) -> Result<Answer> {
        self.post("/api/scoring", request).await
    }

    /// Asks for a score as part of a trace; the answer may be anything.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask_as_part_of(&self, traceparent: &str, request: &Value) -> Result<Answer> {
        let asked = self.request(Method::POST, "/api/scoring").header("traceparent", traceparent);
        self.answer(asked.json(request)).await
    }

    /// Asks for the score of a submission by a rubric, and is given a new job.
    ///
    /// # Errors
    /// When the answer is not 202.
    pub async fn score(&self, submission: Uuid, rubric: &str) -> Result<Uuid> {
        let answer = self.ask(&json!({ "submissionId": submission, "rubric": rubric })).await?;
        ensure!(answer.status == 202, "POST /api/scoring is not answered 202: {answer:?}");
        answer.job()
    }

    /// Submits content and asks for its score.
    ///
    /// # Errors
    /// When either is refused.
    pub async fn submit_and_score(&self, content: &Value, rubric: &str) -> Result<Uuid> {
        self.score(self.submit(content).await?, rubric).await
    }

    /// A job as it is shown.
    ///
    /// # Errors
    /// When it is not.
    pub async fn job(&self, id: Uuid) -> Result<Value> {
        let answer = self.get(&format!("/api/scoring/{id}")).await?;
        ensure!(answer.status == 200, "not shown: {answer:?}");
        Ok(answer.body)
    }

    /// A job once it has ended, or as it is shown after so long.
    ///
    /// # Errors
    /// When it is not.
    pub async fn job_once_ended(&self, id: Uuid, at_most: Duration) -> Result<Value> {
        let wait = format!("wait={}", at_most.as_secs());
        let request = self.request(Method::GET, &format!("/api/scoring/{id}")).header("prefer", wait);
        let answer = self.answer(request).await?;
        ensure!(answer.status == 200, "not shown: {answer:?}");
        Ok(answer.body)
    }

    /// A GET.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.answer(self.request(Method::GET, path)).await
    }

    /// A POST.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.answer(self.request(Method::POST, path).json(body)).await
    }

    /// A DELETE.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.answer(self.request(Method::DELETE, path)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Answer> {
        let response = request.send().await.context("the gateway does not answer")?;
        let status = response.status().as_u16();
        let retry_after =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let text = response.text().await.context("the gateway's answer breaks off")?;
        match serde_json::from_str(&text) {
            Ok(body) => Ok(Answer { status, retry_after, body }),
            Err(_) => bail!("{status} with a body that is not JSON: {text:?}"),
        }
    }
}
