//! Adopts the record that the store showed: from a [`Record`] to a [`Phase`].

use std::time::Duration;

use super::{Election, Machine, PendingWrite};
use crate::{
    protocol::health::Access,
    protocol::machine::cache::{Shown, is_closed, is_same_epoch, shown},
    protocol::machine::held::is_held_closed,
    protocol::machine::phase::{Opening, Phase, Recovery, Standing},
    protocol::machine::prober::{OtherLease, OurLease, Prober, Stage},
    protocol::machine::term::failed_probes,
    protocol::moment::Moment,
    protocol::record::{LeaseToken, Operation, Record},
    transition::{Cause, Origin},
};

impl Machine {
    /// Adopts the record that a read showed, unless the pending write applies to it.
    pub(super) fn adopt(&mut self, record: Option<Record>) {
        self.adopt_state(record);
        self.tell_hold_shown();
    }

    fn adopt_state(&mut self, record: Option<Record>) {
        let last_read_at = self.cache.at;
        let same_epoch =
            last_read_at.is_some() && is_same_epoch(self.cache.record(), record.as_ref());
        let applies = self.still_applies(record.as_ref(), same_epoch || last_read_at.is_none());
        self.cache_record(record.clone());
        if record.is_none() {
            // The record would have told whether probes or an operator closed the circuit. A
            // pending trip that applies now is judged by what closes it.
            self.reputation.settle();
        }
        if applies {
            return;
        }
        // A record of the same epoch that is open was open at the last read as well.
        let last_seen_not_open_at = last_read_at.filter(|_| !same_epoch);
        match record {
            None => self.adopt_absent(same_epoch, last_read_at),
            Some(record) => match shown(&record) {
                Shown::Closed => self.adopt_closed(&record, same_epoch, last_read_at),
                Shown::Open => self.adopt_open(&record, same_epoch, last_seen_not_open_at),
                Shown::HalfOpen => self.adopt_half_open(&record, same_epoch),
            },
        }
    }

    /// Adopts the record that a refused write showed: another process had written it before.
    pub(super) fn adopt_refused(&mut self, operation: &Operation, record: Option<Record>) {
        if matches!(operation, Operation::Trip { .. }) && record.as_ref().is_none_or(is_closed) {
            // The circuit was opened and closed again, or the record was deleted: a newer
            // epoch, in which the failures of this trip were not counted.
            let last_read_at = self.cache.at;
            self.cache_record(record.clone());
            self.close_here(record.as_ref(), last_read_at);
            return self.judge_trip(record.as_ref());
        }
        self.adopt(record);
    }

    /// Returns `true` if a trip is pending while the cached record is not closed. Then a
    /// consistent read comes first, since a trip applies to a closed or absent record only.
    pub(super) fn trips_over_another_state(&self) -> bool {
        self.pending == Some(PendingWrite::Trip)
            && self.cache.record().is_some_and(|record| !is_closed(record))
    }

    /// Returns `true` if the pending write applies to this record, which is then not adopted:
    /// the write is about to change it. Otherwise drops the pending write.
    ///
    /// | pending | applies to |
    /// |---|---|
    /// | `Trip` | no record, or a closed one of the epoch in which the failures were counted, if no operator holds it closed |
    /// | `Close`, `Reopen` | a record under the token of the write |
    /// | `Renew`, `HandOver`, `GiveBack` | a record under the token of `OurLease` |
    /// | `Elect`, `TakeOver` | none: the call that claims the probe is asked again |
    fn still_applies(&mut self, record: Option<&Record>, same_epoch: bool) -> bool {
        let holds = |token: &LeaseToken| record.is_some_and(|record| record.is_leased_to(token));
        let applies = match &self.pending {
            Some(PendingWrite::Trip) => record.is_none_or(|record| {
                same_epoch && is_closed(record) && !is_held_closed(record, self.now)
            }),
            Some(PendingWrite::Close { token } | PendingWrite::Reopen { token, .. }) => {
                holds(token)
            }
            Some(PendingWrite::Renew { .. } | PendingWrite::HandOver | PendingWrite::GiveBack) => {
                self.phase.our_lease().is_some_and(|lease| holds(&lease.token))
            }
            Some(PendingWrite::Elect | PendingWrite::TakeOver) | None => false,
        };
        if !applies {
            // A trip into a later epoch would open a circuit that others have probed closed.
            self.pending = None;
        }
        applies
    }

