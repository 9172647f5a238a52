//! Waiting until a server answers.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::process::Process;

/// Asks again and again until the answer is yes. Ends early, with the log's last lines, when the process does.
pub async fn until(process: &Process, limit: Duration, probe: impl AsyncFn() -> Result<()>) -> Result<()> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(5);
    loop {
        let last = match timeout(Duration::from_secs(5), probe()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "no answer within 5 s".to_owned(),
        };
        if !process.is_running() {
            bail!("{} ended while it was starting{}", process.name(), process.log_tail());
        }
        if Instant::now() > deadline {
            bail!("{} is not ready after {limit:?}: {last}{}", process.name(), process.log_tail());
        }
        // Servers do not announce that they are ready; the exit of the process is noticed at once, though.
        let _ended = process.wait_exit(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Waits until something accepts connections on a loopback port.
pub async fn until_port_opens(process: &Process, port: u16, limit: Duration) -> Result<()> {
    until(process, limit, async || {
        TcpStream::connect(("127.0.0.1", port)).await.map(drop).context("connect to its port")
    })
    .await
}

/// Waits until nothing listens on a loopback port any more.
pub async fn until_port_closes(port: u16, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        if Instant::now() > deadline {
            bail!("something still listens on port {port} after {limit:?}");
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// A plain HTTP GET on a loopback port: the status and the body.
pub async fn http_get(port: u16, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.context("connect")?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.context("ask")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.context("read the answer")?;
    let answer = String::from_utf8_lossy(&answer);
    let status =
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).context("not an HTTP answer")?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}

/// A probe for [`until`]: whether a GET answers 200.
pub async fn http_ok(port: u16, path: &str) -> Result<()> {
    match http_get(port, path).await? {
        (200, _) => Ok(()),
        (status, body) => bail!("{path} answers {status} {}", body.trim()),
    }
}
