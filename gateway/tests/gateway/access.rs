//! Who may do what: every route, for every role, with what is the caller's own, another's of the tenant, and another
//! tenant's.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::authentication::token::{SECRET, Signer, now};
use crate::fixture::{Answer, Gateway, answer};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Person {
    tenant: &'static str,
    subject: &'static str,
    role: &'static str,
}

const ANN: Person = Person { tenant: "algebra", subject: "ann", role: "learner" };
const BOB: Person = Person { tenant: "algebra", subject: "bob", role: "learner" };
const CARL: Person = Person { tenant: "botany", subject: "carl", role: "learner" };
/// Without whom the tenant alone might be compared.
const OTHER_ANN: Person = Person { tenant: "botany", subject: "ann", role: "learner" };
const IVY: Person = Person { tenant: "algebra", subject: "ivy", role: "instructor" };
const ROOT: Person = Person { tenant: "default", subject: "root", role: "admin" };

/// The columns of the table: whose it is that is asked for.
const WHOSE: [Person; 4] = [ANN, BOB, CARL, OTHER_ANN];
/// Its rows: who asks.
const ASKING: [Person; 3] = [ANN, IVY, ROOT];

/// What is asked for.
#[derive(Clone, Copy, Debug)]
enum Thing {
    InProgress,
    Submitted,
    Active,
    /// Ended without a score.
    Dead,
    Batch,
}

/// What each caller is answered, for each of [`WHOSE`].
type Table = [[u16; 4]; 3];

/// What is not for the caller to see is as if it were not there.
const fn scoped(status: u16) -> Table {
    [[status, 404, 404, 404], [status, status, 404, 404], [status; 4]]
}

/// What pools do is no learner's business, whosever jobs are in them.
const POOLS: Table = [[403; 4], [200; 4], [200; 4]];

/// One route: how it is asked for a thing of somebody's, and what comes of it. Of a list, 404 means that the thing is not
/// on it.
struct Route {
    method: Method,
    path: &'static str,
    thing: Thing,
    body: fn(Uuid, Person) -> Value,
    listed_by: Option<&'static str>,
    table: Table,
}

impl Route {
    fn new(method: Method, path: &'static str, thing: Thing, status: u16) -> Route {
        Route { method, path, thing, body: |_, _| Value::Null, listed_by: None, table: scoped(status) }
    }
}

/// Every route. What the gateway serves beyond these is found out below.
fn routes() -> Vec<Route> {
    use Thing::{Active, Batch, Dead, InProgress, Submitted};
    let content = |_, _| json!({"code": "print(2)", "language": "python"});
    let of_submission = |id, _| json!({"submissionId": id});
    vec![
        Route {
            body: |_, whose| json!({"content": {"code": "1"}, "tenant": whose.tenant, "owner": whose.subject}),
            // Here it is asked for something that only another role may.
            table: [[201, 403, 403, 403], [201, 201, 403, 403], [201; 4]],
            ..Route::new(Method::POST, "/api/submissions", Submitted, 201)
        },
        Route { listed_by: Some("id"), ..Route::new(Method::GET, "/api/submissions", Submitted, 200) },
        Route::new(Method::GET, "/api/submissions/{id}", Submitted, 200),
        Route { body: content, ..Route::new(Method::PUT, "/api/submissions/{id}/content", InProgress, 200) },
        Route::new(Method::POST, "/api/submissions/{id}/submit", InProgress, 200),
        Route { body: of_submission, ..Route::new(Method::POST, "/api/scoring", Submitted, 202) },
        Route { listed_by: Some("job_id"), ..Route::new(Method::GET, "/api/scoring", Active, 200) },
        Route::new(Method::GET, "/api/scoring/{id}", Active, 200),
        Route::new(Method::GET, "/api/scoring/{id}/attempts", Dead, 200),
        Route::new(Method::GET, "/api/scoring/{id}/events", Active, 200),
        Route::new(Method::DELETE, "/api/scoring/{id}", Active, 200),
        Route::new(Method::POST, "/api/scoring/{id}/retry", Dead, 202),
        Route {
            body: |id, _| json!({"submissionIds": [id]}),
            // The batch itself is there; see below for its members.
            table: [[202; 4]; 3],
            ..Route::new(Method::POST, "/api/scoring/batches", Submitted, 202)
        },
        Route::new(Method::GET, "/api/scoring/batches/{id}", Batch, 200),
        Route::new(Method::GET, "/api/scoring/batches/{id}/events", Batch, 200),
        Route { listed_by: Some("job_id"), ..Route::new(Method::GET, "/api/dead-letters", Dead, 200) },
        Route::new(Method::GET, "/api/dead-letters/{id}", Dead, 200),
        Route::new(Method::POST, "/api/dead-letters/{id}/redrive", Dead, 202),
        Route {
            body: |_, whose| json!({"filter": {"tenant": whose.tenant, "code": "cancelled"}}),
            table: [[403; 4], [200, 200, 403, 403], [200; 4]],
            ..Route::new(Method::POST, "/api/dead-letters/redrive", Dead, 200)
        },
        Route { table: POOLS, ..Route::new(Method::GET, "/api/pools", Active, 200) },
        Route { table: POOLS, ..Route::new(Method::GET, "/api/pools/events", Active, 200) },
        Route { table: [[200; 4]; 3], ..Route::new(Method::GET, "/api/caller", Active, 200) },
    ]
}

