//! For how long what is kept.

use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use domain::duration;

/// Flags and environment that say for how long what is kept. Nothing leaves that nobody asked to let go.
#[derive(Args, Clone, Debug)]
pub struct RetentionFlags {
    /// Jobs that ended this long ago, such as 90d, and have no resource any more move into the history, where they are
    /// shown one by one and exported, but not listed. By default they stay.
    #[arg(long, env = "ASSAY_RETAIN_JOBS", value_parser = duration::parse)]
    pub retain_jobs: Option<Duration>,
    /// Jobs of the history that ended this long ago are deleted. By default they stay.
    #[arg(long, env = "ASSAY_RETAIN_HISTORY", value_parser = duration::parse)]
    pub retain_history: Option<Duration>,
    /// Submissions created this long ago whose jobs are all in the history are deleted. By default they stay, and those
    /// that were never scored always do.
    #[arg(long, env = "ASSAY_RETAIN_SUBMISSIONS", value_parser = duration::parse)]
    pub retain_submissions: Option<Duration>,
    /// How often these are looked for.
    #[arg(long, env = "ASSAY_RETENTION_EVERY", default_value = "5m", value_parser = duration::parse)]
    pub retention_every: Duration,
}

/// By then nobody is still asking what became of an answer that was lost.
const LEAST: Duration = Duration::from_secs(3600);

impl RetentionFlags {
    /// Refuses contradictions.
    ///
    /// # Errors
    /// When two settings contradict each other, or one would take away what is still worked on.
    pub fn validate(&self) -> anyhow::Result<()> {
        let ages = [
            ("--retain-jobs", self.retain_jobs),
            ("--retain-history", self.retain_history),
            ("--retain-submissions", self.retain_submissions),
        ];
        for (flag, age) in ages {
            ensure!(age.is_none_or(|age| age >= LEAST), "{flag} is shorter than {}h", LEAST.as_secs() / 3600);
        }
        ensure!(
            self.retain_history.is_none_or(|history| self.retain_jobs.is_some_and(|jobs| history > jobs)),
            "--retain-history counts from the end of a job, as --retain-jobs does, and has to be longer"
        );
        ensure!(
            self.retain_submissions.is_none() || self.retain_jobs.is_some(),
            "--retain-submissions without --retain-jobs would delete nothing: submissions go after their jobs"
        );
        ensure!(
            self.retain_submissions
                .is_none_or(|age| self.retain_history.is_none_or(|history| age <= history)),
            "--retain-submissions is longer than --retain-history: that a submission was scored is known by the history alone"
        );
        ensure!(!self.retention_every.is_zero(), "--retention-every is zero");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(jobs: Option<u64>, history: Option<u64>) -> RetentionFlags {
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        RetentionFlags {
            retain_jobs: jobs.map(days),
            retain_history: history.map(days),
            retain_submissions: None,
            retention_every: days(1),
        }
    }

    #[test]
    fn the_history_is_kept_for_longer_than_jobs_are() {
        for (jobs, history, allowed) in [
            (None, None, true),
            (Some(1), None, true),
            (Some(1), Some(2), true),
            (Some(2), Some(2), false),
            (None, Some(2), false),
            (Some(0), None, false),
        ] {
            assert_eq!(flags(jobs, history).validate().is_ok(), allowed, "{jobs:?} {history:?}");
        }
        let submissions_alone = RetentionFlags { retain_submissions: Some(2 * LEAST), ..flags(None, None) };
        assert!(submissions_alone.validate().is_err());
    }

    #[test]
    fn no_submission_is_kept_for_longer_than_what_says_that_it_was_scored() {
        for (history, submissions, allowed) in [(2, 2, true), (3, 2, true), (2, 3, false)] {
            let days = |days: u64| Duration::from_secs(days * 24 * 3600);
            let flags = RetentionFlags {
                retain_submissions: Some(days(submissions)),
                ..flags(Some(1), Some(history))
            };
            assert_eq!(flags.validate().is_ok(), allowed, "{history} {submissions}");
        }
    }
}
