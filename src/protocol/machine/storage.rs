//! The use of the store: which operation is next, and what its response changes.
//!
//! One operation is in flight at a time. [`PendingWrite`] says what to write next; a response
//! may replace it, since all writes are made on the condition of the record last shown.

mod adopt;
mod apply;
mod own_write;
mod request;

use std::{sync::Arc, time::Duration};

pub(super) use self::request::{Election, PendingWrite, Request};
pub(crate) use self::request::{Purpose, StoreRequest, StoreResponse};
use super::{Admission, Arrival, Effect, Machine, Phase};
use crate::{
    protocol::answer::{Consistency, StoreErrorKind, Written},
    protocol::health::{Access, Failure},
    protocol::moment::Moment,
    protocol::record::{Operation, Record},
};

/// The slack that every writer adds to the life of a record, as the reference does.
pub(super) const TTL_SLACK: Duration = Duration::from_secs(3_600);

/// A trip reads first if the cached record is older than this. Most of a fleet finds then
/// that another process was first: at 1,000 processes 2 trips are written, and not 769.
pub(super) const AGE_BEFORE_A_TRIP: Duration = Duration::from_millis(100);

impl Machine {
    /// Takes the response to the store operation in flight, and asks the calls that were told
    /// to wait again, oldest first. The result holds the [`Admission`] of each. A right to
    /// probe that none of them takes is kept for the next call.
    pub(crate) fn on_response(
        &mut self,
        now: Moment,
        response: StoreResponse,
        waiting: &[Arrival],
    ) -> Vec<Admission> {
        self.end_operation(now, response);
        // The claim lasted until this response. Oldest first, so that the call which claimed the
        // probe takes it, and no later call overtakes it.
        self.probe_claimed = false;
        let admissions = waiting.iter().map(|arrival| self.admit(now, *arrival)).collect();
        self.settle_claim();
        // After the calls: a read that a call has begun serves the vote as well.
        self.dispatch_votes();
        admissions
    }

    /// Ends the operation in flight, and starts the next one. Tells a response that a freeze of
    /// this process has made old from a timely one.
    fn end_operation(&mut self, now: Moment, response: StoreResponse) {
        self.advance(now);
        let Some(request) = self.request.in_flight.take().map(|request| *request) else {
            return;
        };
        let was_frozen =
            self.now.was_frozen_since(self.request.started_at, self.config.store_timeout());
        if was_frozen && !self.request.was_frozen {
            self.request.was_frozen = true;
            self.on_response_after_freeze(self.request.started_at, request, response);
        } else {
            // Two freezes in a row are no freeze, but a slow store or runtime. If each such
            // response were discarded, this process would read for ever.
            let shows_record =
                matches!(response, StoreResponse::Read(_) | StoreResponse::Written(_));
            let started_at = self.request.started_at;
            self.request.was_frozen = was_frozen;
            self.take_response(request, response);
            if was_frozen && shows_record {
                // The store may have shown the record any time since the request was sent.
                self.cache.date_back(started_at);
            }
        }
        // After the response, which is of an operation that was begun under the settings before.
        self.follow_settings();
        self.dispatch();
    }

    /// Takes a response after this process was frozen while the operation was in flight.
    ///
    /// | response | taken as |
    /// |---|---|
    /// | a record, or a failed read | nothing: read again, since the record may be minutes old |
    /// | a failed write | of unknown outcome, but no sign that the store is out: the freeze cut the connection |
    /// | a written record | applied or refused, but as old as the write |
    /// | backed off | as ever: nothing was sent |
    fn on_response_after_freeze(
        &mut self,
        started_at: Moment,
        request: StoreRequest,
        response: StoreResponse,
    ) {
        match (request, response) {
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
            (request @ StoreRequest::Write { .. }, response @ StoreResponse::Written(_)) => {
                // Calls that wait must not take it for a read that was made for them.
                let reads = self.cache.reads;
                self.take_response(request, response);
                self.cache.date_back(started_at);
                self.cache.reads = reads;
            }
            (request, response @ StoreResponse::BackedOff(_)) => {
                self.take_response(request, response);
            }
            (StoreRequest::Read { .. }, StoreResponse::Written(_))
            | (StoreRequest::Write { .. }, StoreResponse::Read(_)) => {}
        }
    }

