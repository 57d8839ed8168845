//! From a [`PendingWrite`] to an [`Operation`], and from its response to a [`Phase`].

use std::time::Duration;

use super::{
    Election, Machine, PendingWrite, TTL_SLACK, own_write::is_own_earlier_write, seconds_up,
};
use crate::{
    protocol::answer::StoreErrorKind,
    protocol::health::Access,
    protocol::machine::phase::{Phase, Recovery, Standing},
    protocol::machine::prober::{OtherLease, OurLease, Prober, Stage},
    protocol::moment::Moment,
    protocol::record::{Hints, LeaseToken, Operation, Record},
    transition::{Cause, Origin},
};

impl Machine {
    /// Makes the operation for the pending write, on the condition of the cached record;
    /// `None` if the phase or the record leaves nothing to write.
    pub(super) fn operation(&mut self) -> Option<Operation> {
        let expires_at = self.expires_at();
        let lease_until = self.now.unix_ceil(self.config.probe_lease());
        match self.pending.clone()? {
            PendingWrite::Trip => self.trip_operation(),
            PendingWrite::Elect => Some(self.election(lease_until, false)),
            PendingWrite::TakeOver => Some(self.election(lease_until, true)),
            PendingWrite::Renew { starts_probe } => {
                let token = self.token()?;
                let lease_until = self.later_lease(lease_until);
                let expires_at = self.expires_after(lease_until);
                Some(Operation::Renew { token, lease_until, expires_at, starts_probe })
            }
            PendingWrite::HandOver => {
                let lease_until = self.now.unix_ceil(self.config.handoff());
                // `success_count` stands on the record between probes only: what starts the next
                // one sets it to zero. Kept, it would let the process that takes over from a
                // holder lost in mid-probe close on good probes from before a failure.
                Some(Operation::HandOver {
                    token: self.token()?,
                    known_lease: self.cache.lease_until(),
                    success_count: self.successes(),
                    lease_until,
                    expires_at: self.expires_after(lease_until),
                })
            }
            // `success_count` goes back as it was before the probe: a probe without a verdict
            // neither counts nor breaks the streak.
            PendingWrite::GiveBack => Some(Operation::GiveBack {
                token: self.token()?,
                known_lease: self.cache.lease_until(),
                success_count: self.successes(),
                lease_until: self.already_past(),
                expires_at,
            }),
            PendingWrite::Close { token } => Some(Operation::Close { token, expires_at }),
            PendingWrite::Reopen { token, opening } => {
                let (opened_at, hints) = *opening;
                let expires_at = self.opening_expires_at();
                Some(Operation::Reopen { token, opened_at, expires_at, hints })
            }
        }
    }

    fn trip_operation(&mut self) -> Option<Operation> {
        // The look before the trip may have shown a closed record for the first time, which
        // tells how often the circuit failed before.
        self.go_on_from_cached();
        let Phase::Open(opening) = &self.phase else {
            return None;
        };
        Some(Operation::Trip {
            seen: self.cache.record().cloned(),
            failure_count: opening.failure_count,
            opened_at: opening.opened_at?,
            expires_at: self.opening_expires_at(),
            hints: opening.outage.hints(opening.term.hints(&self.config)),
        })
    }

    /// Returns when the store may delete the record of the opening of this process.
    fn opening_expires_at(&self) -> i64 {
        match &self.phase {
            // Only then: the end of an opening is rounded up, and with it every trip would
            // expire a second later than one of a version that knows no other length.
            Phase::Open(opening) if opening.term.length > self.config.recovery_timeout() => {
                opening.ends_at().map_or_else(|| self.expires_at(), |at| self.expires_after(at))
            }
            Phase::Open(_) | Phase::HalfOpen(_) | Phase::Closed { .. } => self.expires_at(),
        }
    }

    /// Returns `true` if the circuit is open, in the opening with this stamp.
    fn is_opening_of(&self, opened_at: i64) -> bool {
        matches!(&self.phase, Phase::Open(opening) if opening.opened_at == Some(opened_at))
    }

    /// Makes an election, or a take-over, on the condition of the cached record.
    fn election(&mut self, lease_until: i64, takes_over: bool) -> Operation {
        let Some(seen) = self.cache.record().cloned() else {
            return self.elect_on_absent(lease_until);
        };
        let expires_at = self.expires_after(lease_until);
        if takes_over {
            let token = self.elect(Some(seen.clone()), lease_until);
            Operation::TakeOver { seen, token, lease_until, expires_at }
        } else {
            let token = self.elect(None, lease_until);
            Operation::Elect { seen, token, lease_until, expires_at }
        }
    }

