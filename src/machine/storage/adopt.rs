//! What the store shows becomes what this process takes the circuit to be.

use super::{Election, Machine, Want};
use crate::{
    machine::phase::{Basis, Opening, Ours, Phase, Recovery, Right, Stage},
    moment::Moment,
    record::{LeaseToken, Operation, Record},
    state::CircuitState,
    transition::{Cause, Origin},
};

/// A record as this crate acts on it. What cannot be read counts as closed: a
/// breaker must not become the outage that it is meant to prevent.
enum Shown {
    Closed,
    Open,
    HalfOpen,
}

fn shown(record: &Record) -> Shown {
    match record.state.valid() {
        Some(CircuitState::Open) => Shown::Open,
        Some(CircuitState::HalfOpen) => Shown::HalfOpen,
        Some(CircuitState::Closed) | None => Shown::Closed,
    }
}

fn is_closed(record: &Record) -> bool {
    matches!(shown(record), Shown::Closed)
}

impl Machine {
    /// Takes over what a read showed.
    pub(super) fn adopt(&mut self, record: Option<Record>) {
        let before = self.known.at;
        let same = before.is_some() && is_same_epoch(self.known.record(), record.as_ref());
        let owes = self.owes(record.as_ref(), same || before.is_none());
        self.learn(record.clone());
        if owes {
            return;
        }
        let otherwise_at = before.filter(|_| !same);
        match record {
            None => self.adopt_none(same, before),
            Some(record) => match shown(&record) {
                Shown::Closed => self.adopt_closed(same, before),
                Shown::Open => self.adopt_open(&record, same, otherwise_at),
                Shown::HalfOpen => self.adopt_half_open(&record, same),
            },
        }
    }

    /// Takes over what a refused write showed: the record was somebody's first.
    pub(super) fn adopt_refused(&mut self, operation: &Operation, record: Option<Record>) {
        if matches!(operation, Operation::Trip { .. }) && record.as_ref().is_none_or(is_closed) {
            // Closed again, or gone: a newer epoch, in which nothing was counted.
            self.learn(record);
            return self.close_here(Basis::Stored);
        }
        self.adopt(record);
    }

    /// Whether an opening that was decided without the store stands against a
    /// record that is not closed: then what stands there now is read first.
    pub(super) fn trips_over_another_state(&self) -> bool {
        self.want == Some(Want::Trip)
            && self.known.record().is_some_and(|record| !is_closed(record))
    }

    /// Whether a write that is still owed applies to this record, so that it
    /// is made instead of adopting what it is about to change.
    /// A trip that nobody was told of yet belongs to the epoch it was counted in;
    /// an opening that was told stands, and is offered to any closed record.
    fn owes(&mut self, record: Option<&Record>, same: bool) -> bool {
        let told = self.announced == CircuitState::Open;
        let holds = |token: &LeaseToken| record.is_some_and(|record| record.is_leased_to(token));
        let owes = match &self.want {
            Some(Want::Trip) => (same || told) && record.is_none_or(is_closed),
            Some(Want::Close { token } | Want::Reopen { token, .. }) => holds(token),
            Some(Want::Renew { .. } | Want::HandOver | Want::GiveBack) => match &self.phase {
                Phase::HalfOpen(Recovery { right: Right::Ours(ours), .. }) => holds(&ours.token),
                Phase::HalfOpen(_) | Phase::Closed { .. } | Phase::Open(_) => false,
            },
            Some(Want::Elect | Want::TakeOver) | None => false,
        };
        if !owes {
            // Whoever stood to win asks again, on what is known now.
            self.want = None;
        }
        owes
    }

    fn adopt_none(&mut self, same: bool, before: Option<Moment>) {
        match &self.phase {
            Phase::Closed { .. } => self.adopt_closed(same, before),
            // The record of a circuit that was not closed is gone: probe first.
            Phase::Open(_) => self.probe_a_gone_record(),
            Phase::HalfOpen(recovery) => match recovery.right {
                Right::Local { .. } => {}
                Right::Ours(_) | Right::Theirs { .. } | Right::Free => self.probe_a_gone_record(),
            },
        }
    }

    fn probe_a_gone_record(&mut self) {
        self.enter(Phase::HalfOpen(Recovery {
            opened_at: self.phase.opened_at(),
            failure_count: 0,
            right: Right::Local { successes: 0, stage: Stage::Ready },
        }));
        self.announce(Cause::RecordGone, Origin::WithoutStore);
    }

