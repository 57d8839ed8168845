//! What the store shows becomes what this process takes the circuit to be.

use super::{Election, Machine, PendingWrite};
use crate::{
    protocol::health::Access,
    protocol::machine::cache::{Shown, is_closed, is_same_epoch, shown},
    protocol::machine::phase::{
        Opening, OtherLease, OurLease, Phase, Prober, Recovery, Stage, Standing,
    },
    protocol::moment::Moment,
    protocol::record::{LeaseToken, Operation, Record},
    transition::{Cause, Origin},
};

impl Machine {
    /// Takes over what a read showed.
    pub(super) fn adopt(&mut self, record: Option<Record>) {
        let before = self.cache.at;
        let same = before.is_some() && is_same_epoch(self.cache.record(), record.as_ref());
        let owes = self.still_applies(record.as_ref(), same || before.is_none());
        self.cache_record(record.clone());
        if owes {
            return;
        }
        let last_seen_not_open_at = before.filter(|_| !same);
        match record {
            None => self.adopt_none(same, before),
            Some(record) => match shown(&record) {
                Shown::Closed => self.adopt_closed(&record, same, before),
                Shown::Open => self.adopt_open(&record, same, last_seen_not_open_at),
                Shown::HalfOpen => self.adopt_half_open(&record, same),
            },
        }
    }

    /// Takes over what a refused write showed: the record was somebody's first.
    pub(super) fn adopt_refused(&mut self, operation: &Operation, record: Option<Record>) {
        if matches!(operation, Operation::Trip { .. }) && record.as_ref().is_none_or(is_closed) {
            // Closed again, or gone: a newer epoch, in which nothing was counted.
            self.cache_record(record.clone());
            self.close_here();
            return self.judge_trip(record.as_ref());
        }
        self.adopt(record);
    }

    /// Whether an opening that was decided without the store stands against a
    /// record that is not closed: then what stands there now is read first.
    pub(super) fn trips_over_another_state(&self) -> bool {
        self.pending == Some(PendingWrite::Trip)
            && self.cache.record().is_some_and(|record| !is_closed(record))
    }

    /// Whether a write that is still owed applies to this record, so that it
    /// is made instead of adopting what it is about to change.
    /// A trip is of the epoch in which its failures were counted: a record of a later
    /// one says that others have closed the circuit since. One that was deleted says
    /// nothing, and is tripped over.
    fn still_applies(&mut self, record: Option<&Record>, same: bool) -> bool {
        let holds = |token: &LeaseToken| record.is_some_and(|record| record.is_leased_to(token));
        let owes = match &self.pending {
            Some(PendingWrite::Trip) => record.is_none_or(|record| same && is_closed(record)),
            Some(PendingWrite::Close { token } | PendingWrite::Reopen { token, .. }) => {
                holds(token)
            }
            Some(PendingWrite::Renew { .. } | PendingWrite::HandOver | PendingWrite::GiveBack) => {
                match &self.phase {
                    Phase::HalfOpen(Recovery { prober: Prober::Us(ours), .. }) => {
                        holds(&ours.token)
                    }
                    Phase::HalfOpen(_) | Phase::Closed { .. } | Phase::Open(_) => false,
                }
            }
            Some(PendingWrite::Elect | PendingWrite::TakeOver) | None => false,
        };
        if !owes {
            // Whoever stood to win asks again, on what is known now.
            self.pending = None;
        }
        owes
    }

    fn adopt_none(&mut self, same: bool, before: Option<Moment>) {
        // Who closed the circuit is not known any more.
        self.reputation.settle();
        match &self.phase {
            Phase::Closed { .. } => self.adopt_a_closed_phase(same, before),
            // The record of a circuit that was not closed is gone: probe first.
            Phase::Open(opening) => match opening.standing {
                Standing::Stored | Standing::Owed => self.probe_a_gone_record(),
                Standing::Lapsed | Standing::Refuted => {}
            },
            Phase::HalfOpen(recovery) => match recovery.prober {
                // Nobody holds it, and this process does not know more than that.
                Prober::Offline(_) | Prober::Nobody { .. } => {}
                Prober::Us(_) | Prober::Other(_) => self.probe_a_gone_record(),
            },
        }
    }

    /// The right to probe is free for whichever process writes first.
    fn probe_a_gone_record(&mut self) {
        self.cache.election = None;
        self.commit(
            Phase::HalfOpen(Recovery {
                opened_at: self.phase.opened_at(),
                prober: Prober::Nobody { gave_back_at: None },
            }),
            Cause::RecordGone,
            Origin::Observed,
        );
    }

    fn adopt_closed(&mut self, record: &Record, same: bool, before: Option<Moment>) {
        let ends = match &self.phase {
            Phase::Closed { .. } => {
                self.adopt_a_closed_phase(same, before);
                !same && before.is_some()
            }
            Phase::Open(opening) => match opening.standing {
                // The write that was owed applies no more: others have closed since.
                Standing::Stored | Standing::Owed => true,
                // Before the first sight of the record there is nothing to tell that by.
                Standing::Lapsed => !same && before.is_some(),
                Standing::Refuted => false,
            },
            Phase::HalfOpen(recovery) => match &recovery.prober {
                Prober::Offline(alone) => !alone.refuted && !same && before.is_some(),
                Prober::Us(_) | Prober::Other(_) | Prober::Nobody { .. } => true,
            },
        };
        if !ends {
            return;
        }
        if !matches!(self.phase, Phase::Closed { .. }) {
            self.close_here();
        }
        self.judge_trip(Some(record));
    }

    /// Others closed the circuit: by their probes, if no operator did.
    fn judge_trip(&mut self, record: Option<&Record>) {
        let by_probes = record.is_some_and(|record| !record.is_released());
        self.reputation.close_elsewhere(by_probes, self.epoch);
    }

