//! Every setting of the services can be set.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use e2e::chart::rendered;
use e2e::chart::settings::{NOT_TO_BE_SET, SERVICES, known, set_by_chart};

use crate::dry_run::installations;

fn deployment(service: &str) -> String {
    match service {
        "scorer" => "assay-scorer-default".to_owned(),
        service => format!("assay-{service}"),
    }
}

#[tokio::test]
async fn what_the_chart_sets_is_what_the_services_read() -> Result<()> {
    for service in SERVICES {
        let known = known(service).await?;
        let mut ever_set = BTreeSet::new();
        for values in installations()? {
            let rendered = rendered("assay", &["--values", &values]).await?;
            for (name, _) in rendered.environment(&deployment(service))? {
                // sqlx reads this one.
                ensure!(
                    known.contains_key(&name) || name == "PGSSLROOTCERT",
                    "{service} does not read {name}, which {values} makes the chart set"
                );
                ensure!(
                    !NOT_TO_BE_SET.contains(&name.as_str()),
                    "the chart sets {name}, of which its document says that nothing does"
                );
                ever_set.insert(name);
            }
        }
        let never: Vec<_> =
            set_by_chart(service)?.into_iter().filter(|name| known.contains_key(name)).collect();
        let never: Vec<_> = never.iter().filter(|name| !ever_set.contains(*name)).collect();
        ensure!(never.is_empty(), "no file in charts/assay/ci makes the chart set {never:?} for {service}");
    }
    Ok(())
}

#[tokio::test]
async fn what_has_no_value_of_its_own_is_set_by_extra_env() -> Result<()> {
    for service in SERVICES {
        let place = if service == "scorer" { "scorer.defaults" } else { service };
        let set = set_by_chart(service)?;
        let mut left = known(service).await?.into_keys().collect::<Vec<_>>();
        left.retain(|name| !set.contains(name) && !NOT_TO_BE_SET.contains(&name.as_str()));
        let extra = left
            .iter()
            .enumerate()
            .map(|(at, name)| format!("{place}.extraEnv[{at}].name={name},{place}.extraEnv[{at}].value=x"));
        let extra = extra.collect::<Vec<_>>().join(",");
        let rendered = rendered("assay", &["--set-string", &extra]).await?;
        let environment = rendered.environment(&deployment(service))?;
        for name in left {
            ensure!(environment.contains(&(name.clone(), Some("x".to_owned()))), "{name} is not set");
        }
    }
    Ok(())
}

#[tokio::test]
async fn pools_are_the_same_for_gateway_and_operator() -> Result<()> {
    let set = "scorer.pools.graders.replicas=2,scorer.pools.essays.concurrency=7";
    let rendered = rendered("assay", &["--set", set]).await?;
    let pools = ("ASSAY_POOLS".to_owned(), Some("default,essays,graders".to_owned()));
    for service in ["gateway", "operator"] {
        assert!(rendered.environment(&deployment(service))?.contains(&pools), "{service}");
    }
    for pool in ["default", "essays", "graders"] {
        let environment = rendered.environment(&format!("assay-scorer-{pool}"))?;
        assert!(environment.contains(&("ASSAY_POOL".to_owned(), Some(pool.to_owned()))));
        let concurrency = if pool == "essays" { "7" } else { "5" };
        assert!(environment.contains(&("ASSAY_CONCURRENCY".to_owned(), Some(concurrency.to_owned()))));
    }
    Ok(())
}
