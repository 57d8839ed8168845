//! Whether one more call may run.

use std::time::Duration;

use super::{
    Machine,
    phase::{Basis, Ours, Phase, ProbeId, Recovery, Right, Stage},
    storage::Want,
};
use crate::{
    answer::Consistency,
    config::OnStoreOutage,
    health::Access,
    moment::Moment,
    record::Field,
    transition::{Cause, Origin},
};

/// What a call is judged by when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    /// The epoch in which the call was admitted.
    pub(crate) epoch: u64,
    /// The probe that the call is, if it is one.
    pub(crate) probe: Option<ProbeId>,
}

/// The answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The call may run.
    Admitted(Pass),
    /// The call may not run.
    Rejected,
    /// Ask again, with what this call has behind it, when the store has answered.
    Wait,
}

/// What was known when a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Reads that were over, by which it must not be judged.
    reads: u64,
    /// The store was out.
    outage: bool,
}

/// What a call has behind it.
#[derive(Clone, Copy)]
struct Past {
    /// A read was answered, or given up, since it came.
    looked: bool,
    /// The store was out when it came.
    outage: bool,
}

impl Machine {
    /// An arrival for a call that comes now.
    pub(crate) fn arrival(&self) -> Arrival {
        Arrival { reads: self.known.reads, outage: self.health.is_outage() }
    }

    /// Judges one call.
    pub(crate) fn admit(&mut self, now: Moment, arrival: Arrival) -> Admission {
        self.advance(now);
        self.used_at = self.now;
        let past = Past { looked: self.known.reads > arrival.reads, outage: arrival.outage };
        match &self.phase {
            Phase::Closed { .. } => self.admit_closed(past),
            Phase::Open(_) => self.admit_open(past),
            Phase::HalfOpen(recovery) => match &recovery.right {
                Right::Ours(ours) => {
                    let ours = ours.clone();
                    self.admit_ours(&ours, past)
                }
                Right::Theirs { since } => {
                    let since = *since;
                    self.admit_theirs(since, past)
                }
                Right::Free => self.claim_or_go_local(Want::TakeOver, 0, past),
                Right::Local { stage, .. } => {
                    let stage = *stage;
                    self.admit_local(stage, past)
                }
            },
        }
    }

    /// Called once after all waiting calls were asked again: a right to probe
    /// that nobody took is given back, so that others need not wait for it.
    pub(crate) fn settle_claim(&mut self, now: Moment) {
        self.advance(now);
        self.claimed = self.claimed && (self.job.is_some() || self.want.is_some());
        if let Phase::HalfOpen(recovery) = &mut self.phase
            && let Right::Ours(ours) = &mut recovery.right
            && ours.stage == Stage::Ready
            && !self.claimed
        {
            ours.stage = Stage::Settling;
            self.known.election = None;
            self.want = Some(Want::GiveBack);
            self.dispatch();
        }
    }

    /// Waiting calls are about to be asked again.
    pub(crate) fn reopen_claims(&mut self) {
        self.claimed = false;
    }

    /// Traffic nears the age limit: reads ahead, in the background.
    pub(crate) fn refresh(&mut self, now: Moment) {
        self.advance(now);
        let closed = matches!(self.phase, Phase::Closed { .. });
        if closed && self.job.is_none() && self.health.is_usable(Access::Read, self.now) {
            self.start_read();
        }
    }

    fn admit_closed(&mut self, past: Past) -> Admission {
        if !self.is_fresh() && self.may_look(past) {
            self.start_read();
            return Admission::Wait;
        }
        Admission::Admitted(Pass { epoch: self.epoch, probe: None })
    }

