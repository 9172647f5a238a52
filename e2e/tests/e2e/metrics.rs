//! The page of metrics and what services show.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::monitoring::{DocumentedMetric, ShownMetric, documented, shown};
use e2e::world::{self, PATIENCE};
use e2e::{Seen, sources, until};
use testkit::Service;

#[tokio::test]
async fn the_page_of_metrics_says_what_services_show_and_nothing_else() -> Result<()> {
    world::with(world::stack(), async |world| {
        let job = world.api.submit_and_score(&sources::python(1), "default").await?;
        world.database.until_job_is(job, "DONE", PATIENCE).await?;
        let stack = &world.stack;
        let services = [
            ("Gateway", &stack.gateways[0]),
            ("Operator", &stack.operators[0]),
            ("Scorer", &stack.scorers[0]),
        ];
        for (section, service) in services {
            let mut page = documented("Every service")?;
            page.extend(documented(section)?);
            // What is looked at every few seconds comes a little later.
            until(format!("{section} shows what the page says"), PATIENCE, async || {
                Ok(match compare(&page, service).await {
                    Ok(()) => Seen::Yes(()),
                    Err(error) => Seen::NotYet(format!("{error:#}")),
                })
            })
            .await?;
        }
        Ok(())
    })
    .await
}

async fn compare(page: &[DocumentedMetric], service: &Service) -> Result<()> {
    let found = shown(&service.metrics().await?);
    let names = |names: &mut dyn Iterator<Item = &String>| names.cloned().collect::<BTreeSet<String>>();
    let on_page = names(&mut page.iter().map(|metric| &metric.name));
    let in_fact = names(&mut found.iter().map(|metric| &metric.name));
    let missing: Vec<_> = on_page.difference(&in_fact).collect();
    let unknown: Vec<_> = in_fact.difference(&on_page).collect();
    ensure!(missing.is_empty(), "the page names what is not shown: {missing:?}");
    ensure!(unknown.is_empty(), "the page does not name {unknown:?}");
    for metric in found {
        let documented = page.iter().find(|documented| documented.name == metric.name);
        same(documented.context("the page names it")?, &metric).with_context(|| metric.name.clone())?;
    }
    Ok(())
}

fn same(page: &DocumentedMetric, found: &ShownMetric) -> Result<()> {
    ensure!(page.kind == found.kind, "it is a {} and not a {}", found.kind, page.kind);
    ensure!(found.has_series, "no series is shown, so its labels are not known");
    let on_page: BTreeSet<&String> = page.labels.keys().collect();
    let in_fact: BTreeSet<&String> = found.labels.keys().collect();
    ensure!(on_page == in_fact, "its labels are {in_fact:?} and not {on_page:?}");
    for (label, values) in &found.labels {
        if let Some(Some(known)) = page.labels.get(label) {
            let unknown: Vec<_> = values.difference(known).collect();
            ensure!(unknown.is_empty(), "the page does not say that {label} may be {unknown:?}");
        }
    }
    Ok(())
}
