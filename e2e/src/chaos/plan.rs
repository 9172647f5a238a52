//! Which faults a run has, and when: a pure function of its size and seed.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

/// How large a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Jobs that clients ask for.
    pub jobs: usize,
    /// Faults.
    pub faults: usize,
    /// What everything random is drawn from.
    pub seed: u64,
}

/// A kind of process of Assay itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A gateway.
    Gateway,
    /// An operator.
    Operator,
    /// A scorer.
    Scorer,
}

/// One process of Assay itself: a role, and its place among those of that role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Its role.
    pub role: Role,
    /// Which one, from 0.
    pub number: usize,
}

/// A way from a process to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Line {
    /// To Postgres.
    Postgres,
    /// To Redis.
    Redis,
    /// To the API server.
    Kubernetes,
}

/// What the network does to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// The server hears, its answers get lost, and then the connections break: whoever waits for a COMMIT cannot tell
    /// whether it happened.
    LostAnswers,
    /// Nothing arrives, and nobody is told.
    Silence,
    /// Connections break, and new ones too.
    Cut,
    /// Everything arrives late.
    Delay,
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL; started again later.
    Kill(Target),
    /// SIGSTOP; SIGCONT later.
    Pause(Target),
    /// SIGTERM to each process of a role in turn, each started again before the next: a rolling restart.
    Roll(Role),
    /// The network between a process and a server.
    Network(Target, Line, Trouble),
    /// The network between a process and all servers at once: silence.
    Split(Target),
    /// FLUSHALL.
    EmptyRedis,
    /// SIGSTOP to Redis; SIGCONT later. Meanwhile it is a peer that takes connections and never answers.
    PauseRedis,
    /// SIGKILL to Redis, which keeps nothing; started again later.
    RestartRedis,
    /// Postgres ends as in a crash; started again later.
    RestartPostgres,
    /// SIGKILL to kube-apiserver; started again later.
    RestartApiserver,
    /// SIGKILL to etcd; started again later.
    RestartEtcd,
    /// SIGSTOP to kube-apiserver; SIGCONT later.
    PauseApiserver,
}

impl Fault {
    /// What reports call this kind of fault.
    pub fn kind(self) -> &'static str {
        match self {
            Fault::Kill(Target { role: Role::Gateway, .. }) => "kill -9 of a gateway",
            Fault::Kill(Target { role: Role::Operator, .. }) => "kill -9 of an operator",
            Fault::Kill(Target { role: Role::Scorer, .. }) => "kill -9 of a scorer",
            Fault::Pause(Target { role: Role::Gateway, .. }) => "pause of a gateway",
            Fault::Pause(Target { role: Role::Operator, .. }) => "pause of an operator past its lease",
            Fault::Pause(Target { role: Role::Scorer, .. }) => "pause of a scorer past its leases",
            Fault::Roll(Role::Gateway) => "rolling restart of gateways",
            Fault::Roll(Role::Operator) => "rolling restart of operators",
            Fault::Roll(Role::Scorer) => "rolling restart of scorers",
            Fault::Network(_, _, Trouble::LostAnswers) => "answers lost, then connections cut",
            Fault::Network(_, _, Trouble::Silence) => "connections gone silent",
            Fault::Network(_, _, Trouble::Cut) => "connections cut",
            Fault::Network(_, _, Trouble::Delay) => "connections delayed",
            Fault::Split(_) => "a process cut off from everything",
            Fault::EmptyRedis => "FLUSHALL",
            Fault::PauseRedis => "pause of Redis",
            Fault::RestartRedis => "kill -9 of Redis",
            Fault::RestartPostgres => "immediate stop of Postgres",
            Fault::RestartApiserver => "kill -9 of kube-apiserver",
            Fault::RestartEtcd => "kill -9 of etcd",
            Fault::PauseApiserver => "pause of kube-apiserver",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Gateway => "gateway",
            Role::Operator => "operator",
            Role::Scorer => "scorer",
        };
        write!(f, "{role}-{}", self.number + 1)
    }
}

