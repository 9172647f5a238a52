//! Load that does not wait for answers before it goes on: what real clients do, of whom there are many. To loopback only.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// What to send.
pub(super) struct Load {
    pub(super) address: SocketAddr,
    pub(super) request: Vec<u8>,
    /// Connections open at a time: as many requests may be on their way.
    pub(super) connections: usize,
    pub(super) per_second: f64,
    pub(super) lasts: Duration,
}

/// What came back.
pub(super) struct Outcome {
    pub(super) took: Duration,
    statuses: BTreeMap<u16, usize>,
    /// How long each answer took from when its request was sent, shortest first.
    latencies: Vec<Duration>,
    /// Requests whose connection ended without an answer.
    pub(super) broken: usize,
    /// Requests that were due and for which no connection was free.
    unsent: usize,
}

#[derive(Default)]
struct Seen {
    answers: Vec<(u16, Duration)>,
    broken: usize,
}

impl Load {
    /// Sends it all.
    pub(super) async fn send(self) -> Result<Outcome> {
        ensure!(self.address.ip().is_loopback(), "load goes to loopback only");
        let load = Arc::new(self);
        let mut streams = Vec::with_capacity(load.connections);
        for _ in 0..load.connections {
            streams.push(connect(load.address).await?);
        }
        let (begun, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
        let senders: Vec<_> = streams
            .into_iter()
            .map(|stream| tokio::spawn(load.clone().on(stream, begun, next.clone())))
            .collect();
        let mut outcome = Outcome {
            took: Duration::ZERO,
            statuses: BTreeMap::new(),
            latencies: Vec::new(),
            broken: 0,
            unsent: 0,
        };
        for sender in senders {
            let seen = sender.await.context("a sender")??;
            outcome.broken += seen.broken;
            for (status, latency) in seen.answers {
                *outcome.statuses.entry(status).or_default() += 1;
                outcome.latencies.push(latency);
            }
        }
        outcome.took = begun.elapsed();
        outcome.latencies.sort_unstable();
        if load.per_second.is_finite() {
            let due = (load.per_second * load.lasts.as_secs_f64()) as usize;
            outcome.unsent = due.saturating_sub(outcome.latencies.len() + outcome.broken);
        }
        Ok(outcome)
    }

    /// Sends one request after the other, each no earlier than it is due.
    async fn on(
        self: Arc<Load>,
        mut stream: TcpStream,
        begun: Instant,
        next: Arc<AtomicUsize>,
    ) -> Result<Seen> {
        let (mut seen, mut buffer) = (Seen::default(), Vec::new());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed) as f64;
            let due = begun + Duration::from_secs_f64(number / self.per_second);
            if due.max(Instant::now()) >= begun + self.lasts {
                return Ok(seen);
            }
            sleep_until(due).await;
            let sent = Instant::now();
            match exchange(&mut stream, &self.request, &mut buffer).await {
                Some(status) => seen.answers.push((status, sent.elapsed())),
                None => {
                    seen.broken += 1;
                    stream = connect(self.address).await?;
                }
            }
        }
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await.context("connect")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a request and reads the whole answer to it; `None` when the connection ends.
async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> Option<u16> {
    stream.write_all(request).await.ok()?;
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end]).ok()?;
        let length: usize = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        })?;
        if buffer.len() >= end + 4 + length {
            return head.split(' ').nth(1)?.parse().ok();
        }
    }
}

impl Outcome {
    pub(super) fn with_status(&self, which: impl Fn(u16) -> bool) -> usize {
        self.statuses.iter().filter(|(status, _)| which(**status)).map(|(_, count)| count).sum()
    }

    /// Which part of what was due was sent.
    pub(super) fn sent(&self) -> f64 {
        let sent = self.latencies.len() + self.broken;
        sent as f64 / (sent + self.unsent).max(1) as f64
    }

    pub(super) fn slowest(&self) -> Duration {
        self.latencies.last().copied().unwrap_or_default()
    }

    fn percentile(&self, share: f64) -> Duration {
        let index = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} answers in {:.1} s ({:?}), p50 {:.0?}, p99 {:.0?}, slowest {:.0?}; {} broken off, {} not sent in time",
            self.latencies.len(),
            self.took.as_secs_f64(),
            self.statuses,
            self.percentile(0.5),
            self.percentile(0.99),
            self.slowest(),
            self.broken,
            self.unsent
        )
    }
}
