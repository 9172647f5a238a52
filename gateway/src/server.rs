//! The door: connections, from the moment they are accepted to the moment they end. It assumes that whoever knocks may
//! mean harm, and bounds how many they are, how long they may take and how much they may send.

mod accept;
mod activity;
mod admission;
mod connection;
mod peer;
mod protocol;
mod settings;
mod stream;
mod tls;
mod tracked;

pub(crate) use accept::{Door, serve};
pub(crate) use peer::{Client, Peer};
pub(crate) use tls::Tls;

pub use settings::{ServerContradiction, ServerFlags};
pub use tls::TlsFlags;
