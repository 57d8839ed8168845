//! Every interleaving of a few threads, and every value that the memory model lets
//! their loads see: over the gate itself, and over a circuit with its actor, whose
//! channels are stood in for by ones that the checker can follow (`sync`):
//!
//! ```text
//! RUSTFLAGS="--cfg fuseboard_loom" cargo test --release --lib --no-default-features \
//!     --target-dir target/loom gate::tests::loom
//! ```
//!
//! Where there would be too many, those with few preemptions: then a test says how
//! many, and a smaller world goes without a bound.
//!
//! `loom` takes sequential consistency for acquire and release, and does not let a
//! load see a store that is yet to come; the crate uses neither here. It lets an
//! exchange miss a store that it does not come after, as no memory does. The newest
//! snapshot is not followed within a circuit: `publication` looks at its order.

mod counting;
mod leaving;
mod offering;
mod publication;
mod ramping;
mod reporting;
mod returning;
mod thawing;
mod world;

use std::sync::{Arc, Mutex};

use ::loom::{
    model::Builder,
    thread::{self, JoinHandle},
};

use super::*;
use crate::runtime::sync::AtomicU64;

/// Tries every interleaving with at most so many threads taken off their processor
/// in mid-course; `None` is any number.
fn explore(preemptions: Option<usize>, world: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = preemptions;
    // Twice what it allows: a world of three threads has more than 1,000 in one run.
    builder.max_branches = 2_000;
    builder.check(world);
}

fn in_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new().spawn(run).unwrap()
}

/// What a load sees beside a thread that loads as well before it stores.
#[test]
fn no_load_hides_another_from_the_checker() {
    let seen = Arc::new(Mutex::new([false; 2]));
    let all_seen = Arc::clone(&seen);
    explore(None, move || {
        let atomic = Arc::new(AtomicU64::new(0));
        let other = Arc::clone(&atomic);
        let other = in_thread(move || {
            other.load(Relaxed);
            other.store(1, Relaxed);
        });
        all_seen.lock().unwrap()[usize::from(atomic.load(Relaxed) == 1)] = true;
        other.join().unwrap();
    });
    assert_eq!(*seen.lock().unwrap(), [true; 2]);
}
