//! How many watches are open, for each client and in all.
//!
//! A watch takes a place before it begins and gives it back when it ends, however it ends.
//! Invariant: the places of all clients together are the total, and a client without a watch is
//! not in the map, so the count is as small as what it counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits;
use crate::wire::status::Status;

/// The places of all watches.
#[derive(Default)]
pub(in crate::api) struct Count {
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_client: HashMap<String, usize>,
}

/// One open watch in the count.
pub(super) struct Place {
    open: Arc<Mutex<Open>>,
    client: String,
}

impl Count {
    pub(in crate::api) fn total(&self) -> u64 {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .total as u64
    }

    pub(super) fn enter(&self, client: &str) -> Result<Place, Status> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= limits::WATCHES {
            let message = format!(
                "the server has its limit of {} watches open",
                limits::WATCHES
            );
            return Err(Status::too_many_requests(message, 10));
        }
        let own = open.by_client.entry(client.to_owned()).or_default();
        if *own >= limits::WATCHES_PER_CLIENT {
            let most = limits::WATCHES_PER_CLIENT;
            let message = format!("{client:?} has its limit of {most} watches open");
            return Err(Status::too_many_requests(message, 10));
        }
        *own += 1;
        open.total += 1;
        Ok(Place {
            open: Arc::clone(&self.open),
            client: client.to_owned(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        if let Some(own) = open.by_client.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                open.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Catches a count of watches that grows with every client that ever came.
    use super::*;

    #[test]
    fn a_client_without_a_watch_is_forgotten() {
        let count = Count::default();
        let places = ["one", "one", "two"].map(|client| count.enter(client).unwrap());
        assert_eq!(count.open.lock().unwrap().by_client.len(), 2);
        drop(places);
        assert_eq!(count.total(), 0);
        assert!(count.open.lock().unwrap().by_client.is_empty());
    }
}
