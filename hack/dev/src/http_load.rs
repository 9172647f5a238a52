//! A load generator for one thing: POSTs over connections that stay open, to a server on loopback.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What to send.
pub(crate) struct Load {
    /// Port on loopback; load goes nowhere else.
    pub(crate) port: u16,
    /// Path of the request.
    pub(crate) path: &'static str,
    /// The token of every request.
    pub(crate) token: String,
    /// A body for each request; the load ends when they are used up.
    pub(crate) bodies: Vec<String>,
    /// Connections open at a time.
    pub(crate) connections: usize,
    /// Longest time.
    pub(crate) limit: Duration,
}

/// What came back.
pub(crate) struct Outcome {
    /// How often each status was answered.
    pub(crate) statuses: BTreeMap<u16, usize>,
    /// How long the load went on.
    pub(crate) took: Duration,
    /// How long each request took, shortest first.
    latencies: Vec<Duration>,
}

impl Outcome {
    /// Requests answered.
    pub(crate) fn count(&self) -> usize {
        self.latencies.len()
    }

    /// Requests answered per second.
    pub(crate) fn rate(&self) -> f64 {
        self.count() as f64 / self.took.as_secs_f64()
    }

    /// The time that this share of requests took at most.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let index = (self.count() as f64 * share) as usize;
        self.latencies.get(index.min(self.count().saturating_sub(1))).copied().unwrap_or_default()
    }
}

/// Sends the load.
pub(crate) async fn send(load: Load) -> Result<Outcome> {
    let load = Arc::new(load);
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let connections =
        (0..load.connections).map(|_| tokio::spawn(connection(Arc::clone(&load), Arc::clone(&next))));
    let mut outcome = Outcome { statuses: BTreeMap::new(), took: Duration::ZERO, latencies: Vec::new() };
    for answers in try_join_all(connections).await.context("a connection's task")? {
        for (status, latency) in answers? {
            *outcome.statuses.entry(status).or_default() += 1;
            outcome.latencies.push(latency);
        }
    }
    outcome.took = started.elapsed();
    outcome.latencies.sort_unstable();
    Ok(outcome)
}

async fn connection(load: Arc<Load>, next: Arc<AtomicUsize>) -> Result<Vec<(u16, Duration)>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, load.port));
    let mut stream = TcpStream::connect(address).await.context("connect to the gateway")?;
    stream.set_nodelay(true).context("send small requests at once")?;
    let deadline = Instant::now() + load.limit;
    let (mut answers, mut buffer) = (Vec::new(), Vec::with_capacity(4096));
    while Instant::now() < deadline {
        let Some(body) = load.bodies.get(next.fetch_add(1, Ordering::Relaxed)) else {
            break;
        };
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            load.path,
            load.token,
            body.len()
        );
        let sent = Instant::now();
        stream.write_all(request.as_bytes()).await.context("send a request")?;
        let status = read_answer(&mut stream, &mut buffer).await?;
        answers.push((status, sent.elapsed()));
    }
    Ok(answers)
}

/// Reads one whole answer and returns its status.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<u16> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await.context("read an answer")? == 0 {
            bail!("the gateway closed a connection in the middle of an answer");
        }
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&buffer[..end]).context("the head of an answer is not text")?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let length = length.context("an answer without Content-Length")?;
        if buffer.len() >= end + 4 + length {
            return head
                .split(' ')
                .nth(1)
                .and_then(|status| status.parse().ok())
                .context("an answer without status");
        }
    }
}