    /// Makes an election on an absent record, where the circuit is not closed. Otherwise a
    /// deleted record would send the full load of the fleet to a dependency that had failed.
    fn elect_on_absent(&mut self, lease_until: i64) -> Operation {
        let opened_at = self.phase.opened_at();
        let opened_at = opened_at.unwrap_or_else(|| self.now.unix_ceil(Duration::ZERO));
        let token = self.elect(None, lease_until);
        let expires_at = self.expires_after(lease_until);
        // The deleted record had told them.
        let hints = self.phase.outage().map_or(Hints::NONE, |outage| outage.hints(Hints::NONE));
        Operation::ElectAbsent { token, opened_at, lease_until, expires_at, hints }
    }

    /// Takes a write that the store has applied, now or in an earlier attempt.
    pub(super) fn applied(&mut self, operation: &Operation, sent_at: Moment) {
        self.clear_pending(operation);
        match operation {
            Operation::Trip { opened_at, .. } if self.is_opening_of(*opened_at) => {
                self.reputation.trip();
                self.on_opening_stored();
            }
            Operation::Reopen { opened_at, .. } if self.is_opening_of(*opened_at) => {
                self.on_opening_stored();
            }
            // The trip had lapsed, or this process has probed offline since. The record is
            // then as good as one that another process wrote.
            Operation::Trip { .. } | Operation::Reopen { .. } => {
                self.adopt(self.cache.record().cloned());
            }
            Operation::Elect { token, .. } | Operation::ElectAbsent { token, .. } => {
                self.on_elected(token.clone(), sent_at, None);
            }
            Operation::TakeOver { token, seen, .. } => {
                self.on_elected(token.clone(), sent_at, Some(seen.clone()));
            }
            Operation::Renew { starts_probe, .. } => {
                if let Some(lease) = self.phase.our_lease_mut() {
                    lease.renew(sent_at, *starts_probe);
                }
            }
            Operation::HandOver { .. } => {
                if let Some(lease) = self.phase.our_lease_mut() {
                    lease.stage = Stage::HandedOver;
                }
            }
            // Its token is spent: to probe again, this process has to be elected again.
            Operation::GiveBack { .. } => self.end_token(),
            Operation::Close { .. } => self.on_closed(),
            Operation::Hold { seen, opened_at, terms, .. } => {
                self.hold_here(*opened_at, terms.until);
                self.end_command_over(seen.as_ref());
            }
            Operation::HoldClosed { seen, .. } => {
                self.hold_closed_here();
                self.end_command_over(seen.as_ref());
            }
            Operation::Release { seen, .. } => {
                self.release_here(Origin::Local);
                self.end_command_over(Some(seen));
            }
        }
    }

    /// Takes a closing that was applied.
    fn on_closed(&mut self) {
        self.cache.election = None;
        match &mut self.phase {
            // This process closed the circuit already, while the store was out.
            Phase::Closed { by_offline_probes, .. } => *by_offline_probes = false,
            // It has also tripped again since. Closing now would drop the pending trip.
            Phase::Open(_) if self.pending == Some(PendingWrite::Trip) => return,
            Phase::Open(_) | Phase::HalfOpen(_) => {
                self.enter(Phase::CLOSED);
                self.start_ramp(Duration::ZERO);
            }
        }
        self.announce(Cause::ProbesSucceeded, Origin::Local);
    }

