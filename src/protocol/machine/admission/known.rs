//! How old what is known may be, and which call looks again.

use std::time::Duration;

use super::{Admission, Evidence};
use crate::{
    protocol::answer::Consistency,
    protocol::health::Access,
    protocol::machine::{
        Machine, StoreRequest,
        phase::{OtherLease, Phase, Prober, SECOND},
    },
    protocol::moment::Moment,
    protocol::record::Field,
};

/// The most that another's lease, or a right that nobody holds, is believed unread.
const HALF_OPEN_AGE: Duration = Duration::from_secs(2);

impl Machine {
    /// Rejects by what is known. If that is old, this call begins a read, and waits a
    /// moment for it: others may have closed the circuit since, and in a process that is
    /// called once in a while this is the only call that could find out. Calls beside it
    /// are rejected at once, so that a slow store costs one short wait for each read.
    pub(super) fn read_briefly_or_reject(&mut self, evidence: Evidence) -> Admission {
        // What it began may be read a second time, to confirm it.
        let still_looks = evidence.waits_briefly && !evidence.was_read && self.is_reading();
        let begins = self.request.in_flight.is_none()
            && !self.is_current(evidence)
            && self.may_read(evidence);
        if begins {
            self.start_read();
        }
        if still_looks || begins { Admission::WaitBriefly } else { Admission::Rejected }
    }

    fn is_reading(&self) -> bool {
        matches!(self.request.in_flight, Some(StoreRequest::Read { .. }))
    }

    /// Rejects, and reads in the background if what is known is old: nobody waits
    /// for a read that cannot admit it.
    pub(super) fn reject_and_read(&mut self, evidence: Evidence) -> Admission {
        if !self.is_current(evidence) && self.may_read(evidence) {
            self.start_read();
        }
        Admission::Rejected
    }

    /// Whether this call may wait for the store. One that is known to be out, and has
    /// not answered a read since, is waited for by the call that tries it, and by no
    /// other.
    pub(super) fn may_read(&self, evidence: Evidence) -> bool {
        let is_tried = evidence.outage
            && self.request.in_flight.is_some()
            && self.health.is_doubtful(Access::Read);
        !evidence.was_read && !is_tried && self.health.is_usable(Access::Read, self.now)
    }

    /// Whether what is known is too old, and cannot be learned: not for being throttled,
    /// which is an answer of a store that is alive.
    pub(super) fn is_unreadable(&self, evidence: Evidence) -> bool {
        if self.are_reads_throttled() {
            return false;
        }
        // The last one, perhaps of a call that did not wait for it, failed just now.
        let recent = self.config.local_cache_max_age().max(SECOND);
        let in_vain = evidence.was_read
            || !self.health.is_usable(Access::Read, self.now)
            || self.now.since(self.request.started_at) < recent;
        !self.is_current(evidence) && self.cache.last_read_unanswered && in_vain
    }

    /// Whether what is known may be acted upon: fresh by clocks that agree, or read
    /// for this very call.
    pub(super) fn is_current(&self, evidence: Evidence) -> bool {
        (self.is_fresh() && !self.is_out_of_step())
            || (evidence.was_read && self.cache.last_read_ok)
    }

    /// Whether this process was frozen, or its wall clock set, since the store was
    /// last heard: then it is asked, which also tells the time, before anything is
    /// taken to be due.
    fn is_out_of_step(&self) -> bool {
        self.cache.at.is_some_and(|at| self.now.clocks_disagree_since(at))
    }

    /// Whether what is known may still be relied upon.
    pub(in crate::protocol::machine) fn is_fresh(&self) -> bool {
        self.cache.at.is_some_and(|at| self.now.is_within(at, self.cache_age()))
    }

    /// For how long what is known may be relied upon: cut by a random part, so that
    /// a fleet does not read in step. Half-open is soon over, and read sooner, until
    /// a probe has taken long enough to show that this one is not.
    pub(in crate::protocol::machine) fn cache_age(&self) -> Duration {
        let age = self.cache.cut(self.config.local_cache_max_age());
        let Phase::HalfOpen(recovery) = &self.phase else {
            return age;
        };
        match &recovery.prober {
            // As of the read, not as of now: a call that comes late is no reason to wait.
            Prober::Other(theirs) if self.known_since(theirs.first_seen) >= age => age,
            Prober::Other(_) | Prober::Nobody { .. } => age.min(HALF_OPEN_AGE),
            Prober::Us(_) | Prober::Offline(_) => age,
        }
    }

    /// How long after an instant the record was read.
    fn known_since(&self, instant: Moment) -> Duration {
        self.cache.at.map_or(Duration::ZERO, |at| at.since(instant))
    }

    /// Whether the store asked to be left alone, and what is due waits for that.
    pub(in crate::protocol::machine) fn is_throttled(&self) -> bool {
        self.are_reads_throttled() || self.health.is_throttled(Access::Write, self.now)
    }

    pub(super) fn are_reads_throttled(&self) -> bool {
        self.health.is_throttled(Access::Read, self.now)
    }

    /// How long until another's lease may be taken over, as of a moment: past by more
    /// than the tolerated skew on the wall clock, or seen unchanged here for its whole
    /// length, and this process's part of the spread more. A record without a readable
    /// lease counts as one that started when it was first seen.
    pub(in crate::protocol::machine) fn lease_wait(
        &self,
        theirs: OtherLease,
        now: Moment,
    ) -> Duration {
        let unchanged = now.since(theirs.since);
        let turn = theirs.turn.wait(&self.config);
        let Some(record) = self.cache.record() else {
            return Duration::ZERO;
        };
        let Field::Valid(until) = record.lease_until else {
            let timeout = self.config.recovery_timeout();
            return timeout.saturating_add(turn).saturating_sub(unchanged);
        };
        let handed_over = record.success_count.valid().is_some_and(|count| *count > 0);
        let length = if handed_over { self.config.handoff() } else { self.config.probe_lease() };
        let length = length.saturating_add(SECOND).saturating_add(turn);
        let by_sight = length.saturating_sub(unchanged);
        let free_at = u64::try_from(until).map_or(Duration::ZERO, |until| {
            Duration::from_secs(until).saturating_add(self.config.max_clock_skew())
        });
        by_sight.min(free_at.saturating_add(turn).saturating_sub(now.fleet_time()))
    }

    /// Reads, unless a store operation is in flight already.
    pub(in crate::protocol::machine) fn start_read(&mut self) {
        if self.request.in_flight.is_some() {
            return;
        }
        let eventual = self.cache.confirmed || self.cache.at.is_none();
        self.begin_read(if eventual { Consistency::Eventual } else { Consistency::Strong });
    }
}
