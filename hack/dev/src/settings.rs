//! What one would vary about a stack.

use anyhow::{Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use testkit::StackBuilder;

/// Settings of a stack. `make up SCORERS=3` arrives here through the environment.
#[derive(Args, Serialize, Deserialize, Debug, Clone, Default)]
pub(crate) struct Settings {
    /// How many scorers.
    #[arg(long, env = "SCORERS")]
    scorers: Option<usize>,
    /// How many jobs a scorer works on at a time.
    #[arg(long, env = "SCORER_CONCURRENCY")]
    scorer_concurrency: Option<u32>,
    /// How long a scorer's claim lasts unless it is renewed, as `10s`.
    #[arg(long, env = "SCORER_LEASE")]
    scorer_lease: Option<String>,
    /// How long a scorer that is told to stop may finish what it has, as `90s`.
    #[arg(long, env = "SCORER_GRACE")]
    scorer_grace: Option<String>,
    /// How many operators.
    #[arg(long, env = "OPERATORS")]
    operators: Option<usize>,
    /// How long an operator leads unless it renews, as `15s`.
    #[arg(long, env = "OPERATOR_LEADER_LEASE")]
    operator_leader_lease: Option<String>,
    /// How many gateways.
    #[arg(long, env = "GATEWAYS")]
    gateways: Option<usize>,
    /// The pools, with commas between; scorers are dealt out to them in turn.
    #[arg(long, env = "POOLS")]
    pools: Option<String>,
    /// Whether jobs go into batches when more are waiting than the API server takes.
    #[arg(long, env = "MIRROR_BATCH_OVERFLOW")]
    mirror_batch_overflow: Option<bool>,
    /// Whether the control plane gets a controller manager.
    #[arg(long, env = "CONTROLLER_MANAGER")]
    controller_manager: Option<bool>,
    /// Further variables of every gateway, as `A=1 B=2`.
    #[arg(long, env = "GATEWAY_ENV")]
    gateway_env: Option<String>,
    /// Further variables of every operator.
    #[arg(long, env = "OPERATOR_ENV")]
    operator_env: Option<String>,
    /// Further variables of every scorer.
    #[arg(long, env = "SCORER_ENV")]
    scorer_env: Option<String>,
    /// A Postgres to use instead of one of our own.
    #[arg(long, env = "ASSAY_DEV_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// A Redis to use instead of one of our own.
    #[arg(long, env = "ASSAY_DEV_REDIS_URL", hide_env_values = true)]
    pub(crate) redis_url: Option<String>,
    /// A cluster to use instead of one of our own.
    #[arg(long, env = "ASSAY_DEV_KUBECONFIG")]
    pub(crate) kubeconfig: Option<String>,
}

impl Settings {
    /// For a stack that already runs with other settings than the ones given now: which ones, in a sentence each.
    /// What is not given now is no difference.
    pub(crate) fn differences_from(&self, running: &Self) -> Result<Vec<String>> {
        let (given, running) = (serde_json::to_value(self)?, serde_json::to_value(running)?);
        let (Value::Object(given), Value::Object(running)) = (given, running) else {
            bail!("settings are an object")
        };
        let shown = |value: Option<&Value>| match value {
            None | Some(Value::Null) => "at its default".to_owned(),
            Some(value) => value.to_string(),
        };
        Ok(given
            .iter()
            .filter(|(name, value)| !value.is_null() && running.get(*name) != Some(value))
            .map(|(name, value)| {
                format!("{} is {}, not {value}", name.to_uppercase(), shown(running.get(name)))
            })
            .collect())
    }

    /// Describes the stack that these settings make.
    pub(crate) fn builder(&self) -> Result<StackBuilder> {
        let mut builder = testkit::Stack::builder()
            .gateways(self.gateways.unwrap_or(1))
            .operators(self.operators.unwrap_or(1))
            .scorers(self.scorers.unwrap_or(1))
            .controller_manager(self.controller_manager.unwrap_or(false))
            .database_url(self.database_url.clone())
            .redis_url(self.redis_url.clone());
        if let Some(pools) = &self.pools {
            builder = builder.pools(&pools.split(',').map(str::trim).collect::<Vec<_>>());
        }
        if let Some(overflow) = self.mirror_batch_overflow {
            builder = builder.gateway_env("ASSAY_MIRROR_BATCH_OVERFLOW", &overflow.to_string());
        }
        if let Some(lease) = &self.operator_leader_lease {
            builder = builder.operator_env("ASSAY_LEADER_LEASE", lease);
        }
        if let Some(concurrency) = self.scorer_concurrency {
            builder = builder.scorer_env("ASSAY_CONCURRENCY", &concurrency.to_string());
        }
        if let Some(lease) = &self.scorer_lease {
            builder = builder.scorer_env("ASSAY_LEASE", lease);
        }
        if let Some(grace) = &self.scorer_grace {
            builder = builder.scorer_env("ASSAY_GRACE", grace);
        }
        for (name, value) in pairs(&self.gateway_env)? {
            builder = builder.gateway_env(name, value);
        }
        for (name, value) in pairs(&self.operator_env)? {
            builder = builder.operator_env(name, value);
        }
        for (name, value) in pairs(&self.scorer_env)? {
            builder = builder.scorer_env(name, value);
        }
        Ok(builder)
    }
}

/// The pairs in `A=1 B=2`.
fn pairs(text: &Option<String>) -> Result<Vec<(&str, &str)>> {
    let Some(text) = text else { return Ok(Vec::new()) };
    text.split_whitespace()
        .map(|pair| {
            pair.split_once('=').ok_or_else(|| anyhow::anyhow!("{pair:?} is not of the form NAME=value"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn only_what_is_given_now_can_differ_from_what_runs() {
        let running = Settings { scorers: Some(2), scorer_lease: Some("5s".into()), ..Default::default() };
        let same = Settings { scorers: Some(2), ..Default::default() };
        assert!(same.differences_from(&running).unwrap().is_empty());
        assert!(Settings::default().differences_from(&running).unwrap().is_empty());
        let other = Settings { scorers: Some(3), operators: Some(2), ..Default::default() };
        let differences = other.differences_from(&running).unwrap();
        assert_eq!(differences, ["OPERATORS is at its default, not 2", "SCORERS is 2, not 3"]);
    }

    #[test]
    fn further_variables_must_be_pairs() {
        assert!(Settings { scorer_env: Some("A=1 B=2".into()), ..Default::default() }.builder().is_ok());
        assert!(Settings { scorer_env: Some("A".into()), ..Default::default() }.builder().is_err());
    }
}
