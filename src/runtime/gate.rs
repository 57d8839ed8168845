//! What the hot path reads of a circuit: one block of atomics.
//!
//! Only the actor writes state here, by [`Gate::publish`]. Healthy calls only
//! read, so that the block stays shared in every core's cache.
//!
//! # Memory order
//!
//! The epoch, the state and the number of the publication are one word, but the window in
//! which they may be relied upon takes several. The actor shuts the window (`quiet` and
//! `span` = 0), changes the word, sets the rest, and opens the window again. A reader loads
//! the word first and last, and decides only if it did not change in between. No word comes
//! again while a call reads, so that all its loads are then of one publication:
//!
//! - The word is released and acquired: a reader that sees it sees that the window was shut
//!   before, and the snapshot that was shown before. So what it reads of an older
//!   publication ends in zero.
//! - The others are released and acquired: a reader that sees a value of a newer publication
//!   sees its word as well, when it loads the word again. That second load only compares,
//!   and is relaxed, as is the zero. `refresh` could be relaxed as well: it is a hint, and
//!   that of either publication will do.
//! - `quiet` and `span` are set last and read before `from`, `refresh` and `retry_at`: a
//!   reader that finds the window open finds those of the same publication.
//!
//! # One comparison
//!
//! `quiet` is for the path of nearly all calls: for how long the circuit is closed *and* no
//! call needs to ask for a refresh, from the same start as the window. It follows from the
//! other values, and saves loading them.
//!
//! # Silent successes
//!
//! `watched` says whether a failure stands in something that counts. A success that loads
//! zero has nothing to end and stays silent; any other is counted in
//! [`slots`](crate::runtime::slots), or withdraws the vote of its process. It is stored under the counting's mutex, by failing
//! calls and the actor, and only where it changes: good calls keep this line in their caches
//! under steady failures too.
//!
//! It is relaxed: a failure that ended before a call began was stored before, for that
//! call to see, and one that did not is concurrent with it. `is_failing` is stored with it,
//! and is a hint.
//!
//! `gate::tests::loom` tries the interleavings of all this: of readers with
//! publications all, of those that report outcomes to an actor all with a few
//! preemptions, and in small worlds all.

mod probe;
mod ramp;

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::{
    protocol::machine::{CLOCK_TICK_MS, Published, PublishedRamp},
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
/// Beside the number of publications, which never reaches it.
const TRIED: u64 = 1 << 63;

/// What becomes of a call, decided without waiting for anything.
///
/// The number of each variant has the same size, so that a decision is returned in two
/// registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The call may run, and its end is reported with this epoch.
    Admit { epoch: u64 },
    /// The call is rejected; a probe may run after so many milliseconds.
    Reject { retry_after_ms: u64 },
    /// The gate does not know: what it shows is too old, or this call may be a probe.
    AskActor { share: RampShare },
}

impl Decision {
    /// Of a call that has taken no share.
    const ASK_ACTOR: Self = Self::AskActor { share: RampShare::NotTaken };
}

/// Whether a call about which the gate does not know has taken its share of a ramp. One that has
/// waits only for what others may have found, and is counted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum RampShare {
    NotTaken,
    Taken,
}

/// What a good call that is no probe has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Nothing: no failure stands that it could end.
    Nothing,
    /// Be counted.
    Count,
    /// Be counted, and withdraw the vote that this process may have.
    Withdraw,
}

const NOTHING: u64 = 0;
const COUNT: u64 = 1;
const WITHDRAW: u64 = 2;

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
    /// For how long, in milliseconds, calls are admitted by `quiet_epoch`.
    quiet: AtomicU64,
    /// What a good call has to do: a [`Watch`].
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
    /// How often the gate was published, for the actor alone; and in its highest bit whether the
    /// circuit is in a dry run.
    number: AtomicU64,
    /// The ramp of a circuit that is on one, by number and length.
    ramp: AtomicU64,
    /// Wall clock, in milliseconds, at which that ramp began.
    ramp_from: AtomicU64,
    /// What the shares of the calls of a ramp add up to, less the calls that ran.
    ramp_credit: AtomicU64,
    /// The length of leases, in nanoseconds: for who keeps one alive.
    probe_lease: AtomicU64,
}