    /// Adopts the absence of the record.
    fn adopt_absent(&mut self, same_epoch: bool, last_read_at: Option<Moment>) {
        match &self.phase {
            Phase::Closed { .. } => self.adopt_a_closed_phase(None, same_epoch, last_read_at),
            // Deleted by the store's expiry or by hand. An absent record is closed for a new
            // process; this one knows that the dependency had failed, and probes first.
            Phase::Open(opening) => match opening.standing {
                Standing::Stored | Standing::Owed => self.probe_a_gone_record(),
                Standing::Lapsed { .. } | Standing::Refuted => {}
            },
            Phase::HalfOpen(recovery) => match recovery.prober {
                // The right is free already.
                Prober::Offline(_) | Prober::Nobody { .. } => {}
                Prober::Us(_) | Prober::Other(_) => self.probe_a_gone_record(),
            },
        }
    }

    /// Frees the right to probe for the process that writes first.
    fn probe_a_gone_record(&mut self) {
        self.cache.election = None;
        self.commit(
            Phase::HalfOpen(self.recovery(
                self.phase.opened_at(),
                Prober::Nobody { gave_back_at: None },
                None,
            )),
            Cause::RecordGone,
            Origin::Observed,
        );
    }

    /// Adopts a closed record, which ends the phase of this process unless the phase rests on
    /// what the store does not know.
    fn adopt_closed(&mut self, record: &Record, same_epoch: bool, last_read_at: Option<Moment>) {
        // An operator has judged the trip of this process, and asks for all calls.
        let is_held = is_held_closed(record, self.now);
        let ends = match &self.phase {
            Phase::Open(_) | Phase::HalfOpen(_) if is_held => true,
            Phase::Closed { .. } => {
                self.adopt_a_closed_phase(Some(record), same_epoch, last_read_at);
                !same_epoch && last_read_at.is_some()
            }
            Phase::Open(opening) => match opening.standing {
                // `still_applies` has found that others have closed the circuit since.
                Standing::Stored | Standing::Owed => true,
                // A record of the same epoch, or the first one read, may be from before the
                // failures, and says nothing about them: the probe decides.
                Standing::Lapsed { .. } => !same_epoch && last_read_at.is_some(),
                // Others find the dependency well; this process does not reach it.
                Standing::Refuted => false,
            },
            Phase::HalfOpen(recovery) => match &recovery.prober {
                Prober::Offline(offline) => {
                    !offline.refuted && !same_epoch && last_read_at.is_some()
                }
                Prober::Us(_) | Prober::Other(_) | Prober::Nobody { .. } => true,
            },
        };
        if !ends {
            return;
        }
        if !matches!(self.phase, Phase::Closed { .. }) {
            self.close_here(Some(record), last_read_at);
        }
        self.judge_trip(Some(record));
    }

    /// Judges the last trip of this process by a closing of others: by their probes, if no
    /// operator released it.
    fn judge_trip(&mut self, record: Option<&Record>) {
        let by_probes = record.is_some_and(|record| !record.is_released());
        self.reputation.close_elsewhere(by_probes, self.epoch);
    }

    /// Adopts a closed or absent record while this process is closed as well.
    fn adopt_a_closed_phase(
        &mut self,
        record: Option<&Record>,
        same_epoch: bool,
        last_read_at: Option<Moment>,
    ) {
        let ramp_alone = match &mut self.phase {
            Phase::Closed { by_offline_probes, ramp } => {
                std::mem::take(by_offline_probes).then(|| ramp.clone())
            }
            Phase::Open(_) | Phase::HalfOpen(_) => None,
        };
        // The circuit was opened and closed again between two reads. A newer epoch drops the
        // failures from before, and the outcomes of calls that still run. Failures counted
        // before the first read stand: that read cannot tell a newer epoch.
        if !same_epoch && last_read_at.is_some() {
            self.close_here(record, last_read_at);
            // It has served calls since it closed the circuit by itself, and need not begin again.
            // One who holds a circuit closed asks for all calls.
            let is_held = record.is_some_and(|record| is_held_closed(record, self.now));
            if let (Some(alone), Phase::Closed { ramp, .. }) = (ramp_alone, &mut self.phase)
                && !is_held
            {
                *ramp = alone;
            }
        } else if let (Some(record), None) = (record, last_read_at) {
            // This process may have started while others are still on a ramp.
            self.start_ramp_of(record, None);
        }
    }