    fn admit_open(&mut self, past: Past) -> Admission {
        let Phase::Open(opening) = &self.phase else {
            return Admission::Rejected;
        };
        let due = opening.wait(self.now, &self.config) == Duration::ZERO;
        let stored = opening.basis == Basis::Stored;
        // An operator's order outlasts a store that cannot be read.
        let is_held = opening.held && !due;
        let current = self.is_current(past);
        if stored && !current && self.may_look(past) && (!due || self.is_out_of_step()) {
            self.start_read();
            return Admission::Wait;
        }
        if stored && self.is_unreadable(past) && self.fails_open() && !is_held {
            return self.fall_open();
        }
        if !due {
            return Admission::Rejected;
        }
        // A local opening is published before it is probed.
        self.claim_or_go_local(if stored { Want::Elect } else { Want::Trip }, 0, past)
    }

    fn admit_ours(&mut self, ours: &Ours, past: Past) -> Admission {
        let leased = self.now.is_within(ours.leased_at, self.config.probe_lease());
        match ours.stage {
            Stage::Ready if leased => self.start_probe(),
            Stage::Ready | Stage::Resting => {
                self.claim_or_go_local(Want::Renew { starts_probe: true }, ours.successes, past)
            }
            Stage::Probing { .. } if leased => Admission::Rejected,
            Stage::Probing { .. } if self.is_out_of_step() && self.may_look(past) => {
                self.start_read();
                Admission::Wait
            }
            // A clock that was set is no evidence that the lease has ended.
            Stage::Probing { .. } if self.now.since(ours.leased_at) < self.config.probe_lease() => {
                Admission::Rejected
            }
            // Leaked, or slower than its lease: its verdict is fenced off.
            Stage::Probing { .. } => self.claim_or_go_local(Want::TakeOver, 0, past),
            Stage::Settling => self.wait_in_turn(),
        }
    }

    fn admit_theirs(&mut self, since: Moment, past: Past) -> Admission {
        let current = self.is_current(past);
        if self.is_unreadable(past) && self.fails_open() {
            return self.fall_open();
        }
        let due = self.lease_wait(since) == Duration::ZERO;
        if !current && self.may_look(past) && (!due || self.is_out_of_step()) {
            self.start_read();
            return Admission::Wait;
        }
        if due {
            return self.claim_or_go_local(Want::TakeOver, 0, past);
        }
        Admission::Rejected
    }

    fn admit_local(&mut self, stage: Stage, past: Past) -> Admission {
        let over = match stage {
            Stage::Probing { since, .. } => !self.now.is_within(since, self.config.probe_lease()),
            Stage::Ready | Stage::Settling | Stage::Resting => true,
        };
        if !over {
            return Admission::Rejected;
        }
        if !self.is_fresh() && self.may_look(past) {
            self.start_read();
            return Admission::Wait;
        }
        self.start_probe()
    }

    /// Hands the probe to the call that asks.
    fn start_probe(&mut self) -> Admission {
        self.last_probe = self.last_probe.next();
        let id = self.last_probe;
        if let Phase::HalfOpen(recovery) = &mut self.phase {
            let probing = Stage::Probing { id, since: self.now };
            match &mut recovery.right {
                Right::Ours(ours) => ours.stage = probing,
                Right::Local { stage, .. } => *stage = probing,
                Right::Theirs { .. } | Right::Free => return Admission::Rejected,
            }
        }
        Admission::Admitted(Pass { epoch: self.epoch, probe: Some(id) })
    }

    /// Goes on through the store while it answers, and alone once it is out. A
    /// call whose election is the first to fail is rejected.
    fn claim_or_go_local(&mut self, want: Want, successes: u64, past: Past) -> Admission {
        if self.wait_to_write() == Duration::ZERO {
            self.claim(want)
        } else if self.health.is_outage() && past.outage {
            self.probe_locally(successes)
        } else {
            Admission::Rejected
        }
    }

