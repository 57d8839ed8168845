//! The loop that is timed, on one thread or beside another.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::{Duration, Instant},
};

use crate::subject::Subject;

/// Lets two threads go at the same moment (they spin, since to be woken takes longer
/// than many a sample), and tells each when the other is done.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    here: AtomicU32,
    is_over: AtomicBool,
}

impl Gate {
    /// Waits until both together have come here so many times.
    pub(crate) fn pass(&self, times: u32) {
        self.here.fetch_add(1, Ordering::AcqRel);
        while self.here.load(Ordering::Acquire) < times {
            std::hint::spin_loop();
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// In how many parts a thread makes its calls beside another: it stops after the
/// part in which the other came to its end, so as not to have the circuit to itself.
const PARTS: u32 = 32;

/// What a thread did.
pub(crate) struct Timed {
    pub(crate) begun: Instant,
    pub(crate) elapsed: Duration,
    pub(crate) calls: u32,
    /// How many of them went as they should.
    pub(crate) good: u32,
    /// The thread was taken off its processor meanwhile.
    pub(crate) disturbed: bool,
}

/// Runs a lane on this thread; with a gate beside another, until one of both has made
/// so many calls.
///
/// The same code for both, never inlined, so that what one finds on its stack and where
/// is what the other does.
#[inline(never)]
pub(crate) fn timed(lane: &mut dyn Subject, most: u32, gate: Option<&Gate>) -> Timed {
    let part = gate.map_or(most, |_| (most / PARTS).max(1));
    let pass = |times| gate.into_iter().for_each(|gate| gate.pass(times));
    pass(2);
    let before = preemptions();
    // To find that out takes not always the same time.
    pass(4);
    let begun = Instant::now();
    let (mut calls, mut good) = (0, 0);
    while calls < most && !gate.is_some_and(Gate::is_over) {
        let some = part.min(most - calls);
        good += lane.run(some);
        calls += some;
    }
    let elapsed = begun.elapsed();
    gate.into_iter().for_each(Gate::end);
    Timed { begun, elapsed, calls, good, disturbed: preemptions() != before }
}

/// How often this thread was taken off its processor against its will.
#[cfg(target_os = "linux")]
pub(crate) fn preemptions() -> Option<u64> {
    let status = fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("nonvoluntary_ctxt_switches"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Not known here, so that no sample is thrown away.
#[cfg(not(target_os = "linux"))]
pub(crate) fn preemptions() -> Option<u64> {
    None
}
