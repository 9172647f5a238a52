//! One child process, seen from its scorer.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::warn;

use super::death;
use crate::protocol::{Answer, CHILD, LONGEST_ANSWER, read_async};
use crate::scoring::ScoringError;

/// How long a child that has closed its streams may take to be gone.
const DIES_WITHIN: Duration = Duration::from_secs(1);

/// How much of what a child complains about goes to the log, in bytes. It can complain without end.
const MOST_LOGGED: usize = 16 * 1024;

/// How children are started.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) memory_mib: u64,
}

/// A child process. Dropping it kills it, whatever it is doing.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    tasks: ChildStdin,
    answers: ChildStdout,
    /// It has said that it takes tasks.
    ready: bool,
    complaints: JoinHandle<String>,
    memory_mib: u64,
}

impl Process {
    pub(super) fn start(launch: &Launch) -> io::Result<Process> {
        let mut child = Command::new(&launch.program)
            .arg(CHILD)
            .arg(launch.memory_mib.to_string())
            // Addresses and passwords are none of its business.
            .env_clear()
            .current_dir("/")
            // Ctrl-C in a terminal is for the scorer, which lets its jobs finish.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("a child without its streams");
        let tasks = child.stdin.take().ok_or_else(missing)?;
        let answers = child.stdout.take().ok_or_else(missing)?;
        let complaints = tokio::spawn(hear_out(child.stderr.take().ok_or_else(missing)?, child.id()));
        Ok(Process { child, tasks, answers, ready: false, complaints, memory_mib: launch.memory_mib })
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Hands it a task, framed, and waits for the answer. After an error it is of no more use.
    pub(super) async fn ask(&mut self, task: &[u8]) -> io::Result<Answer> {
        if !self.ready {
            read_async(&mut self.answers, LONGEST_ANSWER).await?;
            self.ready = true;
        }
        self.tasks.write_all(task).await?;
        let answer = read_async(&mut self.answers, LONGEST_ANSWER).await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Sees to its end after it did not answer, and says what that was.
    pub(super) async fn end(mut self, error: io::Error) -> ScoringError {
        let closed = matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe);
        if closed && let Ok(Ok(status)) = timeout(DIES_WITHIN, self.child.wait()).await {
            let last_words = self.complaints.await.unwrap_or_default();
            if self.ready {
                death::of(status, &last_words, self.memory_mib)
            } else {
                death::at_birth(status, &last_words)
            }
        } else {
            death::of_senses(&error)
        }
    }
}

/// Reads what a child complains about until it is gone: to the log, and the last of it for whoever wants to know why it
/// died.
async fn hear_out(mut complaints: ChildStderr, pid: Option<u32>) -> String {
    const LAST: usize = 1024;
    let (mut heard, mut logged, mut last) = ([0; LAST], 0, Vec::new());
    while let Ok(length @ 1..) = complaints.read(&mut heard).await {
        let heard = &heard[..length];
        if logged < MOST_LOGGED {
            warn!(child = pid, "{}", String::from_utf8_lossy(heard).trim_end());
            logged += length;
        }
        last.extend_from_slice(heard);
        last.drain(..last.len().saturating_sub(LAST));
    }
    String::from_utf8_lossy(&last).into_owned()
}
