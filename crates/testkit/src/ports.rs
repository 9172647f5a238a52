//! Free loopback ports.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Result, bail};

/// Below the range from which Linux takes ports for outgoing connections: a server that is restarted on its port
/// must not find that some client was given it meanwhile.
const FIRST: u16 = 18_000;
const LAST: u16 = 32_000;

static GIVEN: LazyLock<Mutex<BTreeSet<u16>>> = LazyLock::new(Mutex::default);

/// A loopback port that nobody listens on and that this process has not been given before.
pub fn free_port() -> Result<u16> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..1_000 {
        // Random, so that test processes running side by side rarely ask for the same one.
        let port = FIRST + (uuid::Uuid::new_v4().as_u128() % u128::from(LAST - FIRST)) as u16;
        if !given.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            given.insert(port);
            return Ok(port);
        }
    }
    bail!("no free port between {FIRST} and {LAST} on 127.0.0.1")
}
