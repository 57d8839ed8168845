//! How old the cached record may be, and which call reads again.
//!
//! A read decides nothing that could do harm: every write is conditional. Reads cost money,
//! though, and at 8,000 processes a partition; so only a call whose outcome depends on one
//! waits for it, and all calls share it.

use std::time::Duration;

use super::{Admission, CallId, Evidence};
use crate::{
    config::OnStoreOutage,
    protocol::answer::Consistency,
    protocol::health::Access,
    protocol::machine::{
        Machine, StoreRequest,
        phase::{Phase, SECOND, Standing},
        prober::{OtherLease, Prober},
    },
    protocol::moment::Moment,
    protocol::record::Field,
    transition::{Cause, Origin},
};

/// The maximum age of the cached record while another process probes, or no process holds
/// the right. Half-open lasts a second or two: a fleet that read again only after
/// `local_cache_max_age` would reject calls for 5 s after the closing.
const HALF_OPEN_AGE: Duration = Duration::from_secs(2);

impl Machine {
    /// Rejects by the cached record. If that is old, this call begins a read, and waits
    /// briefly for it: others may have closed the circuit since, and in a process that is
    /// called once in a while this is the only call that could find out. Calls beside it
    /// are rejected at once, so that a slow store costs one short wait for each read.
    pub(super) fn read_briefly_or_reject(&mut self, evidence: Evidence) -> Admission {
        // The read that this call began may be repeated to confirm it, and the call then
        // waits on: `was_read` is set only once the record was adopted.
        let still_waits = evidence.waits_briefly && !evidence.was_read && self.is_reading();
        let begins = self.request.in_flight.is_none()
            && !self.is_current(evidence)
            && self.may_read(evidence);
        if begins {
            self.start_read();
        }
        if still_waits || begins { Admission::WaitBriefly } else { Admission::Rejected }
    }

    fn is_reading(&self) -> bool {
        matches!(self.request.in_flight.as_deref(), Some(StoreRequest::Read { .. }))
    }

    /// Rejects, and reads in the background if the cached record is old: no call waits for
    /// a read that cannot admit it.
    pub(super) fn reject_and_read(&mut self, evidence: Evidence) -> Admission {
        if !self.is_current(evidence) && self.may_read(evidence) {
            self.start_read();
        }
        Admission::Rejected
    }

    /// Returns `true` if this call may wait for a read.
    pub(super) fn may_read(&self, evidence: Evidence) -> bool {
        // A store that was out is tried by one call. If all calls waited for that attempt, a
        // dead store would cost each of them a timeout, and not one call per back-off.
        let is_tried = evidence.outage
            && self.request.in_flight.is_some()
            && self.health.is_doubtful(Access::Read);
        !evidence.was_read && !is_tried && self.health.is_usable(Access::Read, self.now)
    }

    /// Returns `true` if the cached record is too old, and the store does not answer reads.
    pub(super) fn is_unreadable(&self, evidence: Evidence) -> bool {
        // Failing open for a throttled read would send the whole load to a dependency that
        // is known to be down, just because many processes read.
        if self.are_reads_throttled() {
            return false;
        }
        // A read that another call began, and that failed just now, counts for this call as
        // well: otherwise each call would wait for a timeout of its own before it runs.
        let recent = self.config.local_cache_max_age().max(SECOND);
        let in_vain = evidence.was_read
            || !self.health.is_usable(Access::Read, self.now)
            || self.now.since(self.request.started_at) < recent;
        !self.is_current(evidence) && self.cache.last_read_unanswered && in_vain
    }

    /// Closes the circuit because the store cannot be read any more. Calls run and are
    /// counted, so that this process can still trip by itself.
    pub(super) fn fall_open(&mut self) -> Admission {
        self.pending = None;
        self.commit(Phase::CLOSED, Cause::StoreUnreadable, Origin::WithoutStore);
        // The record may have changed meanwhile: the next write is preceded by a consistent
        // read.
        self.cache.confirmed = false;
        Admission::Admitted(CallId { epoch: self.epoch, probe: None })
    }

