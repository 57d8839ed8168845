//! What the end of a call means.

use std::time::Duration;

use super::{
    Machine, Pass,
    phase::{Basis, Opening, Ours, Phase, Recovery, Right, Stage},
    storage::Want,
};
use crate::{
    counting::Trip,
    health::Access,
    moment::Moment,
    transition::{Cause, Origin},
};

/// By how much a stamp may be rounded up.
const SECOND: Duration = Duration::from_secs(1);

/// How a call ended, as the holder of its permit reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The dependency answered well.
    Success,
    /// The dependency failed.
    Failure,
    /// The call says nothing about the dependency, or was never finished.
    NoVerdict,
}

impl Machine {
    /// The rules said trip. One that was found in an older epoch, or while the circuit
    /// is not closed, changes nothing.
    pub(crate) fn trip(&mut self, now: Moment, trip: &Trip) {
        self.advance(now);
        if trip.epoch == self.epoch && matches!(self.phase, Phase::Closed { .. }) {
            self.used_at = self.now;
            self.open_tripped(trip.count);
        }
    }

    /// Takes the verdict of a probe into account. One that is not the current probe
    /// changes nothing.
    pub(crate) fn report(&mut self, now: Moment, pass: Pass, report: Report) {
        self.advance(now);
        self.used_at = self.now;
        self.report_probe(pass, report);
    }

    /// Whether this call is the probe whose verdict is awaited.
    pub(crate) fn is_probing(&self, pass: Pass) -> bool {
        let Phase::HalfOpen(recovery) = &self.phase else {
            return false;
        };
        matches!(recovery.right.stage(), Stage::Probing { id, .. } if pass.probe == Some(id))
    }

    /// The holder of a probe is alive: its lease is renewed at a third.
    pub(crate) fn keep_alive(&mut self, now: Moment, pass: Pass) {
        self.advance(now);
        let lease = self.config.probe_lease();
        let third = lease.checked_div(3).unwrap_or(lease);
        // A third of a short lease is less than the second that a write adds: the
        // stamp would run ahead. Others who go by what they saw unchanged wait
        // for a second more than a lease, as long as the stamp may be reused.
        let stamp = self.known.record().and_then(|record| record.lease_until.valid());
        let reaches = stamp.is_some_and(|until| *until >= self.now.unix_ceil(lease));
        if let Phase::HalfOpen(recovery) = &mut self.phase
            && let Stage::Probing { id, since } = recovery.right.stage()
            && pass.probe == Some(id)
        {
            match &mut recovery.right {
                Right::Ours(ours) => {
                    if self.want.is_some() || self.now.since(ours.leased_at) < third {
                        return;
                    }
                    if reaches && self.now.since(ours.written_at) <= SECOND {
                        ours.leased_at = self.now;
                        return;
                    }
                    self.want = Some(Want::Renew { starts_probe: false });
                    self.dispatch();
                }
                Right::Local { stage, .. } => {
                    if self.now.is_within(since, lease) {
                        *stage = Stage::Probing { id, since: self.now };
                    }
                }
                Right::Theirs { .. } | Right::Free => {}
            }
        }
    }

    fn open_tripped(&mut self, failure_count: u64) {
        // A token of ours may still stand, and its closing may land late: it does
        // not probe again.
        self.known.election = None;
        self.open(failure_count, Some(Want::Trip));
        if !self.health.is_usable(Access::Write, self.now) {
            self.announce(Cause::FailureThreshold, Origin::WithoutStore);
        }
        self.dispatch();
    }

    /// Opens here and now; the store is told by `want`.
    fn open(&mut self, failure_count: u64, want: Option<Want>) {
        self.want = want;
        self.enter(Phase::Open(Opening {
            opened_at: Some(self.now.unix_ceil(Duration::ZERO)),
            failure_count,
            first_seen: self.now,
            otherwise_at: Some(self.now),
            basis: Basis::Local,
            held: false,
        }));
    }