/// A fault at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When it begins, counted from the first request.
    pub at: Duration,
    /// How long it lasts: until the process is started again or goes on, or the network is well.
    pub lasts: Duration,
    /// What it is.
    pub fault: Fault,
}

/// All faults of a run, in the order of their times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The faults.
    pub faults: Vec<Planned>,
}

/// Gateways in a run.
pub const GATEWAYS: usize = 2;
/// Operators in a run.
pub const OPERATORS: usize = 2;
/// Scorers in a run.
pub const SCORERS: usize = 3;

/// The scorers' lease in a run.
pub const LEASE: Duration = Duration::from_secs(3);

/// The operators' lease in a run.
pub const LEADER_LEASE: Duration = Duration::from_secs(3);

/// How far apart faults begin, in milliseconds.
const GAP_MS: std::ops::Range<u64> = 400..1_800;

/// How often each kind is drawn before any is drawn again: the deck that plans are dealt from.
const DECK: [(Kind, usize); 15] = [
    (Kind::Kill(Role::Scorer), 4),
    (Kind::Kill(Role::Gateway), 2),
    (Kind::Kill(Role::Operator), 2),
    (Kind::Pause(Role::Scorer), 4),
    (Kind::Pause(Role::Gateway), 1),
    (Kind::Pause(Role::Operator), 2),
    (Kind::Roll, 3),
    (Kind::Network(Trouble::LostAnswers), 4),
    (Kind::Network(Trouble::Silence), 2),
    (Kind::Network(Trouble::Cut), 2),
    (Kind::Network(Trouble::Delay), 1),
    (Kind::Split, 4),
    (Kind::Redis, 4),
    (Kind::Postgres, 2),
    (Kind::Cluster, 3),
];

#[derive(Clone, Copy)]
enum Kind {
    Kill(Role),
    Pause(Role),
    Roll,
    Network(Trouble),
    Split,
    Redis,
    Postgres,
    Cluster,
}

impl Plan {
    /// The plan of a run.
    pub fn of(size: Size) -> Plan {
        let mut random = StdRng::seed_from_u64(size.seed);
        let mut deck: Vec<Kind> = Vec::new();
        let mut at = Duration::ZERO;
        let mut faults = Vec::with_capacity(size.faults);
        while faults.len() < size.faults {
            if deck.is_empty() {
                deck = DECK.into_iter().flat_map(|(kind, times)| std::iter::repeat_n(kind, times)).collect();
                deck.shuffle(&mut random);
            }
            let Some(kind) = deck.pop() else { continue };
            at += Duration::from_millis(random.random_range(GAP_MS));
            let fault = draw(kind, &mut random);
            let (least, most) = lasts_ms(fault);
            let lasts = Duration::from_millis(random.random_range(least..=most));
            faults.push(Planned { at, lasts, fault });
        }
        Plan { faults }
    }

    /// Postgres, Redis and the API server, each away for so long, one after the other.
    pub fn of_outages(lasts: Duration) -> Plan {
        let pause = Duration::from_secs(15);
        let faults = [Fault::RestartPostgres, Fault::RestartRedis, Fault::RestartApiserver];
        let at = |number: u32| Duration::from_secs(5) + (lasts + pause) * number;
        let planned = |(number, fault)| Planned { at: at(number), lasts, fault };
        Plan { faults: (0..).zip(faults).map(planned).collect() }
    }

    /// How long clients go on asking: from before the first fault until after the last has begun.
    pub fn lasts(&self) -> Duration {
        self.faults.last().map_or(Duration::ZERO, |last| last.at) + Duration::from_secs(1)
    }
}

