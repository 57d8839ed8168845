//! What the hot path reads of a circuit: one block of atomics.
//!
//! Only the actor writes state here, by [`Gate::publish`]. Healthy calls only
//! read, so that the block stays shared in every core's cache.
//!
//! # Memory order
//!
//! The epoch, the state and the number of the publication are one word; the window
//! in which they may be relied upon is several. The actor shuts the window (`quiet`
//! and `span` = 0), changes the word, sets the rest, and opens the window again; a
//! reader takes the word first and last, and decides only if it did not change in
//! between. No word comes again while a call looks, so that all a reader took was of one publication:
//!
//! - The word is released and acquired: whoever sees it sees that the window was shut
//!   before, and the snapshot that was shown before; so the values of an older
//!   publication end in zero.
//! - The others are released and acquired: whoever sees a value of a newer publication
//!   sees its word as well, when the word is looked at again. That second look gives
//!   nothing away but whether it is the same word, and is relaxed, as is the zero.
//!   `refresh` could be relaxed as well: it is a hint, and either one's does.
//! - `quiet` and `span` are set last and read before `from`, `refresh` and `retry_at`:
//!   whoever finds the window open finds those of the same publication.
//!
//! # One comparison
//!
//! `quiet` is for the path that nearly all calls take: for how long the circuit is
//! closed *and* nobody needs to ask for a refresh, from the same start as the
//! window. It follows from the other values, and only saves looking at them.
//!
//! # Silent successes
//!
//! `watched` says whether a failure stands in something that counts. A success that
//! reads zero has nothing to end and stays silent; one that reads otherwise is counted
//! in [`slots`](crate::runtime::slots). It is stored under the counting's mutex, by failing calls
//! and the actor, and only where it changes: under steady failures too good calls keep
//! this line in their caches.
//!
//! It is relaxed: a failure that ended before a call began was stored before, for that
//! call to see, and one that did not is concurrent with it. `is_failing` is stored with it,
//! and is a hint.
//!
//! `gate::tests::loom` tries the interleavings of all this: of readers with
//! publications all, of those that report outcomes to an actor all with a few
//! preemptions, and in small worlds all.

mod probe;

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::{
    protocol::machine::{CLOCK_TICK_MS, CallEnd, CallId, Published},
    runtime::sync::AtomicU64,
    state::CircuitState,
};

/// For how long, in milliseconds, what is known of a closed circuit is good enough
/// while two or more failures in a row stand: others may have tripped it.
const FRESH_WHILE_FAILING_MS: u64 = 250 + CLOCK_TICK_MS;

const STATE_BITS: u32 = 2;
const STATE_MASK: u64 = 0b11;
/// Publications of one epoch are told apart by a number, which comes again after
/// four million: none stands between two reads of one call.
const NUMBER_BITS: u32 = 22;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;
const EPOCH_SHIFT: u32 = STATE_BITS + NUMBER_BITS;

/// What the hot path knows without asking the actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The call may run; `refresh` says that a read ahead is due.
    Admit { epoch: u64, refresh: bool },
    /// The call is rejected; a probe may run after so many milliseconds.
    Reject { retry_after_ms: u64 },
    /// The actor has to be asked.
    Ask,
}

/// The hot block of one circuit, on cache lines of its own (two: the
/// prefetcher of common processors fetches them in pairs). What calls read, admitted
/// or rejected, comes first, on one line.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Gate {
    /// Epoch, number of the publication, and state.
    word: AtomicU64,
    /// Wall clock, in milliseconds, at which the window opens.
    from: AtomicU64,
    /// For how long, in milliseconds, calls are admitted without a second look.
    quiet: AtomicU64,
    /// Whether good calls are to be counted: 1, or 0.
    watched: AtomicU64,
    /// How long the window stands open, in milliseconds; 0 is shut.
    span: AtomicU64,
    /// Until when every call is rejected.
    retry_at: AtomicU64,
    /// How far into the window traffic should ask for a refresh.
    refresh: AtomicU64,
    /// A probe that was won for callers who cannot wait; 0 is none.
    offered_probe: AtomicU64,
    /// Until when that probe is on offer.
    offered_until: AtomicU64,
    /// Whether two or more failures in a row stand: 1, or 0.
    is_failing: AtomicU64,
    /// The verdict of a probe that found the mailbox full.
    probe_report: AtomicU64,
    /// How often the gate was published. Nobody but the actor looks at it.
    number: AtomicU64,
}

