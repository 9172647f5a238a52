//! Watching the resources of a kind.

use std::sync::Arc;

use futures::{Stream, stream};
use kube::ResourceExt;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::Notify;

use crate::cluster::{Kind, Seen, WATCH_SECONDS};

/// What the watch says, and the cache that it fills on the way. It goes on whatever fails.
pub(crate) fn watch<K: Kind + Send + Sync + 'static>(
    api: Api<Seen<K>>,
    cache: Writer<Seen<K>>,
) -> impl Stream<Item = watcher::Result<Event<Seen<K>>>> {
    // Watches are short, so that a server that is silently gone is noticed; see `cluster`.
    let config = watcher::Config::default().timeout(WATCH_SECONDS).page_size(1000);
    watcher(api, config)
        .default_backoff()
        .modify(|resource| resource.managed_fields_mut().clear())
        .reflect(cache)
}

/// One item whenever it is notified.
pub(crate) fn each_time(notified: Arc<Notify>) -> impl Stream<Item = ()> {
    stream::unfold(notified, |notified| async move {
        notified.notified().await;
        Some(((), notified))
    })
}
