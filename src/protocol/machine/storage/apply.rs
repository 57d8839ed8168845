//! From a want to a conditional write, and from its answer to a phase.

use std::time::Duration;

use super::{CommandResult, Election, Machine, PendingWrite, TTL_SLACK, seconds_up};
use crate::{
    protocol::answer::StoreErrorKind,
    protocol::health::Access,
    protocol::machine::phase::{OtherLease, OurLease, Phase, Prober, Recovery, Stage, Standing},
    protocol::moment::Moment,
    protocol::record::{Field, LeaseToken, Operation, Record},
    state::CircuitState,
    transition::{Cause, Origin},
};

impl Machine {
    /// The write that is wanted, on the condition of what is known; `None` if
    /// what is known leaves nothing to write.
    pub(super) fn operation(&mut self) -> Option<Operation> {
        let expires_at = self.expires_at();
        let lease_until = self.now.unix_ceil(self.config.probe_lease());
        match self.pending.clone()? {
            PendingWrite::Trip => {
                let Phase::Open(opening) = &self.phase else {
                    return None;
                };
                Some(Operation::Trip {
                    seen: self.cache.record().cloned(),
                    failure_count: opening.failure_count,
                    opened_at: opening.opened_at?,
                    expires_at,
                })
            }
            PendingWrite::Elect => {
                let Some(seen) = self.cache.record().cloned() else {
                    return self.elect_on_nothing(lease_until);
                };
                let token = self.elect(None, lease_until);
                let expires_at = self.expires_after(lease_until);
                Some(Operation::Elect { seen, token, lease_until, expires_at })
            }
            PendingWrite::TakeOver => {
                let Some(seen) = self.cache.record().cloned() else {
                    return self.elect_on_nothing(lease_until);
                };
                let token = self.elect(Some(seen.clone()), lease_until);
                let expires_at = self.expires_after(lease_until);
                Some(Operation::TakeOver { seen, token, lease_until, expires_at })
            }
            PendingWrite::Renew { starts_probe } => {
                let token = self.token()?;
                let lease_until = self.later_lease(lease_until);
                let expires_at = self.expires_after(lease_until);
                Some(Operation::Renew { token, lease_until, expires_at, starts_probe })
            }
            PendingWrite::HandOver => {
                let lease_until = self.now.unix_ceil(self.config.handoff());
                Some(Operation::HandOver {
                    token: self.token()?,
                    known_lease: self.cache.lease_until(),
                    success_count: self.successes(),
                    lease_until,
                    expires_at: self.expires_after(lease_until),
                })
            }
            PendingWrite::GiveBack => Some(Operation::GiveBack {
                token: self.token()?,
                known_lease: self.cache.lease_until(),
                success_count: self.successes(),
                lease_until: self.already_past(),
                expires_at,
            }),
            PendingWrite::Close { token } => Some(Operation::Close { token, expires_at }),
            PendingWrite::Reopen { token, opened_at } => {
                Some(Operation::Reopen { token, opened_at, expires_at })
            }
        }
    }

    fn is_opening_of(&self, opened_at: i64) -> bool {
        matches!(&self.phase, Phase::Open(opening) if opening.opened_at == Some(opened_at))
    }

    /// An election where the record of a circuit that is not closed has vanished.
    fn elect_on_nothing(&mut self, lease_until: i64) -> Option<Operation> {
        let opened_at = self.phase.opened_at();
        let opened_at = opened_at.unwrap_or_else(|| self.now.unix_ceil(Duration::ZERO));
        let token = self.elect(None, lease_until);
        let expires_at = self.expires_after(lease_until);
        Some(Operation::ElectAbsent { token, opened_at, lease_until, expires_at })
    }

