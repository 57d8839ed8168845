//! A circuit that an operator holds closed: it admits every call, and no failure trips it.
//!
//! The record says so, and until when. No phase is needed: the circuit is closed, and the cached
//! record is asked at each trip. At the end of the hold the ordinary rules apply again, by
//! whatever clock this process has, with or without the store.

use std::time::Duration;

use super::{
    Machine,
    phase::{Phase, until},
    storage::seconds_up,
};
use crate::{
    hold::info::{HoldInfo, HoldKind},
    protocol::moment::Moment,
    protocol::record::{LONGEST_CLOSED_TIME, Record},
    transition::{Cause, Origin},
};

/// Returns `true` if an operator holds the circuit of this record closed, and the hold is not over.
pub(super) fn is_held_closed(record: &Record, now: Moment) -> bool {
    left(record, now) > Duration::ZERO
}

fn left(record: &Record, now: Moment) -> Duration {
    let left = record.held_closed_until().map(|end| until(end, Duration::ZERO, now));
    // An item that was written by hand may have no stamp of when its hold began.
    let is_sound = |left: &Duration| left.as_secs() <= LONGEST_CLOSED_TIME.unsigned_abs();
    left.filter(is_sound).unwrap_or_default()
}

impl Machine {
    /// Returns how much longer the circuit is held closed; zero if it is not.
    pub(super) fn held_closed_for(&self) -> Duration {
        match self.phase {
            Phase::Closed { .. } => {
                self.cache.record().map_or(Duration::ZERO, |record| left(record, self.now))
            }
            Phase::Open(_) | Phase::HalfOpen(_) => Duration::ZERO,
        }
    }

    /// Returns `true` while an operator holds the circuit closed.
    pub(super) fn is_held_closed(&self) -> bool {
        self.held_closed_for() > Duration::ZERO
    }

    /// Refuses a trip, because the circuit is held closed, and tells subscribers of it once.
    pub(super) fn would_open(&mut self) {
        if !std::mem::replace(&mut self.has_told_would_open, true) {
            self.announce(Cause::WouldOpen, Origin::WithoutStore);
        }
    }

    /// Returns the hold that a record carries, if it is not over. One without an end counts until
    /// somebody ends it: only the process that wrote it knows when it would be over.
    pub(super) fn hold_of(&self, record: &Record) -> Option<HoldInfo> {
        let told =
            |kind, end| HoldInfo::new(kind, end, record.hold_by.valid(), &record.hold_reason());
        if is_held_closed(record, self.now) {
            return Some(told(HoldKind::Closed, record.held_closed_until()?));
        }
        if !record.is_held() {
            return None;
        }
        let Some(end) = record.held_open_until() else {
            let timeout = seconds_up(self.config.recovery_timeout());
            let stamped = record.opened_at.valid().copied().unwrap_or_default();
            return Some(told(HoldKind::Open, stamped.saturating_add(timeout)));
        };
        (until(end, Duration::ZERO, self.now) > Duration::ZERO).then(|| told(HoldKind::Open, end))
    }

    /// Returns the hold that the circuit is under, for observers.
    pub(super) fn hold_shown(&self) -> Option<HoldInfo> {
        let record = self.cache.record();
        let told = |kind, end| {
            let reason = record.map(Record::hold_reason).unwrap_or_default();
            let by = record.and_then(|record| record.hold_by.valid());
            HoldInfo::new(kind, end, by, &reason)
        };
        match &self.phase {
            Phase::Open(opening) if opening.held => {
                let timeout = seconds_up(self.config.recovery_timeout());
                let stamped = opening.opened_at.unwrap_or_default().saturating_add(timeout);
                Some(told(HoldKind::Open, opening.held_until.unwrap_or(stamped)))
            }
            Phase::Closed { .. } if self.is_held_closed() => {
                Some(told(HoldKind::Closed, record?.held_closed_until()?))
            }
            Phase::Open(_) | Phase::Closed { .. } | Phase::HalfOpen(_) => None,
        }
    }
}
