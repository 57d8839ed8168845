//! What the store says, and what it is asked.

mod adopt;
mod apply;

use std::{sync::Arc, time::Duration};

use super::{Admission, Arrival, CommandResult, Effect, Machine, Phase};
use crate::{
    protocol::answer::{Consistency, StoreErrorKind, Written},
    protocol::health::{Access, BackedOff, Failure},
    protocol::moment::Moment,
    protocol::record::{LeaseToken, Operation, Record},
};

/// The slack that every writer adds to the life of a record, as the reference does.
pub(super) const TTL_SLACK: Duration = Duration::from_secs(3_600);

/// A trip that goes by anything older looks first.
const AGE_BEFORE_A_TRIP: Duration = Duration::from_millis(100);

/// One store operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StoreRequest {
    /// Read the record.
    Read {
        /// How current it has to be.
        consistency: Consistency,
        /// What depends on it.
        purpose: Purpose,
    },
    /// Write the record.
    Write {
        /// What to write, on which condition.
        operation: Arc<Operation>,
        /// When it was decided; the length of a lease counts from here.
        sent_at: Moment,
    },
}

/// What depends on a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// How soon a closed circuit hears of others.
    Freshness,
    /// Whether calls run, or a trip is written.
    Decision,
    /// A write that keeps or ends a lease, or an operator's command.
    Lease,
}

impl StoreRequest {
    pub(crate) fn access(&self) -> Access {
        match self {
            Self::Read { .. } => Access::Read,
            Self::Write { .. } => Access::Write,
        }
    }

    /// Whether more depends on it than how soon a closed circuit hears of others.
    pub(crate) fn is_urgent(&self) -> bool {
        !matches!(self, Self::Read { purpose: Purpose::Freshness, .. })
    }
}

/// The store operation in flight, and how the last one went.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) in_flight: Option<StoreRequest>,
    /// When the last one was started.
    pub(super) started_at: Moment,
    /// Whether this process was frozen while the one before ran.
    was_frozen: bool,
}

/// How a [`StoreRequest`] ended.
#[derive(Clone, Debug)]
pub(crate) enum StoreResponse {
    /// The record that was read.
    Read(Option<Record>),
    /// The answer to a write.
    Written(Written),
    /// The store failed: a write may or may not have been applied.
    Failed(StoreErrorKind),
    /// The store was not asked.
    BackedOff(BackedOff),
}

/// A write to be made as soon as the store is free and usable.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum PendingWrite {
    Trip,
    Elect,
    TakeOver,
    Renew { starts_probe: bool },
    HandOver,
    GiveBack,
    Close { token: LeaseToken },
    Reopen { token: LeaseToken, opened_at: i64 },
}

impl PendingWrite {
    /// Whether this is what a write was made for, and not something that was
    /// decided while it was under way.
    fn is_done_by(&self, operation: &Operation) -> bool {
        matches!(
            (self, operation),
            (Self::Trip, Operation::Trip { .. })
                | (Self::Elect, Operation::Elect { .. } | Operation::ElectAbsent { .. })
                | (Self::TakeOver, Operation::TakeOver { .. } | Operation::ElectAbsent { .. })
                | (Self::Renew { .. }, Operation::Renew { .. })
                | (Self::HandOver, Operation::HandOver { .. })
                | (Self::GiveBack, Operation::GiveBack { .. })
                | (Self::Close { .. }, Operation::Close { .. })
                | (Self::Reopen { .. }, Operation::Reopen { .. })
        )
    }
}

/// An election that was sent.
#[derive(Clone, Debug)]
pub(super) struct Election {
    pub(super) token: LeaseToken,
    pub(super) sent_at: Moment,
    /// The latest lease that was asked for under the token. Each is later than the
    /// last, so that no write that names a lease fits a later one of the same second.
    pub(super) lease_until: i64,
    /// The record whose lease it took over, if it did.
    pub(super) from: Option<Record>,
    /// Whether it is known to have been won.
    pub(super) won: bool,
}