impl Gate {
    /// A gate that nobody may pass without asking.
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(pack(1, 0, CircuitState::Closed)),
            from: AtomicU64::new(0),
            quiet: AtomicU64::new(0),
            watched: AtomicU64::new(0),
            span: AtomicU64::new(0),
            retry_at: AtomicU64::new(0),
            refresh: AtomicU64::new(u64::MAX),
            offered_probe: AtomicU64::new(0),
            offered_until: AtomicU64::new(0),
            is_failing: AtomicU64::new(0),
            probe_report: AtomicU64::new(0),
            number: AtomicU64::new(1),
        }
    }

    /// A gate that stands open for good: the breaker is disabled.
    pub(crate) fn disabled() -> Self {
        let gate = Self::new();
        gate.span.store(u64::MAX, Release);
        gate.quiet.store(u64::MAX, Release);
        gate
    }

    /// The epoch to admit a call in, if there is nothing to consider: the path of
    /// nearly all calls.
    #[inline]
    pub(crate) fn pass(&self, now_ms: u64) -> Option<u64> {
        let word = self.word.load(Acquire);
        let quiet = self.quiet.load(Acquire);
        // A clock set back wraps to an age beyond any span.
        let age = now_ms.wrapping_sub(self.from.load(Acquire));
        (age < quiet && self.word.load(Relaxed) == word).then_some(word >> EPOCH_SHIFT)
    }

    /// Judges one call, at this wall clock, without asking anyone.
    pub(crate) fn glance(&self, now_ms: u64) -> Decision {
        let word = self.word.load(Acquire);
        let span = self.span.load(Acquire);
        let from = self.from.load(Acquire);
        let age = now_ms.wrapping_sub(from);
        if age >= span {
            return Decision::Ask;
        }
        if word & STATE_MASK == CLOSED {
            let refresh = age >= self.refresh.load(Acquire);
            let is_too_old = age >= FRESH_WHILE_FAILING_MS && self.is_failing();
            if is_too_old || self.word.load(Relaxed) != word {
                return Decision::Ask;
            }
            return Decision::Admit { epoch: word >> EPOCH_SHIFT, refresh };
        }
        let retry_after_ms = self.retry_at.load(Acquire).saturating_sub(now_ms);
        let is_probe_on_offer = self.offered_probe.load(Acquire) != 0;
        if retry_after_ms == 0 || is_probe_on_offer || self.word.load(Relaxed) != word {
            return Decision::Ask;
        }
        Decision::Reject { retry_after_ms }
    }

    /// The epoch and state, and whether they may still be relied upon.
    pub(crate) fn known(&self, now_ms: u64) -> (u64, CircuitState, bool) {
        loop {
            let word = self.word.load(Acquire);
            let span = self.span.load(Acquire);
            let is_fresh = now_ms.wrapping_sub(self.from.load(Acquire)) < span;
            if self.word.load(Relaxed) == word {
                let (epoch, state) = unpack(word);
                return (epoch, state, is_fresh);
            }
        }
    }

    /// The epoch and state, whether they may still be relied upon or not.
    pub(crate) fn last_known(&self) -> (u64, CircuitState) {
        unpack(self.word.load(Acquire))
    }

    /// Publishes what the machine decided, after it was shown to observers: whom
    /// the gate rejects finds a snapshot at least as new. Called by the actor alone.
    pub(crate) fn publish(&self, digest: &Published, show: impl FnOnce()) {
        show();
        let number = self.number.fetch_add(1, Relaxed) & NUMBER_MASK;
        let quiet = if self.is_failing() { 0 } else { quiet_ms(digest) };
        self.quiet.store(0, Relaxed);
        self.span.store(0, Relaxed);
        self.word.store(pack(digest.epoch, number, digest.state), Release);
        self.from.store(digest.from_ms, Release);
        self.refresh.store(digest.refresh_ms, Release);
        self.retry_at.store(digest.retry_at_ms, Release);
        self.span.store(digest.span_ms, Release);
        self.quiet.store(quiet, Release);
    }

    /// Sends the one message of this window that asks for a refresh, if nobody
    /// has; says whether it was sent. The actor's next publication, or a message
    /// that could not be sent, arms it again. It orders nothing else: exchanged once,
    /// relaxed, and a hint for whoever reads it.
    pub(crate) fn claim_refresh(&self, send: impl FnOnce() -> bool) -> bool {
        let due = self.refresh.load(Relaxed);
        let claimed = due != u64::MAX
            && self.refresh.compare_exchange(due, u64::MAX, Relaxed, Relaxed).is_ok();
        if claimed && !send() {
            // Unless the actor has published meanwhile.
            let _ = self.refresh.compare_exchange(u64::MAX, due, Relaxed, Relaxed);
            return false;
        }
        claimed
    }

    /// Whether a good call is to be counted.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Relaxed) != 0
    }

    /// Whether two or more failures in a row stand, or did when the last failure was
    /// counted, or the actor last looked.
    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Relaxed) != 0
    }

    /// Whether an outcome changes nothing, and need not be reported.
    #[inline]
    pub(crate) fn is_silent(&self, pass: CallId, report: CallEnd) -> bool {
        matches!((pass.probe, report), (None, CallEnd::Success)) && !self.is_watched()
    }

    /// Shows what stands. Called under the counting's mutex alone.
    pub(crate) fn show_counting(&self, stands: bool, is_failing: bool) {
        set(&self.watched, u64::from(stands));
        set(&self.is_failing, u64::from(is_failing));
        if is_failing {
            // Calls take the second look, which knows of this. Only the actor takes it
            // back: it alone knows for what state the window would stand open.
            set(&self.quiet, 0);
        }
    }

    /// Lets calls pass at the first look again, if nothing hurts any more. Called by
    /// the actor alone, under the counting's mutex, with what it published last.
    pub(crate) fn restore_quiet(&self, published: &Published) {
        let quiet = quiet_ms(published);
        if !self.is_failing() && self.quiet.load(Relaxed) != quiet {
            self.quiet.store(quiet, Release);
        }
    }
}

/// Stores a value where it changes, so that readers keep the line in their caches.
fn set(word: &AtomicU64, value: u64) {
    if word.load(Relaxed) != value {
        word.store(value, Relaxed);
    }
}

/// For how long calls are admitted at the first look.
fn quiet_ms(digest: &Published) -> u64 {
    match digest.state {
        CircuitState::Closed => digest.span_ms.min(digest.refresh_ms),
        CircuitState::Open | CircuitState::HalfOpen => 0,
    }
}

const CLOSED: u64 = 0;
const OPEN: u64 = 1;

fn pack(epoch: u64, number: u64, state: CircuitState) -> u64 {
    let state = match state {
        CircuitState::Closed => CLOSED,
        CircuitState::Open => OPEN,
        CircuitState::HalfOpen => 2,
    };
    epoch << EPOCH_SHIFT | number << STATE_BITS | state
}

fn unpack(word: u64) -> (u64, CircuitState) {
    let state = match word & STATE_MASK {
        CLOSED => CircuitState::Closed,
        OPEN => CircuitState::Open,
        _ => CircuitState::HalfOpen,
    };
    (word >> EPOCH_SHIFT, state)
}

#[cfg(test)]
mod tests;
