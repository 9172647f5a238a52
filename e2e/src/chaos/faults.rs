//! Inflicting faults.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use testkit::{Link, Service, StopMode, Weather};
use tokio::time::{Instant, sleep, sleep_until};

use super::keeper::Keeper;
use super::ledger::{Inflicted, Ledger, now_ms};
use super::plan::{Fault, Line, Plan, Planned, Role, Target, Trouble};

/// How long a process may take to stop when it is asked to.
const STOP: Duration = Duration::from_secs(60);

/// How long answers are lost before the connections break.
const ANSWERS_LOST: Duration = Duration::from_millis(250);

/// How much later things arrive on a slow line.
const DELAY: Duration = Duration::from_millis(120);

/// Inflicts all faults of the plan at their times. Those that meet at the same process or server take turns.
pub(crate) async fn inflict_all(plan: &Plan, keeper: &Keeper<'_>, ledger: &Ledger) -> Result<()> {
    let began = Instant::now();
    let each = plan.faults.iter().map(|planned| async move {
        sleep_until(began + planned.at).await;
        inflict(*planned, keeper, ledger).await.with_context(|| format!("inflict {planned:?}"))
    });
    try_join_all(each).await.map(drop)
}

async fn inflict(planned: Planned, keeper: &Keeper<'_>, ledger: &Ledger) -> Result<()> {
    let Planned { lasts, fault, .. } = planned;
    let times = match fault {
        Fault::Kill(target) => kill(target, lasts, keeper).await?,
        Fault::Pause(target) => pause(target, lasts, keeper).await?,
        Fault::Roll(role) => roll(role, keeper).await?,
        Fault::Network(target, line, trouble) => spoil(target, line, trouble, lasts, keeper).await?,
        Fault::Split(target) => split(target, lasts, keeper).await?,
        Fault::EmptyRedis => {
            let _turn = keeper.redis.lock().await;
            let from_ms = now_ms();
            keeper.stack().own_redis()?.flush_all().await?;
            Times { from_ms, over_ms: now_ms(), recoveries: vec![] }
        }
        Fault::RestartRedis => {
            let _turn = keeper.redis.lock().await;
            let (from_ms, redis) = (now_ms(), keeper.stack().own_redis()?);
            redis.kill9().await?;
            sleep(lasts).await;
            let (over_ms, over) = (now_ms(), Instant::now());
            redis.start_again().await?;
            all_ready(keeper).await?;
            Times::new(from_ms, over_ms, over.elapsed())
        }
        Fault::PauseRedis => {
            let _turn = keeper.redis.lock().await;
            let (from_ms, redis) = (now_ms(), keeper.stack().own_redis()?);
            redis.pause().await?;
            sleep(lasts).await;
            let (over_ms, over) = (now_ms(), Instant::now());
            redis.resume()?;
            all_ready(keeper).await?;
            Times::new(from_ms, over_ms, over.elapsed())
        }
        Fault::RestartPostgres => {
            let _turn = keeper.postgres.lock().await;
            let (from_ms, postgres) = (now_ms(), keeper.stack().own_postgres()?);
            postgres.stop(StopMode::Immediate).await?;
            sleep(lasts).await;
            let (over_ms, over) = (now_ms(), Instant::now());
            postgres.start_again().await?;
            all_ready(keeper).await?;
            Times::new(from_ms, over_ms, over.elapsed())
        }
        Fault::RestartApiserver => {
            let _turn = keeper.cluster.lock().await;
            let (from_ms, cluster) = (now_ms(), keeper.stack().own_control_plane()?);
            cluster.apiserver().kill9().await?;
            sleep(lasts).await;
            let (over_ms, over) = (now_ms(), Instant::now());
            cluster.start_apiserver().await?;
            Times::new(from_ms, over_ms, over.elapsed())
        }
        Fault::RestartEtcd => {
            let _turn = keeper.cluster.lock().await;
            let (from_ms, cluster) = (now_ms(), keeper.stack().own_control_plane()?);
            cluster.etcd().kill9().await?;
            sleep(lasts).await;
            let (over_ms, over) = (now_ms(), Instant::now());
            cluster.start_etcd().await?;
            cluster.start_apiserver().await?;
            Times::new(from_ms, over_ms, over.elapsed())
        }
        Fault::PauseApiserver => {
            let _turn = keeper.cluster.lock().await;
            let (from_ms, cluster) = (now_ms(), keeper.stack().own_control_plane()?);
            cluster.apiserver().pause().await?;
            sleep(lasts).await;
            let (over_ms, over) = (now_ms(), Instant::now());
            cluster.apiserver().resume()?;
            cluster.start_apiserver().await?;
            Times::new(from_ms, over_ms, over.elapsed())
        }
    };
    let Times { from_ms, over_ms, recoveries } = times;
    let inflicted = Inflicted { fault, from_ms, over_ms, until_ms: now_ms(), recoveries };
    ledger.note(|notes| notes.faults.push(inflicted));
    Ok(())
}