    fn adopt_closed(&mut self, same: bool, before: Option<Moment>) {
        match &mut self.phase {
            Phase::Closed { basis, .. } => {
                *basis = Basis::Stored;
                // Tripped and closed again unseen: a newer epoch, for the streak
                // and for calls that are still under way. What was counted before
                // the first sight stands, as a trip of that time does.
                if !same && before.is_some() {
                    self.close_here(Basis::Stored);
                }
            }
            Phase::HalfOpen(Recovery { right: Right::Local { .. }, .. }) => {}
            Phase::Open(_) | Phase::HalfOpen(_) => self.close_here(Basis::Stored),
        }
    }

    fn close_here(&mut self, basis: Basis) {
        self.enter(Phase::Closed { basis });
        self.announce(Cause::Elsewhere, Origin::Observed);
    }

    fn adopt_open(&mut self, record: &Record, same: bool, otherwise_at: Option<Moment>) {
        let failure_count = record.failure_count.valid().copied().unwrap_or(0);
        if let Phase::Open(opening) = &mut self.phase
            && opening.basis == Basis::Stored
            && same
        {
            opening.failure_count = failure_count;
            return;
        }
        let (first_seen, otherwise_at) = match &self.phase {
            // No news: what failed here since keeps its whole wait.
            Phase::Open(own) if same => (own.first_seen, own.otherwise_at),
            Phase::Open(_) | Phase::HalfOpen(_) | Phase::Closed { .. } => (self.now, otherwise_at),
        };
        let opening = Opening {
            opened_at: record.opened_at.valid().copied(),
            failure_count,
            first_seen,
            otherwise_at,
            basis: Basis::Stored,
            held: record.is_held(),
        };
        self.enter(Phase::Open(opening));
        self.announce(Cause::Elsewhere, Origin::Observed);
    }

    fn adopt_half_open(&mut self, record: &Record, same: bool) {
        if let Some(election) = self.known.election.clone()
            && record.owner == election.token.as_owner()
        {
            if let Phase::HalfOpen(Recovery { right: Right::Ours(ours), .. }) = &mut self.phase
                && ours.token == election.token
            {
                // A store that refuses what its record permits: probe once more.
                if ours.stage == Stage::Settling && self.want.is_none() {
                    ours.stage = Stage::Resting;
                }
                return;
            }
            if election.won {
                return self.regain(*election, record);
            }
            // Ours after all: the answer to the election was lost.
            return self.won(election.token, election.sent_at, election.from);
        }
        let opened_at = record.opened_at.valid().copied();
        let right = Right::Theirs { since: self.now };
        match &mut self.phase {
            // The lease stands unchanged since it was first seen.
            Phase::HalfOpen(Recovery { right: Right::Theirs { .. } | Right::Free, .. }) if same => {
            }
            Phase::HalfOpen(Recovery {
                right: held @ (Right::Theirs { .. } | Right::Free),
                opened_at: opened,
                ..
            }) => {
                *opened = opened_at;
                *held = right;
            }
            Phase::HalfOpen(_) | Phase::Open(_) | Phase::Closed { .. } => {
                self.enter(Phase::HalfOpen(Recovery { opened_at, failure_count: 0, right }));
                self.announce(Cause::Elsewhere, Origin::Observed);
            }
        }
    }

    /// A right that was ours before the store was out is ours still. Its lease
    /// may be past, so that it is renewed before the next probe.
    fn regain(&mut self, election: Election, record: &Record) {
        let ours = Ours {
            token: election.token,
            written_at: election.sent_at,
            leased_at: election.sent_at,
            successes: record.success_count.valid().copied().unwrap_or(0),
            stage: Stage::Resting,
        };
        self.enter(Phase::HalfOpen(Recovery {
            opened_at: record.opened_at.valid().copied(),
            failure_count: 0,
            right: Right::Ours(Box::new(ours)),
        }));
        self.announce(Cause::Elsewhere, Origin::Observed);
    }
}

/// Whether two records stand in the same epoch of the circuit: what a trip, an
/// election or a takeover of one would find in the other.
fn is_same_epoch(before: Option<&Record>, after: Option<&Record>) -> bool {
    match (before, after) {
        (None, None) => true,
        (Some(before), Some(after)) if before.state == after.state => match shown(after) {
            Shown::Closed => before.expires_at == after.expires_at,
            Shown::Open => before.opened_at == after.opened_at && before.owner == after.owner,
            Shown::HalfOpen => {
                before.owner == after.owner && before.lease_until == after.lease_until
            }
        },
        (Some(_) | None, Some(_) | None) => false,
    }
}
