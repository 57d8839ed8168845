//! The end of a call: trips of the counting, and the verdicts of probes.

use std::{num::NonZeroU32, time::Duration};

use super::{
    CallId, Machine,
    phase::{Opening, Phase, SECOND, Standing, Term},
    prober::{OfflineProbes, OurLease, Prober, RunningProbe, Stage, Turn},
    storage::PendingWrite,
};
use crate::{
    protocol::counting::Trip,
    protocol::health::Access,
    protocol::moment::Moment,
    transition::{Cause, Origin},
};

/// How a call ended, as the holder of its permit reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallEnd {
    /// The dependency answered well.
    Success,
    /// The dependency failed.
    Failure,
    /// The call says nothing about the dependency.
    Ignored,
    /// The call was never finished.
    Dropped,
    /// The dependency failed, and said for how many seconds it is not to be called.
    OpenFor(NonZeroU32),
}

impl CallEnd {
    /// The end of a call that asked for an open time: in whole seconds, at least one.
    #[cold]
    pub(crate) fn open_for(time: Duration) -> Self {
        let up = u64::from(time.subsec_nanos() > 0);
        let seconds = u32::try_from(time.as_secs().saturating_add(up)).unwrap_or(u32::MAX);
        Self::OpenFor(NonZeroU32::new(seconds).unwrap_or(NonZeroU32::MIN))
    }

    pub(crate) fn is_failure(self) -> bool {
        match self {
            Self::Failure | Self::OpenFor(_) => true,
            Self::Success | Self::Ignored | Self::Dropped => false,
        }
    }

    /// Returns the open time that the call asked for.
    pub(crate) fn open_time(self) -> Option<NonZeroU32> {
        match self {
            Self::OpenFor(seconds) => Some(seconds),
            Self::Success | Self::Failure | Self::Ignored | Self::Dropped => None,
        }
    }
}

impl Machine {
    /// Opens the circuit because a rule has tripped. A trip of an older epoch, or of a circuit
    /// that is not closed, changes nothing: its failures are from before the state changed. Nor
    /// does one of a circuit that an operator holds closed.
    pub(crate) fn trip(&mut self, now: Moment, trip: &Trip) {
        self.advance(now);
        if trip.epoch == self.epoch && matches!(self.phase, Phase::Closed { .. }) {
            self.used_at = self.now;
            if self.is_held_closed() {
                return self.would_open();
            }
            self.open_tripped(trip);
        }
    }

    /// Takes the end of a probe. A call that is not the current probe changes nothing.
    pub(crate) fn report(&mut self, now: Moment, call: CallId, end: CallEnd) {
        self.advance(now);
        self.used_at = self.now;
        // A freeze cuts connections: the failure of a probe that ran through one says nothing
        // about the dependency, and must not reopen the circuit for the fleet.
        let is_cut_off = end.is_failure() && self.probes.is_cut_off(call.probe);
        self.report_probe(call, if is_cut_off { CallEnd::Ignored } else { end });
    }

    /// Returns `true` if this call is the current probe.
    pub(crate) fn is_probing(&self, call: CallId) -> bool {
        let Phase::HalfOpen(recovery) = &self.phase else {
            return false;
        };
        recovery.prober.running().is_some_and(|probe| call.probe == Some(probe.id))
    }

    /// Keeps the lease of a running probe, whose holder is alive: renews it once a third has
    /// passed, so that two renewals may fail before it ends. A probe that runs for longer than
    /// `probe_limit` is no longer renewed: it hangs, and others have to be able to take over.
    pub(crate) fn keep_alive(&mut self, now: Moment, call: CallId) {
        self.advance(now);
        let lease_length = self.config.probe_lease();
        let third = lease_length.checked_div(3).unwrap_or(lease_length);
        // Each renewal needs a later stamp, and stamps are whole seconds. A third of a short
        // lease is less than that, so that the stamp would run ahead of the lease, and others
        // would wait for too long after a crash. So a stamp that reaches far enough is used
        // again for a second; others that go by an unchanged record wait a second longer.
        let stamp = self.cache.record().and_then(|record| record.lease_until.valid());
        let reaches = stamp.is_some_and(|until| *until >= self.now.unix_ceil(lease_length));
        if let Phase::HalfOpen(recovery) = &mut self.phase
            && let Some(probe) = recovery.prober.running()
            && call.probe == Some(probe.id)
            && self.now.since(probe.started_at) < self.config.probe_limit()
        {
            match &mut recovery.prober {
                Prober::Us(lease) => {
                    if self.pending.is_some() || self.now.since(lease.leased_at) < third {
                        return;
                    }
                    if reaches && self.now.since(lease.written_at) <= SECOND {
                        lease.leased_at = self.now;
                        return;
                    }
                    self.pending = Some(PendingWrite::Renew { starts_probe: false });
                    self.dispatch();
                }
                Prober::Offline(offline) => {
                    if self.now.is_within(probe.alive_at, lease_length) {
                        offline.probe = Some(RunningProbe { alive_at: self.now, ..probe });
                    }
                }
                Prober::Other(_) | Prober::Nobody { .. } => {}
            }
        }
    }

