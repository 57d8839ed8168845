//! Counts good calls: each thread in a line of its own, and only while failures are watched, so
//! that a healthy call writes nothing.
//!
//! A line is one word: 40 bits of the count over 24 bits of the epoch, so that a count that wraps
//! leaves the epoch alone. A call that was admitted in
//! an older epoch than the line's does not count: without the epoch, a call that was admitted
//! before a trip could end a streak of failures after it.
//!
//! # Memory order
//!
//! - Everything is relaxed. [`Slots::place`] is called under the counting's mutex only,
//!   so each sum sees what the sums before it saw. A failing call sees each good call that
//!   ended before it began, since the program itself ordered the two. All other good calls are
//!   concurrent with it, and may count before or after.
//! - [`Indices`] are taken by acquiring and given back by releasing: the next owner of
//!   a line sees the last count that was stored in it, and loses none.
//!
//! A thread that finds no index free, or that reports from the destructor of a
//! thread-local, counts in the last line, which all such threads share.

use std::{
    cell::Cell,
    sync::atomic::Ordering::{Acquire, Relaxed, Release},
};

use self::threads::{LEASE, OWN, SharedIndices, indices};
use crate::{protocol::counting::COUNT_MASK, runtime::sync::AtomicU64};

/// The number of lines that have an owner. Loom has few threads, and each line more is one load
/// more in each sum.
const OWN_LINES: usize = if cfg!(fuseboard_loom) { 2 } else { 16 };

const EPOCH_BITS: u32 = u64::BITS - COUNT_MASK.trailing_ones();
const EPOCH_MASK: u64 = u64::MAX >> COUNT_MASK.trailing_ones();
/// A count of one.
const ONE: u64 = 1 << EPOCH_BITS;

/// One word on cache lines of its own (two: common processors fetch them in pairs).
#[derive(Debug)]
#[repr(align(128))]
struct Line(AtomicU64);

/// The lines of one circuit, the shared one last.
#[derive(Debug)]
pub(crate) struct Slots {
    lines: [Line; OWN_LINES + 1],
}

impl Slots {
    /// Makes lines of this epoch whose counts are zero.
    pub(crate) fn new(epoch: u64) -> Self {
        Self { lines: std::array::from_fn(|_| Line(AtomicU64::new(tag(epoch)))) }
    }

    /// Counts a good call that was admitted in this epoch.
    #[inline]
    pub(crate) fn count_good(&self, epoch: u64) {
        // The path of nearly all calls, which needs no stack: this thread has an index, and its
        // line is of this epoch.
        let index = OWN.try_with(Cell::get).unwrap_or(NOT_TAKEN);
        if let Some(Line(line)) = self.lines.get(index) {
            let word = line.load(Relaxed);
            if (word ^ epoch) & EPOCH_MASK == 0 {
                line.store(word.wrapping_add(ONE), Relaxed);
                return;
            }
        }
        self.count_good_closely(epoch);
    }

    #[inline(never)]
    fn count_good_closely(&self, epoch: u64) {
        let own = own_index().and_then(|index| self.lines.get(index));
        if let Some(Line(line)) = own {
            // A load and a store, not an atomic addition: no other thread writes this line.
            if let Some(next) = counted(line.load(Relaxed), epoch) {
                line.store(next, Relaxed);
            }
        } else {
            let [.., Line(shared)] = &self.lines;
            // An error means that the line is of a newer epoch: the call does not count.
            let _ = shared.fetch_update(Relaxed, Relaxed, |line| counted(line, epoch));
        }
    }

    /// Returns the number of good calls of this epoch that have ended. Called under the counting's
    /// mutex.
    pub(crate) fn place(&self, epoch: u64) -> u64 {
        let lines = self.lines.iter().map(|Line(line)| line.load(Relaxed));
        let sum = lines.fold(0, |sum: u64, line| {
            let is_of = line & EPOCH_MASK == tag(epoch);
            sum.wrapping_add(if is_of { line >> EPOCH_BITS } else { 0 })
        });
        sum & COUNT_MASK
    }
}

