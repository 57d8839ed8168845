//! What a call is made of at least, in the same loop.

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use rustix::time::{ClockId, clock_gettime};

use crate::{
    layered,
    subject::{Lane, async_lane, lane, ready_success, success},
};

/// The cheapest clock: whether what is known is fresh cannot be told without.
pub(crate) const COARSE: &str = "coarse clock";

/// The least that a breaker can do which knows whether what it knows is fresh.
pub(crate) const FRESH: &str =
    "coarse clock in milliseconds and five loads (the least that knows what is fresh)";

/// What the layers for tower are around.
pub(crate) const SERVICE: &str = "a ready service";

/// The unit of the goals that are no ratio to a peer.
pub(crate) const INSTANT: &str = "Instant::now";

/// Everything that is measured beside the peers.
pub(crate) fn all() -> Vec<(&'static str, Lane)> {
    vec![
        ("the loop itself", floor((), |()| success().is_ok())),
        ("a ready future", async_lane((), async |()| ready_success().await.is_ok(), |()| {})),
        (SERVICE, layered::user(layered::answering())),
        ("atomic load", floor(AtomicU64::new(7), |word| word.load(Ordering::Acquire) != 0)),
        (COARSE, coarse()),
        (FRESH, floor(Block::new(), Block::is_fresh)),
        ("atomic add", floor(AtomicU64::new(7), |word| word.fetch_add(1, Ordering::AcqRel) != 0)),
        (INSTANT, floor(Instant::now(), |then| *then < Instant::now())),
    ]
}

/// A reading of the coarse clock.
pub(crate) fn coarse() -> Lane {
    floor((), |()| black_box(coarse_clock().0) != 0)
}

/// The least that a call through a shared block can be made of, if it is to
/// know that the block is fresh and closed and did not change meanwhile, and that
/// a success has nothing to reset: what `Gate::pass` and `Gate::is_silent` read.
#[repr(align(64))]
struct Block {
    word: AtomicU64,
    quiet: AtomicU64,
    from: AtomicU64,
    watched: AtomicU64,
}

impl Block {
    /// Fresh for good.
    fn new() -> Self {
        Self {
            word: AtomicU64::new(1),
            quiet: AtomicU64::new(u64::MAX),
            from: AtomicU64::new(0),
            watched: AtomicU64::new(0),
        }
    }

    fn is_fresh(&mut self) -> bool {
        let (seconds, nanos) = coarse_clock();
        let now_ms = seconds * 1_000 + nanos / 1_000_000;
        let word = self.word.load(Ordering::Acquire);
        let quiet = self.quiet.load(Ordering::Acquire);
        let age = now_ms.wrapping_sub(self.from.load(Ordering::Acquire));
        age < quiet
            && self.word.load(Ordering::Relaxed) == word
            && self.watched.load(Ordering::Acquire) == 0
    }
}

fn floor<S: Send + 'static>(on: S, call: impl FnMut(&mut S) -> bool + Send + 'static) -> Lane {
    lane(on, call, |_| {})
}

/// The wall clock of the kernel's last tick, in seconds and nanoseconds.
fn coarse_clock() -> (u64, u64) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let now = clock_gettime(ClockId::RealtimeCoarse);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let now = clock_gettime(ClockId::Realtime);
    (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs())
}
