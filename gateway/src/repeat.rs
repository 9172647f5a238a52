//! Repeating what Postgres did not answer.

use std::time::Duration;

use store::StoreError;
use tokio::time::{Instant, sleep};

/// Pauses before the repetitions. After a restart of Postgres several connections of the pool are dead, and each is
/// found out by a call that fails at once.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(20), Duration::from_millis(100)];

/// More than one repetition is for failures that take no longer than this, all together: the client waits.
const QUICK: Duration = Duration::from_secs(1);

/// Makes a call to the store, and makes it again when Postgres cannot be used: such calls may be repeated as they
/// are, and then find out whether they had taken effect.
pub(crate) async fn repeat<T, F>(call: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    repeat_while_quick(QUICK, call).await
}

async fn repeat_while_quick<T, F>(quick: Duration, call: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let began = Instant::now();
    for (repetition, pause) in PAUSES.into_iter().enumerate() {
        match call().await {
            Err(error) if error.is_unavailable() && (repetition == 0 || began.elapsed() < quick) => {
                if !pause.is_zero() {
                    sleep(pause).await;
                }
            }
            answered => return answered,
        }
    }
    call().await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use store::Unavailability;

    use super::*;

    async fn calls(quick: Duration, fails: usize) -> (usize, bool) {
        let calls = Cell::new(0);
        let outcome = repeat_while_quick(quick, async || {
            calls.set(calls.get() + 1);
            let away = StoreError::Unavailable(Unavailability::Deadline(quick));
            if calls.get() > fails { Ok(()) } else { Err(away) }
        })
        .await;
        (calls.get(), outcome.is_ok())
    }

    #[tokio::test]
    async fn a_call_that_is_answered_is_made_once() {
        assert_eq!(calls(QUICK, 0).await, (1, true));
    }

    #[tokio::test]
    async fn dead_connections_are_got_over() {
        assert_eq!(calls(QUICK, 3).await, (4, true));
        assert_eq!(calls(QUICK, 4).await, (4, false));
    }

    #[tokio::test]
    async fn a_call_that_takes_long_to_fail_is_made_twice() {
        assert_eq!(calls(Duration::ZERO, 9).await, (2, false));
    }
}
