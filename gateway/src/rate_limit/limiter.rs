//! One limit, for everybody whom it holds for.
//!
//! Of each name at most one question to Redis is on its way. Those who ask meanwhile share the next one, as in a group
//! commit: however many requests a client sends, they cost Redis little, and a lone one waits for one answer only. Who asks often gets
//! some in advance (`advance.rs`) and seldom waits. Who has spent the quota is refused without a question until there is more: debts only grow, whoever else adds to them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::HeaderValue;
use domain::Rate;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::advance::Advance;
use super::fields;
use super::shared::Shared;
use crate::metrics::Metrics;

/// Names are dealt out to so many tables, each with a lock of its own.
const TABLES: usize = 64;

/// The most names in a table. Who asks from ever new addresses makes the gateway forget others, not grow.
const NAMES: usize = 512;

/// Whether a request may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether it may.
    pub(super) allowed: bool,
    /// How far the theoretical arrival time is ahead, in microseconds: see [`domain::rate`].
    pub(super) ahead_us: u64,
}

/// One limit.
pub(super) struct Limiter {
    name: &'static str,
    policy: HeaderValue,
    hasher: RandomState,
    tables: Vec<Mutex<HashMap<String, Arc<Mutex<Account>>>>>,
    asker: Asker,
}

/// What it takes to decide.
#[derive(Clone)]
struct Asker {
    rate: Rate,
    shared: Option<Arc<Shared>>,
    began: Instant,
    metrics: Metrics,
}

/// One name's.
#[derive(Debug, Default)]
struct Account {
    /// By this process's clock, in microseconds since the limiter began. It counts what was taken in advance.
    tat_us: u64,
    advance: Advance,
    /// Whether a question is on its way.
    asking: bool,
    waiting: Vec<oneshot::Sender<Verdict>>,
}

