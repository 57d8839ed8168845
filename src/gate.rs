//! What the hot path reads of a circuit: one block of atomics.
//!
//! Only the actor writes state here, by [`Gate::publish`]. Healthy calls only
//! read, so that the block stays shared in every core's cache.
//!
//! # Memory order
//!
//! The state and the epoch are one word; the window in which they may be
//! relied upon is several. The actor shuts the window (`quiet` and `span` = 0),
//! changes the word, sets the rest, and opens the window again; a reader takes
//! the word first and last, and decides only if it did not change in between.
//! Epochs never repeat, so an unchanged word means that the window was the word's
//! own. All of it is acquire and release: nothing here orders anything else.
//!
//! # One comparison
//!
//! `quiet` is for the path that nearly all calls take: for how long the circuit is
//! closed *and* nobody needs to ask for a refresh, from the same start as the
//! window. It follows from the other values, and only saves looking at them.
//!
//! # Silent successes
//!
//! `unsettled` counts the failures that the actor has not yet made good: its
//! streak, and those on their way to it. A failing call adds itself *before*
//! it sends its outcome; a success that reads zero has nothing to reset and
//! stays silent; the actor subtracts what it settled and never stores a zero.
//! Marking after sending, or a flag that says that a reset is on its way, would
//! each lose a reset.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::{
    machine::{Digest, ProbeId, Report},
    state::CircuitState,
};

const STATE_BITS: u32 = 2;
const STATE_MASK: u64 = 0b11;

/// What the hot path knows without asking the actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Glance {
    /// The call may run; `refresh` says that a read ahead is due.
    Admit { epoch: u64, refresh: bool },
    /// The call is rejected; a probe may run after so many milliseconds.
    Reject { retry_after_ms: u64 },
    /// The actor has to be asked.
    Ask,
}

/// What became of an outcome that may have to lie at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// It does not.
    Not,
    /// It lies there, where nothing was before.
    First,
    /// It lies there with others.
    Also,
}

/// The hot block of one circuit, on cache lines of its own (two: the
/// prefetcher of common processors fetches them in pairs). What calls read comes
/// first, on one line.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Gate {
    /// Epoch and state.
    word: AtomicU64,
    /// Wall clock, in milliseconds, at which the window opens.
    from: AtomicU64,
    /// For how long, in milliseconds, calls are admitted without a second look.
    quiet: AtomicU64,
    /// Failures that are not settled yet.
    unsettled: AtomicU64,
    /// How long the window stands open, in milliseconds; 0 is shut.
    span: AtomicU64,
    /// Until when every call is rejected.
    retry_at: AtomicU64,
    /// How far into the window traffic should ask for a refresh.
    refresh: AtomicU64,
    /// Outcomes that found the mailbox full; see [`Overflow`].
    overflow: AtomicU64,
    /// The verdict of a probe that found the mailbox full.
    probe_report: AtomicU64,
    /// A probe that was won for callers who cannot wait; 0 is none.
    spare: AtomicU64,
    /// Until when that probe is on offer.
    spare_until: AtomicU64,
}

