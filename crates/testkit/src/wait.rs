//! Waiting for what becomes visible only by looking.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep, timeout};

/// What a look has found.
#[derive(Clone, Debug)]
pub enum Seen<T> {
    /// What was waited for.
    Yes(T),
    /// Something else, in words.
    NotYet(String),
}

impl Seen<()> {
    /// Whether something holds; if not, what was seen instead.
    pub fn when(holds: bool, instead: impl FnOnce() -> String) -> Seen<()> {
        if holds { Seen::Yes(()) } else { Seen::NotYet(instead()) }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Looks until what is waited for is there. An error of a look ends the wait.
///
/// # Errors
/// The look's own; or, at the limit, what was waited for and what was seen last.
pub async fn until<T>(
    what: impl Display,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<Seen<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    let mut last = "nothing".to_owned();
    loop {
        match timeout(deadline.saturating_duration_since(Instant::now()), look()).await {
            Ok(seen) => match seen? {
                Seen::Yes(found) => return Ok(found),
                Seen::NotYet(instead) => last = instead,
            },
            Err(_) => {
                bail!("waited {limit:?} until {what}; the last look took too long; before that: {last}")
            }
        }
        if Instant::now() + pause > deadline {
            bail!("waited {limit:?} until {what}; last seen: {last}");
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
