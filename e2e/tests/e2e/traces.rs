//! Traces: one for each job, across all processes.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::collector::{CollectedSpan, Collector};
use e2e::world::{self, PATIENCE};
use e2e::{Gate, Seen, sources, until};
use serde_json::{Value, json};
use testkit::StackBuilder;
use tokio::net::TcpListener;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT_SPAN: &str = "00f067aa0ba902b7";

/// Every hop of a job, in the order in which they begin or end, with who makes it and what it is a part of.
const HOPS: [(&str, &str, &str); 12] = [
    ("POST /api/scoring", "assay-gateway", "the client's"),
    ("commit", "assay-gateway", "POST /api/scoring"),
    ("create ScoringJob", "assay-gateway", "POST /api/scoring"),
    ("reconcile scoringjob", "assay-operator", "POST /api/scoring"),
    ("enqueue", "assay-operator", "POST /api/scoring"),
    ("wait in queue", "assay-scorer", "POST /api/scoring"),
    ("attempt", "assay-scorer", "POST /api/scoring"),
    ("claim", "assay-scorer", "attempt"),
    ("start", "assay-scorer", "attempt"),
    ("score", "assay-scorer", "attempt"),
    ("finish", "assay-scorer", "attempt"),
    ("show status", "assay-operator", "POST /api/scoring"),
];

fn exporting_to(url: &str) -> StackBuilder {
    let name = "OTEL_EXPORTER_OTLP_ENDPOINT";
    world::stack().gateway_env(name, url).operator_env(name, url).scorer_env(name, url)
}

#[tokio::test]
async fn one_trace_shows_every_hop_of_a_job() -> Result<()> {
    let collector = Collector::start().await?;
    world::with(exporting_to(collector.url()), async |world| {
        // Its client does not want this one to be traced.
        let unwanted = "0af7651916cd43dd8448eb211c80319c";
        let submission = world.api.submit(&sources::python(1)).await?;
        let request = json!({ "submissionId": submission });
        let header = format!("00-{unwanted}-{CLIENT_SPAN}-00");
        let untraced = world.api.ask_as_part_of(&header, &request).await?.job()?;
        world.database.until_job_is(untraced, "DONE", PATIENCE).await?;

        let submission = world.api.submit(&sources::python(2)).await?;
        let request = json!({ "submissionId": submission });
        let header = format!("00-{TRACE}-{CLIENT_SPAN}-01");
        let job = world.api.ask_as_part_of(&header, &request).await?.job()?;
        world.database.until_job_is(job, "DONE", PATIENCE).await?;

        let trace = until("the trace shows every hop", PATIENCE, async || {
            let trace = collector.trace(TRACE);
            let seen: HashSet<&str> = trace.iter().map(|span| span.name.as_str()).collect();
            let missing: Vec<_> = HOPS.iter().filter(|(name, ..)| !seen.contains(name)).collect();
            let shows_done = trace.iter().any(|span| span.attribute("assay.status") == Some("DONE"));
            Ok(if missing.is_empty() && shows_done {
                Seen::Yes(trace.clone())
            } else {
                Seen::NotYet(format!("{missing:?} of {trace:#?}"))
            })
        })
        .await?;
        every_span_has_its_place(&trace)?;
        let attempt = one(&trace, "attempt")?;
        let says = |key: &str| attempt.attribute(key).map(str::to_owned);
        assert_eq!(says("assay.job.id"), Some(job.to_string()));
        assert_eq!(
            (says("assay.attempt"), says("assay.outcome")),
            (Some("1".to_owned()), Some("done".to_owned()))
        );
        assert_eq!(collector.trace(unwanted), [], "what a client does not want to be traced is not");

        // The row and the resource carry on what the gateway's span began.
        let post = one(&trace, "POST /api/scoring")?;
        let expected = format!("00-{TRACE}-{}-01", post.span_id);
        let annotation = "--output=jsonpath={.metadata.annotations.assay\\.dev/traceparent}";
        let found = world.stack.kubectl(&["get", &format!("sj/{job}"), annotation]).await?;
        assert_eq!(found, expected);
        Ok(())
    })
    .await
}

