//! Would catch a schedule of threads in which a caller waits for ever for an answer, gets that of
//! another, or is taken in after the queue was closed.
//!
//! Every model runs under schedules that the checker chooses, at every lock of the queue. A caller
//! or a writer that is never woken is a deadlock, which the checker reports.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use shuttle::thread;

use super::queue::{Queue, Waiting};
use super::{Prepared, Write};
use crate::Error;
use crate::model::{Key, Metadata};

/// How many schedules each model is run under.
const SCHEDULES: usize = 10_000;
/// Fewer than make the writer linger: a model has no clock.
const CALLERS: usize = 3;

fn job(namespace: usize) -> Vec<Prepared> {
    let key = Key::new("g", "r", &format!("ns{namespace}"), "n").unwrap();
    vec![Prepared {
        write: Write::delete(key),
        metadata: Metadata::default(),
        body: None,
    }]
}

/// Callers of two namespaces, and a writer that refuses each by its own name.
fn everyone_is_answered() {
    let waiting = Arc::new(Waiting::default());
    let queue = Arc::new(Queue::new(Arc::clone(&waiting)));
    let writer = thread::spawn(move || {
        while let Some(wave) = waiting.take(Duration::ZERO) {
            assert!(!wave.is_empty());
            for job in wave {
                let key = job.writes[0].write.key.clone();
                job.answer.send(Err(Error::NotFound { key }));
            }
        }
        waiting.end();
    });
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let own = job(caller % 2);
                let key = own[0].write.key.clone();
                assert_eq!(queue.submit(own, false), Err(Error::NotFound { key }));
            })
        })
        .collect();
    callers
        .into_iter()
        .for_each(|caller| caller.join().unwrap());
    queue.close();
    writer.join().unwrap();
    assert_eq!(queue.submit(job(0), false), Err(Error::Closed));
}

/// The queue is closed while callers come: each is answered, or told that it is closed.
fn closing_leaves_nobody_behind() {
    let waiting = Arc::new(Waiting::default());
    let queue = Arc::new(Queue::new(Arc::clone(&waiting)));
    let writer = thread::spawn(move || {
        // The first wave is answered, the rest is left to the end of the writer.
        if let Some(wave) = waiting.take(Duration::ZERO) {
            drop(wave);
        }
        waiting.end();
    });
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let answer = queue.submit(job(caller), false);
                assert!(matches!(
                    answer,
                    Err(Error::Closed | Error::Uncertain { .. })
                ));
            })
        })
        .collect();
    queue.close();
    callers
        .into_iter()
        .for_each(|caller| caller.join().unwrap());
    writer.join().unwrap();
}

#[cfg(not(feature = "canary"))]
#[test]
fn everyone_is_answered_in_every_order() {
    shuttle::check_random(everyone_is_answered, SCHEDULES);
}

#[cfg(not(feature = "canary"))]
#[test]
fn a_closed_queue_leaves_nobody_behind() {
    shuttle::check_random(closing_leaves_nobody_behind, SCHEDULES);
}

/// With the planted bug a caller does not wake the writer.
#[cfg(feature = "canary")]
#[test]
#[should_panic(expected = "deadlock")]
fn the_planted_sleep_is_found() {
    shuttle::check_random(everyone_is_answered, SCHEDULES);
    closing_leaves_nobody_behind();
}
