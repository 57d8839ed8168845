//! Outcomes that found the mailbox full, summed up in one word.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::Gate;
use crate::machine::Report;

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

impl Gate {
    /// Notes an outcome that found the mailbox full. While anything is noted,
    /// later outcomes are noted as well, so that their order is kept. `forced`
    /// says that the mailbox was found full; without it, the mailbox should be
    /// tried (again) if nothing was noted.
    pub(crate) fn note_overflow(&self, epoch: u64, report: Report, forced: bool) -> Noted {
        // Looked at only: exchanging it acquires, to settle what others have marked.
        let mut found = self.overflow.load(Relaxed);
        loop {
            if found == 0 && !forced {
                return Noted::Not;
            }
            let (next, settled) = match Overflow::noted(found) {
                Some(noted) => noted.and(epoch, report),
                None => Overflow::of(epoch).and(epoch, report),
            };
            match self.overflow.compare_exchange_weak(found, next.pack(), AcqRel, Relaxed) {
                Ok(_) => {
                    self.settle(settled);
                    return if found == 0 { Noted::First } else { Noted::Also };
                }
                Err(other) => found = other,
            }
        }
    }

    /// Takes what was noted, unless something sent before it is still in the mailbox.
    ///
    /// What was noted is announced to be taken, and noting anything takes that back.
    /// So nothing was noted since before the mailbox was found empty: nothing that
    /// may come after something sent since.
    pub(crate) fn take_overflow(&self, is_empty: impl Fn() -> bool) -> Option<Overflow> {
        loop {
            let found = self.overflow.load(Relaxed);
            if found == 0 {
                return None;
            }
            let announced = found | TAKING_BIT;
            if self.overflow.compare_exchange(found, announced, Acquire, Relaxed).is_err() {
                continue;
            }
            if !is_empty() {
                return None;
            }
            // What is taken was acquired when it was announced.
            if self.overflow.compare_exchange(announced, 0, Relaxed, Relaxed).is_ok() {
                return Overflow::noted(announced);
            }
        }
    }
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
const EPOCH_BITS: u32 = 29;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const RESET_BIT: u64 = 1 << COUNT_BITS;
const USED_BIT: u64 = 1 << 33;
/// The actor is about to take the word; no outcome sets it.
const TAKING_BIT: u64 = 1 << 34;
const EPOCH_SHIFT: u32 = 35;
const EPOCH_MASK: u64 = (1 << EPOCH_BITS) - 1;

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
        self.epoch.wrapping_sub(epoch) & EPOCH_MASK < 1 << (EPOCH_BITS - 1) && !self.is_of(epoch)
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
            Report::Ignored | Report::NoVerdict => (base, stale),
        }
    }
}

#[cfg(test)]
mod tests;