fn one<'t>(trace: &'t [CollectedSpan], name: &str) -> Result<&'t CollectedSpan> {
    trace.iter().find(|span| span.name == name).with_context(|| format!("no {name:?} in {trace:#?}"))
}

fn every_span_has_its_place(trace: &[CollectedSpan]) -> Result<()> {
    for span in trace {
        let hop = HOPS.iter().find(|(name, ..)| *name == span.name);
        let (_, service, parent) = hop.with_context(|| format!("nobody expects {span:#?}"))?;
        ensure!(span.service == *service, "{span:#?} is made by {service}");
        let parent = if *parent == "the client's" { CLIENT_SPAN } else { &one(trace, parent)?.span_id };
        ensure!(span.parent_span_id == parent, "{span:#?} is not where it belongs in {trace:#?}");
        ensure!(span.began <= span.ended, "{span:#?} ends before it begins");
    }
    // What one hop needs of another was there before.
    for (first, then) in [
        ("commit", "create ScoringJob"),
        ("create ScoringJob", "reconcile scoringjob"),
        ("claim", "start"),
        ("start", "score"),
        ("score", "finish"),
    ] {
        let (first, then) = (one(trace, first)?, one(trace, then)?);
        ensure!(first.began <= then.began, "{} begins before {}: {trace:#?}", then.name, first.name);
    }
    Ok(())
}

#[tokio::test]
async fn log_lines_about_a_job_name_its_trace_whether_it_is_exported_or_not() -> Result<()> {
    world::with(world::stack(), async |world| {
        let gate = Gate::close(&world.database).await?;
        let submission = world.api.submit(&sources::python(4)).await?;
        let request = json!({ "submissionId": submission, "rubric": gate.rubric() });
        let header = format!("00-{TRACE}-{CLIENT_SPAN}-01");
        let job = world.api.ask_as_part_of(&header, &request).await?.job()?;
        world.database.until_job_is(job, "RUNNING", PATIENCE).await?;
        world.api.delete(&format!("/api/scoring/{job}")).await?;
        let scorer = &world.stack.scorers[0];
        until("the scorer says that it stopped", PATIENCE, async || {
            let log = fs::read_to_string(scorer.log())?;
            let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let told = lines.any(|line| {
                let says = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
                says("message").starts_with("stopped")
                    && says("job") == job.to_string()
                    && says("trace_id") == TRACE
            });
            Ok(Seen::when(told, || log.clone()))
        })
        .await?;
        gate.open().await
    })
    .await
}

#[tokio::test]
async fn a_trace_goes_on_from_the_annotation_of_a_request_with_kubectl() -> Result<()> {
    let collector = Collector::start().await?;
    world::with(exporting_to(collector.url()), async |world| {
        let submission = world.api.submit(&sources::python(3)).await?;
        let annotations = json!({ "assay.dev/traceparent": format!("00-{TRACE}-{CLIENT_SPAN}-01") });
        let spec = json!({ "submissionId": submission });
        world.create_annotated("ScoringJob", "traced", annotations, spec).await?;
        world.kubectl_wait("scoringjob/traced", "condition=Complete").await?;
        until("the trace goes from the request to the score", PATIENCE, async || {
            let trace = collector.trace(TRACE);
            let accept = trace.iter().find(|span| span.name == "accept");
            let attempt = trace.iter().find(|span| span.name == "attempt");
            let joined = accept.zip(attempt).is_some_and(|(accept, attempt)| {
                accept.parent_span_id == CLIENT_SPAN && attempt.parent_span_id == accept.span_id
            });
            Ok(Seen::when(joined, || format!("{trace:#?}")))
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_up_neither_jobs_nor_stops() -> Result<()> {
    // Connections are taken by the system, and nobody ever reads them.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    world::with(exporting_to(&format!("http://{}", silent.local_addr()?)), async |world| {
        for number in 0..20 {
            let job = world.api.submit_and_score(&sources::python(number), "default").await?;
            world.database.until_job_is(job, "DONE", PATIENCE).await?;
        }
        let stack = &world.stack;
        for service in stack.scorers.iter().chain(&stack.operators).chain(&stack.gateways) {
            service.terminate(Duration::from_secs(15)).await?;
        }
        Ok(())
    })
    .await
}
