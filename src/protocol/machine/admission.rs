//! Admits or rejects one call.
//!
//! Each phase, and each [`Prober`] of a half-open circuit, has a function of its own here.

mod call;
mod known;

use std::time::Duration;

use self::call::Evidence;
pub(crate) use self::call::{Admission, Arrival, CallId, LONGEST_BRIEF_WAIT};
use super::{
    Machine,
    phase::{Phase, SECOND, Standing},
    prober::{OfflineProbes, OtherLease, OurLease, Prober, RunningProbe, Stage},
    storage::PendingWrite,
};
use crate::{
    protocol::health::Access,
    protocol::moment::Moment,
    state::CircuitState,
    transition::{Cause, Origin},
};

/// While calls fail, a call waits for a read if the cached record is older than this. Most
/// of a fleet then learns of the first trip, and does not need T failures of its own.
const MAX_AGE_WHILE_FAILING: Duration = Duration::from_millis(250);

impl Machine {
    /// Makes the [`Arrival`] of a call that comes now. `is_failing` says that two or more
    /// failures in a row stand in the counting.
    pub(crate) fn arrival(&self, is_failing: bool) -> Arrival {
        Arrival {
            reads: self.cache.reads,
            outage: self.health.is_outage(),
            is_failing,
            waits_briefly: false,
        }
    }

    /// Admits or rejects one call, or tells it to wait.
    pub(crate) fn admit(&mut self, now: Moment, arrival: Arrival) -> Admission {
        self.advance(now);
        self.used_at = self.now;
        let Arrival { reads, outage, is_failing, waits_briefly } = arrival;
        let evidence =
            Evidence { was_read: self.cache.reads > reads, outage, is_failing, waits_briefly };
        match &self.phase {
            Phase::Closed { .. } => self.admit_closed(evidence),
            Phase::Open(_) => self.admit_open(evidence),
            Phase::HalfOpen(recovery) => match &recovery.prober {
                Prober::Us(lease) => {
                    let lease = lease.clone();
                    self.admit_as_prober(&lease, evidence)
                }
                Prober::Other(other) => {
                    let other = **other;
                    self.admit_beside_prober(other, evidence)
                }
                Prober::Nobody { .. } => self.admit_unprobed(evidence),
                Prober::Offline(offline) => {
                    let offline = **offline;
                    self.admit_offline(offline, evidence)
                }
            },
        }
    }

    /// Ends the claim to the next probe once all waiting calls were asked again. A right to
    /// probe that none of them took is kept for the next call.
    pub(super) fn settle_claim(&mut self) {
        self.probe_claimed =
            self.probe_claimed && (self.request.in_flight.is_some() || self.pending.is_some());
        if let Some(lease) = self.phase.our_lease_mut()
            && lease.stage == Stage::Ready
            && !self.probe_claimed
        {
            // The caller for which the right was won may have left. Over a store that is
            // slower than callers are patient, a right that is given back at once would be
            // won and written again and again, and the circuit would never be probed.
            lease.keep(self.now);
            self.give_back_kept_right();
            self.dispatch();
        }
    }

    /// Returns how long a right is kept here for the next call: one `handoff`, but at least
    /// a second, since each election and each giving back costs a write.
    pub(super) fn right_stays_for(&self) -> Duration {
        self.config.handoff().max(SECOND)
    }

    /// Gives back a right that no call has taken for [`right_stays_for`](Self::right_stays_for),
    /// so that other processes need not wait for the end of its lease.
    pub(super) fn give_back_kept_right(&mut self) {
        if self.gives_back_in() == Some(Duration::ZERO) {
            self.give_back();
        }
    }

    /// Gives the right to probe back, by the next write.
    pub(super) fn give_back(&mut self) {
        if let Some(lease) = self.phase.our_lease_mut() {
            lease.stage = Stage::Settling;
            // Giving back ends the token. Remembered, a stale read of this record would
            // resume the lease while another process holds the right.
            self.cache.election = None;
            self.pending = Some(PendingWrite::GiveBack);
        }
    }

