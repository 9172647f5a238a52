//! So much for all, and of that so much for each: nobody takes from everybody else what there is only so much of.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Something of which there is only so much. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    all: usize,
    each: usize,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    by: HashMap<String, usize>,
}

/// What somebody has of it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    held: Arc<Mutex<Held>>,
    who: Option<String>,
    amount: usize,
}

fn locked(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shares {
    /// So much for all, and of that so much for each.
    pub(crate) fn new(all: usize, each: usize) -> Shares {
        Shares { all, each, held: Arc::default() }
    }

    /// So much for all callers, and a twentieth of that for each who may not have all of it.
    pub(crate) fn among_callers(all: usize) -> Shares {
        Shares::new(all, all.div_ceil(20))
    }

    /// Takes so much of it for somebody, or for those who may have all of it. `None` when there is not so much left.
    pub(crate) fn take(&self, who: Option<String>, amount: usize) -> Option<Share> {
        let mut held = locked(&self.held);
        let total = held.total.checked_add(amount).filter(|total| *total <= self.all)?;
        if let Some(who) = &who {
            let theirs = held.by.get(who).copied().unwrap_or(0) + amount;
            if theirs > self.each {
                return None;
            }
            held.by.insert(who.clone(), theirs);
        }
        held.total = total;
        Some(Share { held: self.held.clone(), who, amount })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = locked(&self.held);
        held.total -= self.amount;
        if let Some(who) = &self.who
            && let Some(theirs) = held.by.get_mut(who)
        {
            *theirs -= self.amount;
            if *theirs == 0 {
                held.by.remove(who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    #[test]
    fn nobody_has_more_than_their_share_and_all_no_more_than_there_is() {
        let shares = Shares::new(10, 4);
        let mut ann = vec![shares.take(who("ann"), 3).expect("three of four")];
        assert!(shares.take(who("ann"), 2).is_none());
        ann.push(shares.take(who("ann"), 1).expect("the fourth"));
        let bob = shares.take(who("bob"), 4).expect("his own");
        assert!(shares.take(None, 3).is_none(), "eight of ten are taken");
        let rest = shares.take(None, 2).expect("the rest");
        assert!(shares.take(who("eve"), 1).is_none());
        drop((ann, bob, rest));
        let held = locked(&shares.held);
        assert!(held.total == 0 && held.by.is_empty(), "{held:?}");
    }
}