    /// The store applied a write, or was found to have applied it before.
    pub(super) fn applied(&mut self, operation: &Operation, sent_at: Moment) {
        self.clear_pending(operation);
        match operation {
            // One that had lapsed, and lands after a newer opening was decided.
            Operation::Trip { opened_at, .. } if !self.is_opening_of(*opened_at) => {
                self.adopt(self.cache.record().cloned());
            }
            Operation::Trip { .. } => {
                self.opening_is_stored();
                self.reputation.trip();
                self.announce_opening(Origin::Local);
            }
            Operation::Reopen { opened_at, .. } => {
                if self.is_opening_of(*opened_at) {
                    self.opening_is_stored();
                    self.announce_opening(Origin::Local);
                } else {
                    // Probed alone since: it is taken like what others write.
                    self.adopt(self.cache.record().cloned());
                }
            }
            Operation::Elect { token, .. } | Operation::ElectAbsent { token, .. } => {
                self.on_elected(token.clone(), sent_at, None);
            }
            Operation::TakeOver { token, seen, .. } => {
                self.on_elected(token.clone(), sent_at, Some(seen.clone()));
            }
            Operation::Renew { starts_probe, .. } => {
                if let Some(ours) = self.ours() {
                    ours.written_at = sent_at;
                    ours.leased_at = sent_at;
                    if *starts_probe {
                        ours.stage = Stage::Ready;
                    }
                }
            }
            Operation::HandOver { .. } => {
                if let Some(ours) = self.ours() {
                    ours.stage = Stage::HandedOver;
                }
            }
            Operation::GiveBack { .. } => self.give_up(),
            Operation::Close { .. } => {
                self.cache.election = None;
                match &mut self.phase {
                    // Closed here already, while the store was out.
                    Phase::Closed { by_offline_probes } => *by_offline_probes = false,
                    // Closed here, and tripped again since: that comes next.
                    Phase::Open(_) if self.pending == Some(PendingWrite::Trip) => return,
                    Phase::Open(_) | Phase::HalfOpen(_) => {
                        self.enter(Phase::CLOSED);
                    }
                }
                self.announce(Cause::ProbesSucceeded, Origin::Local);
            }
            Operation::Hold { opened_at, .. } => self.hold_here(*opened_at),
            Operation::Release { .. } => {
                self.release_here(Origin::Local);
                self.end_command(CommandResult::Done);
            }
        }
    }

    /// The store refused a write and showed the record as it stands: an own
    /// earlier write is recognised, anything else is adopted.
    pub(super) fn refused(
        &mut self,
        operation: &Operation,
        sent_at: Moment,
        shown: Option<Record>,
    ) {
        let ours = shown.as_ref().is_some_and(|record| is_own_earlier_write(operation, record))
            && !self.may_be_of_another(operation, sent_at);
        if ours {
            self.cache_record(shown);
            return self.applied(operation, sent_at);
        }
        let is_our_lease = shown.as_ref().is_some_and(|record| self.holds_lease_in(record));
        let ends_turn =
            matches!(operation, Operation::HandOver { .. } | Operation::GiveBack { .. });
        if is_our_lease && ends_turn && !operation.permits(shown.as_ref()) {
            // A late renewal of ours moved the lease: the want stands.
            return self.cache_record(shown);
        }
        self.clear_pending(operation);
        if is_our_lease && ends_turn {
            // The store refuses what its own record permits: the lease is left to end.
            self.cache_record(shown);
            self.cache.election = None;
            let (since, turn) = (self.now, self.draw_turn());
            if let Phase::HalfOpen(Recovery { prober, .. }) = &mut self.phase {
                *prober = Prober::Other(Box::new(OtherLease { since, first_seen: since, turn }));
            }
            return;
        }
        if let Operation::Renew { starts_probe, .. } = operation
            && is_our_lease
        {
            // Somebody made the lease unreadable, or later than ours. A probe that
            // runs may still end; otherwise the token does, and the right is
            // taken over.
            self.cache_record(shown);
            if *starts_probe && self.pending.is_none() {
                self.give_up();
            }
            return;
        }
        let is_election = matches!(
            operation,
            Operation::Elect { .. } | Operation::TakeOver { .. } | Operation::ElectAbsent { .. }
        );
        if is_election && operation.permits(shown.as_ref()) {
            // Its own record permits it: waiting calls would ask again at once, and
            // without end.
            self.fail(Access::Write, StoreErrorKind::Throttled);
        }
        self.adopt_refused(operation, shown);
    }