impl Gate {
    /// A gate that nobody may pass without asking.
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(1 << EPOCH_SHIFT | CLOSED),
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
            ramp: AtomicU64::new(0),
            ramp_from: AtomicU64::new(0),
            ramp_credit: AtomicU64::new(0),
            probe_lease: AtomicU64::new(0),
        }
    }

    /// A gate that stands open for good: the breaker is disabled.
    pub(crate) fn disabled() -> Self {
        let gate = Self::new();
        gate.span.store(u64::MAX, Release);
        gate.quiet.store(u64::MAX, Release);
        gate
    }

    /// Notes that the circuit is in a dry run: no call is rejected. Before the first call.
    pub(crate) fn only_try(&self) {
        self.number.store(1 | TRIED, Relaxed);
    }

    /// Whether the circuit is in a dry run.
    #[inline]
    pub(crate) fn is_only_tried(&self) -> bool {
        self.number.load(Relaxed) & TRIED != 0
    }

    /// The epoch to admit a call in, if the circuit is closed, fresh, and in need of no
    /// read ahead: the path of nearly all calls, in one comparison.
    #[inline]
    pub(crate) fn quiet_epoch(&self, now_ms: u64) -> Option<u64> {
        // Acquired: after the new word the old `quiet` is zero, so that no call is admitted
        // by the new epoch within the old window.
        let word = self.word.load(Acquire);
        // Read before `from`: a `quiet` that is not zero was set last, so that `from` is
        // of the same publication or of a newer one. Of a newer one the word tells below.
        let quiet = self.quiet.load(Acquire);
        // A clock that was set back wraps to an age beyond any window, and asks.
        let age = now_ms.wrapping_sub(self.from.load(Acquire));
        // The second load of the word needs no order of its own: the acquiring loads
        // above keep it after them, and all it says is whether it is the same word.
        (age < quiet && self.word.load(Relaxed) == word).then_some(word >> EPOCH_SHIFT)
    }

    /// Whether [`quiet_epoch`](Self::quiet_epoch) admits while its window lasts. Nothing is decided
    /// by it.
    #[cfg(feature = "tower")]
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet.load(Relaxed) != 0
    }

    /// Decides about one call at this wall clock; calls `refresh` if it is admitted and a
    /// read ahead is due. Says what [`quiet_epoch`](Self::quiet_epoch) says where that
    /// says anything.
    #[inline]
    pub(crate) fn check(&self, now_ms: u64, refresh: impl FnOnce()) -> Decision {
        let word = self.word.load(Acquire);
        // Before all that it covers: an open window was set last of its publication.
        let span = self.span.load(Acquire);
        let age = now_ms.wrapping_sub(self.from.load(Acquire));
        if age >= span {
            return Decision::ASK_ACTOR;
        }
        if word & STATE_MASK == CLOSED {
            let is_refresh_due = age >= self.refresh.load(Acquire);
            // Other processes may have tripped the circuit, and our own failures say that
            // it is likely: without this a failing fleet calls on for the whole window.
            let is_too_old = age >= FRESH_WHILE_FAILING_MS && self.is_failing();
            // The word last: another one means that the loads above are of two
            // publications, and could admit into an epoch that was over by then.
            if is_too_old || self.word.load(Relaxed) != word {
                return Decision::ASK_ACTOR;
            }
            if is_refresh_due {
                refresh();
            }
            return Decision::Admit { epoch: word >> EPOCH_SHIFT };
        }
        let retry_after_ms = self.retry_at.load(Acquire).saturating_sub(now_ms);
        // A probe on offer admits one call: rejecting here would leave it to expire, and
        // callers who never wait would not recover the circuit.
        let is_probe_on_offer = self.offered_probe.load(Acquire) != 0;
        if retry_after_ms == 0 || is_probe_on_offer || self.word.load(Relaxed) != word {
            // Here, so that a rejection need not tell the two apart: on a ramp no time is set until
            // which every call is rejected.
            return if word & STATE_MASK == RAMPING {
                self.check_on_ramp(word, age, now_ms, refresh)
            } else {
                Decision::ASK_ACTOR
            };
        }
        Decision::Reject { retry_after_ms }
    }

    /// The epoch, and the state if it may still be relied upon.
    pub(crate) fn state_if_fresh(&self, now_ms: u64) -> (u64, Option<CircuitState>) {
        loop {
            let word = self.word.load(Acquire);
            let span = self.span.load(Acquire);
            let is_fresh = now_ms.wrapping_sub(self.from.load(Acquire)) < span;
            // Tried again, where a call would ask: the caller has nobody else to ask. It
            // ends, since the actor publishes far less often than this loop turns.
            if self.word.load(Relaxed) == word {
                let (epoch, state) = unpack(word);
                return (epoch, is_fresh.then_some(state));
            }
        }
    }

    /// The epoch and state that were published last, however old.
    pub(crate) fn epoch_and_state(&self) -> (u64, CircuitState) {
        unpack(self.word.load(Acquire))
    }

    /// The epoch that was published last.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch_and_state().0
    }

    /// The state that was published last, however old.
    pub(crate) fn state(&self) -> CircuitState {
        self.epoch_and_state().1
    }

    /// Publishes what the machine decided, after it was shown to observers: a call that
    /// the gate rejects finds a snapshot at least as new. Called by the actor alone.
    pub(crate) fn publish(
        &self,
        published: &Published,
        ramp: Option<PublishedRamp>,
        show: impl FnOnce(),
    ) {
        show();
        let number = self.number.fetch_add(1, Relaxed) & NUMBER_MASK;
        // Calls that fail have closed the short way: a publication does not open it again,
        // or a call would be admitted by what is too old while failures stand.
        let quiet = if self.is_failing() { 0 } else { quiet_ms(published) };
        // Both windows are shut before the word changes, and the word releases that: a
        // reader of the new word cannot pair it with a window of the old publication.
        self.quiet.store(0, Relaxed);
        self.span.store(0, Relaxed);
        self.word.store(pack(published, number), Release);
        // Each is released: a reader of one of these sees the new word at its second load,
        // and does not decide by two publications.
        self.from.store(published.from_ms, Release);
        self.refresh.store(published.refresh_ms, Release);
        self.retry_at.store(published.retry_at_ms, Release);
        ramp.iter().for_each(|ramp| self.show_ramp(*ramp));
        // Last: a reader that finds a window open finds all of the above.
        self.span.store(published.span_ms, Release);
        self.quiet.store(quiet, Release);
    }

    /// Sends the one message of this window that asks for a refresh, if nobody
    /// has; says whether it was sent. The actor's next publication, or a message
    /// that could not be sent, arms it again. It orders nothing else: exchanged once,
    /// relaxed, and a hint for whoever reads it.
    pub(crate) fn claim_refresh(&self, send: impl FnOnce() -> bool) -> bool {
        let due = self.refresh.load(Relaxed);
        // Of all calls that find it due one wins the exchange, and sends: else a busy
        // circuit would fill the actor's mailbox with the same question.
        let claimed = due != u64::MAX
            && self.refresh.compare_exchange(due, u64::MAX, Relaxed, Relaxed).is_ok();
        if claimed && !send() {
            // Due again, for the next call to send. Compared, since the actor may have
            // published meanwhile: its new window has a time of its own.
            let _ = self.refresh.compare_exchange(u64::MAX, due, Relaxed, Relaxed);
            return false;
        }
        claimed
    }

    /// What a good call has to do.
    #[inline]
    pub(crate) fn watch(&self) -> Watch {
        match self.watched.load(Relaxed) {
            NOTHING => Watch::Nothing,
            COUNT => Watch::Count,
            _ => Watch::Withdraw,
        }
    }

    /// Whether two or more failures in a row stand, or did when the last failure was
    /// counted, or the actor last looked.
    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Relaxed) != 0
    }

    /// Shows what stands. Called under the counting's mutex alone.
    pub(crate) fn show_counting(&self, watch: Watch, is_failing: bool) {
        let watched = match watch {
            Watch::Nothing => NOTHING,
            Watch::Count => COUNT,
            Watch::Withdraw => WITHDRAW,
        };
        set(&self.watched, watched);
        set(&self.is_failing, u64::from(is_failing));
        if is_failing {
            // Sends calls to `check`, which knows of `is_failing`. Only the actor opens the
            // short way again: it alone knows for what state it would be open.
            set(&self.quiet, 0);
        }
    }

    /// Lets [`quiet_epoch`](Self::quiet_epoch) admit again, if calls no longer fail. Called by
    /// the actor alone, under the counting's mutex, with what it published last.
    pub(crate) fn restore_quiet(&self, published: &Published) {
        let quiet = quiet_ms(published);
        // Released, as in `publish`: it is counted from `from`, which readers load after it.
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

/// For how long calls are admitted by `Gate::quiet_epoch`.
fn quiet_ms(published: &Published) -> u64 {
    match published.state {
        // Calls on a ramp take the second look.
        CircuitState::Closed if published.is_ramping => 0,
        CircuitState::Closed => published.span_ms.min(published.refresh_ms),
        CircuitState::Open | CircuitState::HalfOpen => 0,
    }
}

const CLOSED: u64 = 0;
const OPEN: u64 = 1;
const HALF_OPEN: u64 = 2;
/// Closed, and on a ramp.
const RAMPING: u64 = 3;

fn pack(published: &Published, number: u64) -> u64 {
    let epoch = published.epoch;
    let state = match published.state {
        CircuitState::Closed if published.is_ramping => RAMPING,
        CircuitState::Closed => CLOSED,
        CircuitState::Open => OPEN,
        CircuitState::HalfOpen => HALF_OPEN,
    };
    epoch << EPOCH_SHIFT | number << STATE_BITS | state
}

fn unpack(word: u64) -> (u64, CircuitState) {
    let state = match word & STATE_MASK {
        OPEN => CircuitState::Open,
        HALF_OPEN => CircuitState::HalfOpen,
        _ => CircuitState::Closed,
    };
    (word >> EPOCH_SHIFT, state)
}

#[cfg(test)]
mod tests;