    /// Reads in the background, shortly before the cached record reaches its maximum age, so
    /// that under traffic no call has to wait for a read.
    pub(crate) fn refresh(&mut self, now: Moment) {
        self.advance(now);
        self.used_at = self.now;
        let closed = matches!(self.phase, Phase::Closed { .. });
        if closed
            && self.request.in_flight.is_none()
            && self.health.is_usable(Access::Read, self.now)
        {
            self.start_read();
        }
    }

    fn admit_closed(&mut self, evidence: Evidence) -> Admission {
        // A read in the background would tell only the next call, and cost each process of
        // the fleet one more failing call. So a call that comes while calls fail waits.
        // Held closed, the circuit stays so whatever others find.
        let is_old_while_failing = evidence.is_failing
            && !self.is_held_closed()
            && self.cache.at.is_none_or(|at| self.now.since(at) > MAX_AGE_WHILE_FAILING);
        if (!self.is_fresh() || is_old_while_failing) && self.may_read(evidence) {
            self.start_read();
            return Admission::Wait;
        }
        Admission::Admitted(CallId { epoch: self.epoch, probe: None })
    }

    /// Judges a call while the circuit is open.
    ///
    /// | [`Standing`] | not due | due, seen due by a current read | due, not seen due |
    /// |---|---|---|---|
    /// | `Stored` | reject, wait briefly for a read | elect | read first; reject if throttled |
    /// | `Owed`, a trip | reject, wait briefly for a read | becomes `Lapsed` | becomes `Lapsed` |
    /// | `Owed`, a reopening | reject, wait briefly for a read | n/a | read first; reject if throttled; then probe offline |
    /// | `Lapsed` | reject, wait briefly for a read | n/a | read first, then probe offline |
    /// | `Refuted` | reject, read in the background | n/a | read first, then probe offline |
    ///
    /// "Read first" holds once for each call, and not while reads are backed off.
    fn admit_open(&mut self, evidence: Evidence) -> Admission {
        let Phase::Open(opening) = &self.phase else {
            return Admission::Rejected;
        };
        let is_due = |at| opening.wait(at, &self.config) == Duration::ZERO;
        let (due, standing, held) = (is_due(self.now), opening.standing, opening.held);
        // The whole fleet is due by the same stamp, and one process may have been elected
        // since. A record read before the circuit was due cannot show that: at 8,000
        // processes each would send an election, and the partition would throttle all of
        // them. So a process reads once it is due, and then writes.
        // An opening that was never written has no record that could show it due.
        let was_seen_due = standing == Standing::Stored && self.cache.at.is_some_and(is_due);
        // The record still says half-open under the token of this process: another process
        // may take over and probe meanwhile.
        let is_reopening_pending = matches!(self.pending, Some(PendingWrite::Reopen { .. }));
        // Failing open must not undo a hold in force, nor an opening that this process has
        // decided by itself: neither depends on what a read would show.
        let may_fall_open = standing == Standing::Stored && (due || !held);
        if may_fall_open && self.is_unreadable(evidence) && self.fails_open() {
            return self.fall_open();
        }
        // A refuted opening concerns this process only, and no record closes it: a read
        // cannot admit this call, so the call does not wait for it.
        if !due && standing == Standing::Refuted {
            return self.reject_and_read(evidence);
        }
        if !due {
            return self.read_briefly_or_reject(evidence);
        }
        if !(was_seen_due && self.is_current(evidence)) {
            if self.may_read(evidence) {
                self.start_read();
                return Admission::Wait;
            }
            // Throttling decides nothing: the store is alive, and another process may hold
            // the right. With every throttled process probing by itself, a partition at its
            // limit turned one probe into a thousand at a time.
            // An opening that was never written is known here only, and has to end however
            // long the store is throttled.
            if (standing == Standing::Stored || is_reopening_pending) && self.are_reads_throttled()
            {
                return Admission::Rejected;
            }
        }
        match standing {
            Standing::Stored => self.claim_or_go_offline(PendingWrite::Elect, 0, evidence),
            Standing::Owed if is_reopening_pending && self.is_throttled() => Admission::Rejected,
            // The failures of a lapsed trip are as old as the recovery timeout. Written now,
            // it would reject the whole fleet for another timeout; a probe tells more.
            Standing::Owed | Standing::Lapsed { .. } => self.probe_offline(0, false),
            Standing::Refuted => self.probe_offline(0, true),
        }
    }