fn draw(kind: Kind, random: &mut StdRng) -> Fault {
    match kind {
        Kind::Kill(role) => Fault::Kill(target(role, random)),
        Kind::Pause(role) => Fault::Pause(target(role, random)),
        Kind::Roll => Fault::Roll(role(random)),
        Kind::Network(trouble) => {
            let target = target(role(random), random);
            Fault::Network(target, line(target.role, random), trouble)
        }
        // Mostly scorers: what they had on the way to Postgres arrives when another has the job.
        Kind::Split => {
            let role = one_of([Role::Scorer, Role::Scorer, Role::Operator, Role::Gateway], random);
            Fault::Split(target(role, random))
        }
        Kind::Redis => one_of([Fault::EmptyRedis, Fault::RestartRedis, Fault::PauseRedis], random),
        Kind::Postgres => Fault::RestartPostgres,
        Kind::Cluster => one_of([Fault::RestartApiserver, Fault::RestartEtcd, Fault::PauseApiserver], random),
    }
}

/// How long such a fault lasts, in milliseconds from the least to the most.
fn lasts_ms(fault: Fault) -> (u64, u64) {
    const LEASE_MS: u64 = LEASE.as_secs() * 1_000;
    let past_leases = (LEASE_MS * 3 / 2, LEASE_MS * 5 / 2);
    match fault {
        Fault::Pause(Target { role: Role::Scorer, .. }) => past_leases,
        Fault::Split(Target { role: Role::Scorer, .. }) => past_leases,
        Fault::Pause(Target { role: Role::Operator, .. }) => (3_500, 6_000),
        Fault::Pause(Target { role: Role::Gateway, .. }) => (300, 3_000),
        Fault::Network(_, _, Trouble::Silence) | Fault::Split(_) => (500, 8_000),
        Fault::Kill(_) | Fault::Network(..) | Fault::RestartPostgres => (0, 3_000),
        // Longer than leases, which an outage of Redis must not cost.
        Fault::RestartRedis | Fault::PauseRedis => (0, LEASE_MS * 2),
        Fault::RestartApiserver | Fault::RestartEtcd | Fault::PauseApiserver => (0, 4_000),
        Fault::Roll(_) | Fault::EmptyRedis => (0, 0),
    }
}

fn one_of<T: Copy, const N: usize>(choices: [T; N], random: &mut StdRng) -> T {
    choices[random.random_range(0..N)]
}

fn role(random: &mut StdRng) -> Role {
    one_of([Role::Gateway, Role::Operator, Role::Scorer], random)
}

fn target(role: Role, random: &mut StdRng) -> Target {
    let count = match role {
        Role::Gateway => GATEWAYS,
        Role::Operator => OPERATORS,
        Role::Scorer => SCORERS,
    };
    Target { role, number: random.random_range(0..count) }
}

/// A line that processes of the role use.
fn line(role: Role, random: &mut StdRng) -> Line {
    let lines: &[Line] = match role {
        Role::Gateway => &[Line::Postgres, Line::Kubernetes],
        Role::Operator => &[Line::Postgres, Line::Redis, Line::Kubernetes],
        Role::Scorer => &[Line::Postgres, Line::Redis],
    };
    lines[random.random_range(0..lines.len())]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SIZE: Size = Size { jobs: 20_000, faults: 200, seed: 7 };

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        assert_eq!(Plan::of(SIZE), Plan::of(SIZE));
        assert_ne!(Plan::of(SIZE), Plan::of(Size { seed: 8, ..SIZE }));
    }

    #[test]
    fn a_long_plan_has_every_kind_of_fault() {
        let kinds: BTreeSet<&str> =
            Plan::of(SIZE).faults.iter().map(|planned| planned.fault.kind()).collect();
        assert_eq!(kinds.len(), 21, "{kinds:#?}");
    }

    #[test]
    fn a_pause_of_a_scorer_lasts_longer_than_its_leases() {
        let plan = Plan::of(SIZE);
        let pauses = plan
            .faults
            .iter()
            .filter(|planned| matches!(planned.fault, Fault::Pause(Target { role: Role::Scorer, .. })));
        assert!(pauses.clone().count() > 10);
        assert!(pauses.clone().all(|planned| planned.lasts > LEASE));
    }
}