/// When a fault began and was over, in milliseconds since 1970, and how long what it had hit took to be well again.
struct Times {
    from_ms: i64,
    over_ms: i64,
    recoveries: Vec<Duration>,
}

impl Times {
    fn new(from_ms: i64, over_ms: i64, recovery: Duration) -> Times {
        Times { from_ms, over_ms, recoveries: vec![recovery] }
    }
}

async fn kill(target: Target, lasts: Duration, keeper: &Keeper<'_>) -> Result<Times> {
    let (service, _turn) = keeper.take(target).await?;
    let from_ms = now_ms();
    service.kill9().await?;
    sleep(lasts).await;
    let over_ms = now_ms();
    Ok(Times::new(from_ms, over_ms, until_ready(service, service.spawn()).await?))
}

async fn pause(target: Target, lasts: Duration, keeper: &Keeper<'_>) -> Result<Times> {
    let (service, _turn) = keeper.take(target).await?;
    let from_ms = now_ms();
    service.pause().await?;
    sleep(lasts).await;
    let over_ms = now_ms();
    Ok(Times::new(from_ms, over_ms, until_ready(service, async { service.resume() }).await?))
}

/// As a Deployment rolls: a process is asked to stop, and the next one's turn comes when its successor is ready.
async fn roll(role: Role, keeper: &Keeper<'_>) -> Result<Times> {
    let (from_ms, mut recoveries) = (now_ms(), Vec::new());
    for target in keeper.of_role(role) {
        let (service, _turn) = keeper.take(target).await?;
        service.terminate(STOP).await?;
        recoveries.push(until_ready(service, service.spawn()).await?);
    }
    Ok(Times { from_ms, over_ms: now_ms(), recoveries })
}

async fn spoil(
    target: Target,
    line: Line,
    trouble: Trouble,
    lasts: Duration,
    keeper: &Keeper<'_>,
) -> Result<Times> {
    // Not a turn of its own: a process may be killed while its network is in trouble.
    let service = keeper.service(target)?;
    let link = link(service, line)?;
    let from_ms = now_ms();
    match trouble {
        Trouble::LostAnswers => {
            link.set(Weather::Mute);
            sleep(ANSWERS_LOST).await;
            link.set(Weather::Cut);
            sleep(lasts.saturating_sub(ANSWERS_LOST)).await;
        }
        Trouble::Silence => {
            link.set(Weather::Stalled);
            sleep(lasts).await;
        }
        Trouble::Cut => {
            link.set(Weather::Cut);
            sleep(lasts).await;
        }
        Trouble::Delay => {
            link.set(Weather::Slow(DELAY));
            sleep(lasts).await;
        }
    }
    link.set(Weather::Fair);
    let over_ms = now_ms();
    Ok(Times::new(from_ms, over_ms, ready_again(target, keeper).await?))
}

async fn split(target: Target, lasts: Duration, keeper: &Keeper<'_>) -> Result<Times> {
    let (links, from_ms) = (keeper.service(target)?.links()?, now_ms());
    links.set(Weather::Stalled);
    sleep(lasts).await;
    links.set(Weather::Fair);
    let over_ms = now_ms();
    Ok(Times::new(from_ms, over_ms, ready_again(target, keeper).await?))
}

/// How long it takes until a process is ready after trouble with its network; that another fault has it is not counted.
async fn ready_again(target: Target, keeper: &Keeper<'_>) -> Result<Duration> {
    let (service, _turn) = keeper.take(target).await?;
    let over = Instant::now();
    service.ready().await?;
    Ok(over.elapsed())
}

fn link(service: &Service, line: Line) -> Result<&Link> {
    let links = service.links()?;
    Ok(match line {
        Line::Postgres => &links.postgres,
        Line::Redis => &links.redis,
        Line::Kubernetes => &links.kubernetes,
    })
}

/// Ends a fault and waits until the process says that it is ready: how long that takes.
async fn until_ready(service: &Service, end: impl Future<Output = Result<()>>) -> Result<Duration> {
    let over = Instant::now();
    end.await?;
    service.ready().await?;
    Ok(over.elapsed())
}

/// Waits until every process is ready that no other fault has in its grip.
async fn all_ready(keeper: &Keeper<'_>) -> Result<()> {
    let roles = [Role::Gateway, Role::Operator, Role::Scorer];
    let free = roles.into_iter().flat_map(|role| keeper.of_role(role));
    let free: Vec<_> = free.filter_map(|target| keeper.take_if_free(target)).collect();
    try_join_all(free.iter().map(|(service, _turn)| service.ready())).await.map(drop)
}
