//! What the end of a call means.

use std::time::Duration;

use super::{
    CallId, Machine,
    phase::{
        OfflineProbes, Opening, OurLease, Phase, Prober, Recovery, RunningProbe, SECOND, Stage,
        Standing, Turn,
    },
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
}

impl Machine {
    /// The rules said trip. One that was found in an older epoch, or while the circuit
    /// is not closed, changes nothing.
    pub(crate) fn trip(&mut self, now: Moment, trip: &Trip) {
        self.advance(now);
        if trip.epoch == self.epoch && matches!(self.phase, Phase::Closed { .. }) {
            self.used_at = self.now;
            self.open_tripped(trip);
        }
    }

    /// Takes the verdict of a probe into account. One that is not the current probe
    /// changes nothing.
    pub(crate) fn report(&mut self, now: Moment, pass: CallId, report: CallEnd) {
        self.advance(now);
        self.used_at = self.now;
        let is_cut_off = report == CallEnd::Failure && self.probes.is_cut_off(pass.probe);
        self.report_probe(pass, if is_cut_off { CallEnd::Ignored } else { report });
    }

    /// Whether this call is the probe whose verdict is awaited.
    pub(crate) fn is_probing(&self, pass: CallId) -> bool {
        let Phase::HalfOpen(recovery) = &self.phase else {
            return false;
        };
        recovery.prober.running().is_some_and(|probe| pass.probe == Some(probe.id))
    }

    /// The holder of a probe is alive: its lease is renewed at a third, for as long
    /// as one probe may take in all.
    pub(crate) fn keep_alive(&mut self, now: Moment, pass: CallId) {
        self.advance(now);
        let lease = self.config.probe_lease();
        let third = lease.checked_div(3).unwrap_or(lease);
        // A third of a short lease is less than the second that a write adds: the
        // stamp would run ahead. Others who go by what they saw unchanged wait
        // for a second more than a lease, as long as the stamp may be reused.
        let stamp = self.cache.record().and_then(|record| record.lease_until.valid());
        let reaches = stamp.is_some_and(|until| *until >= self.now.unix_ceil(lease));
        if let Phase::HalfOpen(recovery) = &mut self.phase
            && let Some(probe) = recovery.prober.running()
            && pass.probe == Some(probe.id)
            && self.now.since(probe.started_at) < self.config.probe_limit()
        {
            match &mut recovery.prober {
                Prober::Us(ours) => {
                    if self.pending.is_some() || self.now.since(ours.leased_at) < third {
                        return;
                    }
                    if reaches && self.now.since(ours.written_at) <= SECOND {
                        ours.leased_at = self.now;
                        return;
                    }
                    self.pending = Some(PendingWrite::Renew { starts_probe: false });
                    self.dispatch();
                }
                Prober::Offline(alone) => {
                    if self.now.is_within(probe.alive_at, lease) {
                        alone.probe = Some(RunningProbe { alive_at: self.now, ..probe });
                    }
                }
                Prober::Other(_) | Prober::Nobody { .. } => {}
            }
        }
    }

    /// A trip that is refuted opens the circuit here alone: others closed by their
    /// probes what this process tripped before, and it has failed again since without
    /// enough good calls, so that most likely its own way to the dependency is broken.
    fn open_tripped(&mut self, trip: &Trip) {
        // A token of ours may still stand, and its closing may land late: it does
        // not probe again.
        self.cache.election = None;
        if trip.refuted {
            return self.open_alone(trip.count);
        }
        self.reputation.restore();
        let trip_write = Some(PendingWrite::Trip);
        self.open(trip.count, trip_write, Standing::Owed, Cause::FailureThreshold);
        self.dispatch();
    }

    /// Opens in this process alone: nothing is written.
    fn open_alone(&mut self, failure_count: u64) {
        self.open(failure_count, None, Standing::Refuted, Cause::Refuted);
        self.dispatch();
    }

    /// Whether the store cannot be written to. One that is throttled can, later.
    fn is_store_out(&self) -> bool {
        !self.health.is_usable(Access::Write, self.now) && !self.is_throttled()
    }

    /// Opens here and now; the store is told by `pending`. Subscribers are told when that
    /// write has landed, or now if nothing is to be written, or cannot be.
    fn open(
        &mut self,
        failure_count: u64,
        pending: Option<PendingWrite>,
        standing: Standing,
        cause: Cause,
    ) {
        let is_told_now = pending.is_none() || self.is_store_out();
        self.pending = pending;
        self.enter(Phase::Open(Box::new(Opening {
            cause,
            opened_at: Some(self.now.unix_ceil(Duration::ZERO)),
            failure_count,
            first_seen: self.now,
            last_seen_not_open_at: Some(self.now),
            standing,
            turn: Turn::Last,
            held: false,
        })));
        if is_told_now {
            self.announce_opening(Origin::WithoutStore);
        }
    }

