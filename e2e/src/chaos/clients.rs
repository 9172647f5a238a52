//! The clients: they ask for scores, ask again when nothing is answered, cancel, and delete resources.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use testkit::TempFolder;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::ledger::Ledger;
use crate::Api;
use crate::api::Answer;
use crate::world::World;

/// Clients at work at the same time.
const CLIENTS: usize = 8;

/// Requests come in bursts of so many submissions.
const BURST: usize = 40;

/// How long a client goes on asking before it gives up, which no fault is long enough for.
const GIVES_UP_AFTER: Duration = Duration::from_secs(120);

/// How long a client waits before it asks again.
const ASKS_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What clients need.
pub(crate) struct Clients<'a> {
    pub(crate) world: &'a World,
    pub(crate) ledger: &'a Ledger,
    /// A rubric whose jobs are held for a while.
    pub(crate) held: watch::Receiver<String>,
    pub(crate) seed: u64,
}

/// What a client does with a burst of submissions.
enum Way {
    /// A POST each.
    Singly,
    /// One POST for all.
    Together,
    /// A ScoringJob each, made with kubectl.
    WithKubectl,
}

/// A request for one job, now and then with choices.
fn request(submission: Uuid, rubric: &str, random: &mut StdRng) -> Value {
    let mut body = json!({ "submissionId": submission, "rubric": rubric });
    if random.random_bool(0.1) {
        body["priority"] = random.random_range(0..=9).into();
    }
    if random.random_bool(0.05) {
        let later = Timestamp::now() + Duration::from_millis(random.random_range(100..5_000));
        body["notBefore"] = later.to_string().into();
    }
    body
}

