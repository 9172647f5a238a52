//! The queue page in a real Chromium, in front of a whole Assay.
//!
//! What is done there, and what must come of it, is in `web/tests/browser/`, a script for each test here. The rules that hold for
//! all of them (nothing from elsewhere, no violation of the Content-Security-Policy, nothing in the console) are in its
//! `harness.ts`. Pictures are left in `target/page`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::world::{self, PATIENCE};
use e2e::{Gate, World, sources};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// How long a script may take. None takes as long unless it hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// Submissions that nothing can be made of.
const BROKEN: &str = "
INSERT INTO submissions (id, status, content)
SELECT gen_random_uuid(), 'SUBMITTED', '{}' FROM generate_series(1, 3) RETURNING id";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_jobs_go_through_live_on_the_page() -> Result<()> {
    world::alone_with(world::stack(), async |world| {
        watch(world, "burst", async |asked| bail!("{asked:?} was not agreed upon")).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_find_inspect_and_redrive_on_the_page_also_without_a_mouse() -> Result<()> {
    world::alone_with(world::stack(), async |world| {
        watch(world, "operate", async |asked| match asked {
            "fail some" => fail_some(world).await,
            _ => bail!("{asked:?} was not agreed upon"),
        })
        .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_a_job_that_runs_until_it_is_done() -> Result<()> {
    world::alone_with(world::stack(), async |world| {
        let mut gate = Some(Gate::close(&world.database).await?);
        let held = gate.as_ref().context("a gate")?.rubric().to_owned();
        let job = world.api.submit_and_score(&sources::python(1), &held).await?;
        world.database.until_job_is(job, "RUNNING", PATIENCE).await?;
        let (gate, id) = (&mut gate, job.to_string());
        script(world, "job", &[("JOB", id.as_str())], async move |asked| match asked {
            "let it go on" => gate.take().context("it was let go on before")?.open().await,
            _ => bail!("{asked:?} was not agreed upon"),
        })
        .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_when_redis_or_the_gateway_is_away_and_goes_on_when_they_are_back() -> Result<()> {
    world::alone_with(world::stack(), async |world| {
        watch(world, "outage", async |asked| match asked {
            "stop redis" => world.stack.own_redis()?.stop().await,
            "start redis" => world.stack.own_redis()?.start_again().await,
            "stop the gateway" => world.stack.gateways[0].kill9().await,
            "start the gateway" => world.stack.gateways[0].start().await,
            _ => bail!("{asked:?} was not agreed upon"),
        })
        .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_asks_for_a_token_and_shows_what_its_bearer_may_see() -> Result<()> {
    let stack = world::stack().operators(0).scorers(0).gateway_env("ASSAY_AUTH_LEEWAY", "0s");
    world::alone_with(stack, async |world| {
        let nothing = async |asked: &str| bail!("{asked:?} was not agreed upon");
        let secret = std::fs::read_to_string(world.stack.credentials.secret_file())?;
        script(world, "signIn", &[("SECRET", &secret), ("ASSAY_TOKEN", "")], nothing).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_people_submit_is_text_on_the_page() -> Result<()> {
    world::alone_with(world::stack(), async |world| {
        watch(world, "hostile", async |asked| bail!("{asked:?} was not agreed upon")).await
    })
    .await
}

#[tokio::test]
async fn the_pages_own_rules_hold() -> Result<()> {
    built().await?;
    let output =
        Command::new("node").args(["--test", ".tests/tests/unit/"]).current_dir(web()).output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{text}");
    ensure!(!text.contains("# pass 0"), "no test ran: {text}");
    Ok(())
}

/// Asks for scores that there cannot be, and waits until that has been found out.
async fn fail_some(world: &World) -> Result<()> {
    let broken: Vec<(uuid::Uuid,)> = sqlx::query_as(BROKEN).fetch_all(&world.database.pool).await?;
    for (submission,) in broken {
        let job = world.api.score(submission, "default").await?;
        world.database.until_job_is(job, "ERROR", PATIENCE).await?;
    }
    Ok(())
}

async fn watch(world: &World, name: &str, act: impl AsyncFnMut(&str) -> Result<()>) -> Result<()> {
    script(world, name, &[], act).await
}

/// Runs a script. What it asks for (`ASK something`) is done by `act`.
async fn script(
    world: &World,
    name: &str,
    env: &[(&str, &str)],
    mut act: impl AsyncFnMut(&str) -> Result<()>,
) -> Result<()> {
    built().await?;
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/page").join(name);
    let mut process = Command::new("node")
        .arg(format!(".tests/tests/browser/{name}.js"))
        .current_dir(web())
        .env("ASSAY_URL", world.stack.url())
        .env("ASSAY_TOKEN", &world.stack.token)
        .env("SCREENSHOTS", pictures)
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("node is not there: run hack/setup.sh")?;
    let mut answers = process.stdin.take().context("its input")?;
    let mut lines = BufReader::new(process.stdout.take().context("its output")?).lines();
    let conversation = async {
        let mut said = String::new();
        while let Some(line) = lines.next_line().await? {
            if let Some(asked) = line.strip_prefix("ASK ") {
                act(asked).await.with_context(|| asked.to_owned())?;
                answers.write_all(b"done\n").await?;
            } else {
                said += &line;
                said.push('\n');
            }
        }
        let ended = process.wait_with_output().await?;
        let complaint = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.success(), "{name}: {said}{complaint}");
        print!("{said}");
        Ok(())
    };
    timeout(LIMIT, conversation).await.with_context(|| format!("{name} did not end within {LIMIT:?}"))?
}

/// The scripts, built once: from TypeScript, of what `npm ci` has installed.
async fn built() -> Result<()> {
    static BUILT: OnceCell<()> = OnceCell::const_new();
    BUILT
        .get_or_try_init(async || {
            if !web().join("node_modules/playwright-core").is_dir() {
                npm(&["ci", "--no-audit", "--no-fund"]).await?;
            }
            npm(&["run", "--silent", "build:tests"]).await
        })
        .await
        .copied()
}

async fn npm(args: &[&str]) -> Result<()> {
    let output = Command::new("npm").args(args).current_dir(web()).output().await;
    let output = output.context("npm is not there: run hack/setup.sh")?;
    let text = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "npm {args:?}: {}", String::from_utf8_lossy(&text));
    Ok(())
}

fn web() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../web")
}
