//! What a call is made of at least, in the same loop.

use std::{
    hint::black_box,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use rustix::time::{ClockId, clock_gettime};

use crate::{
    layered,
    subject::{Lane, async_lane, lane, pending_success, ready_success, success},
};

/// The cheapest clock: whether what is known is fresh cannot be told without.
pub(crate) const COARSE: &str = "coarse clock";

/// The least that a breaker can do which knows whether what it knows is fresh.
pub(crate) const FRESH: &str =
    "coarse clock in milliseconds and five loads (the least that knows what is fresh)";

/// What a call that pends is around.
pub(crate) const PENDING: &str = "a future that pends once";

/// What the layers for tower are around.
pub(crate) const SERVICE: &str = "a ready service";

/// What counting the last calls under a mutex costs, beside the least that admits.
pub(crate) const RING: &str =
    "the least that knows what is fresh, and a ring of the last 100 outcomes under a mutex";

/// The unit of the goals that are no ratio to a peer.
pub(crate) const INSTANT: &str = "Instant::now";

/// Everything that is measured beside the peers.
pub(crate) fn all() -> Vec<(&'static str, Lane)> {
    vec![
        ("the loop itself", floor((), |()| success().is_ok())),
        ("a ready future", async_lane((), async |()| ready_success().await.is_ok(), |()| {})),
        (PENDING, async_lane((), async |()| pending_success().await.is_ok(), |()| {})),
        (SERVICE, layered::user(layered::answering())),
        ("atomic load", floor(AtomicU64::new(7), |word| word.load(Ordering::Acquire) != 0)),
        (COARSE, coarse()),
        (FRESH, floor(Block::new(), |block| block.is_fresh())),
        ("a ring of the last 100 outcomes under a mutex", {
            floor(Ring::new(), |ring| ring.push(false))
        }),
        (RING, ring(Arc::new((Block::new(), Ring::new())))),
        ("atomic add", floor(AtomicU64::new(7), |word| word.fetch_add(1, Ordering::AcqRel) != 0)),
        (INSTANT, floor(Instant::now(), |then| *then < Instant::now())),
    ]
}

/// Two users of one ring.
pub(crate) fn shared_ring() -> (Lane, Lane) {
    let shared = Arc::new((Block::new(), Ring::new()));
    (ring(Arc::clone(&shared)), ring(shared))
}

fn ring(shared: Arc<(Block, Ring)>) -> Lane {
    floor(shared, |shared| shared.0.is_fresh() && shared.1.push(false))
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

    fn is_fresh(&self) -> bool {
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

/// The last outcomes, and how many of them failed.
struct Ring(Mutex<Outcomes>);

struct Outcomes {
    has_failed: [bool; Ring::LEN],
    next: usize,
    failures: u32,
}

impl Ring {
    const LEN: usize = 100;

    fn new() -> Self {
        Self(Mutex::new(Outcomes { has_failed: [false; Self::LEN], next: 0, failures: 0 }))
    }

    /// Keeps an outcome in place of the oldest. Whether fewer than ten of the last failed.
    fn push(&self, has_failed: bool) -> bool {
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Outcomes { has_failed: kept, next, failures } = &mut *outcomes;
        if let Some(oldest) = kept.get_mut(*next) {
            *failures = *failures + u32::from(has_failed) - u32::from(*oldest);
            *oldest = has_failed;
        }
        *next = if *next + 1 < Self::LEN { *next + 1 } else { 0 };
        *failures < 10
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
