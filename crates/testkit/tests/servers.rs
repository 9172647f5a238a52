//! Every server starts, survives what tests do to it, and goes when its owner does.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::{Connection, Executor, PgConnection, Row};
use testkit::readiness::{http_ok, until_port_closes};
use testkit::{
    ControlPlane, ControlPlaneOptions, Place, Postgres, PostgresOptions, Redis, Seen, StopMode, TempFolder,
    until,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

async fn postgres() -> Result<(Postgres, TempFolder)> {
    let folder = TempFolder::new()?;
    Ok((Postgres::start(&Place::owned(folder.path()), &PostgresOptions::default()).await?, folder))
}

#[tokio::test]
async fn postgres_keeps_its_data_over_restarts_and_crashes() -> Result<()> {
    let (postgres, _folder) = postgres().await?;
    let (url, first) = (postgres.url(), postgres.pid());
    let mut connection = PgConnection::connect(&url).await?;
    connection.execute("CREATE TABLE notes (text text)").await?;
    connection.execute("INSERT INTO notes VALUES ('kept')").await?;

    postgres.restart(StopMode::Fast).await?;
    postgres.restart(StopMode::Immediate).await?;
    postgres.kill9().await?;
    assert!(PgConnection::connect(&url).await.is_err(), "a killed server answers nobody");
    postgres.start_again().await?;

    assert_ne!(postgres.pid(), first);
    let mut connection = PgConnection::connect(&url).await?;
    let row = connection.fetch_one("SELECT text, current_setting('fsync') FROM notes").await?;
    assert_eq!((row.get::<&str, _>(0), row.get::<&str, _>(1)), ("kept", "on"));
    Ok(())
}

#[tokio::test]
async fn a_paused_postgres_answers_again_after_it_is_resumed() -> Result<()> {
    let (postgres, _folder) = postgres().await?;
    postgres.pause().await?;
    let url = postgres.url();
    let mut connecting = pin!(PgConnection::connect(&url));
    let answered = timeout(Duration::from_millis(200), &mut connecting).await;
    assert!(answered.is_err(), "a paused server answers nobody");
    postgres.resume()?;
    connecting.await?.ping().await?;
    Ok(())
}

#[tokio::test]
async fn redis_is_empty_after_a_restart_on_the_same_port() -> Result<()> {
    let folder = TempFolder::new()?;
    let redis = Redis::start(&Place::owned(folder.path())).await?;
    assert_eq!(ask(redis.port(), "SET key value").await?, "+OK");
    assert_eq!(ask(redis.port(), "DBSIZE").await?, ":1");
    redis.restart().await?;
    assert_eq!(ask(redis.port(), "DBSIZE").await?, ":0");
    redis.kill9().await?;
    assert!(ask(redis.port(), "PING").await.is_err());
    redis.start_again().await?;
    redis.flush_all().await?;
    assert_eq!(ask(redis.port(), "PING").await?, "+PONG");
    Ok(())
}

#[tokio::test]
async fn a_control_plane_keeps_its_resources_over_a_restart_of_the_api_server() -> Result<()> {
    let folder = TempFolder::new()?;
    let options = ControlPlaneOptions { controller_manager: true };
    let control_plane = ControlPlane::start(&Place::owned(folder.path()), &options).await?;
    kubectl(&control_plane, &["create", "configmap", "kept", "--from-literal=a=b"]).await?;

    control_plane.stop_apiserver().await?;
    assert!(kubectl(&control_plane, &["get", "configmap", "kept"]).await.is_err());
    control_plane.start_apiserver().await?;
    assert_eq!(
        kubectl(&control_plane, &["get", "configmap", "kept", "-o", "jsonpath={.data.a}"]).await?,
        "b"
    );

    control_plane.apiserver().kill9().await?;
    control_plane.start_apiserver().await?;
    control_plane.etcd().kill9().await?;
    control_plane.start_etcd().await?;
    kubectl(&control_plane, &["get", "configmap", "kept"]).await?;
    Ok(())
}

#[tokio::test]
async fn fresh_databases_are_apart_from_each_other() -> Result<()> {
    let (one, other) = tokio::try_join!(testkit::fresh_database(), testkit::fresh_database())?;
    PgConnection::connect(&one).await?.execute("CREATE TABLE here (id int)").await?;
    assert!(PgConnection::connect(&other).await?.execute("SELECT * FROM here").await.is_err());
    Ok(())
}

#[tokio::test]
async fn fresh_namespaces_are_apart_from_each_other() -> Result<()> {
    let one = testkit::fresh_namespace().await?;
    let other = testkit::fresh_namespace().await?;
    testkit::kubectl(&["create", "configmap", "here", "-n", &one]).await?;
    testkit::kubectl(&["get", "configmap", "here", "-n", &one]).await?;
    assert!(testkit::kubectl(&["get", "configmap", "here", "-n", &other]).await.is_err());
    Ok(())
}

/// Set for the process that plays the owner, in the test below.
const OWNER: &str = "TESTKIT_TEST_OWNER";

/// Not a test of its own: what the next one runs in another process, and kills.
#[tokio::test]
async fn owner() -> Result<()> {
    if std::env::var_os(OWNER).is_none() {
        return Ok(());
    }
    let folder = TempFolder::new()?;
    let place = Place::owned(folder.path());
    let postgres = Postgres::start(&place, &PostgresOptions::default()).await?;
    let redis = Redis::start(&place).await?;
    redis.pause().await?;
    println!("\nOWNED {} {} {}", postgres.port(), redis.port(), folder.path().display());
    std::future::pending().await
}

#[tokio::test]
async fn servers_and_their_folder_go_when_their_owner_is_killed() -> Result<()> {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let mut owner = tokio::process::Command::new(std::env::current_exe()?)
        .args(["--exact", "owner", "--nocapture"])
        .env(OWNER, "yes")
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(owner.stdout.take().context("no output")?).lines();
    let owned = loop {
        let line = lines.next_line().await?.context("the owner ended by itself")?;
        if let Some(owned) = line.strip_prefix("OWNED ") {
            break owned.to_owned();
        }
    };
    let fields: Vec<&str> = owned.split(' ').collect();
    let (postgres, redis, folder) = (fields[0].parse()?, fields[1].parse()?, std::path::Path::new(fields[2]));
    TcpStream::connect(("127.0.0.1", postgres)).await.context("Postgres runs before its owner is killed")?;
    assert!(folder.exists());

    owner.kill().await?;

    until_port_closes(postgres, Duration::from_secs(20)).await?;
    until_port_closes(redis, Duration::from_secs(20)).await?;
    let gone = tokio::time::Instant::now() + Duration::from_secs(20);
    while folder.exists() {
        assert!(tokio::time::Instant::now() < gone, "{} is still there", folder.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why() -> Result<()> {
    let folder = TempFolder::new()?;
    let options = PostgresOptions { settings: vec![("no_such_setting".into(), "1".into())] };
    let error = Postgres::start(&Place::owned(folder.path()), &options).await.unwrap_err().to_string();
    assert!(error.contains("ended while it was starting") && error.contains("no_such_setting"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_detached_server_is_found_again_instead_of_started_twice() -> Result<()> {
    let folder = TempFolder::new()?;
    let place = Place::detached(folder.path());
    let first = Redis::start(&place).await?;
    let second = Redis::start(&place).await?;
    assert_eq!((first.pid(), first.port()), (second.pid(), second.port()));
    first.kill9().await?;
    let third = Redis::start(&place).await?;
    assert_eq!(third.port(), first.port());
    assert_ne!(third.pid(), None);
    third.kill9().await?;
    assert!(http_ok(third.port(), "/").await.is_err());
    Ok(())
}

async fn kubectl(control_plane: &ControlPlane, args: &[&str]) -> Result<String> {
    control_plane.kubernetes().kubectl(&[args, &["--request-timeout=10s"]].concat()).await
}

async fn ask(port: u16, command: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(format!("{command}\r\n").as_bytes()).await?;
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer[..length]).trim().to_owned())
}

#[tokio::test]
async fn a_replica_leaves_nothing_for_the_next_redis_to_read() -> Result<()> {
    let folder = TempFolder::new()?;
    let place = Place::owned(folder.path());
    let primary = Redis::start(&place).await?;
    assert_eq!(ask(primary.port(), "SET key value").await?, "+OK");
    let of_primary = format!("127.0.0.1 {}", primary.port());
    let replica = Redis::start_with(&place, "replica", &["--replicaof", &of_primary]).await?;
    until("the replica has the key", Duration::from_secs(20), async || {
        let size = ask(replica.port(), "DBSIZE").await?;
        Ok(Seen::when(size == ":1", || size))
    })
    .await?;
    replica.stop().await?;
    let next = Redis::start_with(&place, "next", &[]).await?;
    assert_eq!(ask(next.port(), "DBSIZE").await?, ":0");
    Ok(())
}
