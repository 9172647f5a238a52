//! Connections: how many, how long, and what becomes of those that mean harm.

use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::fixture::{Gateway, LIMIT, until};

async fn connect(gateway: &Gateway) -> Result<TcpStream> {
    Ok(TcpStream::connect(gateway.url.trim_start_matches("http://")).await?)
}

/// Waits until the gateway ends a connection: what it said before.
async fn until_ended(stream: &mut TcpStream) -> Result<String> {
    let mut said = Vec::new();
    match timeout(LIMIT, stream.read_to_end(&mut said)).await.context("the connection stays open")? {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error.into()),
        _ => Ok(String::from_utf8(said)?),
    }
}

async fn asked(stream: &mut TcpStream) -> Result<bool> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: assay\r\n\r\n").await?;
    let mut answer = [0; 15];
    Ok(stream.read_exact(&mut answer).await.is_ok() && &answer == b"HTTP/1.1 200 OK")
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_cut_off() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::ready(&database, &["--header-timeout", "500ms"]).await?;
    let (mut reader, mut writer) = connect(&gateway).await?.into_split();
    let begun = Instant::now();
    let dripping = tokio::spawn(async move {
        for byte in b"GET /healthz HTTP/1.1\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    let mut said = Vec::new();
    let ended = timeout(LIMIT, reader.read_to_end(&mut said)).await.context("it goes on")?;
    assert!(ended.is_err() || said.is_empty(), "{said:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    timeout(LIMIT, dripping).await.context("it can still be written to")??;
    assert_eq!(gateway.metric(r#"assay_gateway_connections_timed_out_total{state="header"}"#).await?, 1.0);
    gateway.job().await.map(drop)
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_is_ended_and_one_that_asks_is_kept() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::ready(&database, &["--idle-timeout", "1s"]).await?;
    let (mut silent, mut busy) = (connect(&gateway).await?, connect(&gateway).await?);
    let begun = Instant::now();
    let asking = async {
        while begun.elapsed() < Duration::from_millis(2500) {
            assert!(asked(&mut busy).await?, "a connection in use was ended");
            // The rest of the answer.
            let mut rest = [0; 4096];
            anyhow::ensure!(busy.read(&mut rest).await? > 0, "the answer has no end");
            sleep(Duration::from_millis(300)).await;
        }
        anyhow::Ok(())
    };
    let (said, asked) = tokio::join!(until_ended(&mut silent), asking);
    asked?;
    assert_eq!(said?, "");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    Ok(())
}

#[tokio::test]
async fn a_client_that_takes_none_of_its_answers_is_cut_off() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::ready(&database, &["--write-timeout", "500ms"]).await?;
    let mut stream = connect(&gateway).await?;
    // Requests in one go, of whose answers none is read: at some time the buffers on the way are full.
    let request = b"GET /nothing HTTP/1.1\r\nHost: assay\r\n\r\n".repeat(1000);
    let sending = async { while stream.write_all(&request).await.is_ok() {} };
    timeout(LIMIT, sending).await.context("the gateway goes on taking requests")?;
    gateway.job().await.map(drop)
}

#[tokio::test]
async fn one_address_has_a_bounded_number_of_connections_and_gets_more_when_some_end() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::spawn(&database, &["--connections-per-address", "3"]).await?;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(connect(&gateway).await?);
    }
    for stream in &mut held {
        assert!(asked(stream).await?);
    }
    let mut fourth = connect(&gateway).await?;
    assert_eq!(until_ended(&mut fourth).await?, "");
    assert_eq!(gateway.metric(r#"assay_gateway_connections_refused_total{reason="address"}"#).await?, 1.0);
    assert_eq!(gateway.metric("assay_gateway_connections").await?, 3.0);
    held.pop();
    until("there is room again", async || Ok(asked(&mut connect(&gateway).await?).await.unwrap_or(false)))
        .await
}

#[tokio::test]
async fn the_gateway_has_a_bounded_number_of_connections() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::spawn(&database, &["--connections", "2"]).await?;
    let mut held = [connect(&gateway).await?, connect(&gateway).await?];
    for stream in &mut held {
        assert!(asked(stream).await?);
    }
    assert_eq!(until_ended(&mut connect(&gateway).await?).await?, "");
    assert_eq!(gateway.metric(r#"assay_gateway_connections_refused_total{reason="full"}"#).await?, 1.0);
    // Those that are there are served as before, and metrics and probes have a door of their own.
    assert_eq!(reqwest::get(format!("{}/healthz", gateway.metrics_url)).await?.status(), 200);
    Ok(())
}