    /// Takes a refusal, which shows the record. Recognises an earlier attempt of the same
    /// write, and adopts any other record: a refusal is a read that costs nothing.
    pub(super) fn refused(
        &mut self,
        operation: &Operation,
        sent_at: Moment,
        shown: Option<Record>,
    ) {
        let is_own_write =
            shown.as_ref().is_some_and(|record| is_own_earlier_write(operation, record))
                && !self.may_be_of_another(operation, sent_at);
        if is_own_write {
            self.cache_record(shown);
            return self.applied(operation, sent_at);
        }
        let is_our_lease = shown.as_ref().is_some_and(|record| self.holds_lease_in(record));
        let ends_turn =
            matches!(operation, Operation::HandOver { .. } | Operation::GiveBack { .. });
        if is_our_lease && ends_turn && !operation.permits(shown.as_ref()) {
            // A late renewal of this process moved the lease, so that the condition on its end
            // failed. The pending write is made again, against the record shown.
            return self.cache_record(shown);
        }
        self.clear_pending(operation);
        if is_our_lease && ends_turn {
            // The store refuses what its own record permits. Written again, it would be
            // refused without end: the lease is left to end, as one of another process.
            self.cache_record(shown);
            self.cache.election = None;
            let (since, turn) = (self.now, self.draw_turn());
            let other = OtherLease { since, first_seen: since, turn };
            return self.phase.set_prober(Prober::Other(Box::new(other)));
        }
        if let Operation::Renew { starts_probe, .. } = operation
            && is_our_lease
        {
            // Another writer made the lease unreadable, or later than this renewal. A probe
            // that runs may still end; without one the token ends, and the right is taken over.
            self.cache_record(shown);
            if *starts_probe && self.pending.is_none() {
                self.end_token();
            }
            return;
        }
        let is_election = matches!(
            operation,
            Operation::Elect { .. } | Operation::TakeOver { .. } | Operation::ElectAbsent { .. }
        );
        if is_election && operation.permits(shown.as_ref()) {
            // The store refuses what its own record permits. The waiting calls would elect
            // again at once, and without end; a back-off slows them down.
            self.fail(Access::Write, StoreErrorKind::Throttled);
        }
        self.adopt_refused(operation, shown);
    }

    /// Returns `true` if the closing that the record shows may be that of another process in
    /// the same second. Only after the lease of this process had ended could another close.
    fn may_be_of_another(&self, operation: &Operation, sent_at: Moment) -> bool {
        let had_ended = |lease: &OurLease| !lease.is_live(sent_at, &self.config);
        matches!(operation, Operation::Close { .. })
            && self.phase.our_lease().is_some_and(had_ended)
    }

    /// Drops the pending write that `operation` was made for. One that was decided while it was
    /// in flight stays.
    fn clear_pending(&mut self, operation: &Operation) {
        self.pending.take_if(|write| write.is_done_by(operation));
    }

    /// Takes a write that got no response. An election or a renewal is dropped, and a call that
    /// still wants the probe asks again. A verdict stays pending, and holds here meanwhile.
    pub(super) fn on_write_failed(&mut self, operation: &Operation) {
        match operation {
            Operation::Trip { .. }
            | Operation::Reopen { .. }
            | Operation::Close { .. }
            | Operation::HandOver { .. }
            | Operation::GiveBack { .. } => {}
            Operation::Elect { .. }
            | Operation::ElectAbsent { .. }
            | Operation::TakeOver { .. }
            | Operation::Renew { .. }
            | Operation::Hold { .. }
            | Operation::HoldClosed { .. }
            | Operation::Release { .. } => self.clear_pending(operation),
        }
        self.decide_without_store();
    }

    /// Lets the decision behind the pending write hold here, because the store is out.
    pub(super) fn decide_without_store(&mut self) {
        // A store that throttles is alive, and the rest of the fleet uses it. If this process
        // closed or probed by itself now, a partition at its limit would leave a thousand
        // processes that each probe: the pending write waits for the back-off.
        if self.is_throttled() {
            return;
        }
        match &self.pending {
            Some(PendingWrite::Trip | PendingWrite::Reopen { .. }) => {
                self.announce_opening(Origin::WithoutStore);
            }
            Some(PendingWrite::Close { .. } | PendingWrite::HandOver | PendingWrite::GiveBack) => {
                if let Some(lease) = self.phase.our_lease().cloned() {
                    self.verdict_without_store(&lease);
                }
            }
            Some(PendingWrite::Elect | PendingWrite::TakeOver | PendingWrite::Renew { .. })
            | None => {}
        }
    }

