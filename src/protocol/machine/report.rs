//! What the end of a call means.

use std::time::Duration;

use super::{
    Machine, Pass,
    phase::{Alone, Basis, Opening, Ours, Phase, Recovery, Right, SECOND, Stage, Standing, Turn},
    storage::Want,
};
use crate::{
    protocol::counting::Trip,
    protocol::health::Access,
    protocol::moment::Moment,
    transition::{Cause, Origin},
};

/// How a call ended, as the holder of its permit reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The dependency answered well.
    Success,
    /// The dependency failed.
    Failure,
    /// The call says nothing about the dependency.
    Ignored,
    /// The call was never finished.
    NoVerdict,
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
    pub(crate) fn report(&mut self, now: Moment, pass: Pass, report: Report) {
        self.advance(now);
        self.used_at = self.now;
        let is_cut_off = report == Report::Failure && pass.probe <= self.cut_off;
        self.report_probe(pass, if is_cut_off { Report::Ignored } else { report });
    }

    /// Whether this call is the probe whose verdict is awaited.
    pub(crate) fn is_probing(&self, pass: Pass) -> bool {
        let Phase::HalfOpen(recovery) = &self.phase else {
            return false;
        };
        matches!(recovery.right.stage(), Stage::Probing { id, .. } if pass.probe == Some(id))
    }

    /// The holder of a probe is alive: its lease is renewed at a third, for as long
    /// as one probe may take in all.
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
            && let Stage::Probing { id, started_at, alive_at } = recovery.right.stage()
            && pass.probe == Some(id)
            && self.now.since(started_at) < self.config.probe_limit()
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
                Right::Local(alone) => {
                    if self.now.is_within(alive_at, lease) {
                        alone.stage = Stage::Probing { id, started_at, alive_at: self.now };
                    }
                }
                Right::Theirs(_) | Right::Free { .. } => {}
            }
        }
    }

    /// A trip that is refuted opens the circuit here alone: others closed by their
    /// probes what this process tripped before, and it has failed again since without
    /// enough good calls, so that most likely its own way to the dependency is broken.
    fn open_tripped(&mut self, trip: &Trip) {
        // A token of ours may still stand, and its closing may land late: it does
        // not probe again.
        self.known.election = None;
        if trip.refuted {
            return self.open_alone(trip.count);
        }
        self.contradicted_in = 0;
        self.open(trip.count, Some(Want::Trip), Standing::Owed);
        if self.is_store_out() {
            self.announce(Cause::FailureThreshold, Origin::WithoutStore);
        }
        self.dispatch();
    }

    /// Opens in this process alone: nothing is written.
    fn open_alone(&mut self, failure_count: u64) {
        self.open(failure_count, None, Standing::Refuted);
        self.announce(Cause::Refuted, Origin::WithoutStore);
        self.dispatch();
    }

    /// Whether the store cannot be written to. One that is throttled can, later.
    fn is_store_out(&self) -> bool {
        !self.health.is_usable(Access::Write, self.now) && !self.is_throttled()
    }

    /// Opens here and now; the store is told by `want`.
    fn open(&mut self, failure_count: u64, want: Option<Want>, standing: Standing) {
        self.want = want;
        self.enter(Phase::Open(Box::new(Opening {
            opened_at: Some(self.now.unix_ceil(Duration::ZERO)),
            failure_count,
            first_seen: self.now,
            otherwise_at: Some(self.now),
            standing,
            turn: Turn::Last,
            held: false,
        })));
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
            Right::Local(alone) => {
                alone.stage = Stage::Ready;
                if report == Report::Success {
                    alone.successes = alone.successes.saturating_add(1);
                }
                let alone = **alone;
                self.judge_local_probe(alone, report);
            }
            Right::Theirs(_) | Right::Free { .. } => {}
        }
        self.dispatch();
    }

    fn judge_probe(&mut self, mut ours: Ours, report: Report) {
        ours.stage = Stage::Settling;
        match report {
            Report::Failure => return self.reopen(ours),
            Report::Success => {
                ours.kept_since = None;
                ours.successes = ours.successes.saturating_add(1);
                let enough = ours.successes >= self.config.success_threshold().get();
                // Its own probes bear this process out.
                self.tripped &= !enough;
                self.want = Some(if enough {
                    Want::Close { token: ours.token.clone() }
                } else {
                    Want::HandOver
                });
            }
            Report::Ignored | Report::NoVerdict if self.keeps(&mut ours, report) => {
                ours.stage = Stage::Ready;
            }
            Report::Ignored | Report::NoVerdict => {
                self.known.election = None;
                self.want = Some(Want::GiveBack);
            }
        }
        if self.is_store_out() {
            return self.verdict_without_store(&ours);
        }
        if let Phase::HalfOpen(Recovery { right, .. }) = &mut self.phase {
            *right = Right::Ours(Box::new(ours));
        }
    }

    /// Whether the right stays here for the next call after a probe without a verdict:
    /// for one `handoff`. A probe that was dropped gives the right back at once, but
    /// not again within a `handoff`: callers who give up in turn would write twice each.
    fn keeps(&self, ours: &mut Ours, report: Report) -> bool {
        let right_stays_for = self.right_stays_for();
        let is_recent = |at: Moment| self.now.since(at) < right_stays_for;
        let kept_since = *ours.kept_since.get_or_insert(self.now);
        let gave_back = ours.gave_back_at.is_some_and(is_recent);
        is_recent(kept_since) && (report == Report::Ignored || gave_back)
    }

    fn reopen(&mut self, ours: Ours) {
        // The token has one write left, and never closes.
        self.known.election = None;
        let opened_at = self.now.unix_ceil(Duration::ZERO);
        let want = Want::Reopen { token: ours.token, opened_at };
        self.open(0, Some(want), Standing::Owed);
        if self.is_store_out() {
            self.announce(Cause::ProbeFailed, Origin::WithoutStore);
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
                    *right = Right::Free { gave_back_at: Some(Box::new(self.now)) };
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

    fn judge_local_probe(&mut self, alone: Alone, report: Report) {
        match report {
            Report::Failure => {
                // A token of ours that may still stand saw a failure.
                self.known.election = None;
                // A contradicted process is no witness for the fleet. Without this its
                // opening is owed, and written as soon as the item is deleted.
                if alone.refuted || self.contradicted_in != 0 {
                    return self.open_alone(0);
                }
                self.open(0, Some(Want::Trip), Standing::Owed);
                if self.is_store_out() {
                    self.announce(Cause::ProbeFailed, Origin::WithoutStore);
                }
            }
            Report::Success if alone.successes >= self.config.success_threshold().get() => {
                self.tripped &= alone.refuted;
                self.enter(Phase::Closed { basis: Basis::Probed });
                self.announce(Cause::ProbesSucceeded, Origin::WithoutStore);
            }
            Report::Success | Report::Ignored | Report::NoVerdict => {}
        }
    }
}

impl Right {
    /// The stage of a right that this process holds.
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Ours(ours) => ours.stage,
            Self::Local(alone) => alone.stage,
            Self::Theirs(_) | Self::Free { .. } => Stage::Settling,
        }
    }
}
