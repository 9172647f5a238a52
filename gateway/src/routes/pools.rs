//! `/api/pools`

mod events;
mod show;

pub(crate) use events::{__path_events, events};
pub(crate) use show::{__path_show, show};

use crate::app::SharedApp;
use crate::caller::Caller;
use crate::pools::{Scope, Watching};
use crate::problem::{Code, Problem};

/// Watches what the caller may see.
fn watch(app: &SharedApp, caller: &Caller) -> Result<Watching, Problem> {
    let watching = app.watched.watch(Scope::of(caller)?);
    watching
        .ok_or_else(|| Problem::new(Code::TooManyStreams, "Too many watch at the moment. Try again later."))
}