impl Gate {
    /// A gate that nobody may pass without asking.
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(pack(1, CircuitState::Closed)),
            from: AtomicU64::new(0),
            quiet: AtomicU64::new(0),
            unsettled: AtomicU64::new(0),
            span: AtomicU64::new(0),
            retry_at: AtomicU64::new(0),
            refresh: AtomicU64::new(u64::MAX),
            overflow: AtomicU64::new(0),
            probe_report: AtomicU64::new(0),
            spare: AtomicU64::new(0),
            spare_until: AtomicU64::new(0),
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
        (age < quiet && self.word.load(Acquire) == word).then_some(word >> STATE_BITS)
    }

    /// Judges one call, at this wall clock, without asking anyone.
    pub(crate) fn glance(&self, now_ms: u64) -> Glance {
        let word = self.word.load(Acquire);
        let span = self.span.load(Acquire);
        let from = self.from.load(Acquire);
        let age = now_ms.wrapping_sub(from);
        if age >= span {
            return Glance::Ask;
        }
        if word & STATE_MASK == CLOSED {
            let refresh = age >= self.refresh.load(Acquire);
            if self.word.load(Acquire) != word {
                return Glance::Ask;
            }
            return Glance::Admit { epoch: word >> STATE_BITS, refresh };
        }
        let retry_after_ms = self.retry_at.load(Acquire).saturating_sub(now_ms);
        let is_probe_on_offer = self.spare.load(Acquire) != 0;
        if retry_after_ms == 0 || is_probe_on_offer || self.word.load(Acquire) != word {
            return Glance::Ask;
        }
        Glance::Reject { retry_after_ms }
    }

    /// Whether the epoch and state may still be relied upon.
    pub(crate) fn is_fresh(&self, now_ms: u64) -> bool {
        now_ms.wrapping_sub(self.from.load(Acquire)) < self.span.load(Acquire)
    }

    /// The epoch and state, whether they may still be relied upon or not.
    pub(crate) fn last_known(&self) -> (u64, CircuitState) {
        unpack(self.word.load(Acquire))
    }

    /// Publishes what the machine decided. Called by the actor alone.
    pub(crate) fn publish(&self, digest: &Digest) {
        let quiet = match digest.state {
            CircuitState::Closed => digest.span_ms.min(digest.refresh_ms),
            CircuitState::Open | CircuitState::HalfOpen => 0,
        };
        self.quiet.store(0, Release);
        self.span.store(0, Release);
        self.word.store(pack(digest.epoch, digest.state), Release);
        self.from.store(digest.from_ms, Release);
        self.refresh.store(digest.refresh_ms, Release);
        self.retry_at.store(digest.retry_at_ms, Release);
        self.span.store(digest.span_ms, Release);
        self.quiet.store(quiet, Release);
    }

    /// Sends the one message of this window that asks for a refresh, if nobody
    /// has; says whether it was sent. The actor's next publication, or a message
    /// that could not be sent, arms it again.
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

    /// Marks a failure before it is sent; returns how many are unsettled now.
    pub(crate) fn mark_failure(&self) -> u64 {
        self.unsettled.fetch_add(1, std::sync::atomic::Ordering::AcqRel).saturating_add(1)
    }

    /// How many failures are unsettled: a success is silent when there are none.
    #[inline]
    pub(crate) fn unsettled(&self) -> u64 {
        self.unsettled.load(Acquire)
    }

    /// Takes settled failures off.
    pub(crate) fn settle(&self, failures: u64) {
        self.unsettled.fetch_sub(failures, std::sync::atomic::Ordering::AcqRel);
    }

    /// Notes an outcome that found the mailbox full. While anything is noted,
    /// later outcomes are noted as well, so that their order is kept. `forced`
    /// says that the mailbox was found full; without it, the mailbox should be
    /// tried (again) if nothing was noted.
    pub(crate) fn note_overflow(&self, epoch: u64, report: Report, forced: bool) -> Noted {
        let mut found = self.overflow.load(Acquire);
        loop {
            if found == 0 && !forced {
                return Noted::Not;
            }
            let (next, settled) = match Overflow::noted(found) {
                Some(noted) => noted.and(epoch, report),
                None => Overflow::of(epoch).and(epoch, report),
            };
            match self.overflow.compare_exchange_weak(
                found,
                next.pack(),
                std::sync::atomic::Ordering::AcqRel,
                Acquire,
            ) {
                Ok(_) => {
                    self.settle(settled);
                    return if found == 0 { Noted::First } else { Noted::Also };
                }
                Err(other) => found = other,
            }
        }
    }

    /// Takes what was noted. Called by the actor when its mailbox is empty.
    pub(crate) fn take_overflow(&self) -> Option<Overflow> {
        if self.overflow.load(Acquire) == 0 {
            return None;
        }
        let noted = self.overflow.swap(0, std::sync::atomic::Ordering::AcqRel);
        Overflow::noted(noted)
    }

    /// Leaves the verdict of a probe where the actor finds it. Numbers grow, so
    /// a straggler does not displace the verdict of the one probe that runs.
    pub(crate) fn note_probe(&self, probe: ProbeId, report: Report) -> Noted {
        let verdict = match report {
            Report::Success => 1,
            Report::Failure => 2,
            Report::NoVerdict => 3,
        };
        let noted = probe.get() << STATE_BITS | verdict;
        match self.probe_report.fetch_max(noted, std::sync::atomic::Ordering::AcqRel) {
            0 => Noted::First,
            _ => Noted::Also,
        }
    }

    /// Takes the verdict that was left.
    pub(crate) fn take_probe_report(&self) -> Option<(ProbeId, Report)> {
        let noted = self.probe_report.load(Acquire);
        if noted == 0 {
            return None;
        }
        let noted = self.probe_report.swap(0, std::sync::atomic::Ordering::AcqRel);
        let report = match noted & STATE_MASK {
            1 => Report::Success,
            2 => Report::Failure,
            _ => Report::NoVerdict,
        };
        ProbeId::from_number(noted >> STATE_BITS).map(|probe| (probe, report))
    }

    /// Offers a probe to whoever asks first, until then.
    pub(crate) fn offer_spare(&self, probe: ProbeId, until_ms: u64) {
        self.spare_until.store(until_ms, Release);
        self.spare.store(probe.get(), Release);
    }

    /// Takes the probe on offer, and until when it is.
    pub(crate) fn take_spare(&self) -> Option<(ProbeId, u64)> {
        if self.spare.load(Acquire) == 0 {
            return None;
        }
        let until_ms = self.spare_until.load(Acquire);
        let taken = self.spare.swap(0, std::sync::atomic::Ordering::AcqRel);
        ProbeId::from_number(taken).map(|probe| (probe, until_ms))
    }
}

