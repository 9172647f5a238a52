//! Describing and starting a stack.

use std::path::Path;

use anyhow::{Result, bail};
use futures::future::try_join_all;
use uuid::Uuid;

use crate::control_plane::ControlPlaneOptions;
use crate::credentials::Credentials;
use crate::folder::TempFolder;
use crate::kubernetes::Kubernetes;
use crate::launch::Launch;
use crate::link::{Links, Routes};
use crate::place::Place;
use crate::postgres::PostgresOptions;
use crate::servers::{Given, Servers};
use crate::service::{Service, program_folder};
use crate::shared;
use crate::stack::Stack;

/// How long the token of a stack lasts that is left running.
const TOKEN_LASTS: &str = "30d";

/// What a stack consists of.
#[derive(Debug, Clone)]
pub struct StackBuilder {
    place: Option<Place>,
    own_servers: bool,
    given: Given,
    controller_manager: bool,
    postgres: PostgresOptions,
    namespace: Option<String>,
    pools: Vec<String>,
    links: bool,
    gateways: usize,
    operators: usize,
    scorers: usize,
    gateway_env: Vec<(String, String)>,
    operator_env: Vec<(String, String)>,
    scorer_env: Vec<(String, String)>,
}

/// Limits that are on in a stack, as everywhere, and far off.
const UNREACHED: [&str; 4] = [
    "ASSAY_RATE_ADDRESS_READS",
    "ASSAY_RATE_ADDRESS_WRITES",
    "ASSAY_RATE_SUBJECT_READS",
    "ASSAY_RATE_SUBJECT_WRITES",
];

impl Default for StackBuilder {
    fn default() -> Self {
        Self {
            place: None,
            own_servers: true,
            given: Given::default(),
            controller_manager: false,
            postgres: PostgresOptions::default(),
            namespace: None,
            pools: vec!["default".to_owned()],
            links: false,
            gateways: 1,
            operators: 1,
            scorers: 1,
            gateway_env: Vec::new(),
            operator_env: Vec::new(),
            scorer_env: Vec::new(),
        }
    }
}