fn bearer(person: Person) -> Result<String> {
    let Person { tenant, subject, role } = person;
    let claims = json!({"tenant": tenant, "sub": subject, "role": role, "exp": now() + 600});
    Ok(format!("Bearer {}", Signer::secret().token("any", &claims)?))
}

struct World {
    gateway: Gateway,
}

impl World {
    async fn new() -> Result<World> {
        let database = testkit::fresh_database().await?;
        Ok(World { gateway: Gateway::ready(&database, &["--auth-secret", SECRET]).await? })
    }

    async fn ask(&self, person: Person, method: Method, path: &str, body: &Value) -> Result<Answer> {
        let request = self.gateway.request(method, path).header("authorization", bearer(person)?);
        answer(if body.is_null() { request } else { request.json(body) }).await
    }

    /// A new thing of somebody's, as they come by it.
    async fn make(&self, thing: Thing, whose: Person) -> Result<Uuid> {
        let post = async |path: &str, body| self.ask(whose, Method::POST, path, &body).await;
        let submit = !matches!(thing, Thing::InProgress);
        let content = json!({"code": "print(1)", "language": "python"});
        let submission =
            post("/api/submissions", json!({"content": content, "submit": submit})).await?.id("id")?;
        match thing {
            Thing::InProgress | Thing::Submitted => Ok(submission),
            Thing::Batch => {
                post("/api/scoring/batches", json!({"submissionIds": [submission]})).await?.id("batch_id")
            }
            Thing::Active | Thing::Dead => {
                let job = post("/api/scoring", json!({"submissionId": submission})).await?.id("job_id")?;
                if matches!(thing, Thing::Dead) {
                    let path = format!("/api/scoring/{job}");
                    let cancelled = self.ask(whose, Method::DELETE, &path, &Value::Null).await?;
                    ensure!(cancelled.status == 200, "{cancelled:?}");
                }
                Ok(job)
            }
        }
    }

    /// Something that changes with every row.
    async fn record(&self) -> Result<String> {
        const ROWS: &str = "SELECT md5(string_agg(line, ',' ORDER BY line)) FROM (
          SELECT s::text FROM submissions s UNION ALL SELECT j::text FROM scoring_jobs j
          UNION ALL SELECT b::text FROM scoring_batches b UNION ALL SELECT a::text FROM scoring_attempts a
          UNION ALL SELECT r::text FROM redrives r UNION ALL SELECT l::text FROM audit_log l) rows (line)";
        let mut connection = PgConnection::connect(&self.gateway.database).await?;
        Ok(sqlx::query_scalar(ROWS).fetch_one(&mut connection).await?)
    }

    /// What begins an answer that does not end.
    async fn head(&self, person: Person, path: &str) -> Result<Answer> {
        let request = self.gateway.request(Method::GET, path).header("authorization", bearer(person)?);
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = if status == 200 { Value::Null } else { response.json().await? };
        Ok(Answer { status, headers, body })
    }

    /// What comes of asking for a new thing of somebody's.
    async fn outcome(&self, route: &Route, asking: Person, whose: Person) -> Result<Answer> {
        let id = self.make(route.thing, whose).await?;
        let before = self.record().await?;
        let path = route.path.replace("{id}", &id.to_string());
        if path.ends_with("/events") {
            return self.head(asking, &path).await;
        }
        let mut answer = self.ask(asking, route.method.clone(), &path, &(route.body)(id, whose)).await?;
        if let Some(field) = route.listed_by {
            let items = answer.body["items"].as_array().context("a list")?;
            if !items.iter().any(|item| item[field] == json!(id)) {
                answer.status = 404;
            }
        }
        if matches!(answer.status, 403 | 404) {
            ensure!(self.record().await? == before, "it was refused, and done: {answer:?}");
        }
        Ok(answer)
    }
}