const CLOSED: u64 = 0;
const OPEN: u64 = 1;

fn pack(epoch: u64, state: CircuitState) -> u64 {
    let state = match state {
        CircuitState::Closed => CLOSED,
        CircuitState::Open => OPEN,
        CircuitState::HalfOpen => 2,
    };
    epoch << STATE_BITS | state
}

fn unpack(word: u64) -> (u64, CircuitState) {
    let state = match word & STATE_MASK {
        CLOSED => CircuitState::Closed,
        OPEN => CircuitState::Open,
        _ => CircuitState::HalfOpen,
    };
    (word >> STATE_BITS, state)
}

/// Outcomes in a row, of one epoch, that found the mailbox full: what remains
/// of them for counting consecutive failures, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow {
    /// The epoch of the calls, as many bits of it as fit.
    epoch: u64,
    /// Whether a success came before the failures.
    pub(crate) reset: bool,
    /// The failures since.
    pub(crate) failures: u64,
}

const COUNT_BITS: u32 = 32;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const RESET_BIT: u64 = 1 << COUNT_BITS;
const USED_BIT: u64 = 1 << 33;
const EPOCH_SHIFT: u32 = 34;
const EPOCH_MASK: u64 = (1 << 30) - 1;

impl Overflow {
    /// Nothing yet, of an epoch.
    fn of(epoch: u64) -> Self {
        Self { epoch: epoch & EPOCH_MASK, reset: false, failures: 0 }
    }

    /// What a word says was noted, if anything was.
    fn noted(word: u64) -> Option<Self> {
        (word != 0).then_some(Self {
            epoch: word >> EPOCH_SHIFT,
            reset: word & RESET_BIT != 0,
            failures: word & COUNT_MASK,
        })
    }

    fn pack(self) -> u64 {
        let reset = if self.reset { RESET_BIT } else { 0 };
        self.epoch << EPOCH_SHIFT | USED_BIT | reset | self.failures
    }

    /// Whether the noted calls are of this epoch.
    pub(crate) fn is_of(self, epoch: u64) -> bool {
        self.epoch == epoch & EPOCH_MASK
    }

    /// Whether a call of this epoch is a straggler beside those noted. The
    /// bits that are kept are compared around their wrap.
    fn is_after(self, epoch: u64) -> bool {
        self.epoch.wrapping_sub(epoch) & EPOCH_MASK < 1 << 29 && !self.is_of(epoch)
    }

    /// Adds one outcome; also returns how many failures that settles.
    fn and(self, epoch: u64, report: Report) -> (Self, u64) {
        // Outcomes of an older epoch mean nothing; a newer one starts anew.
        if self.is_after(epoch) {
            return (self, u64::from(report == Report::Failure));
        }
        let (base, stale) =
            if self.is_of(epoch) { (self, 0) } else { (Self::of(epoch), self.failures) };
        match report {
            Report::Failure => {
                let failures = base.failures.saturating_add(1);
                if failures > COUNT_MASK {
                    return (base, stale.saturating_add(1));
                }
                (Self { failures, ..base }, stale)
            }
            Report::Success => {
                let settled = stale.saturating_add(base.failures);
                (Self { reset: true, failures: 0, ..base }, settled)
            }
            Report::NoVerdict => (base, stale),
        }
    }
}

#[cfg(test)]
mod tests;
