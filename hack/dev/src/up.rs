//! `dev up`: starts what does not run yet, and writes `.dev/env`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use testkit::{Service, Stack};

use crate::dot_dev::DotDev;
use crate::settings::Settings;
use crate::{cluster, down};

/// A stack that stays when this program ends.
pub(crate) struct Up {
    pub(crate) stack: Stack,
    /// Whether all of it ran before.
    pub(crate) ran_before: bool,
}

/// Starts a stack; one that runs is left alone, and what has died of it is started again.
pub(crate) async fn up(given: &Settings) -> Result<Up> {
    let dot_dev = DotDev::of_this_checkout()?;
    let _lock = dot_dev.lock()?;
    let processes = dot_dev.processes();
    let dead: Vec<&str> =
        processes.iter().filter(|(_, process)| process.is_none()).map(|(name, _)| name.as_str()).collect();
    let runs = dead.len() < processes.len();
    let settings = match dot_dev.settings().filter(|_| runs) {
        Some(running) => {
            let differences = given.differences_from(&running)?;
            if !differences.is_empty() {
                bail!(
                    "a stack already runs here with other settings ({}): run `make down` first, then this again",
                    differences.join("; ")
                );
            }
            running
        }
        None => given.clone(),
    };
    for process in
        processes.iter().filter_map(|(_, process)| process.as_ref()).filter(|process| process.is_paused())
    {
        println!("{} was paused and goes on", process.name());
        process.resume()?;
    }
    if runs && !dead.is_empty() {
        println!("No longer running, so started again: {}", dead.join(", "));
    } else if !runs {
        println!("Starting Postgres, Redis, a Kubernetes control plane, gateway, operator and scorer");
        dot_dev.forget_ports();
    }
    dot_dev.write_settings(&settings)?;
    match start(&dot_dev, &settings).await {
        Ok(stack) => Ok(Up { stack, ran_before: runs && dead.is_empty() }),
        Err(error) if !runs => {
            // Nothing of a stack that never stood is of use to anyone, but its logs are.
            down::stop_processes(&dot_dev).await?;
            cluster::delete(&dot_dev).await?;
            Err(error.context("the stack did not start (its logs stay in .dev/logs until `make down`)"))
        }
        Err(error) => {
            Err(error
                .context("part of the stack runs, the rest does not start: see .dev/logs, or `make down`"))
        }
    }
}

async fn start(dot_dev: &DotDev, settings: &Settings) -> Result<Stack> {
    let kubernetes = cluster::choose(settings.kubeconfig.as_deref(), dot_dev).await?;
    let builder = settings.builder()?.place(dot_dev.place()).kubernetes(kubernetes).namespace("assay");
    let stack = builder.start().await?;
    write_for_us_alone(&dot_dev.env_file(), &env_of(&stack)?).context("write .dev/env")?;
    Ok(stack)
}

impl Up {
    /// Says what runs and how to use it.
    pub(crate) fn print(&self) {
        let state = if self.ran_before { "is already running" } else { "is running" };
        let count = |services: &[Service], name: &str| match services.len() {
            1 => format!("1 {name}"),
            several => format!("{several} {name}s"),
        };
        println!(
            "Assay {state} at {}: {}, {}, {}",
            self.stack.url(),
            count(&self.stack.gateways, "gateway"),
            count(&self.stack.operators, "operator"),
            count(&self.stack.scorers, "scorer")
        );
        println!("  source .dev/env && $KUBECTL -n {} get scoringjobs", self.stack.namespace);
        println!("  make submit DIR=some/folder     logs: .dev/logs     make down");
    }
}

/// The token in it opens everything.
fn write_for_us_alone(file: &Path, text: &str) -> std::io::Result<()> {
    fs::write(file, text)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))
}

/// The text of `.dev/env`.
fn env_of(stack: &Stack) -> Result<String> {
    let pids = |services: &[Service]| {
        services.iter().filter_map(Service::pid).map(|pid| pid.to_string()).collect::<Vec<_>>().join(" ")
    };
    let path = |path: &Path| path.to_str().map(str::to_owned).context("a path is not UTF-8");
    let pid = |pid: Option<i32>| pid.map(|pid| pid.to_string()).unwrap_or_default();
    let control_plane = stack.servers.control_plane.as_ref();
    let values = [
        ("ASSAY_URL", stack.url()),
        ("ASSAY_TOKEN", stack.token.clone()),
        ("ASSAY_NAMESPACE", stack.namespace.clone()),
        ("KUBECONFIG", path(&stack.servers.kubernetes.kubeconfig)?),
        ("KUBECTL", path(&stack.servers.kubernetes.kubectl)?),
        ("DATABASE_URL", stack.servers.database_url.clone()),
        ("REDIS_URL", stack.servers.redis_url.clone()),
        ("GATEWAY_PID", pids(&stack.gateways)),
        ("OPERATOR_PID", pids(&stack.operators)),
        ("SCORER_PID", pids(&stack.scorers)),
        ("POSTGRES_PID", pid(stack.servers.postgres.as_ref().and_then(testkit::Postgres::pid))),
        ("REDIS_PID", pid(stack.servers.redis.as_ref().and_then(testkit::Redis::pid))),
        ("ETCD_PID", pid(control_plane.and_then(|control_plane| control_plane.etcd().pid()))),
        ("APISERVER_PID", pid(control_plane.and_then(|control_plane| control_plane.apiserver().pid()))),
    ];
    let lines = values.iter().filter(|(_, value)| !value.is_empty());
    Ok(lines.map(|(name, value)| format!("export {name}={}\n", quoted(value))).collect())
}

/// A value as a shell takes it.
fn quoted(value: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/:@._-+=,%".contains(letter);
    match value.chars().all(plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn only_what_a_shell_would_take_apart_is_quoted() {
        assert_eq!(quoted("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
        assert_eq!(quoted("12 13"), "'12 13'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