    fn admit_as_prober(&mut self, lease: &OurLease, evidence: Evidence) -> Admission {
        let is_live = lease.is_live(self.now, &self.config);
        match lease.stage {
            Stage::Ready if is_live => self.start_probe(),
            Stage::Ready | Stage::HandedOver => self.claim_or_go_offline(
                PendingWrite::Renew { starts_probe: true },
                lease.successes,
                evidence,
            ),
            Stage::Probing(_) if is_live => Admission::Rejected,
            Stage::Probing(_) if !self.is_current(evidence) && self.may_read(evidence) => {
                self.start_read();
                Admission::Wait
            }
            // Only the wall clock says that the lease has ended, and it may have been set.
            // Two probes would run if the probe's own process went by it.
            Stage::Probing(_) if lease.left(self.now, &self.config) > Duration::ZERO => {
                Admission::Rejected
            }
            // The probe has leaked, or is slower than its lease. The new token fences off
            // its verdict, so that it cannot close a circuit that others probe by now.
            Stage::Probing(_) => self.claim_or_go_offline(PendingWrite::TakeOver, 0, evidence),
            Stage::Settling => self.wait_in_turn(),
        }
    }

    /// Judges a call while another process holds the lease: as [`admit_open`](Self::admit_open)
    /// does for `Standing::Stored`, but due when the lease may be taken over.
    fn admit_beside_prober(&mut self, other: OtherLease, evidence: Evidence) -> Admission {
        if self.is_unreadable(evidence) && self.fails_open() {
            return self.fall_open();
        }
        let is_due = |at| self.lease_wait(other, at) == Duration::ZERO;
        if !is_due(self.now) {
            return self.read_briefly_or_reject(evidence);
        }
        // The holder may have renewed its lease since the last read, or another process may
        // have taken it over.
        let was_seen_due = self.cache.at.is_some_and(is_due);
        if !(was_seen_due && self.is_current(evidence)) {
            if self.may_read(evidence) {
                self.start_read();
                return Admission::Wait;
            }
            if self.are_reads_throttled() {
                return Admission::Rejected;
            }
        }
        self.claim_or_go_offline(PendingWrite::TakeOver, 0, evidence)
    }

    fn admit_unprobed(&mut self, evidence: Evidence) -> Admission {
        if !self.is_current(evidence) && self.may_read(evidence) {
            self.start_read();
            return Admission::Wait;
        }
        self.claim_or_go_offline(PendingWrite::TakeOver, 0, evidence)
    }

    /// Judges a call while this process probes without the store. While reads work, each
    /// probe waits for one: another process may have closed the circuit, or probe it under a
    /// lease.
    fn admit_offline(&mut self, offline: OfflineProbes, evidence: Evidence) -> Admission {
        let is_probe_over = offline
            .probe
            .is_none_or(|probe| !self.now.is_within(probe.alive_at, self.config.probe_lease()));
        if !is_probe_over {
            return self.reject_and_read(evidence);
        }
        if self.may_read(evidence) {
            self.start_read();
            return Admission::Wait;
        }
        // Offline, every process that the store has left probes for itself. Electing again as
        // soon as writes work leaves one prober for the fleet. A refuted process stays
        // offline: its failure would reopen the circuit for everyone.
        let may_claim = !offline.refuted
            && self.is_current(evidence)
            && self.health.is_usable(Access::Write, self.now);
        match self.cache.record().and_then(|record| record.state.valid()) {
            Some(CircuitState::Open) if may_claim => self.claim(PendingWrite::Elect),
            Some(CircuitState::HalfOpen) if may_claim => self.claim(PendingWrite::TakeOver),
            Some(CircuitState::Open | CircuitState::HalfOpen | CircuitState::Closed) | None => {
                self.start_probe()
            }
        }
    }

