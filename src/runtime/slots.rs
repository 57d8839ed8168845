//! How many good calls have ended: each thread counts in a line of its own, and only
//! while failures are watched, so that a healthy call writes nothing.
//!
//! A line is one word: 24 bits of the epoch over 40 bits of the count. A call that was
//! admitted in an older epoch than its line is of counts for nothing; without the
//! epoch, a call admitted long ago would break a streak of now.
//!
//! # Memory order
//!
//! - Everything is relaxed. [`Slots::place`] is called under the counting's mutex only,
//!   so each sum sees what the sums before it saw. A good call that ended before a
//!   failing call began is seen by it: something the program did orders the two. All
//!   others are concurrent with it, and may come before or after.
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

/// Lines that have an owner. The checker of interleavings has few threads, and each
/// line more is one load more in each sum.
const OWN_LINES: usize = if cfg!(fuseboard_loom) { 2 } else { 16 };

const EPOCH_SHIFT: u32 = COUNT_MASK.trailing_ones();
const EPOCH_MASK: u64 = u64::MAX >> EPOCH_SHIFT;

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
    /// Lines of this epoch, in which nothing is counted yet.
    pub(crate) fn new(epoch: u64) -> Self {
        Self { lines: std::array::from_fn(|_| Line(AtomicU64::new(tag(epoch)))) }
    }

    /// Counts a good call that was admitted in this epoch.
    pub(crate) fn count_good(&self, epoch: u64) {
        let own = own_index().and_then(|index| self.lines.get(index));
        if let Some(Line(line)) = own {
            if let Some(next) = counted(line.load(Relaxed), epoch) {
                line.store(next, Relaxed);
            }
        } else {
            let [.., Line(shared)] = &self.lines;
            // Of a straggler there is nothing to store.
            let _ = shared.fetch_update(Relaxed, Relaxed, |line| counted(line, epoch));
        }
    }

    /// How many good calls of this epoch have ended. Called under the counting's mutex.
    pub(crate) fn place(&self, epoch: u64) -> u64 {
        let lines = self.lines.iter().map(|Line(line)| line.load(Relaxed));
        let sum = lines.fold(0, |sum: u64, line| {
            let is_of = line & !COUNT_MASK == tag(epoch);
            sum.wrapping_add(if is_of { line & COUNT_MASK } else { 0 })
        });
        sum & COUNT_MASK
    }
}

fn tag(epoch: u64) -> u64 {
    epoch << EPOCH_SHIFT
}

/// A line with one good call more, unless it is of a newer epoch than the call.
fn counted(line: u64, epoch: u64) -> Option<u64> {
    // The bits of the epoch that are kept are compared around their wrap.
    let ahead = epoch.wrapping_sub(line >> EPOCH_SHIFT) & EPOCH_MASK;
    match ahead {
        0 => Some(tag(epoch) | line.wrapping_add(1) & COUNT_MASK),
        older if older < 1 << (u64::BITS - EPOCH_SHIFT - 1) => Some(tag(epoch) | 1),
        _ => None,
    }
}

/// Which lines have an owner, in every circuit alike: one bit for each.
#[derive(Debug)]
struct Indices(AtomicU64);

impl Indices {
    /// Takes an index that nobody has.
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
/// The thread is ending, and takes none any more.
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
            // What other destructors of this thread report goes to the shared line.
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

/// The checker runs its threads on one, and begins each world from nothing.
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

/// The index of this thread, if it has one.
fn own_index() -> Option<usize> {
    // Under the checker the last destructors of a thread find no thread-local at all.
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
    // Given back at once if the thread is past its destructors.
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