    fn report_probe(&mut self, pass: CallId, report: CallEnd) {
        let Phase::HalfOpen(recovery) = &mut self.phase else {
            return;
        };
        if recovery.prober.running().is_none_or(|probe| pass.probe != Some(probe.id)) {
            return;
        }
        match &mut recovery.prober {
            Prober::Us(ours) => {
                let ours = ours.clone();
                self.judge_probe(*ours, report);
            }
            Prober::Offline(alone) => {
                alone.probe = None;
                if report == CallEnd::Success {
                    alone.successes = alone.successes.saturating_add(1);
                }
                let alone = **alone;
                self.judge_offline_probe(alone, report);
            }
            Prober::Other(_) | Prober::Nobody { .. } => {}
        }
        self.dispatch();
    }

    fn judge_probe(&mut self, mut ours: OurLease, report: CallEnd) {
        ours.stage = Stage::Settling;
        match report {
            CallEnd::Failure => return self.reopen(ours),
            CallEnd::Success => {
                ours.kept_since = None;
                ours.successes = ours.successes.saturating_add(1);
                let enough = ours.successes >= self.config.success_threshold().get();
                // Its own probes bear this process out.
                if enough {
                    self.reputation.settle();
                }
                self.pending = Some(if enough {
                    PendingWrite::Close { token: ours.token.clone() }
                } else {
                    PendingWrite::HandOver
                });
            }
            CallEnd::Ignored | CallEnd::Dropped if self.keeps(&mut ours, report) => {
                ours.stage = Stage::Ready;
            }
            CallEnd::Ignored | CallEnd::Dropped => {
                self.cache.election = None;
                self.pending = Some(PendingWrite::GiveBack);
            }
        }
        if self.is_store_out() {
            return self.verdict_without_store(&ours);
        }
        if let Phase::HalfOpen(Recovery { prober, .. }) = &mut self.phase {
            *prober = Prober::Us(Box::new(ours));
        }
    }

    /// Whether the right stays here for the next call after a probe without a verdict:
    /// for one `handoff`. A probe that was dropped gives the right back at once, but
    /// not again within a `handoff`: callers who give up in turn would write twice each.
    fn keeps(&self, ours: &mut OurLease, report: CallEnd) -> bool {
        let right_stays_for = self.right_stays_for();
        let is_recent = |at: Moment| self.now.since(at) < right_stays_for;
        let kept_since = *ours.kept_since.get_or_insert(self.now);
        let gave_back = ours.gave_back_at.is_some_and(is_recent);
        is_recent(kept_since) && (report == CallEnd::Ignored || gave_back)
    }

    fn reopen(&mut self, ours: OurLease) {
        // The token has one write left, and never closes.
        self.cache.election = None;
        let opened_at = self.now.unix_ceil(Duration::ZERO);
        let want = PendingWrite::Reopen { token: ours.token, opened_at };
        self.open(0, Some(want), Standing::Owed, Cause::ProbeFailed);
    }

    /// The store is out: the verdict holds here, and what is owed to the store
    /// is kept where it can still be of use.
    pub(super) fn verdict_without_store(&mut self, ours: &OurLease) {
        match &self.pending {
            Some(PendingWrite::Close { .. }) => {
                self.commit(Phase::CLOSED, Cause::ProbesSucceeded, Origin::WithoutStore);
            }
            Some(PendingWrite::HandOver) => {
                self.pending = None;
                if let Phase::HalfOpen(Recovery { prober, .. }) = &mut self.phase {
                    let ours = OurLease { stage: Stage::HandedOver, ..ours.clone() };
                    *prober = Prober::Us(Box::new(ours));
                }
            }
            Some(PendingWrite::GiveBack) => {
                self.pending = None;
                if let Phase::HalfOpen(Recovery { prober, .. }) = &mut self.phase {
                    *prober = Prober::Nobody { gave_back_at: Some(Box::new(self.now)) };
                }
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

    fn judge_offline_probe(&mut self, alone: OfflineProbes, report: CallEnd) {
        match report {
            CallEnd::Failure => {
                // A token of ours that may still stand saw a failure.
                self.cache.election = None;
                // A contradicted process is no witness for the fleet. Without this its
                // opening is owed, and written as soon as the item is deleted.
                if alone.refuted || self.reputation.is_contradicted() {
                    return self.open_alone(0);
                }
                self.open(0, Some(PendingWrite::Trip), Standing::Owed, Cause::ProbeFailed);
            }
            CallEnd::Success if alone.successes >= self.config.success_threshold().get() => {
                if !alone.refuted {
                    self.reputation.settle();
                }
                self.commit(
                    Phase::Closed { by_offline_probes: true },
                    Cause::ProbesSucceeded,
                    Origin::WithoutStore,
                );
            }
            CallEnd::Success | CallEnd::Ignored | CallEnd::Dropped => {}
        }
    }
}