    /// Takes a response that no freeze has made old.
    fn take_response(&mut self, request: StoreRequest, response: StoreResponse) {
        match (request, response) {
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
                // Until the first read after it, a record that differs may be an older one.
                self.cache.is_own = true;
                self.applied(&operation, sent_at);
            }
            (
                StoreRequest::Write { operation, sent_at },
                StoreResponse::Written(Written::Refused(record)),
            ) => {
                // A refusal is normal: another process was first.
                self.health.succeed(Access::Write);
                self.refused(&operation, sent_at, record);
            }
            (request, StoreResponse::Failed(kind)) => {
                self.fail(request.access(), kind);
                match request {
                    StoreRequest::Read { .. } => {
                        self.cache.last_read_unanswered = kind != StoreErrorKind::Throttled;
                        self.on_read_failed();
                    }
                    StoreRequest::Write { operation, .. } => {
                        // It may have been applied: the next write needs a consistent read.
                        self.cache.confirmed = false;
                        self.on_write_failed(&operation);
                    }
                }
            }
            (request, StoreResponse::BackedOff(backed_off)) => {
                self.health.back_off(request.access(), self.now, backed_off);
                match request {
                    StoreRequest::Read { .. } => {
                        self.cache.last_read_unanswered = true;
                        self.on_read_failed();
                    }
                    // Nothing was sent, so that the cached record stays confirmed.
                    StoreRequest::Write { operation, .. } => self.on_write_failed(&operation),
                }
            }
            // A response of the wrong kind, which the owner never passes in.
            (StoreRequest::Read { .. }, StoreResponse::Written(_))
            | (StoreRequest::Write { .. }, StoreResponse::Read(_)) => {}
        }
    }

    /// Counts a failure of the store, and starts a back-off.
    fn fail(&mut self, access: Access, kind: StoreErrorKind) {
        self.fail_command(kind);
        let jitter = self.entropy.jitter();
        let (begun_at, ended_at) = (self.now, self.now);
        // A back-off of throttled reads longer than the cache's age would leave some processes
        // of a large fleet ignorant of the closing for minutes.
        let longest_throttling = self.config.local_cache_max_age();
        let failure = Failure { access, kind, begun_at, ended_at, jitter, longest_throttling };
        self.health.fail(failure);
    }

    /// Ends a read that showed no record. Waiting calls then go by what is cached.
    fn on_read_failed(&mut self) {
        self.cache.fail_read();
        // A pending write waited for this read, and cannot be made for now.
        if !self.health.is_usable(Access::Write, self.now) {
            self.decide_without_store();
        }
    }

    /// Takes a record that was read. An eventually consistent read is acted upon as it is,
    /// since each write on its ground is conditional.
    fn read(&mut self, consistency: Consistency, record: Option<Record>) {
        if consistency == Consistency::Eventual
            && self.cache.may_be_newer_than(record.as_ref(), self.longest_life())
        {
            // Confirmed first: adopted, an older record would take this process back behind
            // its own write, for example to `Open` after it has closed the circuit.
            return self.begin_read(Consistency::Strong);
        }
        self.adopt(record);
    }

    /// Caches a record that the store showed, with a random cut of its maximum age.
    fn cache_record(&mut self, record: Option<Record>) {
        // `election_spread` of zero turns all spreading off, this cut included.
        let is_spread = self.config.election_spread() > Duration::ZERO;
        let cut = if is_spread { self.entropy.jitter() } else { 0 };
        let defect = self.cache.show(record, self.now, cut);
        self.effects.extend(defect.map(Effect::Defective));
    }

    /// Starts a read, for the most important purpose that waits for it.
    pub(super) fn begin_read(&mut self, consistency: Consistency) {
        let purpose = if self.is_commanded() || self.is_lease_write_pending() {
            Purpose::Lease
        } else if consistency == Consistency::Strong || !matches!(self.phase, Phase::Closed { .. })
        {
            Purpose::Decision
        } else {
            Purpose::Freshness
        };
        self.begin(StoreRequest::Read { consistency, purpose });
    }

    /// Returns `true` if the pending write keeps or ends the lease of this process: the whole
    /// fleet waits for it.
    fn is_lease_write_pending(&self) -> bool {
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

    fn begin(&mut self, request: StoreRequest) {
        // Boxed: an idle circuit has none.
        self.request.in_flight = Some(Box::new(request.clone()));
        self.request.started_at = self.now;
        self.effects.push(Effect::Start(request));
    }

    /// Starts the next store operation, if no other is in flight: a step of the command in
    /// progress, or the pending write, or the read that has to precede it.
    ///
    /// | before the pending write | read | because |
    /// |---|---|---|
    /// | a write had no outcome | consistent | it may have been applied |
    /// | a trip finds a record that is not closed | consistent | another process may have opened the circuit, or closed it since |
    /// | a trip, on a record older than 0.1 s | eventual | another process was most likely first |
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
        // Where reads get no response, writes may all the same, and they are conditional: a
        // trip that waited for reads would leave the fleet without protection.
        let may_read = !self.cache.last_read_unanswered;
        if self.pending == Some(PendingWrite::Trip)
            && may_read
            && self.cache.is_older_than(AGE_BEFORE_A_TRIP, self.now)
        {
            // Where other circuits have found the store out, a read ends at once as backed
            // off. Begun here all the same, it would be begun again without end.
            if self.health.is_usable(Access::Read, self.now) {
                self.begin_read(Consistency::Eventual);
            }
            return;
        }
        match self.operation() {
            Some(operation) => self.begin_write(operation),
            // The phase has changed since, and there is nothing left to write.
            None => self.pending = None,
        }
    }
}

/// Returns whole seconds, rounded up.
pub(super) fn seconds_up(duration: Duration) -> i64 {
    let up = u64::from(duration.subsec_nanos() > 0);
    i64::try_from(duration.as_secs().saturating_add(up)).unwrap_or(i64::MAX)
}
