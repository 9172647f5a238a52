//! Starting a process, either so that it dies with its owner or so that it outlives it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::account::Account;
use crate::folder::in_path;
use crate::process::{Process, Signal, log_tail};

/// What a server is given of our own environment. Not all of it: a person's KUBECONFIG may point at production.
const INHERITED: [&str; 9] =
    ["PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "RUST_BACKTRACE", "ASSAY_LOG", "ASSAY_LOG_FORMAT"];

/// Stands between an owner and its server. It ends with the server, and ends the server when the owner lets go of
/// the pipe, which the kernel does for an owner that is killed. (The kernel's own "signal on parent's death" is
/// bound to the thread that started the child, and a runtime's threads come and go.)
///
/// It ignores SIGHUP, which the kernel sends to all of a process group that loses its owner while one of the group,
/// here the server, is paused.
const SUPERVISOR: &str = r#"
signal=$1; shift
exec 3<&0 </dev/null
trap '' HUP
(trap - HUP; exec "$@") 3<&- >&2 &
server=$!
echo "$server"
exec >&-
(
    read -r _ <&3
    kill -s "$signal" "$server" && kill -s CONT "$server"
    sleep 3
    kill -s KILL "$server"
) 2>/dev/null &
watcher=$!
exec 3<&-
wait "$server"
code=$?
kill "$watcher" 2>/dev/null
exit "$code"
"#;

/// How long a process may live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifetime {
    /// Ends when the process that started it does, in whatever way.
    Owned,
    /// Stays. A file per process in `records` says which it is, so that it is found again: starting one that
    /// still runs adopts it.
    Detached {
        /// Folder of the records.
        records: PathBuf,
    },
}

/// How to start a process.
#[derive(Debug, Clone)]
pub struct Launch {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    account: Option<Account>,
    log: PathBuf,
    lifetime: Lifetime,
    signal_at_end: Signal,
}

impl Launch {
    /// A program under a name, with its log in `logs/NAME.log`.
    pub fn new(name: &str, program: impl Into<PathBuf>, logs: &Path, lifetime: &Lifetime) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            account: None,
            log: logs.join(format!("{name}.log")),
            lifetime: lifetime.clone(),
            signal_at_end: Signal::Kill,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment; the last value set under a name counts.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets several variables, see [`Launch::env`].
    pub fn envs<'a>(self, variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        variables.into_iter().fold(self, |launch, (name, value)| launch.env(name, value))
    }

    /// Runs it as another account.
    pub fn account(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
    }

    /// What an owned process is sent when its owner is gone; SIGKILL unless it must clean up.
    pub fn signal_at_end(mut self, signal: Signal) -> Self {
        self.signal_at_end = signal;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Starts it.
    pub async fn start(&self) -> Result<Process> {
        let started = match &self.lifetime {
            Lifetime::Owned => self.start_owned().await,
            Lifetime::Detached { records } => self.start_detached(records).await,
        };
        started.with_context(|| format!("start {} ({})", self.name, self.program.display()))
    }

    /// The process of this name that was started before and still runs.
    pub fn adopt(&self) -> Option<Process> {
        let Lifetime::Detached { records } = &self.lifetime else {
            return None;
        };
        let record = fs::read_to_string(records.join(&self.name)).ok()?;
        let (pid, start_time) = record.trim().split_once(' ')?;
        Process::recorded(&self.name, pid.parse().ok()?, start_time.parse().ok()?, &self.log)
    }

    async fn start_owned(&self) -> Result<Process> {
        let mut command = Command::new("sh");
        command.args(["-c", SUPERVISOR, "supervisor", self.signal_at_end.shell_name()]);
        command.arg(&self.program).args(&self.args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        self.set_environment(&mut command)?;
        let mut child = command.spawn().context("start its supervisor")?;
        let pipe = child.stdin.take().context("the supervisor has no input")?;
        let output = child.stdout.take().context("the supervisor has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).await.context("read the pid from its supervisor")?;
        let pid = line.trim().parse().with_context(|| format!("a pid, not {line:?}"))?;
        let mut process = Process::by_pid(&self.name, pid, &self.log)
            .with_context(|| log_tail(&self.log).trim().to_owned())?;
        process.keeper = Some((child, pipe));
        Ok(process)
    }

    async fn start_detached(&self, records: &Path) -> Result<Process> {
        if let Some(process) = self.adopt() {
            return Ok(process);
        }
        // A session of its own, so that closing the terminal does not end it. setsid(1) keeps the pid.
        let mut command = match in_path("setsid") {
            Some(setsid) => {
                let mut command = Command::new(setsid);
                command.arg(&self.program);
                command
            }
            None => {
                let mut command = Command::new(&self.program);
                command.process_group(0);
                command
            }
        };
        command.args(&self.args).stdin(Stdio::null()).stdout(self.open_log()?);
        self.set_environment(&mut command)?;
        let child = command.spawn()?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).context("it ended at once")?;
        let process = Process::by_pid(&self.name, pid, &self.log)?;
        fs::create_dir_all(records).context("make the folder of records")?;
        fs::write(records.join(&self.name), format!("{pid} {}\n", process.start_time()))
            .context("record which process it is")?;
        Ok(process)
    }

    fn set_environment(&self, command: &mut Command) -> Result<()> {
        command.env_clear().current_dir("/").stderr(self.open_log()?);
        command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(account) = &self.account {
            command.uid(account.uid).gid(account.gid);
        }
        Ok(())
    }

    fn open_log(&self) -> Result<File> {
        if let Some(folder) = self.log.parent() {
            fs::create_dir_all(folder).context("make the folder of logs")?;
        }
        File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("open {}", self.log.display()))
    }
}
