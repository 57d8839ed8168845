//! Every interleaving of a few threads, and every value that the memory model lets
//! their loads see, over the gate itself:
//!
//! ```text
//! RUSTFLAGS="--cfg fuseboard_loom" cargo test --release --lib --no-default-features \
//!     --target-dir target/loom gate::tests::loom
//! ```
//!
//! `loom` takes sequential consistency for acquire and release, and does not let a
//! load see a store that is yet to come; the gate uses neither.

mod publication;
mod reporting;

use ::loom::{
    model::Builder,
    sync::atomic::AtomicU64,
    thread::{self, JoinHandle},
};

use super::*;

/// Tries every interleaving with at most so many threads taken off their processor
/// in mid-course; `None` is any number.
fn explore(preemptions: Option<usize>, world: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(world);
}

fn in_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new().spawn(run).unwrap()
}