    /// One call at a time stands to get the next probe; the others are
    /// rejected at once.
    fn claim(&mut self, want: Want) -> Admission {
        if self.claimed {
            return Admission::Rejected;
        }
        if self.want.is_none() {
            self.want = Some(want);
        }
        self.dispatch();
        self.claimed = self.job.is_some();
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
    fn probe_locally(&mut self, successes: u64) -> Admission {
        self.enter(Phase::HalfOpen(Recovery {
            opened_at: self.phase.opened_at(),
            failure_count: 0,
            right: Right::Local { successes, stage: Stage::Ready },
        }));
        self.announce(Cause::RecoveryTimeout, Origin::WithoutStore);
        self.start_probe()
    }

    /// The store cannot be read any more: calls go through and are counted.
    fn fall_open(&mut self) -> Admission {
        self.want = None;
        self.enter(Phase::Closed { streak: 0, basis: Basis::Local });
        self.announce(Cause::StoreUnreadable, Origin::WithoutStore);
        self.known.certain = false;
        Admission::Admitted(Pass { epoch: self.epoch, probe: None })
    }

    fn fails_open(&self) -> bool {
        self.config.on_store_outage() == OnStoreOutage::FailOpen
    }

    /// Whether this call may wait for the store. One that is known to be out, and has
    /// not answered a read since, is waited for by the call that tries it, and by no
    /// other.
    fn may_look(&self, past: Past) -> bool {
        let is_tried = past.outage && self.job.is_some() && self.health.is_doubtful(Access::Read);
        !past.looked && !is_tried && self.health.is_usable(Access::Read, self.now)
    }

    /// Whether what is known is too old, and cannot be learned anew.
    fn is_unreadable(&self, past: Past) -> bool {
        let in_vain = past.looked || !self.health.is_usable(Access::Read, self.now);
        !self.is_current(past) && !self.known.read_ok && in_vain
    }

    /// Whether what is known may be acted upon: fresh by clocks that agree, or read
    /// for this very call.
    fn is_current(&self, past: Past) -> bool {
        (self.is_fresh() && !self.is_out_of_step()) || (past.looked && self.known.read_ok)
    }

    /// Whether this process was frozen, or its wall clock set, since the store was
    /// last heard: then it is asked, which also tells the time, before anything is
    /// taken to be due.
    fn is_out_of_step(&self) -> bool {
        self.known.at.is_some_and(|at| self.now.disagrees(at))
    }

    /// Whether what is known may still be relied upon.
    pub(super) fn is_fresh(&self) -> bool {
        self.known.at.is_some_and(|at| self.now.is_within(at, self.config.local_cache_max_age()))
    }

    /// How long until another's lease may be taken over: past by more than the
    /// tolerated skew on the wall clock, or seen unchanged here for its whole
    /// length. A record without a readable lease counts as one that started
    /// when it was first seen.
    pub(super) fn lease_wait(&self, since: Moment) -> Duration {
        let unchanged = self.now.since(since);
        let Some(record) = self.known.record() else {
            return Duration::ZERO;
        };
        let Field::Valid(until) = record.lease_until else {
            return self.config.recovery_timeout().saturating_sub(unchanged);
        };
        let handed_over = record.success_count.valid().is_some_and(|count| *count > 0);
        let length = if handed_over { self.config.handoff() } else { self.config.probe_lease() };
        // The stamp was rounded up by less than a second.
        let length = length.saturating_add(Duration::from_secs(1));
        let by_sight = length.saturating_sub(unchanged);
        let free_at = u64::try_from(until).map_or(Duration::ZERO, |until| {
            Duration::from_secs(until).saturating_add(self.config.max_clock_skew())
        });
        by_sight.min(free_at.saturating_sub(self.now.shared()))
    }

    /// Reads, unless a store operation is in flight already.
    pub(super) fn start_read(&mut self) {
        if self.job.is_some() {
            return;
        }
        let closed = matches!(self.phase, Phase::Closed { .. });
        let eventual = closed && (self.known.certain || self.known.at.is_none());
        self.begin_read(if eventual { Consistency::Eventual } else { Consistency::Strong });
    }
}