fn tag(epoch: u64) -> u64 {
    epoch & EPOCH_MASK
}

/// Returns the line with one more good call; `None` if it is of a newer epoch than the call.
fn counted(line: u64, epoch: u64) -> Option<u64> {
    // Only 24 bits of the epoch are kept: compare them around their wrap.
    let ahead = epoch.wrapping_sub(line) & EPOCH_MASK;
    match ahead {
        0 => Some(line.wrapping_add(ONE)),
        older if older < 1 << (EPOCH_BITS - 1) => Some(tag(epoch) | ONE),
        _ => None,
    }
}

/// The lines that have an owner, one bit for each. A thread has the same line in every circuit.
#[derive(Debug)]
struct Indices(AtomicU64);

impl Indices {
    /// Takes a free index.
    fn take(&self) -> Option<usize> {
        let mut taken = self.0.load(Relaxed);
        loop {
            let free = taken.trailing_ones();
            let index = usize::try_from(free).ok().filter(|index| *index < OWN_LINES)?;
            match self.0.compare_exchange(taken, taken | 1 << free, Acquire, Relaxed) {
                Ok(_) => return Some(index),
                Err(other) => taken = other,
            }
        }
    }

    fn give_back(&self, index: usize) {
        self.0.fetch_and(!(1 << index), Release);
    }
}

/// An index that was not taken yet.
const NOT_TAKEN: usize = usize::MAX;
/// The thread is ending, and takes no index any more.
const ENDING: usize = NOT_TAKEN - 1;

/// An index that this thread has taken.
struct Held {
    index: usize,
    indices: SharedIndices,
}

/// Gives the index of a thread back when the thread ends.
struct Lease(Cell<Option<Held>>);

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(held) = self.0.take() {
            // Calls that end in later destructors of this thread count in the shared line: the
            // index may have another owner by then.
            let _ = OWN.try_with(|own| own.set(ENDING));
            held.indices.give_back(held.index);
        }
    }
}

#[cfg(not(fuseboard_loom))]
mod threads {
    use super::*;

    pub(super) type SharedIndices = &'static Indices;

    static INDICES: Indices = Indices(AtomicU64::new(0));

    pub(super) fn indices() -> SharedIndices {
        &INDICES
    }

    thread_local! {
        /// Without a destructor, so that reading it is one load.
        pub(super) static OWN: Cell<usize> = const { Cell::new(NOT_TAKEN) };
        pub(super) static LEASE: Lease = const { Lease(Cell::new(None)) };
    }
}

/// Loom runs all its threads on one, and begins each execution with new statics.
#[cfg(fuseboard_loom)]
mod threads {
    use std::sync::Arc;

    use super::*;

    pub(super) type SharedIndices = Arc<Indices>;

    ::loom::lazy_static! {
        static ref INDICES: SharedIndices = Arc::new(Indices(AtomicU64::new(0)));
    }

    pub(super) fn indices() -> SharedIndices {
        Arc::clone(&INDICES)
    }

    ::loom::thread_local! {
        pub(super) static OWN: Cell<usize> = Cell::new(NOT_TAKEN);
        pub(super) static LEASE: Lease = Lease(Cell::new(None));
    }
}

/// Returns the index of this thread, if it has one. Takes one at the first call.
fn own_index() -> Option<usize> {
    // Under loom the last destructors of a thread find no thread-local at all.
    let own = OWN.try_with(|own| match own.get() {
        NOT_TAKEN => take_index(own),
        ENDING => None,
        index => Some(index),
    });
    own.ok().flatten()
}

#[cold]
fn take_index(own: &Cell<usize>) -> Option<usize> {
    let indices = indices();
    let index = indices.take()?;
    let held = Held { index, indices };
    // If the thread is past its destructors, `LEASE` would never give the index back: do it now.
    let mut held = Some(held);
    if LEASE.try_with(|lease| lease.0.set(held.take())).is_ok() {
        own.set(index);
        return Some(index);
    }
    own.set(ENDING);
    if let Some(held) = held {
        held.indices.give_back(held.index);
    }
    None
}

#[cfg(test)]
mod tests;
