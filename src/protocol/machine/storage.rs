//! What the store says, and what it is asked.

mod adopt;
mod apply;

use std::{sync::Arc, time::Duration};

use super::{Effect, Machine, Ordered, Phase};
use crate::{
    protocol::answer::{Consistency, StoreErrorKind, Written},
    protocol::health::{Access, Failure, Withheld},
    protocol::moment::Moment,
    protocol::record::{LeaseToken, Operation, Record},
};

/// The slack that every writer adds to the life of a record, as the reference does.
pub(super) const TTL_SLACK: Duration = Duration::from_secs(3_600);

/// A trip that goes by anything older looks first.
const AGE_BEFORE_A_TRIP: Duration = Duration::from_millis(100);

/// One store operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Job {
    /// Read the record.
    Read {
        /// How current it has to be.
        consistency: Consistency,
        /// Whether more depends on it than how soon a closed circuit hears of others.
        is_urgent: bool,
    },
    /// Write the record.
    Write {
        /// What to write, on which condition.
        operation: Arc<Operation>,
        /// When it was decided; the length of a lease counts from here.
        sent_at: Moment,
    },
}

impl Job {
    pub(crate) fn access(&self) -> Access {
        match self {
            Self::Read { .. } => Access::Read,
            Self::Write { .. } => Access::Write,
        }
    }

    /// Whether more depends on it than how soon a closed circuit hears of others.
    pub(crate) fn is_urgent(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::Read { is_urgent: true, .. })
    }
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
    /// The store was not asked.
    Withheld(Withheld),
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

/// What the store last showed. What idle circuits do not have is boxed.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) record: Option<Box<Record>>,
    /// When it was shown; `None` before the first time.
    pub(super) at: Option<Moment>,
    /// No write of unknown outcome came after it.
    pub(super) certain: bool,
    /// Whether it is what a write of this process left, so that an eventually
    /// consistent read that shows anything else may be older.
    pub(super) is_own: bool,
    /// By how many 2,560ths its age is cut.
    cut: u8,
    /// Reads that were answered, or given up.
    pub(super) reads: u64,
    /// Whether the last of them was answered.
    pub(super) read_ok: bool,
    /// Whether the last of them was not answered at all, not even to say that the
    /// store is throttled.
    pub(super) is_unread: bool,
    /// Our last election, in case its answer was lost.
    pub(super) election: Option<Box<Election>>,
}

impl Known {
    /// An age, cut by up to a tenth.
    pub(super) fn cut(&self, age: Duration) -> Duration {
        let less = age.saturating_mul(u32::from(self.cut)).checked_div(2_560);
        age.saturating_sub(less.unwrap_or_default())
    }

