//! What becomes of a trip that has not landed, and of what is throttled.
//!
//! A trip is dropped when its last failure is older than a recovery time, when a
//! freeze lies between, or when the item shows a closing of a later epoch (`answers`).
//! From then on this process probes first, alone, and opens again on what it finds.
//! An item that was deleted says nothing of another epoch: it is tripped over. A throttled
//! operation was answered: it was not applied, and nothing is done alone.

use crate::{
    item::{State, Write},
    process::{Job, Phase, Process, Want},
    shared::{Breach, Rules, Shared},
    weak::Weak,
};

impl Process {
    /// Whether it has opened, and the store may not know of it.
    pub(crate) fn owed_since(&self) -> Option<u8> {
        match self.phase {
            Phase::Open { opened, stored: false, .. } => Some(opened),
            Phase::Open { .. }
            | Phase::Closed { .. }
            | Phase::Ours(_)
            | Phase::Theirs
            | Phase::Free
            | Phase::Gone { .. }
            | Phase::Local { .. }
            | Phase::Refuted => None,
        }
    }

    /// This process stands still while it owes a trip.
    pub(crate) fn freeze(&mut self, shared: &Shared, rules: &Rules) {
        self.frozen = shared.clock;
        self.drops_old_trip(shared, rules);
    }

    /// Drops the trip that is wanted, if it is too old to be sent. One that was sent
    /// may be applied yet.
    pub(crate) fn drops_old_trip(&mut self, shared: &Shared, rules: &Rules) -> bool {
        let Some(opened) = self.owed_since().filter(|_| self.want == Some(Want::Trip)) else {
            return false;
        };
        let aged = opened <= shared.lapsed && rules.weak != Weak::AgedTripIsSent;
        let frozen = opened <= self.frozen && rules.weak != Weak::FrozenTripIsSent;
        if !aged && !frozen {
            return false;
        }
        self.want = None;
        self.phase = Phase::Local { successes: 0, probing: false };
        self.told = State::HalfOpen;
        true
    }

    /// Judges a write of this process that is about to be sent.
    pub(super) fn judge(&self, write: &Write, shared: &mut Shared) {
        let Write::Trip { opened, .. } = *write else { return };
        if opened <= shared.lapsed.max(self.frozen) {
            shared.breach(Breach::Old);
        }
        if self.contradicted {
            shared.breach(Breach::Heard);
        }
    }

    /// The number of the write that the store may throttle: it has not come to it.
    pub(crate) fn may_be_throttled(&self) -> bool {
        matches!(self.job, Some(Job::Read(_) | Job::Write { landed: 0, answer: None, .. }))
    }

    /// The store says that it did not do what it was asked.
    pub(crate) fn throttle(&mut self, shared: &mut Shared, rules: &Rules) {
        if let Some(Job::Write { write, .. }) = self.job.take() {
            self.does_not_pursue(&write);
            if rules.weak == Weak::ThrottledIsApplied {
                self.applied(&write, 0, shared, rules);
            }
        }
        if rules.weak == Weak::ThrottledIsOut {
            self.stand_alone(shared);
        }
    }
}
