//! The part of the gate that admits a share of the calls after a closing.
//!
//! # Memory order
//!
//! The word of the gate says whether the circuit is on a ramp: one that is not stores and loads
//! nothing here. `ramp` and `ramp_from` are of the publication, as `retry_at` is: stored between the
//! words that shut and open the window, and read before the second load of the word.
//!
//! `ramp_credit` is changed by calls. It carries the number of its ramp, so that a call of an older
//! ramp that comes late changes nothing of a newer one. The actor sets it before it releases `ramp`:
//! a call that finds a ramp finds its credit, or that of a newer one. It is one word, exchanged, so
//! that nothing of it is lost, relaxed.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::{Decision, EPOCH_SHIFT, FRESH_WHILE_FAILING_MS, Gate, RAMPING, RampShare, STATE_MASK};
use crate::protocol::machine::{PublishedRamp, STEPS};

const NUMBER_SHIFT: u32 = 32;
const LOW: u64 = (1 << NUMBER_SHIFT) - 1;

/// A ramp as the gate carries it.
#[derive(Clone, Copy)]
struct Ramp {
    /// Its number and its length.
    word: u64,
    from_ms: u64,
}

impl Gate {
    /// Shows a ramp. Called by the actor alone, while the window is shut.
    pub(super) fn show_ramp(&self, ramp: PublishedRamp) {
        let number = (ramp.id & LOW) << NUMBER_SHIFT;
        if self.ramp_credit.load(Relaxed) & !LOW != number {
            self.ramp_credit.swap(number | u64::from(ramp.first_credit), Relaxed);
        }
        self.ramp_from.store(ramp.from_ms, Release);
        self.ramp.store(number | u64::from(ramp.length_ms), Release);
    }

    /// The ramp of a circuit that is on one.
    fn ramp(&self) -> Ramp {
        // In this order: a ramp was shown after its start.
        Ramp { word: self.ramp.load(Acquire), from_ms: self.ramp_from.load(Acquire) }
    }

    /// Decides as [`check`](Self::check) does about one call of a closed circuit that is on a ramp,
    /// whose window is `age` old.
    #[cold]
    #[inline(never)]
    pub(super) fn check_on_ramp(
        &self,
        word: u64,
        age: u64,
        now_ms: u64,
        refresh: impl FnOnce(),
    ) -> Decision {
        let is_refresh_due = age >= self.refresh.load(Acquire);
        let is_too_old = age >= FRESH_WHILE_FAILING_MS && self.is_failing();
        let ramp = self.ramp();
        // The word last, as in `check`.
        if self.word.load(Relaxed) != word {
            return Decision::ASK_ACTOR;
        }
        // Before the wait for news, so that a call without a share need not wait to be rejected.
        let decision = self.decide_on_ramp(ramp, word >> EPOCH_SHIFT, now_ms);
        if is_too_old && matches!(decision, Decision::Admit { .. }) {
            return Decision::AskActor { share: RampShare::Taken };
        }
        if is_refresh_due {
            refresh();
        }
        decision
    }

    fn decide_on_ramp(&self, ramp: Ramp, epoch: u64, now_ms: u64) -> Decision {
        let published = PublishedRamp {
            id: ramp.word >> NUMBER_SHIFT,
            from_ms: ramp.from_ms,
            length_ms: u32::try_from(ramp.word & LOW).unwrap_or(u32::MAX),
            // For who begins it.
            first_credit: 0,
        };
        let Some(step) = published.step(now_ms) else {
            return Decision::Admit { epoch };
        };
        match self.take_share(ramp.word & !LOW, u64::from(step.share)) {
            Some(true) => Decision::Admit { epoch },
            Some(false) => Decision::Reject { retry_after_ms: step.left_ms },
            None => Decision::ASK_ACTOR,
        }
    }

    /// Adds the share of one call to the credit of its ramp, and takes a whole call from it if
    /// there is one: says whether there was. `None` if another ramp has begun.
    fn take_share(&self, number: u64, share: u64) -> Option<bool> {
        let mut known = self.ramp_credit.load(Relaxed);
        while known & !LOW == number {
            let credit = (known & LOW).saturating_add(share);
            let left = credit.checked_sub(u64::from(STEPS));
            let next = number | left.unwrap_or(credit);
            match self.ramp_credit.compare_exchange(known, next, Relaxed, Relaxed) {
                Ok(_) => return Some(left.is_some()),
                Err(newer) => known = newer,
            }
        }
        None
    }

    /// Returns for how many milliseconds a call is to be rejected that is admitted by what is known
    /// of the circuit, and about which [`check`](Self::check) could not decide; `None` if it runs.
    pub(crate) fn reject_on_ramp(&self, now_ms: u64) -> Option<u64> {
        let word = self.word.load(Acquire);
        if word & STATE_MASK != RAMPING {
            return None;
        }
        let ramp = self.ramp();
        if self.word.load(Relaxed) != word {
            return Some(0);
        }
        match self.decide_on_ramp(ramp, 0, now_ms) {
            Decision::Admit { .. } => None,
            Decision::Reject { retry_after_ms } => Some(retry_after_ms),
            // Another ramp begins at this moment, of whose first calls few run. To wait until it is
            // shown would be to wait for the actor.
            Decision::AskActor { .. } => Some(0),
        }
    }
}