    /// Opens the circuit for a trip: in the store, or here only if the trip is refuted. A trip
    /// is refuted if this process is contradicted (see [`Reputation`](super::Reputation)).
    fn open_tripped(&mut self, trip: &Trip) {
        // The record may still show a token of this process, whose closing was sent and may
        // be applied late. Resumed, it would probe in an epoch that has failed since.
        self.cache.election = None;
        let term = self.term_of_trip(self.stamp(), trip.open_for);
        if trip.refuted {
            return self.open_refuted(trip.count, term);
        }
        self.reputation.restore();
        let trip_write = Some(PendingWrite::Trip);
        self.open(trip.count, trip_write, Standing::Owed, trip.cause.clone(), term);
        self.dispatch();
    }

    /// Opens the circuit in this process only, and writes nothing.
    fn open_refuted(&mut self, failure_count: u64, term: Term) {
        self.open(failure_count, None, Standing::Refuted, Cause::Refuted, term);
        self.dispatch();
    }

    /// Returns the stamp of an opening that begins now.
    fn stamp(&self) -> i64 {
        self.now.unix_ceil(Duration::ZERO)
    }

    /// Returns `true` if the store cannot be written to. A store that throttles can be, later:
    /// nothing is decided without it.
    fn is_store_out(&self) -> bool {
        !self.health.is_usable(Access::Write, self.now) && !self.is_throttled()
    }

    /// Opens the circuit here at once; `pending` writes it to the store.
    ///
    /// Subscribers are told when that write was applied, and then only if this process was
    /// first: otherwise each process of a fleet would announce the same opening as its own.
    /// They are told now if no write is to be made, or the store is out.
    fn open(
        &mut self,
        failure_count: u64,
        pending: Option<PendingWrite>,
        standing: Standing,
        cause: Cause,
        term: Term,
    ) {
        let is_told_now = pending.is_none() || self.is_store_out();
        let outage = self.outage_of_opening(&cause);
        self.pending = pending;
        self.enter(Phase::Open(Box::new(Opening {
            cause,
            opened_at: Some(self.stamp()),
            failure_count,
            first_seen: self.now,
            last_seen_not_open_at: Some(self.now),
            standing,
            // The process that trips is the one whose own way to the dependency is most
            // likely broken. If it probed first, it would reopen the circuit for all.
            turn: Turn::Last,
            held: false,
            held_until: None,
            term,
            outage,
        })));
        if is_told_now {
            self.announce_opening(Origin::WithoutStore);
        }
    }

    fn report_probe(&mut self, call: CallId, end: CallEnd) {
        let Phase::HalfOpen(recovery) = &mut self.phase else {
            return;
        };
        if recovery.prober.running().is_none_or(|probe| call.probe != Some(probe.id)) {
            return;
        }
        match &mut recovery.prober {
            Prober::Us(lease) => {
                let lease = lease.clone();
                self.judge_probe(*lease, end);
            }
            Prober::Offline(offline) => {
                offline.probe = None;
                if end == CallEnd::Success {
                    offline.successes = offline.successes.saturating_add(1);
                }
                let offline = **offline;
                self.judge_offline_probe(offline, end);
            }
            Prober::Other(_) | Prober::Nobody { .. } => {}
        }
        self.dispatch();
    }

    fn judge_probe(&mut self, mut lease: OurLease, end: CallEnd) {
        lease.stage = Stage::Settling;
        match end {
            CallEnd::Failure | CallEnd::OpenFor(_) => return self.reopen(lease, end),
            CallEnd::Success => {
                let enough = lease.count_success() >= self.config.success_threshold().get();
                // Its own probes have found the dependency recovered, so that others which
                // close the circuit later do not contradict it.
                if enough {
                    self.reputation.settle();
                }
                self.pending = Some(if enough {
                    PendingWrite::Close { token: lease.token.clone() }
                } else {
                    PendingWrite::HandOver
                });
            }
            CallEnd::Ignored | CallEnd::Dropped if self.keeps(&mut lease, end) => {
                lease.stage = Stage::Ready;
            }
            CallEnd::Ignored | CallEnd::Dropped => self.give_back(),
        }
        if self.is_store_out() {
            return self.verdict_without_store(&lease);
        }
        self.phase.set_prober(Prober::Us(Box::new(lease)));
    }