#[tokio::test]
async fn every_role_may_do_with_each_route_what_the_table_says() -> Result<()> {
    let world = World::new().await?;
    for route in routes() {
        for (asking, expected) in ASKING.into_iter().zip(route.table) {
            for (whose, expected) in WHOSE.into_iter().zip(expected) {
                let answer = world.outcome(&route, asking, whose).await?;
                let case = format!("{} {} of {whose:?} by {asking:?}", route.method, route.path);
                ensure!(answer.status == expected, "{case}: not {expected}: {answer:?}");
                match (expected, route.listed_by) {
                    (403, _) => answer.is_problem(403, "forbidden"),
                    (404, None) => ensure!(
                        answer.body["code"].as_str().is_some_and(|code| code.starts_with("unknown_")),
                        "{case}: {answer:?}"
                    ),
                    _ => {}
                }
            }
        }
    }
    world.gateway.stop().await
}

#[test]
fn the_table_has_every_route() {
    let served: BTreeSet<&str> = gateway::TEMPLATES.into_iter().collect();
    let routes = routes();
    let tabled: BTreeSet<&str> = routes.iter().map(|route| route.path).collect();
    assert_eq!(tabled, served);
}

#[tokio::test]
async fn members_of_a_batch_are_only_what_its_maker_may_see() -> Result<()> {
    let world = World::new().await?;
    for (asking, expected) in [(ANN, [1, 0, 0, 0]), (IVY, [1, 1, 0, 0]), (ROOT, [1; 4])] {
        let mut submissions = Vec::new();
        for whose in WHOSE {
            submissions.push(world.make(Thing::Submitted, whose).await?);
        }
        let body = json!({"submissionIds": submissions});
        let batch = world.ask(asking, Method::POST, "/api/scoring/batches", &body).await?;
        assert_eq!(batch.status, 202);
        assert_eq!(batch.body["accepted"], expected.iter().sum::<u64>());
        for rejected in batch.body["rejected"].as_array().context("rejected")? {
            assert_eq!(rejected["code"], "unknown_submission");
            let at = submissions.iter().position(|id| rejected["submissionId"] == json!(id));
            assert_eq!(expected[at.context("one of them")?], 0);
        }
        let path = format!("/api/scoring/batches/{}", batch.id("batch_id")?);
        assert_eq!(world.ask(asking, Method::GET, &path, &Value::Null).await?.status, 200);
        let stranger = world.ask(CARL, Method::GET, &path, &Value::Null).await?;
        stranger.is_problem(404, "unknown_batch");
    }
    world.gateway.stop().await
}

#[tokio::test]
async fn redriving_everything_means_everything_of_the_tenant() -> Result<()> {
    let world = World::new().await?;
    for whose in [ANN, BOB, CARL] {
        world.make(Thing::Dead, whose).await?;
    }
    // What a person cancelled is left alone unless it is named.
    let body = json!({"filter": {"code": "cancelled"}, "dryRun": true});
    for (asking, matched) in [(IVY, 2), (ROOT, 3)] {
        let answer = world.ask(asking, Method::POST, "/api/dead-letters/redrive", &body).await?;
        assert_eq!((answer.status, &answer.body["redriven"]), (200, &json!(matched)), "{answer:?}");
    }
    world.gateway.stop().await
}

#[tokio::test]
async fn the_record_says_who_it_was_and_of_which_tenant() -> Result<()> {
    let world = World::new().await?;
    let job = world.make(Thing::Dead, ANN).await?;
    let path = format!("/api/dead-letters/{job}");
    let redriven = world.ask(IVY, Method::POST, &format!("{path}/redrive"), &Value::Null).await?;
    assert_eq!(redriven.status, 202);
    let letter = world.ask(ANN, Method::GET, &path, &Value::Null).await?;
    assert_eq!(letter.body["redrives"][0]["by"], "ivy of algebra");
    assert_eq!(letter.body["job"]["error"]["message"], "a client asked for it");
    let feedback = letter.body["job"]["feedback"].as_str().context("feedback")?;
    assert!(feedback.starts_with("Cancelled by ann of algebra"), "{feedback}");
    let logged =
        world.gateway.number("SELECT count(*) FROM audit_log WHERE actor LIKE '% of algebra'").await?;
    assert_eq!(logged, 2);
    world.gateway.stop().await
}

#[tokio::test]
async fn an_instructor_may_hand_in_for_a_learner_who_then_sees_it() -> Result<()> {
    let world = World::new().await?;
    let body = json!({"content": {"code": "1"}, "submit": true, "owner": "ann"});
    let made = world.ask(IVY, Method::POST, "/api/submissions", &body).await?;
    let path = format!("/api/submissions/{}", made.id("id")?);
    let seen = world.ask(ANN, Method::GET, &path, &Value::Null).await?;
    assert_eq!((&seen.body["owner"], &seen.body["tenant"]), (&json!("ann"), &json!("algebra")));
    assert_eq!(world.ask(BOB, Method::GET, &path, &Value::Null).await?.status, 404);
    world.gateway.stop().await
}
