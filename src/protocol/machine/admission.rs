//! Whether one more call may run.

mod known;

use std::time::Duration;

use super::{
    Machine,
    phase::{
        OfflineProbes, OtherLease, OurLease, Phase, ProbeId, Prober, Recovery, RunningProbe,
        SECOND, Stage, Standing,
    },
    storage::PendingWrite,
};
use crate::{
    config::OnStoreOutage,
    protocol::health::Access,
    protocol::moment::Moment,
    state::CircuitState,
    transition::{Cause, Origin},
};

/// While calls fail, what is known may be no older than this.
const MAX_AGE_WHILE_FAILING: Duration = Duration::from_millis(250);

/// How long a call that would be rejected waits for the look that it has begun.
pub(crate) const LONGEST_BRIEF_WAIT: Duration = Duration::from_millis(100);

/// What a call is judged by when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallId {
    /// The epoch in which the call was admitted.
    pub(crate) epoch: u64,
    /// The probe that the call is, if it is one.
    pub(crate) probe: Option<ProbeId>,
}

/// The answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The call may run.
    Admitted(CallId),
    /// The call may not run.
    Rejected,
    /// Ask again, with what this call has behind it, when the store has answered.
    Wait,
    /// The same, and rejected without an answer within [`LONGEST_BRIEF_WAIT`]: the call would
    /// be rejected by what is known, and has begun the read that may change that.
    WaitBriefly,
}

/// What was known when a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Reads that were over, by which it must not be judged.
    reads: u64,
    /// The store was out.
    outage: bool,
    /// Two or more failures in a row stand: others may have tripped already.
    is_failing: bool,
    /// It has begun a look since.
    waits_briefly: bool,
}

impl Arrival {
    /// The same arrival, of a call that was told to [look](Admission::Look).
    pub(crate) fn waiting_briefly(self) -> Self {
        Self { waits_briefly: true, ..self }
    }
}

/// What a call has behind it.
#[derive(Clone, Copy)]
struct Evidence {
    /// A read was answered, or given up, since it came.
    was_read: bool,
    /// The store was out when it came.
    outage: bool,
    /// Two or more failures in a row stood when it came.
    is_failing: bool,
    /// It has begun a look since.
    waits_briefly: bool,
}

impl Machine {
    /// An arrival for a call that comes now. `is_failing`: two or more failures in a row
    /// stand in what counts them.
    pub(crate) fn arrival(&self, is_failing: bool) -> Arrival {
        Arrival {
            reads: self.cache.reads,
            outage: self.health.is_outage(),
            is_failing,
            waits_briefly: false,
        }
    }