    fn report_probe(&mut self, pass: Pass, report: Report) {
        let Phase::HalfOpen(recovery) = &mut self.phase else {
            return;
        };
        match recovery.right.stage() {
            Stage::Probing { id, .. } if pass.probe == Some(id) => {}
            Stage::Probing { .. } | Stage::Ready | Stage::Settling | Stage::Resting => return,
        }
        match &mut recovery.right {
            Right::Ours(ours) => {
                let ours = ours.clone();
                self.judge_probe(*ours, report);
            }
            Right::Local { successes, stage } => {
                *stage = Stage::Ready;
                if report == Report::Success {
                    *successes = successes.saturating_add(1);
                }
                let successes = *successes;
                self.judge_local_probe(successes, report);
            }
            Right::Theirs { .. } | Right::Free => {}
        }
        self.dispatch();
    }

    fn judge_probe(&mut self, mut ours: Ours, report: Report) {
        ours.stage = Stage::Settling;
        match report {
            Report::Failure => {
                // The token has one write left, and never closes.
                self.known.election = None;
                let opened_at = self.now.unix_ceil(Duration::ZERO);
                self.open(0, Some(Want::Reopen { token: ours.token, opened_at }));
                if !self.health.is_usable(Access::Write, self.now) {
                    self.announce(Cause::ProbeFailed, Origin::WithoutStore);
                }
                return;
            }
            Report::Success => {
                ours.successes = ours.successes.saturating_add(1);
                let enough = ours.successes >= self.config.success_threshold().get();
                self.want = Some(if enough {
                    Want::Close { token: ours.token.clone() }
                } else {
                    Want::HandOver
                });
            }
            Report::NoVerdict => {
                self.known.election = None;
                self.want = Some(Want::GiveBack);
            }
        }
        if !self.health.is_usable(Access::Write, self.now) {
            return self.verdict_without_store(&ours);
        }
        if let Phase::HalfOpen(Recovery { right, .. }) = &mut self.phase {
            *right = Right::Ours(Box::new(ours));
        }
    }

    /// The store is out: the verdict holds here, and what is owed to the store
    /// is kept where it can still be of use.
    pub(super) fn verdict_without_store(&mut self, ours: &Ours) {
        match &self.want {
            Some(Want::Close { .. }) => {
                self.enter(Phase::Closed { basis: Basis::Local });
                self.announce(Cause::ProbesSucceeded, Origin::WithoutStore);
            }
            Some(Want::HandOver) => {
                self.want = None;
                if let Phase::HalfOpen(Recovery { right, .. }) = &mut self.phase {
                    let ours = Ours { stage: Stage::Resting, ..ours.clone() };
                    *right = Right::Ours(Box::new(ours));
                }
            }
            Some(Want::GiveBack) => {
                self.want = None;
                if let Phase::HalfOpen(Recovery { right, .. }) = &mut self.phase {
                    *right = Right::Free;
                }
            }
            Some(
                Want::Trip
                | Want::Elect
                | Want::TakeOver
                | Want::Renew { .. }
                | Want::Reopen { .. },
            )
            | None => {}
        }
    }

    fn judge_local_probe(&mut self, successes: u64, report: Report) {
        match report {
            Report::Failure => {
                // A token of ours that may still stand saw a failure.
                self.known.election = None;
                self.open(0, Some(Want::Trip));
                if !self.health.is_usable(Access::Write, self.now) {
                    self.announce(Cause::ProbeFailed, Origin::WithoutStore);
                }
            }
            Report::Success if successes >= self.config.success_threshold().get() => {
                self.enter(Phase::Closed { basis: Basis::Local });
                self.announce(Cause::ProbesSucceeded, Origin::WithoutStore);
            }
            Report::Success | Report::NoVerdict => {}
        }
    }
}

impl Right {
    /// The stage of a right that this process holds.
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Ours(ours) => ours.stage,
            Self::Local { stage, .. } => *stage,
            Self::Theirs { .. } | Self::Free => Stage::Settling,
        }
    }
}
