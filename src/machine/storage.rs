//! What the store says, and what it is asked.

mod adopt;
mod apply;

use std::{sync::Arc, time::Duration};

use super::{Effect, Machine, Ordered};
use crate::{
    answer::{Consistency, StoreErrorKind, Written},
    moment::Moment,
    record::{LeaseToken, Operation, Record},
};

/// The slack that every writer adds to the life of a record, as the reference does.
pub(super) const TTL_SLACK: Duration = Duration::from_secs(3_600);
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);
const MISCONFIGURED_BACK_OFF: Duration = Duration::from_secs(60);

/// One store operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Job {
    /// Read the record.
    Read(Consistency),
    /// Write the record.
    Write {
        /// What to write, on which condition.
        operation: Arc<Operation>,
        /// When it was decided; the length of a lease counts from here.
        sent_at: Moment,
    },
}

/// How a [`Job`] ended.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// The record that was read.
    Read(Option<Record>),
    /// The answer to a write.
    Written(Written),
    /// The store failed: a write may or may not have been applied.
    Failed(StoreErrorKind),
}

/// A write to be made as soon as the store is free and usable.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Want {
    Trip,
    Elect,
    TakeOver,
    Renew { starts_probe: bool },
    HandOver,
    GiveBack,
    Close { token: LeaseToken },
    Reopen { token: LeaseToken, opened_at: i64 },
}

impl Want {
    /// Whether this is what a write was made for, and not something that was
    /// decided while it was under way.
    fn is_met_by(&self, operation: &Operation) -> bool {
        matches!(
            (self, operation),
            (Self::Trip, Operation::Trip { .. })
                | (Self::Elect, Operation::Elect { .. })
                | (Self::TakeOver, Operation::TakeOver { .. })
                | (Self::Renew { .. }, Operation::Renew { .. })
                | (Self::HandOver, Operation::HandOver { .. })
                | (Self::GiveBack, Operation::GiveBack { .. })
                | (Self::Close { .. }, Operation::Close { .. })
                | (Self::Reopen { .. }, Operation::Reopen { .. })
        )
    }
}

/// What the store last showed.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) record: Option<Record>,
    /// When it was shown; `None` before the first time.
    pub(super) at: Option<Moment>,
    /// No write of unknown outcome came after it.
    pub(super) certain: bool,
    /// Reads that were answered, or given up.
    pub(super) reads: u64,
    /// Whether the last of them was answered.
    pub(super) read_ok: bool,
    /// Our last election, in case its answer was lost.
    pub(super) election: Option<Election>,
}

/// An election that was sent.
#[derive(Clone, Debug)]
pub(super) struct Election {
    pub(super) token: LeaseToken,
    pub(super) sent_at: Moment,
    /// The record whose lease it took over, if it did.
    pub(super) from: Option<Record>,
    /// Whether it is known to have been won.
    pub(super) won: bool,
}

/// How the store has been doing.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Failures in a row.
    failures: u32,
    /// Whether the last of them was of a kind that waiting does not mend.
    misconfigured: bool,
    /// The back-off: since when, and for how long.
    back_off: Option<(Moment, Duration)>,
}

impl Health {
    pub(super) fn is_usable(&self, now: Moment) -> bool {
        self.wait(now) == Duration::ZERO
    }

    /// More than a single failure, or one that waiting does not mend: the
    /// store is out.
    pub(super) fn is_outage(&self) -> bool {
        self.failures > 1 || self.misconfigured
    }

    /// How long until the store may be asked again.
    pub(super) fn wait(&self, now: Moment) -> Duration {
        self.back_off.map_or(Duration::ZERO, |(since, span)| span.saturating_sub(now.since(since)))
    }

    fn succeed(&mut self) {
        *self = Self::default();
    }

    /// A read that failed fast is tried again by the next call, as in the
    /// reference; anything else, or a second failure, starts a back-off.
    fn fail(&mut self, now: Moment, kind: StoreErrorKind, was_read: bool, spread: u8) {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        self.misconfigured = kind == StoreErrorKind::Misconfigured;
        let fast = match kind {
            StoreErrorKind::Unavailable | StoreErrorKind::Throttled | StoreErrorKind::BadAnswer => {
                was_read
            }
            StoreErrorKind::Timeout | StoreErrorKind::Misconfigured => false,
        };
        if fast && self.failures == 1 {
            return;
        }
        let span = match kind {
            StoreErrorKind::Misconfigured => MISCONFIGURED_BACK_OFF,
            StoreErrorKind::Timeout
            | StoreErrorKind::Unavailable
            | StoreErrorKind::Throttled
            | StoreErrorKind::BadAnswer => {
                let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
                FIRST_BACK_OFF.saturating_mul(factor).min(LONGEST_BACK_OFF)
            }
        };
        // Between three quarters and all of it, so that a fleet spreads out.
        let less = span.saturating_mul(u32::from(spread)).checked_div(1_020).unwrap_or_default();
        self.back_off = Some((now, span.saturating_sub(less)));
    }
}