    pub(super) fn record(&self) -> Option<&Record> {
        self.record.as_deref()
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
    /// The store operation in flight has ended.
    pub(crate) fn stored(&mut self, now: Moment, answer: Answer) {
        self.advance(now);
        let Some(job) = self.job.take() else {
            return;
        };
        let stood_still = self.now.stood_still_since(self.started_at, self.config.store_timeout());
        if stood_still && !self.stood_still {
            self.stood_still = true;
            self.stored_before(self.started_at, job, answer);
        } else {
            // Twice in a row: a store or a runtime that is slow is no standstill.
            let shown = matches!(answer, Answer::Read(_) | Answer::Written(_));
            let started_at = self.started_at;
            self.stood_still = stood_still;
            self.take_answer(job, answer);
            if stood_still && shown {
                // As old as it is, however it came about.
                self.known.at = self.known.at.map(|_| started_at);
            }
        }
        self.dispatch();
    }

    /// This process stood still while the operation was under way. What was read
    /// is read again, what a write showed is as old as the write, and a failure
    /// is no sign of a store that is out.
    fn stored_before(&mut self, started_at: Moment, job: Job, answer: Answer) {
        match (job, answer) {
            (Job::Read { consistency, .. }, Answer::Read(_)) => self.begin_read(consistency),
            (Job::Read { consistency, .. }, Answer::Failed(kind)) => {
                self.fail_order(kind);
                self.begin_read(consistency);
            }
            (Job::Write { .. }, Answer::Failed(kind)) => {
                self.fail_order(kind);
                self.known.certain = false;
            }
            (job @ Job::Write { .. }, answer @ Answer::Written(_)) => {
                let reads = self.known.reads;
                self.take_answer(job, answer);
                self.known.at = self.known.at.map(|_| started_at);
                self.known.reads = reads;
            }
            (job, answer @ Answer::Withheld(_)) => self.take_answer(job, answer),
            (Job::Read { .. }, Answer::Written(_)) | (Job::Write { .. }, Answer::Read(_)) => {}
        }
    }

    fn take_answer(&mut self, job: Job, answer: Answer) {
        match (job, answer) {
            (Job::Read { consistency, .. }, Answer::Read(record)) => {
                self.health.succeed(Access::Read);
                self.read(consistency, record);
            }
            (Job::Write { operation, sent_at }, Answer::Written(Written::Applied(record))) => {
                self.health.succeed(Access::Write);
                self.learn(Some(record));
                self.known.is_own = true;
                self.applied(&operation, sent_at);
            }
            (Job::Write { operation, sent_at }, Answer::Written(Written::Refused(record))) => {
                self.health.succeed(Access::Write);
                self.refused(&operation, sent_at, record);
            }
            (job, Answer::Failed(kind)) => {
                self.fail(job.access(), kind);
                match job {
                    Job::Read { .. } => {
                        self.known.is_unread = kind != StoreErrorKind::Throttled;
                        self.unread();
                    }
                    Job::Write { operation, .. } => {
                        self.known.certain = false;
                        self.unanswered(&operation);
                    }
                }
            }
            (job, Answer::Withheld(withheld)) => {
                self.health.withhold(job.access(), self.now, withheld);
                match job {
                    Job::Read { .. } => {
                        self.known.is_unread = true;
                        self.unread();
                    }
                    Job::Write { operation, .. } => self.unanswered(&operation),
                }
            }
            // The owner answered another question; nothing was learned.
            (Job::Read { .. }, Answer::Written(_)) | (Job::Write { .. }, Answer::Read(_)) => {}
        }
    }

    fn fail(&mut self, access: Access, kind: StoreErrorKind) {
        self.fail_order(kind);
        let spread = self.chance.spread();
        let (begun_at, ended_at) = (self.now, self.now);
        let longest_throttling = self.config.local_cache_max_age();
        let failure = Failure { access, kind, begun_at, ended_at, spread, longest_throttling };
        self.health.fail(failure);
    }

    /// A read was given up.
    fn unread(&mut self) {
        self.known.reads = self.known.reads.saturating_add(1);
        self.known.read_ok = false;
        if !self.health.is_usable(Access::Write, self.now) {
            self.stand_alone();
        }
    }

    /// An eventually consistent read is acted upon as it is: what is written on its
    /// ground is conditional. One that may be older than what is known is confirmed
    /// first: otherwise this process could go back behind its own write.
    fn read(&mut self, consistency: Consistency, record: Option<Record>) {
        if consistency == Consistency::Eventual && self.may_be_older(record.as_ref()) {
            return self.begin_read(Consistency::Strong);
        }
        self.adopt(record);
    }

    /// Where this process wrote what is known, anything else may be older. Otherwise it
    /// is what expires no later, if no stamp shows that it is later all the same.
    fn may_be_older(&self, shown: Option<&Record>) -> bool {
        let known = self.known.record();
        if self.known.at.is_none() || shown == known {
            return false;
        }
        let expires_at = |record: Option<&Record>| {
            record.and_then(|record| record.expires_at.valid().copied()).unwrap_or(i64::MIN)
        };
        let is_later =
            || known.zip(shown).is_some_and(|(known, shown)| self.is_after_opening(known, shown));
        // Equal stamps order nothing: two writes of one second leave the same.
        self.known.is_own || (expires_at(shown) <= expires_at(known) && !is_later())
    }

    /// Notes what the store showed, without drawing conclusions.
    fn learn(&mut self, record: Option<Record>) {
        let changed = self.known.at.is_none() || self.known.record() != record.as_ref();
        if changed && let Some(defect) = record.as_ref().and_then(Record::defect) {
            self.effects.push(Effect::Defective(defect));
        }
        // Without spread, nothing is cut either.
        let is_spread = self.config.election_spread() > Duration::ZERO;
        self.known.cut = if is_spread { self.chance.spread() } else { 0 };
        self.known.is_own = false;
        self.known.record = record.map(Box::new);
        self.known.at = Some(self.now);
        self.known.certain = true;
        self.known.read_ok = true;
        self.known.is_unread = false;
        self.known.reads = self.known.reads.saturating_add(1);
    }

    pub(super) fn begin_read(&mut self, consistency: Consistency) {
        let is_urgent =
            consistency == Consistency::Strong || !matches!(self.phase, Phase::Closed { .. });
        self.begin(Job::Read { consistency, is_urgent });
    }

    pub(super) fn begin_write(&mut self, operation: Operation) {
        let operation = Arc::new(operation);
        self.begin(Job::Write { operation, sent_at: self.now });
    }

    fn begin(&mut self, job: Job) {
        self.job = Some(job.clone());
        self.started_at = self.now;
        self.effects.push(Effect::Start(job));
    }

    fn is_older_than(&self, age: Duration) -> bool {
        self.known.at.is_none_or(|at| self.now.since(at) > age)
    }

    /// Makes the next write, if there is one and the store is free and usable.
    /// After a write of unknown outcome, what is true is read first; before a trip,
    /// whether another process was first, which is what most of a fleet finds.
    pub(super) fn dispatch(&mut self) {
        if self.job.is_some() || self.carry_out_order() {
            return;
        }
        if self.want.is_none() || !self.health.is_usable(Access::Write, self.now) {
            return;
        }
        if !self.known.certain || self.trips_over_another_state() {
            return self.begin_read(Consistency::Strong);
        }
        // Where reads find no answer, writes may all the same: they are conditional.
        let may_look = !self.known.is_unread;
        if self.want == Some(Want::Trip) && may_look && self.is_older_than(AGE_BEFORE_A_TRIP) {
            // Withheld at once where other circuits found the store out, it would be
            // begun again and again until they have asked.
            if self.health.is_usable(Access::Read, self.now) {
                self.begin_read(Consistency::Eventual);
            }
            return;
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