    /// Returns `true` if the right is kept for the next call after a probe without a verdict.
    ///
    /// | the probe was | gave back within the last `handoff` | kept |
    /// |---|---|---|
    /// | ignored | either | for one `handoff` |
    /// | dropped | no | not at all: this process may have no further call |
    /// | dropped | yes | for one `handoff`: callers that leave in turn would cost two writes each |
    fn keeps(&self, lease: &mut OurLease, end: CallEnd) -> bool {
        let right_stays_for = self.right_stays_for();
        let is_recent = |at: Moment| self.now.since(at) < right_stays_for;
        let kept_since = lease.keep(self.now);
        let gave_back_recently = lease.gave_back_at.is_some_and(is_recent);
        is_recent(kept_since) && (end == CallEnd::Ignored || gave_back_recently)
    }

    /// Opens the circuit again after a failed probe.
    fn reopen(&mut self, lease: OurLease, end: CallEnd) {
        // A token that saw a failure never closes. Its one remaining write is the reopening,
        // repeated until it is applied or refused; if the token were resumed, good probes
        // after the failure could close the circuit with the good ones before it.
        self.cache.election = None;
        let opened_at = self.stamp();
        let term = self.term_of_reopening(opened_at, end.open_time());
        let opening = Box::new((opened_at, term.hints(&self.config)));
        let write = PendingWrite::Reopen { token: lease.token, opening };
        self.open(0, Some(write), Standing::Owed, cause_of_reopening(end), term);
    }

    /// Acts on the verdict of a probe while the store is out. A pending write stays only if it
    /// can still be of use when the store is back.
    pub(super) fn verdict_without_store(&mut self, lease: &OurLease) {
        match &self.pending {
            // Stays pending: until it is applied, all other processes reject calls.
            Some(PendingWrite::Close { .. }) => {
                self.commit(Phase::CLOSED, Cause::ProbesSucceeded, Origin::WithoutStore);
                self.start_ramp(Duration::ZERO);
            }
            Some(PendingWrite::HandOver) => {
                // This process goes on, renewing first. A hand-over that arrives late would
                // shorten the lease of its next probe.
                self.pending = None;
                let lease = OurLease { stage: Stage::HandedOver, ..lease.clone() };
                self.phase.set_prober(Prober::Us(Box::new(lease)));
            }
            Some(PendingWrite::GiveBack) => {
                // Not repeated: the lease will have ended by the time the store is back.
                self.pending = None;
                self.phase.set_prober(Prober::Nobody { gave_back_at: Some(Box::new(self.now)) });
            }
            Some(
                PendingWrite::Trip
                | PendingWrite::Elect
                | PendingWrite::TakeOver
                | PendingWrite::Renew { .. }
                | PendingWrite::Reopen { .. },
            )
            | None => {}
        }
    }

    fn judge_offline_probe(&mut self, offline: OfflineProbes, end: CallEnd) {
        match end {
            CallEnd::Failure | CallEnd::OpenFor(_) => {
                // The record may still show a token of this process. It has seen a failure, and
                // may not close.
                self.cache.election = None;
                // The failure of a contradicted process says nothing for the fleet. Otherwise
                // its opening would be pending, and written as soon as the record is deleted.
                let term = self.term_of_reopening(self.stamp(), end.open_time());
                if offline.refuted || self.reputation.is_contradicted() {
                    return self.open_refuted(0, term);
                }
                let (trip, cause) = (Some(PendingWrite::Trip), cause_of_reopening(end));
                self.open(0, trip, Standing::Owed, cause, term);
            }
            CallEnd::Success if offline.successes >= self.config.success_threshold().get() => {
                // A refuted process stays contradicted until it has had enough good calls: with
                // 60 % of its calls failing, some probes succeed as well.
                if !offline.refuted {
                    self.reputation.settle();
                }
                self.commit(
                    Phase::Closed { by_offline_probes: true, ramp: None },
                    Cause::ProbesSucceeded,
                    Origin::WithoutStore,
                );
                self.start_ramp(Duration::ZERO);
            }
            CallEnd::Success | CallEnd::Ignored | CallEnd::Dropped => {}
        }
    }
}

/// Returns the cause of the opening that follows a failed probe.
fn cause_of_reopening(end: CallEnd) -> Cause {
    if end.open_time().is_some() { Cause::OpenFor } else { Cause::ProbeFailed }
}
