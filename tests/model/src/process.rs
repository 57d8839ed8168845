//! One process: the machine of `src/protocol/machine`, with its clocks abstracted.
//!
//! Not abstracted: what is known and how certain it is, the phase, the one
//! write that is wanted, the one store operation in flight, the election that is
//! remembered, and what is told. Abstracted: time (what may be due is decided by
//! the world), calls (only their effect).

mod alone;
mod answers;
mod asked;
mod owed;
mod refuted;

use crate::{
    item::{Item, Seen, Stamp, State, Write, closed_by},
    shared::{Breach, Rules, Shared},
    weak::Weak,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// So many failures in a row, counted since that epoch was known.
    Closed {
        streak: u8,
        counted: Stamp,
    },
    Open {
        opened: Stamp,
        stored: bool,
        counted: Stamp,
    },
    Ours(Ours),
    Theirs,
    Free,
    /// The record of a circuit that was not closed is gone; it had opened then.
    Gone {
        opened: Stamp,
    },
    /// Probed without a lease: the store is out, a trip was dropped, or this
    /// process is refuted.
    Local {
        successes: u8,
        probing: bool,
    },
    /// Open for this process alone, which is refuted.
    Refuted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ours {
    pub(crate) token: u8,
    pub(crate) leased: Stamp,
    pub(crate) successes: u8,
    pub(crate) stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Stage {
    Ready,
    Probing,
    Settling,
    Resting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Want {
    Trip,
    Elect,
    ElectAbsent,
    TakeOver,
    Renew { starts: bool },
    HandOver,
    GiveBack,
    Close { token: u8 },
    Reopen { token: u8, opened: Stamp },
}

/// The store operation in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Job {
    /// A read, with what it found.
    Read(Seen),
    /// A write; how often it was applied so far; its answer.
    Write { number: Stamp, write: Write, landed: u8, answer: Option<Answer> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Answer {
    Applied(Item),
    Refused(Seen),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Election {
    pub(crate) token: u8,
    pub(crate) at: Stamp,
    /// The last lease that was asked for under the token.
    pub(crate) lease: Stamp,
    /// The count of the record that was taken over.
    pub(crate) count: u8,
    pub(crate) won: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    Bad,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Process {
    /// What the store last showed; `None` before the first time.
    pub(crate) seen: Option<Seen>,
    pub(crate) certain: bool,
    pub(crate) phase: Phase,
    pub(crate) want: Option<Want>,
    pub(crate) job: Option<Job>,
    pub(crate) election: Option<Election>,
    /// The store has failed since it last answered a write.
    pub(crate) out: bool,
    /// Its trip was applied, and the circuit was not seen closed since.
    pub(crate) tripped: bool,
    /// Others closed what it tripped, and it has not had its good calls since.
    pub(crate) contradicted: bool,
    /// What is known is what its own last write left.
    pub(crate) wrote: bool,
    /// What is stamped until then was decided before a freeze.
    pub(crate) frozen: Stamp,
    /// The state that subscribers were last told.
    pub(crate) told: State,
}

/// The epoch of an opening that was decided before the record was ever seen: it is
/// offered to any closed one.
const OFFERED: Stamp = Stamp::MAX;

pub(crate) const CLOSED: Phase = Phase::Closed { streak: 0, counted: 0 };

impl Process {
    pub(crate) const fn new() -> Self {
        Self {
            seen: None,
            certain: false,
            phase: CLOSED,
            want: None,
            job: None,
            election: None,
            out: false,
            tripped: false,
            contradicted: false,
            wrote: false,
            frozen: 0,
            told: State::Closed,
        }
    }

    pub(crate) fn record(&self) -> Seen {
        self.seen.flatten()
    }

    pub(crate) fn state(&self) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { .. } | Phase::Refuted => State::Open,
            Phase::Gone { .. } => self.told,
            Phase::Ours(_) | Phase::Theirs | Phase::Free | Phase::Local { .. } => State::HalfOpen,
        }
    }

    pub(crate) fn ours(&self) -> Option<Ours> {
        match self.phase {
            Phase::Ours(ours) => Some(ours),
            Phase::Closed { .. }
            | Phase::Open { .. }
            | Phase::Theirs
            | Phase::Free
            | Phase::Gone { .. }
            | Phase::Local { .. }
            | Phase::Refuted => None,
        }
    }

    pub(crate) fn is_probing(&self) -> bool {
        self.ours().is_some_and(|ours| ours.stage == Stage::Probing)
            || matches!(self.phase, Phase::Local { probing: true, .. })
    }

    /// Whether the store has answered what is in flight.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(self.job, Some(Job::Read(_) | Job::Write { answer: Some(_), .. }))
    }

    /// Whether it may run a probe, or runs one, under a lease that is not past.
    pub(crate) fn has_live_lease(&self, lapsed: Stamp) -> bool {
        self.ours().is_some_and(|ours| {
            ours.leased > lapsed && matches!(ours.stage, Stage::Ready | Stage::Probing)
        })
    }

    /// Whether a probe runs under a token that leads the item, with a count on it.
    pub(crate) fn probes_under_a_count(&self, item: Seen) -> bool {
        self.ours().is_some_and(|ours| {
            let led = item.filter(|item| item.is_led_by(ours.token));
            ours.stage == Stage::Probing && led.is_some_and(|item| item.count != Some(0))
        })
    }

    /// A counted failure of a call that was admitted while closed.
    pub(crate) fn fail(&mut self, alone: bool, shared: &mut Shared, rules: &Rules) {
        let Phase::Closed { streak, counted } = self.phase else { return };
        let counted = if streak == 0 { self.epoch() } else { counted };
        if streak + 1 < rules.failures {
            self.phase = Phase::Closed { streak: streak + 1, counted };
            return;
        }
        let held = Item::is_held_closed(self.record(), shared.lapsed);
        if held && rules.weak != Weak::TripOverHold {
            self.phase = CLOSED;
            return;
        }
        if rules.weak != Weak::RegainAfterTrip {
            self.election = None;
        }
        if self.opens_for_itself(rules) {
            return;
        }
        self.open(counted, None, shared, rules);
        self.conclude(alone, shared, rules);
    }

    /// The epoch that this process takes to be the present one.
    fn epoch(&self) -> Stamp {
        match (self.want, self.job) {
            // The record was never seen.
            (_, _) if self.seen.is_none() => OFFERED,
            (Some(Want::Close { token }), _)
            | (_, Some(Job::Write { write: Write::Close { token, .. }, .. })) => closed_by(token),
            (_, _) => Item::epoch_of(self.record()),
        }
    }

    /// Opens here and now: after a failed probe under this token, or by a trip.
    fn open(&mut self, counted: Stamp, token: Option<u8>, shared: &mut Shared, rules: &Rules) {
        let opened = shared.tick(rules);
        let reopen = |token| Want::Reopen { token, opened };
        self.want = Some(token.map_or(Want::Trip, reopen));
        self.phase = Phase::Open { opened, stored: false, counted };
    }

    /// Goes on with what was decided, or alone while the store is out.
    fn conclude(&mut self, alone: bool, shared: &mut Shared, rules: &Rules) {
        if alone {
            self.stand_alone(shared);
        } else {
            self.dispatch(shared, rules);
        }
    }

    /// A probe has ended.
    pub(crate) fn end(
        &mut self,
        verdict: Verdict,
        alone: bool,
        shared: &mut Shared,
        rules: &Rules,
    ) {
        if let Phase::Local { successes, .. } = self.phase {
            match verdict {
                Verdict::Bad => {
                    self.election = None;
                    if self.opens_for_itself(rules) {
                        return;
                    }
                    self.open(self.epoch(), None, shared, rules);
                }
                Verdict::Good if successes + 1 >= rules.successes => {
                    self.phase = CLOSED;
                    self.told = State::Closed;
                    self.closes_by_itself(rules);
                }
                Verdict::Good => {
                    self.phase = Phase::Local { successes: successes + 1, probing: false };
                }
                Verdict::None => self.phase = Phase::Local { successes, probing: false },
            }
            return self.conclude(alone, shared, rules);
        }
        let Some(mut ours) = self.ours() else { return };
        shared.probed(ours.token, verdict, rules);
        ours.stage = Stage::Settling;
        match verdict {
            Verdict::Bad if rules.weak == Weak::FailedTokenCloses => {
                self.phase = Phase::Ours(Ours { stage: Stage::Resting, successes: 0, ..ours });
            }
            Verdict::Bad => {
                self.election = None;
                self.open(0, Some(ours.token), shared, rules);
            }
            Verdict::Good => {
                ours.successes += 1;
                let enough = ours.successes >= rules.successes;
                if enough {
                    self.closes_by_itself(rules);
                }
                let close = Want::Close { token: ours.token };
                self.want = Some(if enough { close } else { Want::HandOver });
                self.phase = Phase::Ours(ours);
            }
            Verdict::None => {
                self.election = None;
                self.want = Some(Want::GiveBack);
                self.phase = Phase::Ours(ours);
            }
        }
        self.conclude(alone, shared, rules);
    }

    /// A running probe renews its lease.
    pub(crate) fn keep_alive(&mut self, shared: &mut Shared, rules: &Rules) {
        self.want = Some(Want::Renew { starts: false });
        self.dispatch(shared, rules);
    }

    /// Whether a call may be a probe while the store is asked, since it needs no answer.
    pub(crate) fn probes_meanwhile(&self) -> bool {
        matches!(self.phase, Phase::Local { probing: false, .. } | Phase::Refuted)
    }

    fn leaves_it_to_an_election(&self) -> bool {
        let is_open = self.record().is_some_and(|item| item.state == State::Open);
        is_open
            && self.job.is_none()
            && self.certain
            && !self.out
            && !self.contradicted
            && !self.is_probing()
    }

    /// A call comes while the circuit is not closed, and what can be due is due.
    pub(crate) fn call(&mut self, shared: &mut Shared, rules: &Rules) {
        if self.want.is_some() || self.job.is_some() && !self.probes_meanwhile() {
            return self.dispatch(shared, rules);
        }
        match self.phase {
            Phase::Closed { .. } => {}
            Phase::Open { stored: false, .. } => self.want = Some(Want::Trip),
            Phase::Gone { .. } => self.want = Some(Want::ElectAbsent),
            Phase::Refuted if rules.weak == Weak::RefutedWaits => {}
            Phase::Refuted => {
                self.phase = Phase::Local { successes: 0, probing: true };
                self.told = State::HalfOpen;
            }
            Phase::Open { .. } => {
                shared.recovery_is_due(self.record(), rules);
                self.want = Some(Want::Elect);
            }
            Phase::Ours(ours) if ours.stage == Stage::Settling => {}
            Phase::Ours(ours) => {
                let live = ours.leased > shared.lapsed;
                match ours.stage {
                    Stage::Ready if live => {
                        self.phase = Phase::Ours(Ours { stage: Stage::Probing, ..ours });
                    }
                    Stage::Probing if live => {}
                    Stage::Probing => self.want = Some(Want::TakeOver),
                    Stage::Ready | Stage::Resting | Stage::Settling => {
                        self.want = Some(Want::Renew { starts: true });
                    }
                }
            }
            Phase::Theirs => {
                let waits = rules.weak != Weak::TakeOverAtOnce
                    && !shared.lease_is_past(self.record(), rules);
                if !waits && rules.weak != Weak::NoTakeOver {
                    self.want = Some(Want::TakeOver);
                }
            }
            Phase::Free => self.want = Some(Want::TakeOver),
            // Through the store, where it answers.
            Phase::Local { .. } if self.leaves_it_to_an_election() => self.want = Some(Want::Elect),
            Phase::Local { successes, .. } => {
                self.phase = Phase::Local { successes, probing: true };
            }
        }
        self.dispatch(shared, rules);
    }

    /// Tells subscribers of a transition as its own.
    pub(crate) fn announce_as_ours(&mut self, state: State, landed: u8, shared: &mut Shared) {
        if landed != 1 {
            shared.breach(Breach::Unfounded);
        }
        self.told = state;
    }
}
