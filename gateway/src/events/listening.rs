//! Hearing what others announce.

use queue::{Heard, Listener};
use runtime::Outage;

use super::Hub;

/// Hands what is heard to those who wait for it, for ever.
pub(crate) async fn listen(mut listener: Listener, hub: Hub, redis: Outage) {
    loop {
        let heard = listener.next().await;
        redis.note(&heard);
        match heard {
            Ok(Heard::Change(change)) => hub.changed(&change),
            // Until now nothing was heard.
            Ok(Heard::Began) => hub.look_at_all(),
            Err(_away) => {}
        }
    }
}