    /// Closes the circuit because another process did. Without a record nobody has closed it:
    /// it was deleted.
    fn close_here(&mut self, record: Option<&Record>, last_read_at: Option<Moment>) {
        self.commit(Phase::CLOSED, self.cause_of_closing(record), Origin::Observed);
        if let Some(record) = record {
            self.start_ramp_of(record, last_read_at);
        }
    }

    /// Returns `true` if what this process found without the store stands against a record
    /// that has not changed: no other process has probed since, so that the record says
    /// nothing newer. Adopting it would throw good probes away, and reopen the circuit.
    fn stands_against_unchanged_record(&self) -> bool {
        match &self.phase {
            Phase::HalfOpen(recovery) => matches!(recovery.prober, Prober::Offline(_)),
            // Once writes work again, the record wins, and the fleet probes together.
            Phase::Closed { by_offline_probes, .. } => {
                *by_offline_probes && !self.health.is_usable(Access::Write, self.now)
            }
            Phase::Open(_) => false,
        }
    }

    /// Adopts an open record.
    fn adopt_open(
        &mut self,
        record: &Record,
        same_epoch: bool,
        last_seen_not_open_at: Option<Moment>,
    ) {
        let failure_count = record.failure_count.valid().copied().unwrap_or(0);
        let opened_at = record.opened_at.valid().copied();
        let held = record.is_held();
        let (term, outage) = (self.term_shown(record), self.outage_shown(Some(record)));
        // An operator has judged the trip of this process.
        if held {
            self.reputation.settle();
        }
        if same_epoch && self.stands_against_unchanged_record() {
            return;
        }
        if same_epoch && self.is_hold_open_over(record) && self.keeps_own_opening() {
            return;
        }
        if let Phase::Open(opening) = &mut self.phase
            && opening.standing == Standing::Stored
            && same_epoch
        {
            // Entered again, it would begin a new epoch at each read.
            opening.failure_count = failure_count;
            opening.term = opening.term.or_longer(term);
            opening.outage = outage;
            return;
        }
        // The record is older than the opening of this process, which has failed since and keeps
        // its whole wait.
        let term = match &self.phase {
            Phase::Open(own) if same_epoch => own.term.or_longer(term),
            Phase::Open(_) | Phase::HalfOpen(_) | Phase::Closed { .. } => term,
        };
        let drawn = self.draw_turn();
        let (first_seen, last_seen_not_open_at, turn) = match &self.phase {
            Phase::Open(own) if same_epoch => (own.first_seen, own.last_seen_not_open_at, own.turn),
            // Most likely this process's own write, whose response was lost. It keeps
            // `Turn::Last`: the process that tripped does not probe first.
            Phase::Open(own) if own.opened_at == opened_at => {
                (self.now, last_seen_not_open_at, own.turn)
            }
            Phase::Open(_) | Phase::HalfOpen(_) | Phase::Closed { .. } => {
                (self.now, last_seen_not_open_at, drawn)
            }
        };
        let standing = Standing::Stored;
        let cause = if held { Cause::Hold } else { Cause::Elsewhere };
        self.commit(
            Phase::Open(Box::new(Opening {
                cause: cause.clone(),
                opened_at,
                failure_count,
                first_seen,
                last_seen_not_open_at,
                standing,
                turn,
                held,
                held_until: record.held_open_until(),
                term,
                outage,
            })),
            cause,
            Origin::Observed,
        );
    }

