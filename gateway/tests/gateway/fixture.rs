//! A gateway in this process, and the ways to ask it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use gateway::{Listeners, Settings};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use runtime::Shutdown;
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use testkit::{Link, Seen, TempFolder, Weather};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// A file that is not there: a gateway that reaches no cluster.
pub(crate) const NO_CLUSTER: &str = "/nonexistent/kubeconfig";

/// How long anything here may take at most. Nothing takes as long unless it fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Counts the statements that wait for a lock in this database.
pub(crate) const WAITS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// A gateway in this process.
pub(crate) struct Gateway {
    pub(crate) url: String,
    pub(crate) metrics_url: String,
    pub(crate) database: String,
    pub(crate) shutdown: Shutdown,
    pub(crate) running: JoinHandle<Result<()>>,
    client: reqwest::Client,
}

/// What the gateway answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Gateway {
    /// On a database of its own, without a cluster.
    pub(crate) async fn alone() -> Result<Gateway> {
        Gateway::ready(&testkit::fresh_database().await?, &[]).await
    }

    /// With these flags, once it is ready.
    pub(crate) async fn ready(database: &str, flags: &[&str]) -> Result<Gateway> {
        let gateway = Gateway::spawn(database, flags).await?;
        gateway.until_ready().await?;
        Ok(gateway)
    }

    /// With these flags; it may not be ready for long.
    pub(crate) async fn spawn(database: &str, flags: &[&str]) -> Result<Gateway> {
        let given = ["gateway", "--database-url", database];
        // What is in the environment of a test is not for it.
        let kubeconfig = ["--kubeconfig", NO_CLUSTER];
        // Nor is there a load balancer that would have to notice a stop.
        let door = ["--drain-delay", "0s"];
        let defaults = [kubeconfig, door].into_iter().filter(|[flag, _]| !flags.contains(flag));
        let defaults: Vec<&str> = defaults.flatten().collect();
        let settings = Settings::try_parse_from(given.iter().chain(&defaults).chain(flags))?;
        let free = async || TcpListener::bind("127.0.0.1:0").await;
        let listeners = Listeners { http: free().await?, metrics: free().await? };
        let url = format!("http://{}", listeners.http.local_addr()?);
        let metrics_url = format!("http://{}", listeners.metrics.local_addr()?);
        let shutdown = Shutdown::default();
        let running = tokio::spawn(gateway::run(settings, listeners, shutdown.clone()));
        runtime::use_ring();
        let client = reqwest::Client::builder().timeout(LIMIT).build()?;
        Ok(Gateway { url, metrics_url, database: database.to_owned(), shutdown, running, client })
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn until_ready(&self) -> Result<()> {
        until("the gateway is ready", async || {
            Ok(self.get("/readyz").await.is_ok_and(|answer| answer.status == 200))
        })
        .await
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(self) -> Result<()> {
        self.shutdown.request();
        self.running.await?
    }

    /// A request to be completed.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer> {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Answer> {
        answer(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        answer(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        answer(self.request(Method::PUT, path).json(body)).await
    }

    /// A POST without a body.
    pub(crate) async fn act(&self, path: &str) -> Result<Answer> {
        answer(self.request(Method::POST, path)).await
    }

    /// A new submission, ready to be scored.
    pub(crate) async fn submission(&self) -> Result<Uuid> {
        let body = json!({"content": {"code": "def f():\n    pass\n", "language": "python"}, "submit": true});
        let answer = self.post("/api/submissions", &body).await?;
        ensure!(answer.status == 201, "{answer:?}");
        answer.id("id")
    }

    /// A new job of a new submission: both ids.
    pub(crate) async fn job(&self) -> Result<(Uuid, Uuid)> {
        let submission = self.submission().await?;
        let answer = self.post("/api/scoring", &json!({"submissionId": submission})).await?;
        ensure!(answer.status == 202, "{answer:?}");
        Ok((answer.id("job_id")?, submission))
    }

    /// The value of a metric with exactly this name and labels.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let text = self.client.get(format!("{}/metrics", self.metrics_url)).send().await?.text().await?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(Ok(0.0), |value| value.parse().with_context(|| format!("{name} {value}")))
    }

    /// Runs a statement on its database.
    pub(crate) async fn execute(&self, statement: &str) -> Result<()> {
        let mut connection = PgConnection::connect(&self.database).await?;
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// One number out of its database.
    pub(crate) async fn number(&self, query: &str) -> Result<i64> {
        number(&self.database, query).await
    }
}

/// One number out of a database.
pub(crate) async fn number(database: &str, query: &str) -> Result<i64> {
    let mut connection = PgConnection::connect(database).await?;
    let number = sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(number)
}

impl Answer {
    /// An id in the body.
    pub(crate) fn id(&self, field: &str) -> Result<Uuid> {
        let text = self.body[field].as_str().with_context(|| format!("no {field} in {self:?}"))?;
        Ok(text.parse()?)
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The names of the body's fields, sorted.
    pub(crate) fn fields(&self) -> Vec<&str> {
        let mut fields: Vec<&str> =
            self.body.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        fields.sort_unstable();
        fields
    }

    /// Asserts that this is a problem in its full form, with this status and code.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.fields(), ["code", "detail", "status", "title", "type"]);
        assert_eq!(self.body["status"], status);
        for field in ["detail", "title", "type"] {
            assert!(self.body[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {self:?}");
        }
    }
}

/// Sends a request. A body that is no JSON is given as a text.
pub(crate) async fn answer(request: RequestBuilder) -> Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    Ok(Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
}

/// Asks until the answer is yes, for what announces itself in no other way.
pub(crate) async fn until(what: &str, ask: impl AsyncFn() -> Result<bool>) -> Result<()> {
    testkit::until(what, LIMIT, async || Ok(Seen::when(ask().await?, || "not so".to_owned()))).await
}

/// A kubeconfig by way of a link.
pub(crate) struct LinkedCluster {
    pub(crate) link: Link,
    file: PathBuf,
    _folder: TempFolder,
}

impl LinkedCluster {
    /// A link to the API server for tests.
    pub(crate) async fn new(weather: Weather) -> Result<LinkedCluster> {
        let text = std::fs::read_to_string(testkit::kubeconfig().await?)?;
        let port: u16 = text
            .split_once("https://127.0.0.1:")
            .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
            .context("a control plane on loopback")?;
        let link = Link::to(port, weather).await?;
        let linked = text.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{}", link.port()));
        let folder = TempFolder::new()?;
        let file = folder.path().join("kubeconfig");
        std::fs::write(&file, linked)?;
        Ok(LinkedCluster { link, file, _folder: folder })
    }

    /// The kubeconfig's path.
    pub(crate) fn kubeconfig(&self) -> &str {
        self.file.to_str().expect("a path of ASCII characters")
    }
}
