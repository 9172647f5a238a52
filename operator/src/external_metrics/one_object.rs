//! Watching one object by its name.

use std::fmt::Debug;

use futures::{Stream, StreamExt, stream};
use kube::Resource;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use serde::de::DeserializeOwned;

use crate::cluster::WATCH_SECONDS;

/// The object whenever it changes; none while it is not there. It goes on whatever fails.
pub(super) fn follow<K>(api: Api<K>, name: &str) -> impl Stream<Item = watcher::Result<Option<K>>> + use<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    // Watches are short, so that a server that is silently gone is noticed; see `cluster`.
    let config = watcher::Config::default().fields(&format!("metadata.name={name}")).timeout(WATCH_SECONDS);
    let events = watcher(api, config).default_backoff();
    stream::unfold((Box::pin(events), None), |(mut events, mut listed)| async move {
        loop {
            let seen = match events.next().await? {
                Err(error) => Err(error),
                Ok(Event::Apply(object)) => Ok(Some(object)),
                Ok(Event::Delete(_)) => Ok(None),
                Ok(Event::Init) => {
                    listed = None;
                    continue;
                }
                Ok(Event::InitApply(object)) => {
                    listed = Some(object);
                    continue;
                }
                Ok(Event::InitDone) => Ok(listed.take()),
            };
            return Some((seen, (events, listed)));
        }
    })
}
