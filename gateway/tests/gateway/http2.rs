//! HTTP/2, spoken by hand: what no decent client does can be sent no other way.

use std::io;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fixture::{Gateway, LIMIT};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ENHANCE_YOUR_CALM: u32 = 11;

/// `GET http://assay/healthz`, in HPACK without compression.
fn get_healthz() -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x04, 8];
    block.extend_from_slice(b"/healthz");
    block.extend_from_slice(&[0x01, 5]);
    block.extend_from_slice(b"assay");
    block
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

async fn connect(gateway: &Gateway) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(gateway.url.trim_start_matches("http://")).await?;
    stream.write_all(PREFACE).await?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    Ok(stream)
}

/// The next frame: its kind, its stream and what it says; `None` at the connection's end.
async fn next(stream: &mut (impl AsyncReadExt + Unpin)) -> Result<Option<(u8, u32, Vec<u8>)>> {
    let mut head = [0; 9];
    match timeout(LIMIT, stream.read_exact(&mut head)).await.context("nothing comes")? {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) =>
        {
            return Ok(None);
        }
        read => read?,
    };
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length)?];
    stream.read_exact(&mut payload).await?;
    Ok(Some((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload)))
}

/// What the gateway says when it ends a connection, if it says anything.
async fn farewell(stream: &mut (impl AsyncReadExt + Unpin)) -> Result<Option<u32>> {
    let mut last = None;
    while let Some((kind, _, payload)) = next(stream).await? {
        if kind == GOAWAY {
            last = Some(u32::from_be_bytes(payload[4..8].try_into()?));
        }
    }
    Ok(last)
}

#[tokio::test]
async fn http_2_is_spoken_with_those_who_begin_with_it() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let mut stream = connect(&gateway).await?;
    for number in [1, 3, 5] {
        stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, number, &get_healthz())).await?;
        loop {
            let (kind, answered, payload) = next(&mut stream).await?.context("the connection ended")?;
            if kind == HEADERS {
                // `:status: 200` is the eighth entry of the static table.
                ensure!((answered, payload[0]) == (number, 0x88), "{payload:?}");
                break;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_opens_streams_only_to_reset_them_is_sent_away() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let (mut reader, mut writer) = connect(&gateway).await?.into_split();
    let flood = tokio::spawn(async move {
        for number in (1..2_000_001).step_by(2) {
            let mut both = frame(HEADERS, END_STREAM | END_HEADERS, number, &get_healthz());
            both.extend(frame(RST_STREAM, 0, number, &8_u32.to_be_bytes()));
            if writer.write_all(&both).await.is_err() {
                return number;
            }
        }
        u32::MAX
    });
    let reason = farewell(&mut reader).await?;
    ensure!(reason.is_none_or(|reason| reason == ENHANCE_YOUR_CALM), "{reason:?}");
    let streams = timeout(LIMIT, flood).await.context("it can still be written to")??;
    ensure!(streams < u32::MAX, "a million resets were taken");
    gateway.job().await.map(drop)
}

#[tokio::test]
async fn a_head_without_end_is_not_read_to_it() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let (mut reader, mut writer) = connect(&gateway).await?.into_split();
    let flood = tokio::spawn(async move {
        if writer.write_all(&frame(HEADERS, END_STREAM, 1, &get_healthz())).await.is_err() {
            return true;
        }
        // A literal field without index, again and again.
        let field = [&[0x00, 1, b'x', 100][..], &[b'y'; 100]].concat().repeat(100);
        for _ in 0..10_000 {
            if writer.write_all(&frame(CONTINUATION, 0, 1, &field)).await.is_err() {
                return true;
            }
        }
        false
    });
    farewell(&mut reader).await?;
    ensure!(
        timeout(LIMIT, flood).await.context("it can still be written to")??,
        "a gigabyte of head was taken"
    );
    gateway.job().await.map(drop)
}

#[tokio::test]
async fn a_client_that_only_pings_is_not_kept() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::ready(&database, &["--idle-timeout", "1s"]).await?;
    let (mut reader, mut writer) = connect(&gateway).await?.into_split();
    let pinging = tokio::spawn(async move {
        const PING: u8 = 6;
        while writer.write_all(&frame(PING, 0, 0, &[7; 8])).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(farewell(&mut reader).await?, Some(0), "an orderly end");
    timeout(LIMIT, pinging).await.context("it can still be written to")??;
    Ok(())
}
