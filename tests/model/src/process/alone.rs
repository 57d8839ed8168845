//! What a process does while the store counts as out.
//!
//! The mirror of what `src/protocol/machine` does between a failure of the store and its
//! next answer: what was decided holds here, calls fall open or are probed without
//! a lease, and what the store is owed is kept. Nothing is sent that would not be
//! sent otherwise. Abstracted: when the store counts as out (after any failure it
//! may at any time, until it answers a write), and which of the two policies is set
//! (either may be followed).

use crate::{
    item::{State, Write},
    process::{CLOSED, Job, Ours, Phase, Process, Stage, Want},
    shared::{Breach, Rules, Shared},
};

impl Process {
    /// The store has failed: what was sent may land yet.
    pub(crate) fn time_out(&mut self, shared: &mut Shared) {
        if let Some(Job::Write { write, .. }) = self.job.take() {
            self.certain = false;
            self.does_not_pursue(&write);
        }
        self.lose_the_store(shared);
    }

    /// A read has failed, or another circuit of the process found the store out.
    pub(crate) fn lose_the_store(&mut self, shared: &mut Shared) {
        self.out = true;
        self.stand_alone(shared);
    }

    /// An election or a renewal without an answer is not repeated by itself.
    pub(super) fn does_not_pursue(&mut self, write: &Write) {
        if let Write::Elect { .. }
        | Write::ElectAbsent { .. }
        | Write::TakeOver { .. }
        | Write::Renew { .. } = write
        {
            self.meet_want(write);
        }
    }

    /// What was decided holds here; what the store is owed is kept.
    pub(super) fn stand_alone(&mut self, shared: &mut Shared) {
        if !self.out {
            shared.breach(Breach::Alone);
        }
        match (self.want, self.ours()) {
            (Some(Want::Trip | Want::Reopen { .. }), _) => self.told = self.state(),
            (Some(Want::Close { .. }), Some(_)) => {
                self.phase = CLOSED;
                self.told = State::Closed;
            }
            (Some(Want::HandOver), Some(ours)) => {
                self.want = None;
                self.phase = Phase::Ours(Ours { stage: Stage::Resting, ..ours });
            }
            (Some(Want::GiveBack), Some(_)) => {
                self.want = None;
                self.phase = Phase::Free;
            }
            (_, _) => {}
        }
    }

    /// Whether what the store said last can be left, since it cannot be read.
    pub(crate) fn may_fall_open(&self) -> bool {
        self.out && matches!(self.phase, Phase::Open { stored: true, .. } | Phase::Theirs)
    }

    /// The store cannot be read any more: calls go through and are counted.
    pub(crate) fn fall_open(&mut self) {
        self.want = None;
        self.phase = CLOSED;
        self.told = State::Closed;
        self.certain = false;
    }

    /// Whether a call may be a probe without the store, once it is due.
    pub(crate) fn may_probe_alone(&self, lapsed: u8) -> bool {
        self.out
            && match self.phase {
                Phase::Open { .. } | Phase::Theirs | Phase::Free | Phase::Gone { .. } => true,
                Phase::Ours(ours) => match ours.stage {
                    Stage::Ready | Stage::Probing => ours.leased <= lapsed,
                    Stage::Resting => true,
                    Stage::Settling => false,
                },
                Phase::Closed { .. } | Phase::Local { .. } | Phase::Refuted => false,
            }
    }

    /// A call probes without the store.
    pub(crate) fn probe_alone(&mut self, shared: &mut Shared, rules: &Rules) {
        let successes = match self.phase {
            Phase::Open { stored: true, .. } => {
                shared.recovery_is_due(self.record(), rules);
                0
            }
            Phase::Open { opened, .. } => {
                shared.recover(opened, rules);
                0
            }
            Phase::Ours(Ours { stage: Stage::Ready | Stage::Resting, successes, .. }) => successes,
            Phase::Theirs if !shared.lease_is_past(self.record(), rules) => return,
            Phase::Ours(_)
            | Phase::Theirs
            | Phase::Free
            | Phase::Gone { .. }
            | Phase::Closed { .. }
            | Phase::Local { .. }
            | Phase::Refuted => 0,
        };
        self.phase = Phase::Local { successes, probing: true };
        self.told = State::HalfOpen;
    }
}