    /// Enters half-open as the prober: this process was elected, or has taken over.
    pub(super) fn on_elected(
        &mut self,
        token: LeaseToken,
        leased_at: Moment,
        from: Option<Record>,
    ) {
        // A take-over counts on from the record that it saw, so that the good probes of the
        // last holder are not made again. A holder that was lost in mid-probe has left zero
        // there, since whatever starts a probe sets it to zero: that probe may have failed.
        let count = from.as_ref().and_then(|seen| seen.success_count.valid());
        let successes = count.copied().unwrap_or(0);
        let cause = match &from {
            Some(seen) => Cause::TakeOver {
                previous_owner: seen.owner.valid().cloned(),
                owner: token.as_str().into(),
            },
            None => Cause::RecoveryTimeout,
        };
        // A write under an older token would be refused.
        self.pending = None;
        let lease_until = leased_at.unix_ceil(self.config.probe_lease());
        self.cache.election = Some(Box::new(Election {
            token: token.clone(),
            sent_at: leased_at,
            length: self.config.probe_lease(),
            lease_until,
            from,
            won: true,
        }));
        let gave_back_at = match &self.phase {
            Phase::HalfOpen(Recovery { prober: Prober::Nobody { gave_back_at }, .. }) => {
                gave_back_at.as_deref().copied()
            }
            Phase::HalfOpen(_) | Phase::Closed { .. } | Phase::Open(_) => None,
        };
        let lease = OurLease { gave_back_at, ..OurLease::won(token, leased_at, successes) };
        // Not the phase first: this process may have closed or reopened the circuit since it
        // sent an election that it finds applied only now.
        let opened_at = self.cache.record().and_then(|record| record.opened_at.valid().copied());
        let opened_at = opened_at.or_else(|| self.phase.opened_at());
        let prober = Prober::Us(Box::new(lease));
        let recovery = self.recovery(opened_at, prober, self.cache.record());
        self.commit(Phase::HalfOpen(recovery), cause, Origin::Local);
    }

    /// Draws a token for an election that is about to be sent, and remembers it, in case the
    /// response is lost. Each attempt has its own: a shared one would let the late duplicate
    /// of an older election pass for the newer.
    fn elect(&mut self, from: Option<Record>, lease_until: i64) -> LeaseToken {
        let token = self.entropy.token();
        self.cache.election = Some(Box::new(Election {
            token: token.clone(),
            sent_at: self.now,
            length: self.config.probe_lease(),
            lease_until,
            from,
            won: false,
        }));
        token
    }

    /// Returns the end of a renewed lease, later by a second than the one on the record and
    /// than every lease before it under the same token. Of two equal ones, a write on the
    /// condition of the first would be applied to the second.
    fn later_lease(&mut self, lease_until: i64) -> i64 {
        // The store compares `L < :new`: an equal stamp would be refused as one of an older
        // renewal, and this process would give up a lease that it holds.
        let known = self.cache.lease_until().valid().copied().unwrap_or(i64::MIN);
        let later = lease_until.max(known.saturating_add(1));
        match &mut self.cache.election {
            Some(election) => {
                let later = later.max(election.lease_until.saturating_add(1));
                election.lease_until = later;
                later
            }
            None => later,
        }
    }

    /// Ends the token of this process, and frees the right to probe.
    fn end_token(&mut self) {
        self.cache.election = None;
        self.phase.set_prober(Prober::Nobody { gave_back_at: Some(Box::new(self.now)) });
    }

    fn holds_lease_in(&self, record: &Record) -> bool {
        self.phase.our_lease().is_some_and(|lease| record.is_leased_to(&lease.token))
    }

    /// Takes the current opening as stored, and tells subscribers of it as this process's own.
    fn on_opening_stored(&mut self) {
        if let Phase::Open(opening) = &mut self.phase {
            opening.standing = Standing::Stored;
        }
        self.announce_opening(Origin::Local);
    }

    fn token(&self) -> Option<LeaseToken> {
        self.phase.our_lease().map(|lease| lease.token.clone())
    }

    fn successes(&self) -> u64 {
        self.phase.our_lease().map_or(0, |lease| lease.successes)
    }

    pub(in crate::protocol::machine) fn expires_at(&self) -> i64 {
        self.now.unix_floor(Duration::ZERO).saturating_add(self.life())
    }

    /// Returns how long a record lives, in whole seconds, if no lease or hold needs it longer.
    pub(in crate::protocol::machine) fn life(&self) -> i64 {
        self.life_after(self.config.recovery_timeout())
    }

    /// Returns how long a record lives that is written under this `recovery_timeout`.
    pub(in crate::protocol::machine) fn life_after(&self, timeout: Duration) -> i64 {
        seconds_up(timeout).saturating_add(seconds_up(TTL_SLACK))
    }

    /// Returns when the store may delete a record that is needed until `until`.
    fn expires_after(&self, until: i64) -> i64 {
        self.expires_at().max(until.saturating_add(seconds_up(TTL_SLACK)))
    }

    /// Returns the end of a lease that is given back. `max_clock_skew` in the past, so that a
    /// process whose clock is that much behind need not wait either.
    fn already_past(&self) -> i64 {
        let skew = seconds_up(self.config.max_clock_skew());
        self.now.unix_floor(Duration::ZERO).saturating_sub(skew)
    }
}