    /// Whether a closing that looks like this one may be another's of the same
    /// second: only once our lease had ended could another close.
    fn may_be_of_another(&self, operation: &Operation, sent_at: Moment) -> bool {
        match &self.phase {
            Phase::HalfOpen(Recovery { prober: Prober::Us(ours), .. }) => {
                matches!(operation, Operation::Close { .. })
                    && !sent_at.is_within(ours.leased_at, self.config.probe_lease())
            }
            Phase::HalfOpen(_) | Phase::Closed { .. } | Phase::Open(_) => false,
        }
    }

    /// A write has ended. What was decided while it was under way still stands.
    fn clear_pending(&mut self, operation: &Operation) {
        self.pending.take_if(|want| want.is_done_by(operation));
    }

    /// A write has no answer: an election or a renewal is not pursued; what was
    /// decided holds here.
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
            | Operation::Release { .. } => self.clear_pending(operation),
        }
        self.decide_without_store();
    }

    /// The store is out: what was decided holds here, and what the store is
    /// owed is kept where it can still be of use. One that is throttled is not out:
    /// what it is owed is written when it may be asked again.
    pub(super) fn decide_without_store(&mut self) {
        if self.is_throttled() {
            return;
        }
        match &self.pending {
            Some(PendingWrite::Trip | PendingWrite::Reopen { .. }) => {
                self.announce_opening(Origin::WithoutStore);
            }
            Some(PendingWrite::Close { .. } | PendingWrite::HandOver | PendingWrite::GiveBack) => {
                if let Some(ours) = self.ours().cloned() {
                    self.verdict_without_store(&ours);
                }
            }
            Some(PendingWrite::Elect | PendingWrite::TakeOver | PendingWrite::Renew { .. })
            | None => {}
        }
    }

    /// This process holds the right to probe.
    pub(super) fn on_elected(
        &mut self,
        token: LeaseToken,
        leased_at: Moment,
        from: Option<Record>,
    ) {
        // The winner of a takeover counts on from the record that it saw.
        let count = from.as_ref().and_then(|seen| seen.success_count.valid());
        let successes = count.copied().unwrap_or(0);
        let cause = match &from {
            Some(seen) => Cause::TakeOver {
                previous_owner: seen.owner.valid().cloned(),
                owner: token.as_str().into(),
            },
            None => Cause::RecoveryTimeout,
        };
        // Whatever was decided under an older token is fenced off.
        self.pending = None;
        let lease_until = leased_at.unix_ceil(self.config.probe_lease());
        self.cache.election = Some(Box::new(Election {
            token: token.clone(),
            sent_at: leased_at,
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
        let ours = OurLease {
            token,
            written_at: leased_at,
            leased_at,
            successes,
            stage: Stage::Ready,
            kept_since: None,
            gave_back_at,
        };
        // An election that is found late may have been forgotten meanwhile.
        let opened_at = self.cache.record().and_then(|record| record.opened_at.valid().copied());
        self.commit(
            Phase::HalfOpen(Recovery {
                opened_at: opened_at.or_else(|| self.phase.opened_at()),
                prober: Prober::Us(Box::new(ours)),
            }),
            cause,
            Origin::Local,
        );
    }

    /// A fresh token for an election that is about to be sent.
    fn elect(&mut self, from: Option<Record>, lease_until: i64) -> LeaseToken {
        let token = self.entropy.token();
        self.cache.election = Some(Box::new(Election {
            token: token.clone(),
            sent_at: self.now,
            lease_until,
            from,
            won: false,
        }));
        token
    }

    /// The end of a renewed lease: in whole seconds too, later than what stands
    /// there, and than every lease before it under the same token.
    fn later_lease(&mut self, lease_until: i64) -> i64 {
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

    /// The token of this process has ended; nobody probes.
    fn give_up(&mut self) {
        self.cache.election = None;
        if let Phase::HalfOpen(Recovery { prober, .. }) = &mut self.phase {
            *prober = Prober::Nobody { gave_back_at: Some(Box::new(self.now)) };
        }
    }

    fn holds_lease_in(&self, record: &Record) -> bool {
        match &self.phase {
            Phase::HalfOpen(Recovery { prober: Prober::Us(ours), .. }) => {
                record.is_leased_to(&ours.token)
            }
            Phase::HalfOpen(_) | Phase::Closed { .. } | Phase::Open(_) => false,
        }
    }

    fn opening_is_stored(&mut self) {
        if let Phase::Open(opening) = &mut self.phase {
            opening.standing = Standing::Stored;
        }
    }

    fn ours(&mut self) -> Option<&mut OurLease> {
        match &mut self.phase {
            Phase::HalfOpen(Recovery { prober: Prober::Us(ours), .. }) => Some(ours),
            Phase::HalfOpen(_) | Phase::Closed { .. } | Phase::Open(_) => None,
        }
    }

    fn token(&mut self) -> Option<LeaseToken> {
        self.ours().map(|ours| ours.token.clone())
    }

    fn successes(&mut self) -> u64 {
        self.ours().map_or(0, |ours| ours.successes)
    }

    pub(in crate::protocol::machine) fn expires_at(&self) -> i64 {
        self.now.unix_floor(Duration::ZERO).saturating_add(self.life())
    }

    /// How long a record lives, in whole seconds, if no lease or hold needs it for longer.
    pub(super) fn life(&self) -> i64 {
        seconds_up(self.config.recovery_timeout()).saturating_add(seconds_up(TTL_SLACK))
    }

    /// When the store may delete a record that is needed until then.
    fn expires_after(&self, until: i64) -> i64 {
        self.expires_at().max(until.saturating_add(seconds_up(TTL_SLACK)))
    }

    /// A lease end that nobody within the tolerated skew has to wait for.
    fn already_past(&self) -> i64 {
        let skew = seconds_up(self.config.max_clock_skew());
        self.now.unix_floor(Duration::ZERO).saturating_sub(skew)
    }
}

/// Whether the record that refused a write was made by an earlier attempt of
/// the same write, whose answer was lost.
fn is_own_earlier_write(operation: &Operation, record: &Record) -> bool {
    match operation {
        Operation::Elect { token, .. }
        | Operation::ElectAbsent { token, .. }
        | Operation::TakeOver { token, .. } => record.is_leased_to(token),
        Operation::Renew { token, lease_until, .. } => {
            record.is_leased_to(token) && record.lease_until == Field::Valid(*lease_until)
        }
        Operation::HandOver { token, success_count, lease_until, .. }
        | Operation::GiveBack { token, success_count, lease_until, .. } => {
            record.is_leased_to(token)
                && record.lease_until == Field::Valid(*lease_until)
                && record.success_count == Field::Valid(*success_count)
        }
        // Without `released` an operator's release of the same second would be told as
        // our closing, and as the operator's.
        Operation::Close { expires_at, .. } => {
            record.state == Field::Valid(CircuitState::Closed)
                && record.expires_at == Field::Valid(*expires_at)
                && !record.is_released()
        }
        Operation::Hold { owner, opened_at, expires_at, .. } => {
            record.is_held()
                && record.owner == Field::Valid(owner.clone())
                && record.opened_at == Field::Valid(*opened_at)
                && record.expires_at == Field::Valid(*expires_at)
        }
        Operation::Release { released_at, expires_at, .. } => {
            record.state == Field::Valid(CircuitState::Closed)
                && record.expires_at == Field::Valid(*expires_at)
                && record.released == Field::Valid(*released_at)
        }
        // A trip or a reopening carries nothing that is only ours.
        Operation::Trip { .. } | Operation::Reopen { .. } => false,
    }
}
