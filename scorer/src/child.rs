//! A child process: scores what its scorer sends it, one task after the other, until its input ends.
//!
//! Texts are untrusted, and parsers are large programs in C. Whatever a text does to this process, it happens within
//! limits and harms nothing else.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use anyhow::{Context, ensure};
use domain::rubric::Rubric;
use domain::submission::Content;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use rustix::thread::{set_name, set_no_new_privs};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use serde_json::Value;

use crate::engine::{Outcome, panicked};
use crate::protocol::{Answer, CHILD, LONGEST_TASK, MIB, READY, Task, frame, read};
use crate::scoring::{self, CompiledRubric};

/// How much longer a task may use the processor than it may take: for reading it and answering. It is the scorer that
/// ends what takes too long; this bounds what a child uses whose scorer stands still.
const SPARE_CPU: Duration = Duration::from_secs(2);

/// What this process is to be when its arguments say that it is a child of a scorer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    memory_mib: u64,
}

impl Child {
    /// Reads the arguments of this process, without its name. `None` when it is no child.
    pub fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Option<Child> {
        if arguments.next()? != CHILD {
            return None;
        }
        Some(Child { memory_mib: arguments.next()?.parse().ok()? })
    }

    /// Scores until the standard input ends.
    ///
    /// # Errors
    /// When the limits cannot be set, or the scorer cannot be understood or reached.
    pub fn run(self) -> anyhow::Result<()> {
        let memory = self.memory_mib.saturating_mul(MIB);
        let size = Size::opened().context("cannot see its own size")?;
        let at_first = size.bytes()?;
        ensure!(at_first < memory / 2, "{at_first} bytes for the program alone leave too little of {memory}");
        confine(memory).context("cannot limit itself")?;
        let (mut tasks, mut answers) = (io::stdin().lock(), io::stdout().lock());
        let mut kept = Kept::default();
        // What goes wrong from here on is the doing of a submission.
        send(&mut answers, &READY)?;
        while let Some(text) = read(&mut tasks, LONGEST_TASK).context("cannot read a task")? {
            let outcome = {
                let task: Task<'_> = serde_json::from_slice(&text).context("cannot read a task")?;
                limit_cpu(task.limits.timeout).context("cannot limit itself")?;
                // A panic is the failure of this submission alone.
                catch_unwind(AssertUnwindSafe(|| kept.score(&task))).unwrap_or_else(|_| Err(panicked()))
            };
            drop(text);
            let retires = size.bytes()? > at_first + memory.saturating_sub(at_first) / 2;
            send(&mut answers, &Answer { outcome, retires })?;
            if retires {
                break;
            }
        }
        Ok(())
    }
}

fn send(answers: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    answers.write_all(&frame(message)?)?;
    answers.flush()
}

/// What is kept from one task for the next: its rubric, which is mostly the same.
#[derive(Default)]
struct Kept {
    rubric: Option<(String, CompiledRubric)>,
}

impl Kept {
    fn score(&mut self, task: &Task<'_>) -> Outcome {
        let rubric = match self.rubric.take() {
            Some((spec, rubric)) if spec == task.rubric => rubric,
            _ => compile(&task.rubric)?,
        };
        let (_, rubric) = self.rubric.insert((task.rubric.clone().into_owned(), rubric));
        let content = Content::from_slice(task.content.as_bytes())?;
        scoring::score(&content, rubric, &task.limits)
    }
}

fn compile(spec: &str) -> Result<CompiledRubric, scoring::ScoringError> {
    let spec: Value = serde_json::from_str(spec)
        .map_err(|error| scoring::ScoringError::invalid_rubric(error.to_string()))?;
    CompiledRubric::compile(&Rubric::from_json(&spec)?)
}

/// Sets the limits that hold as long as the process lives.
fn confine(memory: u64) -> anyhow::Result<()> {
    set_name(c"scorer-child")?;
    // It must not outlive its scorer. One that died before this line has closed the input.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_no_new_privs(true)?;
    // Where memory runs out for the whole container, this process goes first, and not the scorer with all its jobs, unless
    // the container ends as a whole (memory.oom.group, which a kubelet sets on cgroup v2): leave it room for all children.
    // Where that cannot be asked for, the limits hold all the same.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    limit(Resource::As, memory)?;
    limit(Resource::Core, 0)?;
    // It needs its three streams and no other file, connection or process.
    limit(Resource::Nofile, 3)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Nproc, 0)?;
    Ok(())
}

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |allowed| allowed.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// Lets the process use the processor for one more task. Only the soft limit: the next task moves it on.
fn limit_cpu(timeout: Duration) -> io::Result<()> {
    let used = u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec).unwrap_or_default();
    let most = used.saturating_add(timeout.saturating_add(SPARE_CPU).as_secs());
    let maximum = getrlimit(Resource::Cpu).maximum;
    let current = Some(maximum.map_or(most, |allowed| allowed.min(most)));
    Ok(setrlimit(Resource::Cpu, Rlimit { current, maximum })?)
}

/// How large this process is. The file stays open, since no other can be opened later.
struct Size(File);

impl Size {
    fn opened() -> io::Result<Size> {
        File::open("/proc/self/status").map(Size)
    }

    /// The address space in use, in bytes.
    fn bytes(&self) -> anyhow::Result<u64> {
        let mut text = [0; 4096];
        let length = self.0.read_at(&mut text, 0)?;
        let text = String::from_utf8_lossy(&text[..length]);
        let kib = text.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB"));
        Ok(kib.context("the kernel does not say how large it is")?.parse::<u64>()? * 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(arguments: &[&str]) -> Option<Child> {
        Child::from_arguments(arguments.iter().map(|&argument| argument.to_owned()))
    }

    #[test]
    fn only_the_arguments_of_a_child_make_one() {
        assert_eq!(child(&["child", "64"]), Some(Child { memory_mib: 64 }));
        for arguments in [&[] as &[&str], &["child"], &["child", "much"], &["--pool", "child"]] {
            assert_eq!(child(arguments), None, "{arguments:?}");
        }
    }

    #[test]
    fn a_process_knows_its_size() {
        assert!(Size::opened().unwrap().bytes().unwrap() > MIB);
    }
}
