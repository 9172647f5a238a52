//! Saying no while that is still cheap. So many requests are worked on at a time; more wait a little, since a class may press
//! the same button in the same second; and what would have waited longer than anybody does is refused.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use clap::Args;
use domain::duration;
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::app::App;
use crate::metrics::Metrics;
use crate::problem::{Code, Problem};

/// The unit in which the memory for bodies is given out, in bytes. Bodies no larger than this count as nothing: they are
/// no more than what a connection takes anyway.
const PIECE: usize = 16 * 1024;

/// How many times as many requests may wait for a place as there are places. More are refused without waiting.
const WAITING_FOR_A_PLACE: usize = 8;

/// How long a request keeps its place while it waits for its client: most bodies come along with their heads.
const MOMENT: Duration = Duration::from_millis(5);

/// How much is done at a time.
#[derive(Args, Clone, Debug)]
pub struct OverloadFlags {
    /// The most requests that are worked on at a time. Requests that only wait, for the rest of their body or for a job to
    /// end, do not count.
    #[arg(long, env = "ASSAY_IN_FLIGHT", default_value_t = 128)]
    pub in_flight: usize,
    /// How long more requests than that may wait before they are answered 503.
    #[arg(long, env = "ASSAY_IN_FLIGHT_WAIT", default_value = "250ms", value_parser = duration::parse)]
    pub in_flight_wait: Duration,
    /// The most streams of events that are open at a time.
    #[arg(long, env = "ASSAY_STREAMS", default_value_t = 1000)]
    pub streams: usize,
    /// How much of bodies that are still arriving is held at a time, in bytes.
    #[arg(long, env = "ASSAY_BODY_MEMORY", default_value_t = 256 * 1024 * 1024)]
    pub body_memory: usize,
}

/// Settings under which nothing could be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverloadContradiction {
    /// Every request would be refused.
    #[error("ASSAY_IN_FLIGHT and ASSAY_STREAMS must be at least 1")]
    Nothing,
    /// The largest body that is allowed would be refused.
    #[error("ASSAY_BODY_MEMORY ({memory} bytes) is smaller than ASSAY_BODY_LIMIT ({body} bytes)")]
    LittleMemory {
        /// The memory.
        memory: usize,
        /// The largest body.
        body: usize,
    },
}

impl OverloadFlags {
    /// Refuses settings under which nothing could be done.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn check(&self, body_limit: usize) -> Result<(), OverloadContradiction> {
        if self.in_flight == 0 || self.streams == 0 {
            return Err(OverloadContradiction::Nothing);
        }
        if self.body_memory < body_limit {
            return Err(OverloadContradiction::LittleMemory { memory: self.body_memory, body: body_limit });
        }
        Ok(())
    }
}

/// What a gateway is doing, and how much it takes on.
pub(crate) struct Overload {
    places: Arc<Places>,
    streams: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    metrics: Metrics,
}

/// The places of requests that are worked on, given out in the order in which they are asked for.
struct Places {
    free: Arc<Semaphore>,
    most: usize,
    patience: Duration,
    waiting: AtomicUsize,
    metrics: Metrics,
}

/// The place of one request.
#[derive(Clone)]
pub(crate) struct Place {
    places: Arc<Places>,
    held: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Overload {
    pub(crate) fn new(settings: &OverloadFlags, metrics: Metrics) -> Overload {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        let places = Places {
            free: semaphore(settings.in_flight),
            most: settings.in_flight,
            patience: settings.in_flight_wait,
            waiting: AtomicUsize::new(0),
            metrics: metrics.clone(),
        };
        Overload {
            places: Arc::new(places),
            streams: semaphore(settings.streams),
            bodies: semaphore(settings.body_memory / PIECE),
            metrics,
        }
    }

    /// Memory for a body that is about to arrive, of at most so many bytes, for as long as the permit is held.
    pub(crate) fn body(&self, bytes: usize) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        if bytes <= PIECE {
            return Ok(None);
        }
        let pieces = u32::try_from(bytes.div_ceil(PIECE)).unwrap_or(u32::MAX);
        match self.bodies.clone().try_acquire_many_owned(pieces) {
            Ok(permit) => Ok(Some(permit)),
            Err(_) => Err(shed(&self.metrics, "body")),
        }
    }
}

fn shed(metrics: &Metrics, what: &'static str) -> Problem {
    metrics.shed(what);
    Problem::new(
        Code::Overloaded,
        "The gateway has more to do than it can at the moment. The request may be repeated as it is.",
    )
}

impl Places {
    /// Waits for a place for as long as that is worth it.
    async fn one(&self) -> Result<OwnedSemaphorePermit, Problem> {
        if let Ok(place) = self.free.clone().try_acquire_owned() {
            return Ok(place);
        }
        if self.waiting.load(Ordering::Relaxed) >= self.most.saturating_mul(WAITING_FOR_A_PLACE) {
            return Err(shed(&self.metrics, "request"));
        }
        let _waiting = Waiting::begin(&self.waiting);
        match timeout(self.patience, self.free.clone().acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(shed(&self.metrics, "request")),
        }
    }

    fn show(&self) {
        self.metrics.in_flight(self.most.saturating_sub(self.free.available_permits()));
    }
}

/// Counted for as long as it lives, also if whoever waits gives up.
struct Waiting<'a>(&'a AtomicUsize);

impl Waiting<'_> {
    fn begin(count: &AtomicUsize) -> Waiting<'_> {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Place {
    fn held(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the place to another request. For what only waits from now on, such as for a job to end: that takes memory,
    /// and has a bound of its own.
    pub(crate) fn leave(&self) {
        let left = self.held().take();
        if left.is_some() {
            drop(left);
            self.places.show();
        }
    }

    /// Waits for a client. What takes it more than a moment is done without a place, so that no number of slow clients
    /// takes those of others; the request then needs one again.
    ///
    /// # Errors
    /// When there is too much to do by then.
    pub(crate) async fn wait_for_client<F: Future>(&self, waiting: F) -> Result<F::Output, Problem> {
        let mut waiting = pin!(waiting);
        if let Ok(done) = timeout(MOMENT, waiting.as_mut()).await {
            return Ok(done);
        }
        self.leave();
        let done = waiting.await;
        let place = self.places.one().await?;
        *self.held() = Some(place);
        self.places.show();
        Ok(done)
    }
}

/// A place is given back however its request ends.
struct Held(Place);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Lets a request through unless there is too much to do already.
pub(crate) async fn limit<F: Future<Output = Response>>(
    app: &App,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let overload = &app.overload;
    let place = match overload.places.one().await {
        Ok(permit) => Place { places: overload.places.clone(), held: Arc::new(Mutex::new(Some(permit))) },
        Err(problem) => return problem.into_response(),
    };
    overload.places.show();
    request.extensions_mut().insert(place.clone());
    let held = Held(place);
    let response = next(request).await;
    drop(held);
    if is_event_stream(response.headers()) { bounded(overload, response) } else { response }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// A stream of events has a place of its own until it ends.
fn bounded(overload: &Overload, response: Response) -> Response {
    let Ok(permit) = overload.streams.clone().try_acquire_owned() else {
        return shed(&overload.metrics, "stream").into_response();
    };
    response.map(|body| {
        let events = body.into_data_stream().map(move |piece: Result<Bytes, axum::Error>| {
            let _held = &permit;
            piece
        });
        Body::from_stream(events)
    })
}
