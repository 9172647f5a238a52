//! One test's surroundings: a database, a namespace and a pool of its own on shared servers.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, Command, FromArgMatches};
use domain::{Knobs, LeaseSettings, Pool};
use kube::api::{Api, PostParams};
use kube::runtime::wait::{Condition, await_condition};
use kube::{Client, ResourceExt};
use operator::Settings;
use operator::cluster::Kind;
use queue::Queue;
use redis::aio::MultiplexedConnection;
use resources::{KnobsSpec, MADE_BY_GATEWAY, MANAGED_BY, ScoringJob, ScoringJobSpec};
use runtime::Shutdown;
use serde::Serialize;
use store::{Accepted, JobRow, NewJob, Scope, Store};
use testkit::Kubernetes;
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Nothing that these tests wait for takes this long.
const LIMIT: Duration = Duration::from_secs(30);

/// The servers, and what is this test's alone on them.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) pool: Pool,
    pub(crate) database_url: String,
    /// How its operators reach Redis.
    pub(crate) redis_url: String,
    /// How its operators reach the API server.
    pub(crate) kubeconfig: std::path::PathBuf,
}

/// An operator that runs in this process.
pub(crate) struct Running {
    shutdown: Shutdown,
    ended: JoinHandle<Result<()>>,
    port: u16,
}

impl Running {
    /// What `/readyz` answers.
    pub(crate) async fn readiness(&self) -> Result<(u16, String)> {
        testkit::readiness::http_get(self.port, "/readyz").await
    }

    /// Stops it as SIGTERM would, and waits for its end.
    pub(crate) async fn stop(self) -> Result<()> {
        self.shutdown.request();
        tokio::time::timeout(LIMIT, self.ended).await.context("the operator does not stop")??
    }
}

impl World {
    pub(crate) async fn new() -> Result<World> {
        let kubernetes = testkit::kubernetes().await?;
        static DEFINED: OnceCell<()> = OnceCell::const_new();
        DEFINED.get_or_try_init(|| kubernetes.apply_definitions()).await?;
        World::on(&kubernetes).await
    }

    /// On a cluster that has the definitions of the custom resources.
    pub(crate) async fn on(kubernetes: &Kubernetes) -> Result<World> {
        let database_url = testkit::fresh_database().await?;
        let redis_url = testkit::redis_url().await?;
        store::migrate(&database_url).await?;
        let store = Store::connect(&store::Settings::new(&database_url))?;
        store.ensure_rubrics(&[rubric("default")]).await?;
        let lease = LeaseSettings::renewed_by_thirds(Duration::from_secs(30))?;
        let namespace = format!("test-{}", Uuid::new_v4().simple());
        kubernetes.kubectl(&["create", "namespace", &namespace]).await?;
        Ok(World {
            store,
            queue: Queue::connect(&redis_url, lease)?,
            client: operator::cluster::client(Some(&kubernetes.kubeconfig)).await?,
            pool: format!("p-{}", Uuid::new_v4().simple()).parse()?,
            namespace,
            database_url,
            redis_url,
            kubeconfig: kubernetes.kubeconfig.clone(),
        })
    }

    /// Starts an operator of this name.
    pub(crate) async fn operator(&self, name: &str) -> Result<Running> {
        self.operator_that_leads(name, "3s").await
    }

    /// Starts an operator of this name with further flags.
    pub(crate) async fn operator_with(&self, name: &str, flags: &[&str]) -> Result<Running> {
        self.start_operator(name, "3s", flags).await
    }

    /// Starts an operator of this name with such a lease of leadership.
    pub(crate) async fn operator_that_leads(&self, name: &str, leader_lease: &str) -> Result<Running> {
        self.start_operator(name, leader_lease, &[]).await
    }

    async fn start_operator(&self, name: &str, leader_lease: &str, flags: &[&str]) -> Result<Running> {
        let kubeconfig = self.kubeconfig.to_str().context("a path in UTF-8")?;
        let arguments = [
            ("--database-url", self.database_url.as_str()),
            ("--redis-url", &self.redis_url),
            ("--namespace", &self.namespace),
            ("--watch-namespace", &self.namespace),
            ("--kubeconfig", kubeconfig),
            ("--pools", self.pool.as_str()),
            ("--name", name),
            ("--leader-lease", leader_lease),
            ("--sweep-after", "2s"),
            ("--audit-every", "1s"),
        ];
        let words = arguments.iter().flat_map(|(flag, value)| [*flag, *value]).chain(flags.iter().copied());
        let matches = Settings::augment_args(Command::new("operator").no_binary_name(true))
            .try_get_matches_from(words)?;
        let settings = Settings::from_arg_matches(&matches)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let shutdown = Shutdown::default();
        let ended = tokio::spawn(operator::run(settings, listener, shutdown.clone()));
        Ok(Running { shutdown, ended, port })
    }