impl Account {
    /// How far it is ahead, in microseconds, but for what was taken in advance and not used yet.
    fn ahead_us(&self, rate: &Rate, now_us: u64) -> u64 {
        let unused_us = u64::from(self.advance.left()) * rate.interval_us();
        self.tat_us.saturating_sub(now_us + unused_us)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Limiter {
    /// A limit under a name, kept by Redis if there is one.
    pub(super) fn new(
        name: &'static str,
        rate: Rate,
        shared: Option<Arc<Shared>>,
        metrics: Metrics,
    ) -> Limiter {
        Limiter {
            name,
            policy: fields::policy(name, &rate),
            hasher: RandomState::new(),
            tables: (0..TABLES).map(|_| Mutex::default()).collect(),
            asker: Asker { rate, shared, began: Instant::now(), metrics },
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn policy(&self) -> &HeaderValue {
        &self.policy
    }

    pub(super) fn rate(&self) -> &Rate {
        &self.asker.rate
    }

    /// Whether whoever has this name may do one more.
    pub(super) async fn ask(&self, who: &str) -> Verdict {
        let account = self.account(who);
        let answer = {
            let mut it = locked(&account);
            let now_us = self.asker.now_us();
            if it.advance.spend(now_us) {
                self.asker.metrics.rate_decided("redis", 1);
                return Verdict { allowed: true, ahead_us: it.ahead_us(self.rate(), now_us) };
            }
            let ahead_us = it.tat_us.saturating_sub(now_us);
            if self.rate().left(ahead_us) == 0 {
                return Verdict { allowed: false, ahead_us };
            }
            // Those who wait are answered in the order in which they came, also when Redis has just gone away.
            let (verdict, answer) = oneshot::channel();
            if it.asking {
                it.waiting.push(verdict);
            } else {
                let name = format!("{}:{who}", self.name);
                if !self.asker.may_ask(&name) {
                    return self.asker.decide(&mut it, now_us);
                }
                it.asking = true;
                it.waiting.push(verdict);
                tokio::spawn(self.asker.clone().answer(name, account.clone()));
            }
            answer
        };
        // Whoever answers does so for all; it does not come to its end only when the process does not, either.
        answer.await.unwrap_or(Verdict { allowed: true, ahead_us: 0 })
    }

    fn account(&self, who: &str) -> Arc<Mutex<Account>> {
        let at = usize::try_from(self.hasher.hash_one(who) % TABLES as u64).unwrap_or(0);
        let mut table = locked(&self.tables[at]);
        if let Some(account) = table.get(who) {
            return account.clone();
        }
        if table.len() >= NAMES {
            make_room(&mut table, self.asker.now_us());
        }
        table.entry(who.to_owned()).or_default().clone()
    }
}

/// Forgets whose quota is whole again, and if there are none, who has spent least of it. An account with a question on its
/// way stays.
fn make_room(table: &mut HashMap<String, Arc<Mutex<Account>>>, now_us: u64) {
    table.retain(|_, account| {
        let account = locked(account);
        account.asking || account.tat_us > now_us
    });
    if table.len() >= NAMES {
        let spent = table.iter().filter_map(|(name, account)| {
            let account = locked(account);
            (!account.asking).then(|| (account.tat_us, name.clone()))
        });
        if let Some((_, name)) = spent.min() {
            table.remove(&name);
        }
    }
}

impl Asker {
    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Whether Redis is there and worth a question about whoever has this name.
    fn may_ask(&self, name: &str) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.may_be_asked(name))
    }

    /// Decides without Redis.
    fn decide(&self, account: &mut Account, now_us: u64) -> Verdict {
        self.metrics.rate_decided("gateway", 1);
        let taken = self.rate.take(account.tat_us, now_us, 1);
        account.tat_us = taken.tat_us;
        Verdict { allowed: taken.granted > 0, ahead_us: taken.tat_us - now_us }
    }

    /// Answers all who wait, and those who come meanwhile, until nobody does.
    async fn answer(self, name: String, account: Arc<Mutex<Account>>) {
        let mut asks = true;
        loop {
            let (waiting, number, advance) = {
                let mut it = locked(&account);
                let waiting = std::mem::take(&mut it.waiting);
                if waiting.is_empty() {
                    it.asking = false;
                    return;
                }
                let number = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
                let advance = it.advance.worth_asking(&self.rate, number, self.now_us());
                (waiting, number, advance)
            };
            let wanted = number.saturating_add(advance);
            let taken = match &self.shared {
                Some(shared) if asks => shared.take(&name, self.rate, wanted).await,
                _ => None,
            };
            asks = self.may_ask(&name);
            let mut it = locked(&account);
            let now_us = self.now_us();
            match taken {
                Some(answer) => {
                    self.metrics.rate_decided("redis", waiting.len());
                    it.tat_us = now_us + answer.tat_us.saturating_sub(answer.now_us);
                    it.advance.answered(number, answer.granted, now_us);
                    let ahead_us = it.ahead_us(&self.rate, now_us);
                    for (number, verdict) in (0..).zip(waiting) {
                        // A caller that has gone needs no answer.
                        let _ = verdict.send(Verdict { allowed: number < answer.granted, ahead_us });
                    }
                }
                None => {
                    for verdict in waiting {
                        let _ = verdict.send(self.decide(&mut it, now_us));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    fn alone(rate: &str) -> Limiter {
        let metrics = Metrics::register(&mut Registry::default());
        Limiter::new("test", rate.parse().expect("a rate"), None, metrics)
    }

    #[tokio::test]
    async fn each_name_has_a_quota_of_its_own() {
        let limiter = alone("3/1h");
        for _ in 0..3 {
            assert!(limiter.ask("a").await.allowed);
        }
        assert!(!limiter.ask("a").await.allowed && !limiter.ask("a").await.allowed);
        let other = limiter.ask("b").await;
        assert!(other.allowed);
        assert_eq!(limiter.rate().left(other.ahead_us), 2);
    }

    #[tokio::test]
    async fn ever_new_names_do_not_make_it_grow_and_who_has_spent_all_is_remembered() {
        let limiter = alone("2/1h");
        for _ in 0..2 {
            assert!(limiter.ask("guilty").await.allowed);
        }
        for number in 0..2 * TABLES * NAMES {
            limiter.ask(&number.to_string()).await;
        }
        let names: usize = limiter.tables.iter().map(|table| locked(table).len()).sum();
        assert!(names <= TABLES * NAMES, "{names}");
        assert!(!limiter.ask("guilty").await.allowed);
    }
}