    fn adopt_a_closed_phase(&mut self, same: bool, before: Option<Moment>) {
        if let Phase::Closed { by_offline_probes } = &mut self.phase {
            *by_offline_probes = false;
        }
        // Tripped and closed again unseen: a newer epoch, for the streak and for
        // calls that are still under way. What was counted before the first sight
        // stands, as a trip of that time does.
        if !same && before.is_some() {
            self.close_here();
        }
    }

    fn close_here(&mut self) {
        self.commit(Phase::CLOSED, Cause::Elsewhere, Origin::Observed);
    }

    fn adopt_open(&mut self, record: &Record, same: bool, last_seen_not_open_at: Option<Moment>) {
        let failure_count = record.failure_count.valid().copied().unwrap_or(0);
        let opened_at = record.opened_at.valid().copied();
        let held = record.is_held();
        let may_write = self.health.is_usable(Access::Write, self.now);
        // An operator has judged since.
        if held {
            self.reputation.settle();
        }
        match &mut self.phase {
            Phase::Open(opening) if opening.standing == Standing::Stored && same => {
                opening.failure_count = failure_count;
                return;
            }
            // Nobody has probed it since this process began to, without the store.
            Phase::HalfOpen(Recovery { prober: Prober::Offline(_), .. }) if same => return,
            // Its own probes closed it here, and it still cannot write that.
            Phase::Closed { by_offline_probes: true } if same && !may_write => return,
            Phase::Open(_) | Phase::HalfOpen(_) | Phase::Closed { .. } => {}
        }
        let drawn = self.draw_turn();
        let (first_seen, last_seen_not_open_at, turn) = match &self.phase {
            // No news: what failed here since keeps its whole wait.
            Phase::Open(own) if same => (own.first_seen, own.last_seen_not_open_at, own.turn),
            // Most likely this process's own write, whose answer was lost.
            Phase::Open(own) if own.opened_at == opened_at => {
                (self.now, last_seen_not_open_at, own.turn)
            }
            Phase::Open(_) | Phase::HalfOpen(_) | Phase::Closed { .. } => {
                (self.now, last_seen_not_open_at, drawn)
            }
        };
        let standing = Standing::Stored;
        self.commit(
            Phase::Open(Box::new(Opening {
                cause: Cause::Elsewhere,
                opened_at,
                failure_count,
                first_seen,
                last_seen_not_open_at,
                standing,
                turn,
                held,
            })),
            Cause::Elsewhere,
            Origin::Observed,
        );
    }

    fn adopt_half_open(&mut self, record: &Record, same: bool) {
        let may_write = self.health.is_usable(Access::Write, self.now);
        match &self.phase {
            // Nobody has probed it since this process began to, without the store: what
            // its probes found still counts.
            Phase::HalfOpen(Recovery { prober: Prober::Offline(_), .. }) if same => return,
            Phase::Closed { by_offline_probes: true } if same && !may_write => return,
            Phase::HalfOpen(_) | Phase::Open(_) | Phase::Closed { .. } => {}
        }
        if let Some(election) = self.cache.election.clone()
            && record.owner == election.token.as_owner()
        {
            return self.adopt_own_lease(*election, record);
        }
        let opened_at = record.opened_at.valid().copied();
        let turn = self.draw_turn();
        let fresh = OtherLease { since: self.now, first_seen: self.now, turn };
        match &mut self.phase {
            // The lease stands unchanged since it was first seen.
            Phase::HalfOpen(Recovery {
                prober: Prober::Other(_) | Prober::Nobody { .. }, ..
            }) if same => {}
            Phase::HalfOpen(Recovery {
                prober: held @ (Prober::Other(_) | Prober::Nobody { .. }),
                opened_at: opened,
                ..
            }) => {
                let first_seen = match held {
                    Prober::Other(theirs) => theirs.first_seen,
                    Prober::Nobody { .. } | Prober::Us(_) | Prober::Offline(_) => fresh.first_seen,
                };
                *opened = opened_at;
                *held = Prober::Other(Box::new(OtherLease { first_seen, ..fresh }));
            }
            Phase::HalfOpen(_) | Phase::Open(_) | Phase::Closed { .. } => {
                let prober = Prober::Other(Box::new(fresh));
                self.commit(
                    Phase::HalfOpen(Recovery { opened_at, prober }),
                    Cause::Elsewhere,
                    Origin::Observed,
                );
            }
        }
    }

    /// The record shows a token of this process.
    fn adopt_own_lease(&mut self, election: Election, record: &Record) {
        if let Phase::HalfOpen(Recovery { prober: Prober::Us(ours), .. }) = &mut self.phase
            && ours.token == election.token
        {
            // A store that refuses what its record permits: probe once more.
            if ours.stage == Stage::Settling && self.pending.is_none() {
                ours.stage = Stage::HandedOver;
            }
            return;
        }
        if election.won {
            return self.resume_lease(election, record);
        }
        // Ours after all: the answer to the election was lost.
        self.on_elected(election.token, election.sent_at, election.from);
    }

    /// A right that was ours before the store was out is ours still. Its lease
    /// may be past, so that it is renewed before the next probe.
    fn resume_lease(&mut self, election: Election, record: &Record) {
        let ours = OurLease {
            token: election.token,
            written_at: election.sent_at,
            leased_at: election.sent_at,
            successes: record.success_count.valid().copied().unwrap_or(0),
            stage: Stage::HandedOver,
            kept_since: None,
            gave_back_at: None,
        };
        self.commit(
            Phase::HalfOpen(Recovery {
                opened_at: record.opened_at.valid().copied(),
                prober: Prober::Us(Box::new(ours)),
            }),
            Cause::Elsewhere,
            Origin::Observed,
        );
    }
}
