//! Who may touch a process: faults take turns, and a process that ended by itself is started again, as a kubelet would.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use testkit::{Service, Stack};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{MissedTickBehavior, interval};

use super::ledger::Ledger;
use super::plan::{GATEWAYS, OPERATORS, Role, SCORERS, Target};

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A lock for each process and for each server.
#[derive(Debug)]
pub(crate) struct Keeper<'a> {
    stack: &'a Stack,
    processes: BTreeMap<Target, Mutex<()>>,
    pub(crate) redis: Mutex<()>,
    pub(crate) postgres: Mutex<()>,
    pub(crate) cluster: Mutex<()>,
}

impl<'a> Keeper<'a> {
    pub(crate) fn of(stack: &'a Stack) -> Keeper<'a> {
        let roles = [(Role::Gateway, GATEWAYS), (Role::Operator, OPERATORS), (Role::Scorer, SCORERS)];
        let targets = roles.into_iter().flat_map(|(role, count)| targets(role, count));
        Keeper {
            stack,
            processes: targets.map(|target| (target, Mutex::default())).collect(),
            redis: Mutex::default(),
            postgres: Mutex::default(),
            cluster: Mutex::default(),
        }
    }

    /// The stack whose processes these are.
    pub(crate) fn stack(&self) -> &'a Stack {
        self.stack
    }

    /// The processes of a role.
    pub(crate) fn of_role(&self, role: Role) -> impl Iterator<Item = Target> {
        self.processes.keys().copied().filter(move |target| target.role == role)
    }

    /// The process behind a target.
    pub(crate) fn service(&self, target: Target) -> Result<&'a Service> {
        let services = match target.role {
            Role::Gateway => &self.stack.gateways,
            Role::Operator => &self.stack.operators,
            Role::Scorer => &self.stack.scorers,
        };
        services.get(target.number).with_context(|| format!("there is no {target}"))
    }

    /// The process, and the right to treat it badly until the guard is dropped.
    pub(crate) async fn take(&self, target: Target) -> Result<(&'a Service, MutexGuard<'_, ()>)> {
        let lock = self.processes.get(&target).with_context(|| format!("there is no {target}"))?;
        Ok((self.service(target)?, lock.lock().await))
    }

    /// The process, and the right to treat it badly, unless somebody has that right now.
    pub(crate) fn take_if_free(&self, target: Target) -> Option<(&'a Service, MutexGuard<'_, ()>)> {
        let guard = self.processes.get(&target)?.try_lock().ok()?;
        Some((self.service(target).ok()?, guard))
    }

    /// Starts again whatever ended without a fault, for ever, and notes that it did.
    pub(crate) async fn restart_what_ends(&self, ledger: &Ledger) -> Result<()> {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            for (target, lock) in &self.processes {
                let Ok(_mine) = lock.try_lock() else { continue };
                let service = self.service(*target)?;
                if service.pid().is_none() {
                    let last =
                        service.server().process().map(|process| process.log_tail()).unwrap_or_default();
                    ledger.note(|notes| notes.ended_by_themselves.push(format!("{target}: {last}")));
                    service.spawn().await?;
                }
            }
        }
    }
}

fn targets(role: Role, count: usize) -> impl Iterator<Item = Target> {
    (0..count).map(move |number| Target { role, number })
}