impl Clients<'_> {
    /// Has all submissions scored in some way or other, spread over the time. Returns once all were accepted.
    pub(crate) async fn ask_for_all(&self, submissions: &[Uuid], within: Duration) -> Result<()> {
        let began = Instant::now();
        let share = submissions.len().div_ceil(CLIENTS);
        let clients = submissions.chunks(share).enumerate().map(|(number, mine)| async move {
            let mut random = StdRng::seed_from_u64(self.seed.wrapping_mul(31).wrapping_add(number as u64));
            let bursts = mine.len().div_ceil(BURST);
            for (place, burst) in mine.chunks(BURST).enumerate() {
                let due = within.mul_f64((place as f64 + random.random_range(0.0..1.0)) / bursts as f64);
                sleep_until(began + due).await;
                self.burst(burst, &mut random).await?;
            }
            anyhow::Ok(())
        });
        try_join_all(clients).await.map(drop)
    }

    async fn burst(&self, submissions: &[Uuid], random: &mut StdRng) -> Result<()> {
        let way = match random.random_range(0..100) {
            0..80 => Way::Singly,
            80..92 => Way::Together,
            _ => Way::WithKubectl,
        };
        let rubric = self.rubric(random);
        match way {
            Way::Singly => {
                let mut jobs = Vec::with_capacity(submissions.len());
                for submission in submissions {
                    let first = random.random_range(0..self.world.stack.gateways.len());
                    let body = request(*submission, &rubric, random);
                    let job = self.ask(first, &body).await?;
                    if random.random_bool(0.02) {
                        // As a client that was cut off does, which cannot know.
                        self.ask(first, &body).await?;
                    }
                    if random.random_bool(0.03) {
                        self.cancel(first, job).await?;
                    }
                    if random.random_bool(0.02) {
                        self.score_again(first, job).await?;
                    }
                    jobs.push(job);
                }
                if random.random_bool(0.25) {
                    self.delete_resources(&jobs, random).await;
                }
                if random.random_bool(0.2) {
                    self.redrive().await?;
                }
                Ok(())
            }
            Way::Together => self.ask_together(submissions, &rubric, random).await,
            Way::WithKubectl => self.create_resources(submissions, &rubric).await,
        }
    }

    fn rubric(&self, random: &mut StdRng) -> String {
        match random.random_range(0..100) {
            0..50 => "quick".to_owned(),
            50..75 => "default".to_owned(),
            _ => self.held.borrow().clone(),
        }
    }

    async fn ask(&self, first: usize, body: &Value) -> Result<Uuid> {
        let answer = self.patiently(first, async |api| api.ask(body).await).await?;
        let job = answer.job()?;
        self.ledger.told(job, format!("POST {body}: {} {}", answer.status, answer.body));
        Ok(job)
    }

    /// Asks for another score of the same submission; as long as a job of it is active, that one is the answer.
    async fn score_again(&self, first: usize, job: Uuid) -> Result<()> {
        let path = format!("/api/scoring/{job}/retry");
        let answer = self.patiently(first, async |api| api.post(&path, &json!({})).await).await?;
        self.ledger.told(answer.job()?, format!("retry of {job}: {} {}", answer.status, answer.body));
        Ok(())
    }

    async fn ask_together(&self, submissions: &[Uuid], rubric: &str, random: &mut StdRng) -> Result<()> {
        let body = json!({ "submissionIds": submissions, "rubric": rubric });
        let first = random.random_range(0..self.world.stack.gateways.len());
        let answer = self.patiently(first, async |api| api.post("/api/scoring/batches", &body).await).await?;
        ensure!(answer.status == 202, "a batch is answered {answer:?}");
        self.ledger.note(|notes| notes.in_batches.extend(submissions));
        Ok(())
    }

    async fn cancel(&self, first: usize, job: Uuid) -> Result<()> {
        let answer =
            self.patiently(first, async |api| api.delete(&format!("/api/scoring/{job}")).await).await?;
        self.ledger.told(job, format!("DELETE: {} {}", answer.status, answer.body));
        match (answer.status, answer.code()) {
            (200, _) => self.ledger.note(|notes| notes.cancelled.push(job)),
            (409, "job_ended") => {}
            _ => bail!("DELETE of {job}, which was accepted, is answered {answer:?}"),
        }
        Ok(())
    }

    /// Has some of what was cancelled scored after all, beside other clients that do the same at the same time.
    async fn redrive(&self) -> Result<()> {
        let order = json!({ "filter": { "code": "cancelled" }, "perSecond": 20, "limit": 10 });
        let answer =
            self.patiently(0, async |api| api.post("/api/dead-letters/redrive", &order).await).await?;
        ensure!(answer.status == 200, "a redrive is answered {answer:?}");
        Ok(())
    }

    /// Asks until it is told yes or no: no answer and 503 are neither.
    async fn patiently(&self, first: usize, ask: impl AsyncFn(&Api) -> Result<Answer>) -> Result<Answer> {
        let deadline = Instant::now() + GIVES_UP_AFTER;
        for turn in first.. {
            let gateway = &self.world.gateways[turn % self.world.gateways.len()];
            let answer = ask(gateway).await;
            let status = answer.as_ref().map_or(0, |answer| answer.status);
            self.ledger.note(|notes| *notes.answers.entry(status).or_default() += 1);
            match answer {
                Ok(answer) if answer.status != 503 => return Ok(answer),
                last if Instant::now() > deadline => bail!("not answered for {GIVES_UP_AFTER:?}: {last:?}"),
                _ => sleep(ASKS_AGAIN_AFTER).await,
            }
        }
        unreachable!("the turns do not end")
    }

    /// Deletes some of the resources of these jobs, or does not: the API server may be away.
    async fn delete_resources(&self, jobs: &[Uuid], random: &mut StdRng) {
        let names: Vec<String> =
            jobs.iter().filter(|_| random.random_bool(0.2)).map(Uuid::to_string).collect();
        if names.is_empty() {
            return;
        }
        let mut command =
            vec!["delete", "scoringjobs", "--ignore-not-found", "--wait=false", "--request-timeout=10s"];
        command.extend(names.iter().map(String::as_str));
        let told = match self.world.stack.kubectl(&command).await {
            Ok(said) => said,
            Err(error) => format!("{error:#}"),
        };
        for job in jobs.iter().filter(|job| names.contains(&job.to_string())) {
            self.ledger.told(*job, format!("kubectl delete: {}", told.trim()));
        }
    }

    /// Makes a ScoringJob for each submission, and tries again while the API server is away: a name is taken once.
    async fn create_resources(&self, submissions: &[Uuid], rubric: &str) -> Result<()> {
        let item = |submission: &Uuid| {
            json!({
                "apiVersion": "assay.dev/v1alpha1",
                "kind": "ScoringJob",
                "metadata": { "name": format!("by-hand-{submission}") },
                "spec": { "submissionId": submission, "rubric": rubric },
            })
        };
        let items: Vec<Value> = submissions.iter().map(item).collect();
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
        let folder = TempFolder::new()?;
        let file = folder.path().join("list.json");
        fs::write(&file, list.to_string()).context("write a manifest")?;
        let file = file.to_str().context("the path of a manifest is not UTF-8")?;
        let deadline = Instant::now() + GIVES_UP_AFTER;
        let made = loop {
            let apply =
                ["apply", "--server-side", "--output=json", "--request-timeout=10s", "--filename", file];
            match self.world.stack.kubectl(&apply).await {
                Ok(made) => break made,
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => sleep(ASKS_AGAIN_AFTER).await,
            }
        };
        let made: Value = serde_json::from_str(&made).context("kubectl prints JSON")?;
        // One alone is not in a list.
        for item in made["items"].as_array().map_or(std::slice::from_ref(&made), Vec::as_slice) {
            let uid: Uuid = item["metadata"]["uid"].as_str().context("a uid")?.parse()?;
            self.ledger.note(|notes| notes.requested.push(uid));
            self.ledger.told(uid, format!("kubectl made {}", item["metadata"]["name"]));
        }
        Ok(())
    }
}