    /// Returns `true` if the next call will be admitted because the store cannot be read. The
    /// gate must then ask the machine, and not reject the call by itself.
    pub(in crate::protocol::machine) fn is_about_to_fall_open(&self) -> bool {
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

    /// Returns `true` if calls are to run while the store cannot be read.
    pub(super) fn fails_open(&self) -> bool {
        self.config.on_store_outage() == OnStoreOutage::FailOpen
    }

    /// Returns `true` if the cached record may be acted upon: fresh by clocks that agree, or
    /// read for this very call.
    pub(super) fn is_current(&self, evidence: Evidence) -> bool {
        (self.is_fresh() && !self.do_clocks_disagree())
            || (evidence.was_read && self.cache.last_read_ok)
    }

    /// Returns `true` if this process was frozen, or its wall clock was set, since the store
    /// last answered. Then the store is read before anything is taken to be due, which also
    /// corrects the wall clock: one that was set ahead would make every opening due.
    fn do_clocks_disagree(&self) -> bool {
        self.cache.at.is_some_and(|at| self.now.clocks_disagree_since(at))
    }

    /// Returns `true` if the cached record is within its maximum age.
    pub(in crate::protocol::machine) fn is_fresh(&self) -> bool {
        self.cache.at.is_some_and(|at| self.now.is_within(at, self.cache_age()))
    }

    /// Returns the maximum age of the cached record, cut by a random part of up to a tenth,
    /// so that processes that have read together once do not read together for ever.
    pub(in crate::protocol::machine) fn cache_age(&self) -> Duration {
        let age = self.cache.cut(self.config.local_cache_max_age());
        let Phase::HalfOpen(recovery) = &self.phase else {
            return age;
        };
        match &recovery.prober {
            // A probe that has run for that long may run for long: reading every 2 s would
            // tell nothing new. Measured at the read, since measured now a late call would
            // make an old record fresh again.
            Prober::Other(other) if self.last_read_after(other.first_seen) >= age => age,
            Prober::Other(_) | Prober::Nobody { .. } => age.min(HALF_OPEN_AGE),
            Prober::Us(_) | Prober::Offline(_) => age,
        }
    }

    /// Returns how long after an instant the cached record was read.
    fn last_read_after(&self, instant: Moment) -> Duration {
        self.cache.at.map_or(Duration::ZERO, |at| at.since(instant))
    }

    /// Returns `true` if the store throttles reads or writes; writes that are due wait.
    pub(in crate::protocol::machine) fn is_throttled(&self) -> bool {
        self.are_reads_throttled() || self.health.is_throttled(Access::Write, self.now)
    }

    pub(super) fn are_reads_throttled(&self) -> bool {
        self.health.is_throttled(Access::Read, self.now)
    }

    /// Returns how long, as of a moment, until the lease of another process may be taken
    /// over. Two clocks can show its end, and the earlier of them counts, so that one wrong
    /// clock cannot keep the circuit half-open for ever:
    ///
    /// | by | free when |
    /// |---|---|
    /// | the stamp | it is past by more than `max_clock_skew` |
    /// | sight | this process has seen it unchanged for as long as a lease is live at the most, and a second more |
    ///
    /// Both are followed by this process's [`Turn`](super::super::prober::Turn), so that a
    /// fleet does not take over in step.
    pub(in crate::protocol::machine) fn lease_wait(
        &self,
        other: OtherLease,
        now: Moment,
    ) -> Duration {
        let unchanged = now.since(other.since);
        let turn = other.turn.wait(&self.config);
        let Some(record) = self.cache.record() else {
            return Duration::ZERO;
        };
        let Field::Valid(until) = record.lease_until else {
            // Another writer left an unreadable lease, whose length is unknown. Without a
            // limit no process would ever probe again.
            let timeout = self.config.recovery_timeout();
            return timeout.saturating_add(turn).saturating_sub(unchanged);
        };
        // `success_count` stands on the record only between probes: whatever starts a probe
        // sets it to zero. So a positive count shows a lease that was handed over.
        let handed_over = record.success_count.valid().is_some_and(|count| *count > 0);
        let length =
            if handed_over { self.config.handoff() } else { self.lease_of_other(other, until) };
        // Within a second of its last write a holder extends its lease without a new stamp
        // (see `keep_alive`): unchanged, the record may stand for a lease that began later.
        let length = length.saturating_add(SECOND).saturating_add(turn);
        let by_sight = length.saturating_sub(unchanged);
        let free_at = u64::try_from(until).map_or(Duration::ZERO, |until| {
            Duration::from_secs(until).saturating_add(self.config.max_clock_skew())
        });
        by_sight.min(free_at.saturating_add(turn).saturating_sub(now.fleet_time()))
    }

    /// Starts a read, unless a store operation is in flight already.
    pub(in crate::protocol::machine) fn start_read(&mut self) {
        if self.request.in_flight.is_some() {
            return;
        }
        // After a write of unknown outcome an eventually consistent read may show the record
        // of before it, and this process would write against that.
        let eventual = self.cache.confirmed || self.cache.at.is_none();
        self.begin_read(if eventual { Consistency::Eventual } else { Consistency::Strong });
    }
}