impl StackBuilder {
    /// Where it keeps its things and how long it lives; by default, in a folder for temporary files until dropped.
    pub fn place(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Whether it gets a Postgres and a control plane of its own, which a test may then stop (the default), or a
    /// fresh database and namespace on those that tests share. Redis, which takes no time to start, is always its own.
    pub fn own_servers(mut self, own: bool) -> Self {
        self.own_servers = own;
        self
    }

    /// Uses a database that is there.
    pub fn database_url(mut self, url: Option<String>) -> Self {
        self.given.database_url = url;
        self
    }

    /// Uses a Redis that is there.
    pub fn redis_url(mut self, url: Option<String>) -> Self {
        self.given.redis_url = url;
        self
    }

    /// Uses a cluster that is there.
    pub fn kubernetes(mut self, kubernetes: Option<Kubernetes>) -> Self {
        self.given.kubernetes = kubernetes;
        self
    }

    /// Runs a controller manager in its control plane.
    pub fn controller_manager(mut self, run: bool) -> Self {
        self.controller_manager = run;
        self
    }

    /// Sets something of its own Postgres.
    pub fn postgres_setting(mut self, name: &str, value: &str) -> Self {
        self.postgres.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Namespace of the gateway's resources; by default `assay`, or a fresh one in a shared cluster.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// The pools; scorers are dealt out to them in turn.
    pub fn pools<S: AsRef<str>>(mut self, pools: &[S]) -> Self {
        self.pools = pools.iter().map(|pool| pool.as_ref().to_owned()).collect();
        self
    }

    /// Gives every process links of its own to Postgres, Redis and the API server, see [`Service::links`].
    pub fn links(mut self) -> Self {
        self.links = true;
        self
    }

    /// How many gateways.
    pub fn gateways(mut self, count: usize) -> Self {
        self.gateways = count;
        self
    }

    /// How many operators.
    pub fn operators(mut self, count: usize) -> Self {
        self.operators = count;
        self
    }

    /// How many scorers.
    pub fn scorers(mut self, count: usize) -> Self {
        self.scorers = count;
        self
    }

    /// Sets a variable of every gateway.
    pub fn gateway_env(mut self, name: &str, value: &str) -> Self {
        self.gateway_env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a variable of every operator.
    pub fn operator_env(mut self, name: &str, value: &str) -> Self {
        self.operator_env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a variable of every scorer; `ASSAY_LEASE` also of every operator, which has to know it.
    pub fn scorer_env(mut self, name: &str, value: &str) -> Self {
        self.scorer_env.push((name.to_owned(), value.to_owned()));
        if name == "ASSAY_LEASE" {
            self = self.operator_env(name, value);
        }
        self
    }

    /// Starts it all and waits until it is ready. In a place that stays, adopts what still runs there.
    pub async fn start(self) -> Result<Stack> {
        if self.gateways == 0 || self.pools.is_empty() {
            bail!("a stack needs a gateway and a pool");
        }
        let (place, folder) = match &self.place {
            Some(place) => (place.clone(), None),
            None => {
                let folder = TempFolder::new()?;
                (Place::owned(folder.path()), Some(folder))
            }
        };
        let control_plane = ControlPlaneOptions { controller_manager: self.controller_manager };
        let servers = Servers::start(&place, self.given().await?, &self.postgres, &control_plane).await?;
        // Others have their resources there, too.
        let shared = servers.control_plane.is_none() && self.given.kubernetes.is_none();
        let namespace = match &self.namespace {
            Some(namespace) => namespace.clone(),
            None if shared => format!("test-{}", Uuid::new_v4().simple()),
            None => "assay".to_owned(),
        };
        let programs = program_folder()?;
        let credentials = Credentials::of(&place, &programs)?;
        let token = credentials.token("default", "admin", "admin", TOKEN_LASTS).await?;
        let mut stack = Stack {
            gateways: Vec::new(),
            operators: Vec::new(),
            scorers: Vec::new(),
            servers,
            namespace,
            token,
            credentials,
            folder,
        };
        prepare_cluster(&stack).await?;
        let builder =
            if shared { self.operator_env("ASSAY_WATCH_NAMESPACE", &stack.namespace) } else { self };
        stack.gateways = builder.describe_gateways(&place, &programs, &stack).await?;
        stack.operators = builder.describe_operators(&place, &programs, &stack).await?;
        stack.scorers = builder.describe_scorers(&place, &programs, &stack).await?;
        // Gateways first: they bring the tables that scorers expect.
        try_join_all(stack.gateways.iter().map(Service::start)).await?;
        try_join_all(stack.operators.iter().chain(&stack.scorers).map(Service::start)).await?;
        Ok(stack)
    }

    /// What of the servers is not this stack's own: given by the caller, or shared with other tests.
    async fn given(&self) -> Result<Given> {
        let mut given = self.given.clone();
        if !self.own_servers {
            if given.database_url.is_none() {
                given.database_url = Some(shared::fresh_database().await?);
            }
            if given.kubernetes.is_none() {
                given.kubernetes = Some(shared::kubernetes().await?);
            }
        }
        Ok(given)
    }

    async fn describe_gateways(&self, place: &Place, programs: &Path, stack: &Stack) -> Result<Vec<Service>> {
        let mut gateways = Vec::new();
        for name in names("gateway", self.gateways) {
            let (port, metrics) = (place.port(&name)?, place.port(&format!("{name}-metrics"))?);
            let (routes, links) = self.routes(place, &name, stack).await?;
            let launch = place
                .launch(&name, programs.join("gateway"))
                .env("ASSAY_DATABASE_URL", &routes.database_url)
                .env("ASSAY_REDIS_URL", &routes.redis_url)
                .env("KUBECONFIG", &routes.kubeconfig)
                .env("ASSAY_NAMESPACE", &stack.namespace)
                .env("ASSAY_POOLS", self.pools.join(","))
                .env("ASSAY_AUTH_SECRET_FILE", stack.credentials.secret_file())
                // There is no load balancer that would have to notice a stop.
                .env("ASSAY_DRAIN_DELAY", "0s")
                // All load comes from one address, and it is what a stack is for.
                .envs(UNREACHED.iter().map(|name| (*name, "1000000/1s")))
                .env("ASSAY_LISTEN", format!("127.0.0.1:{port}"))
                .env("ASSAY_METRICS_ADDR", format!("127.0.0.1:{metrics}"));
            gateways.push(Service::new(with(launch, &self.gateway_env), port, metrics, links));
        }
        Ok(gateways)
    }

    async fn describe_operators(
        &self,
        place: &Place,
        programs: &Path,
        stack: &Stack,
    ) -> Result<Vec<Service>> {
        let mut operators = Vec::new();
        for name in names("operator", self.operators) {
            let port = place.port(&name)?;
            let (routes, links) = self.routes(place, &name, stack).await?;
            let launch = place
                .launch(&name, programs.join("operator"))
                .env("ASSAY_DATABASE_URL", &routes.database_url)
                .env("ASSAY_REDIS_URL", &routes.redis_url)
                .env("KUBECONFIG", &routes.kubeconfig)
                .env("ASSAY_NAMESPACE", &stack.namespace)
                .env("ASSAY_POOLS", self.pools.join(","))
                .env("ASSAY_METRICS_ADDR", format!("127.0.0.1:{port}"));
            operators.push(Service::new(with(launch, &self.operator_env), port, port, links));
        }
        Ok(operators)
    }

    async fn describe_scorers(&self, place: &Place, programs: &Path, stack: &Stack) -> Result<Vec<Service>> {
        let mut scorers = Vec::new();
        for (name, pool) in names("scorer", self.scorers).zip(self.pools.iter().cycle()) {
            let port = place.port(&name)?;
            let (routes, links) = self.routes(place, &name, stack).await?;
            let launch = place
                .launch(&name, programs.join("scorer"))
                .env("ASSAY_DATABASE_URL", &routes.database_url)
                .env("ASSAY_REDIS_URL", &routes.redis_url)
                .env("ASSAY_POOL", pool)
                .env("ASSAY_SCORER_NAME", &name)
                .env("ASSAY_METRICS_ADDR", format!("127.0.0.1:{port}"));
            scorers.push(Service::new(with(launch, &self.scorer_env), port, port, links));
        }
        Ok(scorers)
    }

    /// How one process reaches the servers.
    async fn routes(&self, place: &Place, name: &str, stack: &Stack) -> Result<(Routes, Option<Links>)> {
        let direct = Routes {
            database_url: stack.servers.database_url.clone(),
            redis_url: stack.servers.redis_url.clone(),
            kubeconfig: stack.servers.kubernetes.kubeconfig.clone(),
        };
        if !self.links {
            return Ok((direct, None));
        }
        let (links, linked) = Links::to(&direct, place.folder("links")?.join(name)).await?;
        Ok((linked, Some(links)))
    }
}

/// Several of a kind: `scorer` when there is one, else `scorer-1`, `scorer-2`, …
fn names(kind: &str, count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(move |number| if count == 1 { kind.to_owned() } else { format!("{kind}-{number}") })
}

fn with(launch: Launch, env: &[(String, String)]) -> Launch {
    env.iter().fold(launch, |launch, (name, value)| launch.env(name, value))
}

/// Brings the custom resources' definitions and the namespace to the cluster.
async fn prepare_cluster(stack: &Stack) -> Result<()> {
    stack.servers.kubernetes.apply_definitions().await?;
    match stack.kubectl(&["create", "namespace", &stack.namespace]).await {
        Err(error) if !error.to_string().contains("AlreadyExists") => Err(error),
        _ => Ok(()),
    }
}