    pub(crate) fn api<K: Kind>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Redis itself, to do what nobody should.
    pub(crate) async fn redis(&self) -> Result<MultiplexedConnection> {
        let client = redis::Client::open(self.redis_url.as_str())?;
        Ok(client.get_multiplexed_async_connection().await?)
    }

    /// A submission that can be scored.
    pub(crate) async fn submission(&self) -> Result<Uuid> {
        let id = Uuid::now_v7();
        let content = r#"{"code": "x = 1", "language": "python"}"#;
        self.store.create_submission(id, "default", None, content, true).await?;
        Ok(id)
    }

    pub(crate) fn knobs(&self) -> Knobs {
        Knobs { pool: self.pool.clone(), ..Knobs::default() }
    }

    /// A job as the gateway accepts it.
    pub(crate) async fn accepted_job(&self, submission_id: Uuid) -> Result<Uuid> {
        self.accepted_job_with(submission_id, self.knobs()).await
    }

    /// The same, with these choices.
    pub(crate) async fn accepted_job_with(&self, submission_id: Uuid, knobs: Knobs) -> Result<Uuid> {
        let job = NewJob {
            id: Uuid::now_v7(),
            submission_id,
            scope: Scope::All,
            knobs,
            traceparent: None,
            resource: None,
        };
        let id = job.id;
        match self.store.accept(&[job]).await?.remove(0) {
            Ok(Accepted::Created { .. }) => Ok(id),
            other => bail!("the job was not accepted: {other:?}"),
        }
    }

    /// A ScoringJob with this name, made as a person would.
    pub(crate) async fn create_job(
        &self,
        name: &str,
        submission_id: Uuid,
        knobs: &Knobs,
    ) -> Result<ScoringJob> {
        let spec = ScoringJobSpec { submission_id, knobs: KnobsSpec::from(knobs) };
        self.create(&ScoringJob::new(name, spec)).await
    }

    /// The resource of a job, made as the gateway does.
    pub(crate) async fn create_job_as_gateway(&self, job: Uuid, submission_id: Uuid) -> Result<ScoringJob> {
        let spec = ScoringJobSpec { submission_id, knobs: KnobsSpec::from(&self.knobs()) };
        self.create(&as_gateway(ScoringJob::new(&job.to_string(), spec))).await
    }

    pub(crate) async fn create<K: Kind + Serialize>(&self, resource: &K) -> Result<K> {
        Ok(self.api().create(&PostParams::default(), resource).await?)
    }

    /// Waits until the resource is as wanted.
    pub(crate) async fn until<K: Kind + Send + Sync + 'static>(
        &self,
        name: &str,
        what: &str,
        condition: impl Condition<K>,
    ) -> Result<Option<K>> {
        let waiting = await_condition(self.api::<K>(), name, condition);
        match tokio::time::timeout(LIMIT, waiting).await {
            Ok(seen) => Ok(seen?),
            Err(_) => bail!("{name} never became {what}; it is {:?}", self.api::<K>().get_opt(name).await?),
        }
    }

    /// Waits until the job's row is as wanted.
    pub(crate) async fn until_row(
        &self,
        job: Uuid,
        what: &str,
        wanted: impl Fn(&JobRow) -> bool,
    ) -> Result<JobRow> {
        let read = async || Ok(self.store.job(job).await?.map(|detail| detail.job));
        let is_wanted = |row: &Option<JobRow>| row.as_ref().is_some_and(&wanted);
        eventually(&format!("job {job} is {what}"), read, is_wanted).await?.context("a row")
    }

    /// Waits until the queue has this many ready jobs.
    pub(crate) async fn until_ready(&self, jobs: u64) -> Result<()> {
        let read = async || Ok(self.queue.depth(&self.pool).await?);
        eventually(&format!("{jobs} jobs are ready"), read, |depth| depth.ready == jobs).await?;
        Ok(())
    }
}

/// Says of a resource that the gateway made it.
pub(crate) fn as_gateway<K: Kind>(mut resource: K) -> K {
    resource.labels_mut().insert(MANAGED_BY.to_owned(), MADE_BY_GATEWAY.to_owned());
    resource
}

pub(crate) fn uid<K: Kind>(resource: &K) -> Result<Uuid> {
    Ok(resource.uid().context("the API server gives every object a uid")?.parse()?)
}

/// Looks until what is read is as wanted; there is nothing to subscribe to in Postgres or Redis.
pub(crate) async fn eventually<T: Debug>(
    what: &str,
    read: impl AsyncFn() -> Result<T>,
    wanted: impl Fn(&T) -> bool,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        let seen = read().await?;
        if wanted(&seen) {
            return Ok(seen);
        }
        if begun.elapsed() > LIMIT {
            bail!("not true within {LIMIT:?}: {what}; last seen: {seen:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn rubric(name: &str) -> store::RubricVersion {
    store::RubricVersion { name: name.to_owned(), version: "v1".to_owned(), spec: "{}".to_owned() }
}