impl Machine {
    /// The store operation in flight has ended. Calls that were told to wait are asked
    /// again, oldest first; the result says what each of them gets. A right to probe that
    /// none of them takes is kept for the next call.
    pub(crate) fn on_response(
        &mut self,
        now: Moment,
        response: StoreResponse,
        waiting: &[Arrival],
    ) -> Vec<Admission> {
        self.take_response_in_time(now, response);
        self.claimed = false;
        let admissions = waiting.iter().map(|arrival| self.admit(now, *arrival)).collect();
        self.settle_claim();
        admissions
    }

    fn take_response_in_time(&mut self, now: Moment, answer: StoreResponse) {
        self.advance(now);
        let Some(job) = self.request.in_flight.take() else {
            return;
        };
        let stood_still =
            self.now.was_frozen_since(self.request.started_at, self.config.store_timeout());
        if stood_still && !self.request.was_frozen {
            self.request.was_frozen = true;
            self.on_response_after_freeze(self.request.started_at, job, answer);
        } else {
            // Twice in a row: a store or a runtime that is slow is no standstill.
            let shown = matches!(answer, StoreResponse::Read(_) | StoreResponse::Written(_));
            let started_at = self.request.started_at;
            self.request.was_frozen = stood_still;
            self.take_response(job, answer);
            if stood_still && shown {
                // As old as it is, however it came about.
                self.cache.date_back(started_at);
            }
        }
        self.dispatch();
    }

    /// This process stood still while the operation was under way. What was read
    /// is read again, what a write showed is as old as the write, and a failure
    /// is no sign of a store that is out.
    fn on_response_after_freeze(
        &mut self,
        started_at: Moment,
        job: StoreRequest,
        answer: StoreResponse,
    ) {
        match (job, answer) {
            (StoreRequest::Read { consistency, .. }, StoreResponse::Read(_)) => {
                self.begin_read(consistency);
            }
            (StoreRequest::Read { consistency, .. }, StoreResponse::Failed(kind)) => {
                self.fail_command(kind);
                self.begin_read(consistency);
            }
            (StoreRequest::Write { .. }, StoreResponse::Failed(kind)) => {
                self.fail_command(kind);
                self.cache.confirmed = false;
            }
            (job @ StoreRequest::Write { .. }, answer @ StoreResponse::Written(_)) => {
                let reads = self.cache.reads;
                self.take_response(job, answer);
                self.cache.date_back(started_at);
                self.cache.reads = reads;
            }
            (job, answer @ StoreResponse::BackedOff(_)) => self.take_response(job, answer),
            (StoreRequest::Read { .. }, StoreResponse::Written(_))
            | (StoreRequest::Write { .. }, StoreResponse::Read(_)) => {}
        }
    }

    fn take_response(&mut self, job: StoreRequest, answer: StoreResponse) {
        match (job, answer) {
            (StoreRequest::Read { consistency, .. }, StoreResponse::Read(record)) => {
                self.health.succeed(Access::Read);
                self.read(consistency, record);
            }
            (
                StoreRequest::Write { operation, sent_at },
                StoreResponse::Written(Written::Applied(record)),
            ) => {
                self.health.succeed(Access::Write);
                self.cache_record(Some(record));
                self.cache.is_own = true;
                self.applied(&operation, sent_at);
            }
            (
                StoreRequest::Write { operation, sent_at },
                StoreResponse::Written(Written::Refused(record)),
            ) => {
                self.health.succeed(Access::Write);
                self.refused(&operation, sent_at, record);
            }
            (job, StoreResponse::Failed(kind)) => {
                self.fail(job.access(), kind);
                match job {
                    StoreRequest::Read { .. } => {
                        self.cache.last_read_unanswered = kind != StoreErrorKind::Throttled;
                        self.on_read_failed();
                    }
                    StoreRequest::Write { operation, .. } => {
                        self.cache.confirmed = false;
                        self.on_write_failed(&operation);
                    }
                }
            }
            (job, StoreResponse::BackedOff(backed_off)) => {
                self.health.back_off(job.access(), self.now, backed_off);
                match job {
                    StoreRequest::Read { .. } => {
                        self.cache.last_read_unanswered = true;
                        self.on_read_failed();
                    }
                    StoreRequest::Write { operation, .. } => self.on_write_failed(&operation),
                }
            }
            // The owner answered another question; nothing was learned.
            (StoreRequest::Read { .. }, StoreResponse::Written(_))
            | (StoreRequest::Write { .. }, StoreResponse::Read(_)) => {}
        }
    }

