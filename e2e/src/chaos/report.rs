//! What a run came to, in figures.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::ledger::{Inflicted, Notes};
use super::plan::{Fault, Role, Size, Target};
use crate::rows::{Attempt, Row};

/// The figures of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was asked for.
    pub size: Size,
    /// How long clients asked and faults lasted.
    pub took: Duration,
    /// How long after the last fault the last job had ended.
    pub settled: Duration,
    /// Faults, by kind: how many, and how long it took until what they had hit was well again.
    pub faults: BTreeMap<&'static str, Recoveries>,
    /// Jobs, by how they ended.
    pub jobs: BTreeMap<String, usize>,
    /// Attempts, by outcome.
    pub attempts: BTreeMap<String, usize>,
    /// Answers to clients, by status; 0 is no answer.
    pub answers: BTreeMap<u16, usize>,
    /// From the kill -9 of a scorer to the record that its attempt was lost, for those that no other fault delayed.
    pub takeovers: Vec<Duration>,
}

/// Faults of one kind.
#[derive(Clone, Debug, Default)]
pub struct Recoveries {
    /// How many there were.
    pub count: usize,
    /// How long each took to be over, shortest first.
    pub times: Vec<Duration>,
}

impl Report {
    pub(crate) fn of(
        size: Size,
        took: Duration,
        settled: Duration,
        notes: &Notes,
        rows: &[Row],
        attempts: &[Attempt],
    ) -> Report {
        let mut faults: BTreeMap<&'static str, Recoveries> = BTreeMap::new();
        for fault in &notes.faults {
            let of_kind = faults.entry(fault.fault.kind()).or_default();
            of_kind.count += 1;
            of_kind.times.extend(&fault.recoveries);
        }
        faults.values_mut().for_each(|of_kind| of_kind.times.sort_unstable());
        let how = |row: &Row| match &row.error_code {
            Some(code) => format!("{} {code}", row.status),
            None => row.status.clone(),
        };
        Report {
            size,
            took,
            settled,
            faults,
            jobs: counted(rows.iter().map(how)),
            attempts: counted(attempts.iter().map(|attempt| attempt.outcome.clone())),
            answers: notes.answers.clone(),
            takeovers: takeovers(&notes.faults, attempts),
        }
    }
}

fn counted<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    counts
}

/// How long it took from each kill -9 of a scorer until its attempts were known to be lost, where no other fault than
/// those of gateways and of the cluster lay in between.
fn takeovers(faults: &[Inflicted], attempts: &[Attempt]) -> Vec<Duration> {
    let mut takeovers = Vec::new();
    for kill in faults {
        let Fault::Kill(target @ Target { role: Role::Scorer, .. }) = kill.fault else { continue };
        let name = target.to_string();
        let lost = attempts.iter().filter(|attempt| {
            attempt.scorer == name
                && attempt.outcome == "lease_lost"
                && attempt.started_ms <= kill.from_ms
                && kill.from_ms <= attempt.ended_ms
        });
        for attempt in lost {
            let delays = |other: &&Inflicted| {
                let meets = other.from_ms <= attempt.ended_ms && kill.from_ms <= other.until_ms;
                let harmless = match other.fault {
                    Fault::Kill(target)
                    | Fault::Pause(target)
                    | Fault::Split(target)
                    | Fault::Network(target, _, _) => target.role == Role::Gateway,
                    Fault::Roll(role) => role == Role::Gateway,
                    Fault::RestartApiserver | Fault::RestartEtcd | Fault::PauseApiserver => true,
                    Fault::EmptyRedis | Fault::RestartRedis | Fault::PauseRedis | Fault::RestartPostgres => {
                        false
                    }
                };
                meets && !harmless && other.from_ms != kill.from_ms
            };
            if !faults.iter().any(|other| delays(&other)) {
                let took_ms = u64::try_from(attempt.ended_ms - kill.from_ms).unwrap_or(0);
                takeovers.push(Duration::from_millis(took_ms));
            }
        }
    }
    takeovers.sort_unstable();
    takeovers
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { jobs, faults, seed } = self.size;
        writeln!(f, "Seed {seed}: {jobs} jobs under {faults} faults in {:.0} s", self.took.as_secs_f64())?;
        writeln!(f, "  the last job ended {:.1} s after the last fault", self.settled.as_secs_f64())?;
        writeln!(f, "  jobs {:?}", self.jobs)?;
        writeln!(f, "  attempts {:?}", self.attempts)?;
        writeln!(f, "  answers to clients by status (0: none) {:?}", self.answers)?;
        if let (Some(median), Some(slowest)) =
            (self.takeovers.get(self.takeovers.len() / 2), self.takeovers.last())
        {
            writeln!(
                f,
                "  takeovers after kill -9 of a scorer: {}, median {:.2} s, slowest {:.2} s (lease {:?})",
                self.takeovers.len(),
                median.as_secs_f64(),
                slowest.as_secs_f64(),
                super::plan::LEASE
            )?;
        }
        writeln!(f, "  {:<40} {:>5} {:>10} {:>10}", "fault", "times", "median", "slowest")?;
        for (kind, Recoveries { count, times }) in &self.faults {
            let seconds = |time: Option<&Duration>| {
                time.map_or_else(|| "-".to_owned(), |time| format!("{:.2} s", time.as_secs_f64()))
            };
            let (median, slowest) = (times.get(times.len() / 2), times.last());
            writeln!(f, "  {kind:<40} {count:>5} {:>10} {:>10}", seconds(median), seconds(slowest))?;
        }
        Ok(())
    }
}
