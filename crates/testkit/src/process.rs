//! One running process: telling it from a later one with the same pid, signalling it, waiting for its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, PidfdFlags, kill_process, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, ChildStdin};

/// What can be sent to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: please stop, gracefully.
    Term,
    /// SIGINT: to Postgres, a fast shutdown.
    Interrupt,
    /// SIGQUIT: to Postgres, an immediate shutdown.
    Quit,
    /// SIGKILL: stop at once; cannot be refused.
    Kill,
    /// SIGSTOP: pause; cannot be refused.
    Stop,
    /// SIGCONT: go on after a pause.
    Continue,
}

impl Signal {
    fn number(self) -> rustix::process::Signal {
        use rustix::process::Signal as Number;
        match self {
            Self::Term => Number::TERM,
            Self::Interrupt => Number::INT,
            Self::Quit => Number::QUIT,
            Self::Kill => Number::KILL,
            Self::Stop => Number::STOP,
            Self::Continue => Number::CONT,
        }
    }

    /// The name that a shell's `kill` knows it by.
    pub(crate) fn shell_name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Interrupt => "INT",
            Self::Quit => "QUIT",
            Self::Kill => "KILL",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// A process that was started here, or found again by its pid and start time.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: i32,
    start_time: u64,
    log: PathBuf,
    /// Held open for as long as the process may live: its supervisor ends it when this end closes.
    pub(crate) keeper: Option<(Child, ChildStdin)>,
}

impl Process {
    /// The process that has this pid now.
    pub fn by_pid(name: &str, pid: i32, log: &Path) -> Result<Self> {
        let (_, start_time) =
            state_and_start_time(pid).with_context(|| format!("{name} (pid {pid}) is not running"))?;
        Ok(Self { name: name.to_owned(), pid, start_time, log: log.to_owned(), keeper: None })
    }

    /// A process known by pid and start time, if it still runs.
    pub fn recorded(name: &str, pid: i32, start_time: u64, log: &Path) -> Option<Self> {
        let process = Self { name: name.to_owned(), pid, start_time, log: log.to_owned(), keeper: None };
        process.is_running().then_some(process)
    }

    /// Its name, as its log file is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// When it started, in clock ticks since boot: with the pid, this names one process for good.
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether it still runs (a paused process does, one that only waits to be reaped does not).
    pub fn is_running(&self) -> bool {
        matches!(self.state(), Some(state) if state != 'Z' && state != 'X')
    }

    /// Whether it stands still after SIGSTOP.
    pub fn is_paused(&self) -> bool {
        self.state() == Some('T')
    }

    /// Sends a signal, unless the process has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if !self.is_running() {
            bail!("{} (pid {}) is not running, so it gets no {}", self.name, self.pid, signal.shell_name());
        }
        kill_process(self.raw_pid()?, signal.number())
            .with_context(|| format!("send {} to {} (pid {})", signal.shell_name(), self.name, self.pid))
    }

    /// Ends it at once, as a crash would, and waits until it is gone.
    pub async fn kill9(&self) -> Result<()> {
        if self.is_running() {
            self.signal(Signal::Kill)?;
        }
        self.wait_exit(Duration::from_secs(10)).await
    }

    /// Asks it to stop and waits. A process that does not obey within the limit is killed, and that is an error.
    pub async fn terminate(&self, limit: Duration) -> Result<()> {
        self.stop_with(Signal::Term, limit).await
    }

    /// Like [`Process::terminate`], with a signal of choice.
    pub async fn stop_with(&self, signal: Signal, limit: Duration) -> Result<()> {
        if !self.is_running() {
            return Ok(());
        }
        self.signal(signal)?;
        // A paused process would not even see the request; it may also have ended by now.
        let _had_ended = self.signal(Signal::Continue);
        if self.wait_exit(limit).await.is_err() {
            self.kill9().await?;
            bail!(
                "{} did not stop within {limit:?} of SIG{} and was killed{}",
                self.name,
                signal.shell_name(),
                self.log_tail()
            );
        }
        Ok(())
    }

    /// Freezes it, and returns once the kernel says that it stands still.
    pub async fn pause(&self) -> Result<()> {
        self.signal(Signal::Stop)?;
        // The kernel offers no event for this to anyone but the parent, which is a shell.
        for _ in 0..2_000 {
            match self.state() {
                Some('T') => return Ok(()),
                Some(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                None => bail!("{} ended while being paused", self.name),
            }
        }
        bail!("{} (pid {}) was sent SIGSTOP but still runs", self.name, self.pid)
    }

    /// Lets it go on after [`Process::pause`].
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::Continue)
    }

    /// Waits until it has ended.
    pub async fn wait_exit(&self, limit: Duration) -> Result<()> {
        let pidfd = match pidfd_open(self.raw_pid()?, PidfdFlags::NONBLOCK) {
            Ok(pidfd) => pidfd,
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            Err(error) => return Err(error).context("watch a process"),
        };
        // Looked at after opening: a pid that was taken over by another process means ours is gone.
        if !self.is_running() {
            return Ok(());
        }
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an OwnedFd stays the same file, as both demand"
        )]
        let watched = AsyncFd::with_interest(pidfd, tokio::io::Interest::READABLE);
        let watched = watched.context("watch a process")?;
        match tokio::time::timeout(limit, watched.readable()).await {
            Ok(ended) => ended.map(drop).context("watch a process"),
            Err(_) => bail!("{} (pid {}) still runs after {limit:?}", self.name, self.pid),
        }
    }

    /// The last lines of its log, ready to be put at the end of an error message.
    pub fn log_tail(&self) -> String {
        log_tail(&self.log)
    }

    fn raw_pid(&self) -> Result<Pid> {
        Pid::from_raw(self.pid).with_context(|| format!("{} is not a pid", self.pid))
    }

    fn state(&self) -> Option<char> {
        let (state, start_time) = state_and_start_time(self.pid)?;
        (start_time == self.start_time).then_some(state)
    }
}

/// The last lines of a log file, ready to be put at the end of an error message.
pub(crate) fn log_tail(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(25)..].join("\n  ");
    format!("\nEnd of {}:\n  {tail}", log.display())
}

/// One-letter state and start time of a process, from `/proc/PID/stat`.
fn state_and_start_time(pid: i32) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may itself contain anything.
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
    Some((fields.first()?.chars().next()?, fields.get(19)?.parse().ok()?))
}