    /// Judges one call.
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
                Prober::Us(ours) => {
                    let ours = ours.clone();
                    self.admit_as_prober(&ours, evidence)
                }
                Prober::Other(theirs) => {
                    let theirs = **theirs;
                    self.admit_beside_prober(theirs, evidence)
                }
                Prober::Nobody { .. } => self.admit_unprobed(evidence),
                Prober::Offline(alone) => {
                    let alone = **alone;
                    self.admit_offline(alone, evidence)
                }
            },
        }
    }

    /// All waiting calls were asked again: a right to probe that none of them took is kept
    /// for the next call. The caller that it was won for may
    /// have given up: over a store that takes longer than callers wait, a right that is
    /// given back at once would be won and written again and again, and never used.
    pub(super) fn settle_claim(&mut self) {
        self.claimed = self.claimed && (self.request.in_flight.is_some() || self.pending.is_some());
        if let Phase::HalfOpen(recovery) = &mut self.phase
            && let Prober::Us(ours) = &mut recovery.prober
            && ours.stage == Stage::Ready
            && !self.claimed
        {
            ours.kept_since.get_or_insert(self.now);
            self.give_back_what_was_kept();
            self.dispatch();
        }
    }

    /// For how long a right stays here for the next call: one `handoff`, and no less
    /// than a second, since each turn is written twice.
    pub(super) fn right_stays_for(&self) -> Duration {
        self.config.handoff().max(SECOND)
    }

    /// Gives back a right that no call has taken for that long, so that others
    /// need not wait for its lease to end.
    pub(super) fn give_back_what_was_kept(&mut self) {
        let right_stays_for = self.right_stays_for();
        if let Phase::HalfOpen(recovery) = &mut self.phase
            && let Prober::Us(ours) = &mut recovery.prober
            && ours.stage == Stage::Ready
            && !self.claimed
            && ours.kept_since.is_some_and(|since| self.now.since(since) >= right_stays_for)
        {
            ours.stage = Stage::Settling;
            self.cache.election = None;
            self.pending = Some(PendingWrite::GiveBack);
        }
    }

    /// Traffic nears the age limit: reads ahead, in the background.
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
        let is_old_while_it_hurts = evidence.is_failing
            && self.cache.at.is_none_or(|at| self.now.since(at) > MAX_AGE_WHILE_FAILING);
        if (!self.is_fresh() || is_old_while_it_hurts) && self.may_read(evidence) {
            self.start_read();
            return Admission::Wait;
        }
        Admission::Admitted(CallId { epoch: self.epoch, probe: None })
    }

    fn admit_open(&mut self, evidence: Evidence) -> Admission {
        let Phase::Open(opening) = &self.phase else {
            return Admission::Rejected;
        };
        let is_due = |at| opening.wait(at, &self.config) == Duration::ZERO;
        let (due, standing, held) = (is_due(self.now), opening.standing, opening.held);
        // Known only as it was before it was due: all others of the fleet are due by the
        // same stamp, and one of them may have been elected since. An opening that was
        // never written always goes by a read that was made for this call.
        let was_seen_due = standing == Standing::Stored && self.cache.at.is_some_and(is_due);
        // Not written either, but the item says half-open: others take over and probe.
        let owes_reopening = matches!(self.pending, Some(PendingWrite::Reopen { .. }));
        // An operator's order outlasts a store that cannot be read.
        let may_fall_open = standing == Standing::Stored && (due || !held);
        if may_fall_open && self.is_unreadable(evidence) && self.fails_open() {
            return self.fall_open();
        }
        // Open for itself alone, whatever others find: no read closes it.
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
            // An opening that was never written concerns this process alone: it has to
            // end however long the store is throttled.
            if (standing == Standing::Stored || owes_reopening) && self.are_reads_throttled() {
                return Admission::Rejected;
            }
        }
        match standing {
            Standing::Stored => self.claim_or_go_offline(PendingWrite::Elect, 0, evidence),
            Standing::Owed if owes_reopening && self.is_throttled() => Admission::Rejected,
            // An opening that was never written, and is too old to be, is probed first.
            Standing::Owed | Standing::Lapsed => self.probe_offline(0, false),
            Standing::Refuted => self.probe_offline(0, true),
        }
    }

    fn admit_as_prober(&mut self, ours: &OurLease, evidence: Evidence) -> Admission {
        let leased = self.now.is_within(ours.leased_at, self.config.probe_lease());
        match ours.stage {
            Stage::Ready if leased => self.start_probe(),
            Stage::Ready | Stage::HandedOver => self.claim_or_go_offline(
                PendingWrite::Renew { starts_probe: true },
                ours.successes,
                evidence,
            ),
            Stage::Probing(_) if leased => Admission::Rejected,
            Stage::Probing(_) if !self.is_current(evidence) && self.may_read(evidence) => {
                self.start_read();
                Admission::Wait
            }
            // A clock that was set is no evidence that the lease has ended.
            Stage::Probing(_) if self.now.since(ours.leased_at) < self.config.probe_lease() => {
                Admission::Rejected
            }
            // Leaked, or slower than its lease: its verdict is fenced off.
            Stage::Probing(_) => self.claim_or_go_offline(PendingWrite::TakeOver, 0, evidence),
            Stage::Settling => self.wait_in_turn(),
        }
    }

    fn admit_beside_prober(&mut self, theirs: OtherLease, evidence: Evidence) -> Admission {
        if self.is_unreadable(evidence) && self.fails_open() {
            return self.fall_open();
        }
        let is_due = |at| self.lease_wait(theirs, at) == Duration::ZERO;
        if !is_due(self.now) {
            return self.read_briefly_or_reject(evidence);
        }
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

    /// Probes without the store go by a read that was made for them while reads work:
    /// somebody else may have closed the circuit, or probe it under a lease.
    fn admit_offline(&mut self, alone: OfflineProbes, evidence: Evidence) -> Admission {
        let over = alone
            .probe
            .is_none_or(|probe| !self.now.is_within(probe.alive_at, self.config.probe_lease()));
        if !over {
            return self.reject_and_read(evidence);
        }
        if self.may_read(evidence) {
            self.start_read();
            return Admission::Wait;
        }
        // Through the store again, as soon as it can be written.
        let may_claim = !alone.refuted
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

    /// Hands the probe to the call that asks.
    fn start_probe(&mut self) -> Admission {
        let id = self.probes.next();
        if let Phase::HalfOpen(recovery) = &mut self.phase {
            let probe = RunningProbe { id, started_at: self.now, alive_at: self.now };
            match &mut recovery.prober {
                Prober::Us(ours) => ours.stage = Stage::Probing(probe),
                Prober::Offline(alone) => alone.probe = Some(probe),
                Prober::Other(_) | Prober::Nobody { .. } => return Admission::Rejected,
            }
        }
        Admission::Admitted(CallId { epoch: self.epoch, probe: Some(id) })
    }

    /// Goes on through the store while it answers, and alone once it is out; on a
    /// read made for this call, where writes alone are out. A call whose election is
    /// the first to fail is rejected. Throttling is an answer: nobody goes on alone.
    fn claim_or_go_offline(
        &mut self,
        want: PendingWrite,
        successes: u64,
        evidence: Evidence,
    ) -> Admission {
        if self.health.is_usable(Access::Write, self.now) {
            self.claim(want)
        } else if self.is_throttled() || !self.health.is_outage() || !evidence.outage {
            Admission::Rejected
        } else if self.may_read(evidence) {
            self.start_read();
            Admission::Wait
        } else {
            self.probe_offline(successes, false)
        }
    }

    /// One call at a time stands to get the next probe; the others are
    /// rejected at once.
    fn claim(&mut self, want: PendingWrite) -> Admission {
        if self.claimed {
            return Admission::Rejected;
        }
        // What is under way may change what there is to write: this call asks again then.
        if self.pending.is_none() && self.request.in_flight.is_none() {
            self.pending = Some(want);
        }
        self.dispatch();
        self.claimed = self.request.in_flight.is_some();
        if self.claimed { Admission::Wait } else { Admission::Rejected }
    }

    fn wait_in_turn(&mut self) -> Admission {
        if self.claimed || self.is_settled() {
            return Admission::Rejected;
        }
        self.claimed = true;
        Admission::Wait
    }

    /// Probes without the store, one call at a time in this process.
    fn probe_offline(&mut self, successes: u64, refuted: bool) -> Admission {
        // A reopening that is owed is fenced by its token, and may still be written.
        self.pending.take_if(|want| *want == PendingWrite::Trip);
        self.commit(
            Phase::HalfOpen(Recovery {
                opened_at: self.phase.opened_at(),
                prober: Prober::Offline(Box::new(OfflineProbes {
                    successes,
                    probe: None,
                    refuted,
                })),
            }),
            Cause::RecoveryTimeout,
            Origin::WithoutStore,
        );
        self.start_probe()
    }

    /// The store cannot be read any more: calls go through and are counted.
    fn fall_open(&mut self) -> Admission {
        self.pending = None;
        self.commit(Phase::CLOSED, Cause::StoreUnreadable, Origin::WithoutStore);
        self.cache.confirmed = false;
        Admission::Admitted(CallId { epoch: self.epoch, probe: None })
    }

    /// Whether the next call is let through because nothing can be read: the hot path
    /// must not reject it.
    pub(super) fn is_about_to_fall_open(&self) -> bool {
        let may = match &self.phase {
            Phase::Closed { .. } => false,
            Phase::Open(opening) => {
                let is_held = opening.held && opening.wait(self.now, &self.config) > Duration::ZERO;
                opening.standing == Standing::Stored && !is_held
            }
            Phase::HalfOpen(recovery) => matches!(recovery.prober, Prober::Other(_)),
        };
        let evidence =
            Evidence { was_read: false, outage: false, is_failing: false, waits_briefly: false };
        may && self.fails_open() && self.is_unreadable(evidence)
    }

    fn fails_open(&self) -> bool {
        self.config.on_store_outage() == OnStoreOutage::FailOpen
    }
}
