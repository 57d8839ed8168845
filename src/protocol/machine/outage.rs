//! What an outage began with: the time and the cause of its first opening, reopenings aside.
//!
//! The process that trips knows both. It leaves them on the record as hints, which tell them to
//! all others, also to those that start in the middle of the outage. They decide nothing.

use std::time::Duration;

use super::{
    Machine,
    cache::is_closed,
    phase::{Phase, Standing},
};
use crate::{
    protocol::moment::{Moment, millis},
    protocol::record::{Hints, Record},
    transition::Cause,
};

/// The time from an opening of the circuit to the closing after it, as it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    /// In seconds since the Unix epoch, by the clock that the fleet shares.
    pub(crate) since: i64,
    /// The same by the wall clock of this process, in milliseconds.
    pub(crate) since_ms: u64,
    pub(crate) cause: Cause,
}

impl Outage {
    /// An outage that begins now.
    fn starting(now: Moment, cause: Cause) -> Self {
        Self { since: now.unix_ceil(Duration::ZERO), since_ms: now.wall_ms(), cause }
    }

    /// An outage that has begun at this stamp.
    fn of_stamp(since: i64, now: Moment, cause: Cause) -> Self {
        let since_ms = millis(now.wall().saturating_sub(now.elapsed_since_stamp(since)));
        Self { since, since_ms, cause }
    }

    /// Returns the hints that a trip or a hold leaves on the record, with those on its length.
    pub(super) fn hints(&self, length: Hints) -> Hints {
        Hints { down_since: Some(self.since), cause: self.cause.to_text(), ..length }
    }

    fn is_as_shown(&self, shown: &Self) -> bool {
        self.since == shown.since && self.cause.to_text() == shown.cause.to_text()
    }
}

impl Machine {
    /// Returns the outage that an opening by this process belongs to: the one that the circuit is
    /// in, or one that begins now for this cause.
    pub(super) fn outage_of_opening(&self, cause: &Cause) -> Outage {
        let known = self.phase.outage().cloned();
        known.unwrap_or_else(|| Outage::starting(self.now, cause.clone()))
    }

    /// Returns the outage that a hold open by this process belongs to, for the fleet: the one that
    /// the circuit is in, or one that begins now. An opening of this process alone, which the
    /// record does not show, is no outage of the fleet.
    pub(super) fn outage_of_hold(&self) -> Outage {
        let is_private = match (&self.phase, self.cache.record()) {
            (_, Some(record)) => is_closed(record),
            (Phase::Open(opening), None) => {
                matches!(opening.standing, Standing::Lapsed { .. } | Standing::Refuted)
            }
            (Phase::Closed { .. } | Phase::HalfOpen(_), None) => false,
        };
        let known = self.phase.outage().filter(|_| !is_private).cloned();
        known.unwrap_or_else(|| Outage::starting(self.now, Cause::Hold))
    }

    /// Returns the outage that a record shows which is not closed, or that this process knows.
    pub(super) fn outage_shown(&self, record: Option<&Record>) -> Outage {
        let known = self.phase.outage();
        let shown = record.and_then(|record| self.outage_hinted(record));
        match (known, shown) {
            // Its own clock and its own cause tell more than the seconds of the record.
            (Some(known), Some(shown)) if known.is_as_shown(&shown) => known.clone(),
            // The record counts: this process may have missed a closing, or opened after others.
            (_, Some(shown)) => shown,
            (Some(known), None) => known.clone(),
            (None, None) => self.outage_of_unhinted(record),
        }
    }

    /// Returns the outage that the hints of a record tell of.
    fn outage_hinted(&self, record: &Record) -> Option<Outage> {
        let since = record.down_since.valid().copied().filter(|since| *since > 0)?;
        // Clocks differ: no outage begins after its last opening. The stamp of a hold says when it
        // ends.
        let opened_at = record.opened_at.valid().copied().filter(|_| !record.is_held());
        let since = opened_at.filter(|at| *at > 0).map_or(since, |at| since.min(at));
        let cause = record.cause.valid().map_or(Cause::Elsewhere, |text| Cause::of_text(text));
        Some(Outage::of_stamp(since, self.now, cause))
    }

    /// Returns the outage of a record without hints: it begins with the opening that the record
    /// shows, or now.
    fn outage_of_unhinted(&self, record: Option<&Record>) -> Outage {
        let is_held = record.is_some_and(Record::is_held);
        let cause = if is_held { Cause::Hold } else { Cause::Elsewhere };
        let opened_at = record.and_then(|record| record.opened_at.valid().copied());
        match opened_at.filter(|_| !is_held) {
            Some(opened_at) => Outage::of_stamp(opened_at, self.now, cause),
            None => Outage::starting(self.now, cause),
        }
    }
}