    /// Admits the call that asks as the next probe.
    fn start_probe(&mut self) -> Admission {
        let id = self.probes.next();
        if let Phase::HalfOpen(recovery) = &mut self.phase {
            let probe = RunningProbe { id, started_at: self.now, alive_at: self.now };
            match &mut recovery.prober {
                Prober::Us(lease) => lease.stage = Stage::Probing(probe),
                Prober::Offline(offline) => offline.probe = Some(probe),
                Prober::Other(_) | Prober::Nobody { .. } => return Admission::Rejected,
            }
        }
        Admission::Admitted(CallId { epoch: self.epoch, probe: Some(id) })
    }

    /// Claims the next probe through the store, or probes offline if the store is out.
    ///
    /// | writes | reads | the call |
    /// |---|---|---|
    /// | usable | any | claims: it waits for `write` |
    /// | throttled, failed once, or out only since the call came | any | is rejected |
    /// | out since before the call came | usable | waits for a read, and asks again |
    /// | out since before the call came | out, or just read | probes offline |
    fn claim_or_go_offline(
        &mut self,
        write: PendingWrite,
        successes: u64,
        evidence: Evidence,
    ) -> Admission {
        if self.health.is_usable(Access::Write, self.now) {
            self.claim(write)
        } else if self.is_throttled() || !self.health.is_outage() || !evidence.outage {
            // A store that throttles is alive. A single failure may be one
            // lost packet: the write may have been applied, and a probe beside it would be
            // the second one.
            Admission::Rejected
        } else if self.may_read(evidence) {
            self.start_read();
            Admission::Wait
        } else {
            self.probe_offline(successes, false)
        }
    }

    /// Claims the next probe for this call, and sends the write that it needs. One call at a
    /// time has the claim; the others are rejected at once, so that an election costs one
    /// caller a wait, and not all of them.
    fn claim(&mut self, write: PendingWrite) -> Admission {
        if self.probe_claimed {
            return Admission::Rejected;
        }
        // The response to the operation in flight may show another state, against which
        // `write` would be wrong. This call waits for it, and is asked again.
        if self.pending.is_none() && self.request.in_flight.is_none() {
            self.pending = Some(write);
        }
        self.dispatch();
        self.probe_claimed = self.request.in_flight.is_some();
        if self.probe_claimed { Admission::Wait } else { Admission::Rejected }
    }

    /// Makes one call wait while a verdict is written: if that write hands over, the call may
    /// be the next probe. The others are rejected.
    fn wait_in_turn(&mut self) -> Admission {
        if self.probe_claimed || self.is_settled() {
            return Admission::Rejected;
        }
        self.probe_claimed = true;
        Admission::Wait
    }

    /// Starts to probe without the store, with one probe at a time in this process.
    fn probe_offline(&mut self, successes: u64, refuted: bool) -> Admission {
        // This probe tells more than the trip's old failures do. A pending reopening stays:
        // its token fences it, and without it the record would stay half-open.
        self.pending.take_if(|write| *write == PendingWrite::Trip);
        self.commit(
            Phase::HalfOpen(self.recovery(
                self.phase.opened_at(),
                Prober::Offline(Box::new(OfflineProbes { successes, probe: None, refuted })),
                None,
            )),
            Cause::RecoveryTimeout,
            Origin::WithoutStore,
        );
        self.start_probe()
    }
}