    /// Adopts a half-open record: as this process's own lease if it shows its token.
    fn adopt_half_open(&mut self, record: &Record, same_epoch: bool) {
        if same_epoch && self.stands_against_unchanged_record() {
            return;
        }
        // The response to the election was lost, or the lease is from before an outage.
        if let Some(election) = self.cache.election.clone()
            && record.owner == election.token.as_owner()
        {
            return self.adopt_own_lease(*election, record);
        }
        if same_epoch && self.keeps_own_opening() {
            return;
        }
        let opened_at = record.opened_at.valid().copied();
        let (shown_probes, outage) = (failed_probes(record), self.outage_shown(Some(record)));
        let turn = self.draw_turn();
        let fresh = OtherLease { since: self.now, first_seen: self.now, turn };
        match &mut self.phase {
            // Unchanged, its length counts from the first sight. Counted from each read, a
            // crashed holder's lease would never end for a process that reads often.
            Phase::HalfOpen(Recovery {
                prober: Prober::Other(_) | Prober::Nobody { .. }, ..
            }) if same_epoch => {}
            Phase::HalfOpen(Recovery {
                prober: prober @ (Prober::Other(_) | Prober::Nobody { .. }),
                before,
                ..
            }) => {
                let first_seen = match prober {
                    Prober::Other(other) => other.first_seen,
                    Prober::Nobody { .. } | Prober::Us(_) | Prober::Offline(_) => fresh.first_seen,
                };
                before.opened_at = opened_at;
                before.failed_probes = shown_probes;
                before.outage = outage;
                *prober = Prober::Other(Box::new(OtherLease { first_seen, ..fresh }));
            }
            Phase::HalfOpen(_) | Phase::Open(_) | Phase::Closed { .. } => {
                let prober = Prober::Other(Box::new(fresh));
                let recovery = self.recovery(opened_at, prober, Some(record));
                self.commit(Phase::HalfOpen(recovery), Cause::Elsewhere, Origin::Observed);
            }
        }
    }

    /// Returns `true` if an opening of this process stands for the rest of its time against a
    /// record that has not changed: a half-open one, or one whose hold open is over. Another open
    /// one keeps its time as well. Adopted, that record would have this process probe again at each
    /// read of it, while it cannot be written.
    ///
    /// It is not written: the record says that the fleet is to probe.
    fn keeps_own_opening(&mut self) -> bool {
        let Phase::Open(opening) = &self.phase else {
            return false;
        };
        // Once it is over, the record tells whether another process may be probing.
        let stays = opening.wait(self.now, &self.config) > Duration::ZERO;
        match opening.standing {
            Standing::Owed if stays => self.lapse(false),
            Standing::Lapsed { .. } if stays => {}
            Standing::Owed | Standing::Lapsed { .. } | Standing::Stored | Standing::Refuted => {
                return false;
            }
        }
        true
    }

    /// Adopts a record under a token of this process.
    fn adopt_own_lease(&mut self, election: Election, record: &Record) {
        if let Some(lease) = self.phase.our_lease_mut()
            && lease.token == election.token
        {
            // The write of the verdict was refused though the record permits it. Left in
            // `Settling`, the right would never be used; one more probe is safe.
            if lease.stage == Stage::Settling && self.pending.is_none() {
                lease.stage = Stage::HandedOver;
            }
            return;
        }
        if election.won {
            return self.resume_lease(election, record);
        }
        // This process has won after all: the response to its election was lost.
        self.on_elected(election.token, election.sent_at, election.from);
        if election.length != self.config.probe_lease()
            && let Some(lease) = self.phase.our_lease_mut()
        {
            // Its settings have changed since, and the stamp is of those before: renewed before it
            // is used, the lease is as long as this process takes it to be.
            lease.stage = Stage::HandedOver;
        }
    }

    fn resume_lease(&mut self, election: Election, record: &Record) {
        let successes = record.success_count.valid().copied().unwrap_or(0);
        let lease = OurLease::resumed(election.token, election.sent_at, successes);
        let opened_at = record.opened_at.valid().copied();
        let recovery = self.recovery(opened_at, Prober::Us(Box::new(lease)), Some(record));
        self.commit(Phase::HalfOpen(recovery), Cause::Elsewhere, Origin::Observed);
    }
}
