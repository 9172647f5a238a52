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
    let stack = keeper.stack();
    let times = match fault {
        Fault::Kill(target) => {
            let (service, _turn) = keeper.take(target).await?;
            strike(lasts, service.kill9(), service.start()).await?
        }
        Fault::Pause(target) => {
            let (service, _turn) = keeper.take(target).await?;
            strike(lasts, service.pause(), async {
                service.resume()?;
                service.ready().await
            })
            .await?
        }
        Fault::Roll(role) => roll(role, keeper).await?,
        Fault::Network(target, line, trouble) => spoil(target, line, trouble, lasts, keeper).await?,
        Fault::Split(target) => {
            let links = keeper.service(target)?.links()?;
            links.set(Weather::Stalled);
            after_network(target, lasts, || links.set(Weather::Fair), keeper).await?
        }
        Fault::EmptyRedis => {
            let _turn = keeper.redis.lock().await;
            let from_ms = now_ms();
            stack.own_redis()?.flush_all().await?;
            Times { from_ms, over_ms: now_ms(), recoveries: vec![] }
        }
        Fault::RestartRedis => {
            let (_turn, redis) = (keeper.redis.lock().await, stack.own_redis()?);
            strike(lasts, redis.kill9(), async {
                redis.start_again().await?;
                all_ready(keeper).await
            })
            .await?
        }
        Fault::PauseRedis => {
            let (_turn, redis) = (keeper.redis.lock().await, stack.own_redis()?);
            strike(lasts, redis.pause(), async {
                redis.resume()?;
                all_ready(keeper).await
            })
            .await?
        }
        Fault::RestartPostgres => {
            let (_turn, postgres) = (keeper.postgres.lock().await, stack.own_postgres()?);
            strike(lasts, postgres.stop(StopMode::Immediate), async {
                postgres.start_again().await?;
                all_ready(keeper).await
            })
            .await?
        }
        Fault::RestartApiserver => {
            let (_turn, cluster) = (keeper.cluster.lock().await, stack.own_control_plane()?);
            strike(lasts, cluster.apiserver().kill9(), cluster.start_apiserver()).await?
        }
        Fault::RestartEtcd => {
            let (_turn, cluster) = (keeper.cluster.lock().await, stack.own_control_plane()?);
            strike(lasts, cluster.etcd().kill9(), async {
                cluster.start_etcd().await?;
                cluster.start_apiserver().await
            })
            .await?
        }
        Fault::PauseApiserver => {
            let (_turn, cluster) = (keeper.cluster.lock().await, stack.own_control_plane()?);
            strike(lasts, cluster.apiserver().pause(), async {
                cluster.apiserver().resume()?;
                cluster.start_apiserver().await
            })
            .await?
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

/// Does harm, and after a while heals it: `heal` returns when what was hit is well again.
async fn strike(
    lasts: Duration,
    harm: impl Future<Output = Result<()>>,
    heal: impl Future<Output = Result<()>>,
) -> Result<Times> {
    let from_ms = now_ms();
    harm.await?;
    sleep(lasts).await;
    let (over_ms, over) = (now_ms(), Instant::now());
    heal.await?;
    Ok(Times { from_ms, over_ms, recoveries: vec![over.elapsed()] })
}

/// As a Deployment rolls: a process is asked to stop, and the next one's turn comes when its successor is ready.
async fn roll(role: Role, keeper: &Keeper<'_>) -> Result<Times> {
    let (from_ms, mut recoveries) = (now_ms(), Vec::new());
    for target in keeper.of_role(role) {
        let (service, _turn) = keeper.take(target).await?;
        service.terminate(STOP).await?;
        let over = Instant::now();
        service.start().await?;
        recoveries.push(over.elapsed());
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
    let link = link(keeper.service(target)?, line)?;
    match trouble {
        Trouble::LostAnswers => {
            link.set(Weather::Mute);
            sleep(ANSWERS_LOST).await;
            link.set(Weather::Cut);
        }
        Trouble::Silence => link.set(Weather::Stalled),
        Trouble::Cut => link.set(Weather::Cut),
        Trouble::Delay => link.set(Weather::Slow(DELAY)),
    }
    after_network(target, lasts, || link.set(Weather::Fair), keeper).await
}

/// Lets the network be well again after a while. A process may be killed while its network is in trouble, so there is no
/// turn to take before; that another fault has it afterwards is not counted.
async fn after_network(
    target: Target,
    lasts: Duration,
    clear_up: impl FnOnce(),
    keeper: &Keeper<'_>,
) -> Result<Times> {
    let from_ms = now_ms();
    sleep(lasts).await;
    clear_up();
    let over_ms = now_ms();
    let (service, _turn) = keeper.take(target).await?;
    let over = Instant::now();
    service.ready().await?;
    Ok(Times { from_ms, over_ms, recoveries: vec![over.elapsed()] })
}

fn link(service: &Service, line: Line) -> Result<&Link> {
    let links = service.links()?;
    Ok(match line {
        Line::Postgres => &links.postgres,
        Line::Redis => &links.redis,
        Line::Kubernetes => &links.kubernetes,
    })
}

/// Waits until every process is ready that no other fault has in its grip.
async fn all_ready(keeper: &Keeper<'_>) -> Result<()> {
    let roles = [Role::Gateway, Role::Operator, Role::Scorer];
    let free = roles.into_iter().flat_map(|role| keeper.of_role(role));
    let free: Vec<_> = free.filter_map(|target| keeper.take_if_free(target)).collect();
    try_join_all(free.iter().map(|(service, _turn)| service.ready())).await.map(drop)
}