    fn fail(&mut self, access: Access, kind: StoreErrorKind) {
        self.fail_command(kind);
        let jitter = self.entropy.jitter();
        let (begun_at, ended_at) = (self.now, self.now);
        let longest_throttling = self.config.local_cache_max_age();
        let failure = Failure { access, kind, begun_at, ended_at, jitter, longest_throttling };
        self.health.fail(failure);
    }

    /// A read was given up.
    fn on_read_failed(&mut self) {
        self.cache.fail_read();
        if !self.health.is_usable(Access::Write, self.now) {
            self.decide_without_store();
        }
    }

    /// An eventually consistent read is acted upon as it is: what is written on its
    /// ground is conditional. One that may be older than what is known is confirmed
    /// first: otherwise this process could go back behind its own write.
    fn read(&mut self, consistency: Consistency, record: Option<Record>) {
        if consistency == Consistency::Eventual
            && self.cache.may_be_newer_than(record.as_ref(), self.life())
        {
            return self.begin_read(Consistency::Strong);
        }
        self.adopt(record);
    }

    /// Keeps what the store showed.
    fn cache_record(&mut self, record: Option<Record>) {
        // Without spread, nothing is cut either.
        let is_spread = self.config.election_spread() > Duration::ZERO;
        let cut = if is_spread { self.entropy.jitter() } else { 0 };
        let defect = self.cache.show(record, self.now, cut);
        self.effects.extend(defect.map(Effect::Defective));
    }

    pub(super) fn begin_read(&mut self, consistency: Consistency) {
        let purpose = if self.is_commanded() || self.owes_lease_write() {
            Purpose::Lease
        } else if consistency == Consistency::Strong || !matches!(self.phase, Phase::Closed { .. })
        {
            Purpose::Decision
        } else {
            Purpose::Freshness
        };
        self.begin(StoreRequest::Read { consistency, purpose });
    }

    /// Whether the write to be made next keeps or ends a lease of ours: others wait for it.
    fn owes_lease_write(&self) -> bool {
        match &self.pending {
            Some(
                PendingWrite::Renew { .. }
                | PendingWrite::HandOver
                | PendingWrite::GiveBack
                | PendingWrite::Close { .. }
                | PendingWrite::Reopen { .. },
            ) => true,
            Some(PendingWrite::Trip | PendingWrite::Elect | PendingWrite::TakeOver) | None => false,
        }
    }

    pub(super) fn begin_write(&mut self, operation: Operation) {
        let operation = Arc::new(operation);
        self.begin(StoreRequest::Write { operation, sent_at: self.now });
    }

    fn begin(&mut self, job: StoreRequest) {
        self.request.in_flight = Some(job.clone());
        self.request.started_at = self.now;
        self.effects.push(Effect::Start(job));
    }

    /// Makes the next write, if there is one and the store is free and usable.
    /// After a write of unknown outcome, what is true is read first; before a trip,
    /// whether another process was first, which is what most of a fleet finds.
    pub(super) fn dispatch(&mut self) {
        if self.request.in_flight.is_some() || self.carry_out_command() {
            return;
        }
        if self.pending.is_none() || !self.health.is_usable(Access::Write, self.now) {
            return;
        }
        if !self.cache.confirmed || self.trips_over_another_state() {
            return self.begin_read(Consistency::Strong);
        }
        // Where reads find no answer, writes may all the same: they are conditional.
        let may_read = !self.cache.last_read_unanswered;
        if self.pending == Some(PendingWrite::Trip)
            && may_read
            && self.cache.is_older_than(AGE_BEFORE_A_TRIP, self.now)
        {
            // Withheld at once where other circuits found the store out, it would be
            // begun again and again until they have asked.
            if self.health.is_usable(Access::Read, self.now) {
                self.begin_read(Consistency::Eventual);
            }
            return;
        }
        match self.operation() {
            Some(operation) => self.begin_write(operation),
            None => self.pending = None,
        }
    }
}

/// Whole seconds, rounded up.
pub(super) fn seconds_up(duration: Duration) -> i64 {
    let up = u64::from(duration.subsec_nanos() > 0);
    i64::try_from(duration.as_secs().saturating_add(up)).unwrap_or(i64::MAX)
}