impl Machine {
    /// The store operation in flight has ended.
    pub(crate) fn stored(&mut self, now: Moment, answer: Answer) {
        self.advance(now);
        let Some(job) = self.job.take() else {
            return;
        };
        match (job, answer) {
            (Job::Read(consistency), Answer::Read(record)) => {
                self.health.succeed();
                self.read(consistency, record);
            }
            (Job::Read(_), Answer::Failed(kind)) => {
                self.fail(kind, true);
                self.known.reads = self.known.reads.saturating_add(1);
                self.known.read_ok = false;
                if !self.health.is_usable(self.now) {
                    self.stand_alone();
                }
            }
            (Job::Write { operation, sent_at }, Answer::Written(Written::Applied(record))) => {
                self.health.succeed();
                self.learn(Some(record));
                self.applied(&operation, sent_at);
            }
            (Job::Write { operation, sent_at }, Answer::Written(Written::Refused(record))) => {
                self.health.succeed();
                self.refused(&operation, sent_at, record);
            }
            (Job::Write { operation, .. }, Answer::Failed(kind)) => {
                self.fail(kind, false);
                self.known.certain = false;
                self.unanswered(&operation);
            }
            // The owner answered another question; nothing was learned.
            (Job::Read(_), Answer::Written(_)) | (Job::Write { .. }, Answer::Read(_)) => {}
        }
        self.dispatch();
    }

    fn fail(&mut self, kind: StoreErrorKind, was_read: bool) {
        self.fail_order(kind);
        let spread = self.chance.spread();
        self.health.fail(self.now, kind, was_read, spread);
    }

    /// A read ahead may be behind our own writes, so that what it shows as
    /// changed is confirmed by a consistent one before anything moves.
    fn read(&mut self, consistency: Consistency, record: Option<Record>) {
        let first = self.known.at.is_none();
        match consistency {
            Consistency::Eventual if !first && record != self.known.record => {
                self.begin_read(Consistency::Strong);
            }
            Consistency::Eventual | Consistency::Strong => self.adopt(record),
        }
    }

    /// Notes what the store showed, without drawing conclusions.
    fn learn(&mut self, record: Option<Record>) {
        let changed = self.known.at.is_none() || self.known.record != record;
        if changed && let Some(defect) = record.as_ref().and_then(Record::defect) {
            self.effects.push(Effect::Defective(defect));
        }
        self.known.record = record;
        self.known.at = Some(self.now);
        self.known.certain = true;
        self.known.read_ok = true;
        self.known.reads = self.known.reads.saturating_add(1);
    }

    pub(super) fn begin_read(&mut self, consistency: Consistency) {
        self.begin(Job::Read(consistency));
    }

    pub(super) fn begin_write(&mut self, operation: Operation) {
        let operation = Arc::new(operation);
        self.begin(Job::Write { operation, sent_at: self.now });
    }

    fn begin(&mut self, job: Job) {
        self.job = Some(job.clone());
        self.effects.push(Effect::Start(job));
    }

    /// Makes the next write, if there is one and the store is free and usable.
    /// After a write of unknown outcome, what is true is read first.
    pub(super) fn dispatch(&mut self) {
        if self.job.is_some() || self.carry_out_order() {
            return;
        }
        if self.want.is_none() || !self.health.is_usable(self.now) {
            return;
        }
        if !self.known.certain || self.trips_over_another_state() {
            return self.begin_read(Consistency::Strong);
        }
        match self.operation() {
            Some(operation) => self.begin_write(operation),
            None => self.want = None,
        }
    }
}

/// Whole seconds, rounded up.
pub(super) fn seconds_up(duration: Duration) -> i64 {
    let up = u64::from(duration.subsec_nanos() > 0);
    i64::try_from(duration.as_secs().saturating_add(up)).unwrap_or(i64::MAX)
}
