//! How many connections there are, in all and by client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::peer::Client;

/// Counts the connections that are open.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    most: usize,
    most_of_one: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_client: HashMap<Client, usize>,
}

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// There are as many as there may be.
    Gateway,
    /// Its client has as many as one may have.
    Client,
}

/// A connection that is open, for as long as this lives.
#[derive(Debug)]
pub(super) struct Admitted {
    shared: Arc<Shared>,
    client: Option<Client>,
}

impl Admission {
    pub(super) fn new(most: usize, most_of_one: usize) -> Admission {
        Admission { shared: Arc::new(Shared { most, most_of_one, open: Mutex::default() }) }
    }

    /// Takes a connection in; one without a client counts for the whole only.
    pub(super) fn admit(&self, client: Option<Client>) -> Result<Admitted, Full> {
        let mut open = self.shared.open();
        if open.all >= self.shared.most {
            return Err(Full::Gateway);
        }
        if let Some(client) = client {
            let of_one = open.by_client.entry(client).or_default();
            if *of_one >= self.shared.most_of_one {
                return Err(Full::Client);
            }
            *of_one += 1;
        }
        open.all += 1;
        Ok(Admitted { shared: self.shared.clone(), client })
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.shared.open().all
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.shared.open();
        open.all -= 1;
        // Who has none left is forgotten, or the table would grow with everybody who ever came.
        if let Some(client) = self.client
            && let Some(of_one) = open.by_client.get_mut(&client)
        {
            *of_one -= 1;
            if *of_one == 0 {
                open.by_client.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> Option<Client> {
        Some(Client::of([203, 0, 113, last].into()))
    }

    #[test]
    fn one_client_cannot_take_all_connections() {
        let admission = Admission::new(4, 2);
        let _held = [admission.admit(client(1)).expect("first"), admission.admit(client(1)).expect("second")];
        assert_eq!(admission.admit(client(1)).expect_err("a third"), Full::Client);
        let _other = admission.admit(client(2)).expect("another client");
        let _proxy = admission.admit(None).expect("a proxy");
        assert_eq!(admission.admit(client(3)).expect_err("a fifth"), Full::Gateway);
    }

    #[test]
    fn a_connection_that_ended_makes_room_and_leaves_nothing_behind() {
        let admission = Admission::new(1, 1);
        for last in 0..100 {
            drop(admission.admit(client(last)).expect("room"));
        }
        assert_eq!(admission.open(), 0);
        assert!(admission.shared.open().by_client.is_empty());
        drop(admission.admit(client(1)).expect("room"));
    }
}
