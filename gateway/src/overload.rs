//! Saying no while that is still cheap. So many requests are worked on at a time; more wait a little, since a class may press
//! the same button in the same second; and what would have waited longer than anybody does is refused.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use clap::Args;
use domain::duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::answers::{self, NoRoom};
use crate::app::App;
use crate::caller::Caller;
use crate::metrics::Metrics;
use crate::problem::{Code, Problem};
use crate::server::Client;
use crate::shares::{Share, Shares};

/// The unit in which the memory for bodies is given out, in bytes. Bodies no larger than this count as nothing: they are
/// no more than what a connection takes anyway.
const PIECE: usize = 16 * 1024;

/// How many times as many requests may wait for a place as there are places. More are refused without waiting.
const WAITING_FOR_A_PLACE: usize = 8;

/// How long a request keeps its place while it waits for its client: most bodies come along with their heads.
const MOMENT: Duration = Duration::from_millis(5);

/// How many searches of texts are under way or wait for that, in all and of one tenant, and how many are under way.
const SEARCHES: usize = 64;
const SEARCHES_OF_ONE: usize = 4;
const SEARCHES_AT_ONCE: usize = 3;

/// How long a search waits for its turn.
const SEARCH_PATIENCE: Duration = Duration::from_secs(2);

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
    /// The most streams of events that are open at a time. Nobody but an admin may have more than a twentieth of them.
    #[arg(long, env = "ASSAY_STREAMS", default_value_t = 1000)]
    pub streams: usize,
    /// How much of bodies that are still arriving is held at a time, in bytes.
    #[arg(long, env = "ASSAY_BODY_MEMORY", default_value_t = 256 * 1024 * 1024)]
    pub body_memory: usize,
    /// How much of answers that are not sent yet is held at a time, in bytes, and a quarter of it for one client.
    #[arg(long, env = "ASSAY_ANSWER_MEMORY", default_value_t = 256 * 1024 * 1024)]
    pub answer_memory: usize,
}

/// Settings under which nothing could be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverloadContradiction {
    /// Every request would be refused.
    #[error("ASSAY_IN_FLIGHT and ASSAY_STREAMS must be at least 1")]
    Nothing,
    /// The largest answers would be refused.
    #[error("ASSAY_ANSWER_MEMORY ({memory} bytes) is less than eight times ASSAY_BODY_LIMIT ({body} bytes)")]
    LittleAnswerMemory {
        /// The memory.
        memory: usize,
        /// The largest body.
        body: usize,
    },
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
        // What was handed in is answered as well, within a quarter of it and in twice as many bytes at most.
        if self.answer_memory / 8 < body_limit {
            return Err(OverloadContradiction::LittleAnswerMemory {
                memory: self.answer_memory,
                body: body_limit,
            });
        }
        Ok(())
    }
}

/// What a gateway is doing, and how much it takes on.
pub(crate) struct Overload {
    places: Arc<Places>,
    streams: Shares,
    bodies: Arc<Semaphore>,
    answers: Shares,
    searches: Shares,
    searching: Semaphore,
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
            streams: Shares::among_callers(settings.streams),
            bodies: semaphore(settings.body_memory / PIECE),
            answers: Shares::new(settings.answer_memory, settings.answer_memory / 4),
            searches: Shares::new(SEARCHES, SEARCHES_OF_ONE),
            searching: Semaphore::new(SEARCHES_AT_ONCE),
            metrics,
        }
    }

    /// A stream of events for a caller, for as long as the share is held.
    ///
    /// # Errors
    /// When there are too many, or the caller has too many.
    pub(crate) fn stream(&self, caller: &Caller) -> Result<Share, Problem> {
        self.streams.take(caller.shared_as(), 1).ok_or_else(|| {
            self.metrics.shed("stream");
            Problem::new(Code::TooManyStreams, "Too many streams are open. Ask without one, or end another.")
        })
    }

    /// Does what looks through many texts. Few do so at a time, so that those who look up something by its id find a
    /// connection to the database, and of one tenant still fewer wait.
    ///
    /// # Errors
    /// When too many do, or it takes too long until it is its turn.
    pub(crate) async fn search<T>(
        &self,
        caller: &Caller,
        search: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let tenant = Some(caller.tenant.clone());
        let Some(_share) = self.searches.take(tenant, 1) else { return Err(shed(&self.metrics, "search")) };
        let Ok(_turn) = timeout(SEARCH_PATIENCE, self.searching.acquire()).await else {
            return Err(shed(&self.metrics, "search"));
        };
        search.await
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
    let client = request.extensions().get::<Client>().copied();
    let response = next(request).await;
    drop(held);
    let who = || client.map(|client| client.to_string()).unwrap_or_default();
    answers::hold(response, who, &overload.answers)
        .unwrap_or_else(|NoRoom| shed(&overload.metrics, "answer").into_response())
}
