//! A circuit that an operator holds closed: it admits every call, and no failure trips it.
//!
//! The record says so, and until when. No phase is needed: the circuit is closed, and the cached
//! record is asked at each trip. At the end of the hold the ordinary rules apply again, by
//! whatever clock this process has, with or without the store.
//!
//! And what subscribers are told of holds of either kind: each once, and its end.

use std::time::{Duration, SystemTime};

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

/// The hold that subscribers were last told of.
#[derive(Clone, Debug)]
pub(super) struct ToldHold {
    hold: HoldInfo,
    /// The `opened_at` of a hold without an end. The end that was told is one by the settings, which
    /// may have changed since.
    endless_since: Option<i64>,
    /// They were also told that its time has passed. Kept, so that a clock that is set back a
    /// little does not begin the hold again.
    is_over: bool,
}

/// Returns `true` if an operator holds the circuit of this record closed, and the hold is not over.
pub(super) fn is_held_closed(record: &Record, now: Moment) -> bool {
    left(record, now) > Duration::ZERO
}

/// Returns `true` if an operator has held the circuit of this record closed, and the hold has ended
/// with its time.
pub(super) fn is_hold_closed_over(record: &Record, now: Moment) -> bool {
    let is_past = |end| until(end, Duration::ZERO, now) == Duration::ZERO;
    record.held_closed_until().is_some_and(is_past)
}

fn left(record: &Record, now: Moment) -> Duration {
    let left = record.held_closed_until().map(|end| until(end, Duration::ZERO, now));
    left.filter(|left| !is_too_long(*left)).unwrap_or_default()
}

/// Returns `true` if no hold closed lasts so long from now. An item that was written by hand may
/// have no stamp of when its hold began.
fn is_too_long(left: Duration) -> bool {
    left.as_secs() > LONGEST_CLOSED_TIME.unsigned_abs()
}

/// Returns the attribute that makes the record unreadable, if one does: also the end of a hold
/// closed that is ignored because it is too far ahead.
pub(super) fn defect(record: &Record, now: Moment) -> Option<&'static str> {
    let end = record.held_closed_until().map(|end| until(end, Duration::ZERO, now));
    let is_ignored = end.is_some_and(is_too_long);
    record.defect().or_else(|| is_ignored.then_some("hold_until"))
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

    /// Returns `true` if an operator has held the circuit of this record open, and the hold has ended
    /// with its time.
    pub(super) fn is_hold_open_over(&self, record: &Record) -> bool {
        let left = match (record.held_open_until(), record.opened_at.valid()) {
            (Some(end), _) => until(end, Duration::ZERO, self.now),
            (None, Some(opened_at)) => until(*opened_at, self.config.recovery_timeout(), self.now),
            (None, None) => return false,
        };
        record.is_held() && left == Duration::ZERO
    }

    /// Refuses a trip, because the circuit is held closed, and tells subscribers of it once.
    pub(super) fn would_open(&mut self) {
        if !std::mem::replace(&mut self.has_told_would_open, true) {
            self.announce(Cause::WouldOpen, Origin::WithoutStore);
        }
    }

    /// Returns `true` if this is not what subscribers were last told of holds.
    pub(super) fn is_news_of_hold(&self, hold: Option<&HoldInfo>) -> bool {
        match (&self.told_hold, hold) {
            (Some(told), Some(hold)) => !self.is_told(told, hold),
            (Some(told), None) => !told.is_over,
            (None, hold) => hold.is_some(),
        }
    }

    fn is_told(&self, told: &ToldHold, hold: &HoldInfo) -> bool {
        match (told.endless_since, self.endless_since()) {
            (Some(before), Some(now)) => {
                let HoldInfo { kind, by, reason, .. } = &told.hold;
                before == now && (*kind, by, reason) == (hold.kind, &hold.by, &hold.reason)
            }
            (Some(_) | None, Some(_) | None) => told.hold == *hold,
        }
    }

    /// Returns the `opened_at` of the hold that is shown, if its record tells no end.
    fn endless_since(&self) -> Option<i64> {
        match &self.phase {
            Phase::Open(opening) if opening.held && opening.held_until.is_none() => {
                opening.opened_at
            }
            Phase::Open(_) | Phase::Closed { .. } | Phase::HalfOpen(_) => None,
        }
    }

    /// Notes what subscribers are told of holds. Returns the hold that is over by that, or
    /// replaced.
    pub(super) fn note_told_hold(
        &mut self,
        hold: Option<&HoldInfo>,
        cause: &Cause,
    ) -> Option<HoldInfo> {
        if !self.is_news_of_hold(hold) {
            return None;
        }
        let kept = match (hold, cause) {
            (Some(hold), _) => Some(ToldHold {
                hold: hold.clone(),
                endless_since: self.endless_since(),
                is_over: false,
            }),
            // While no write lands, the record goes on to show the hold that a probe has ended.
            (None, Cause::HoldEnded | Cause::RecoveryTimeout) => {
                self.told_hold.as_deref().map(|told| ToldHold { is_over: true, ..told.clone() })
            }
            (None, _) => None,
        };
        let before = std::mem::replace(&mut self.told_hold, kept.map(Box::new));
        before.filter(|told| !told.is_over).map(|told| told.hold)
    }

    /// Tells subscribers of the hold that a record shows, or that it shows none any more, where no
    /// change of state has told them: the circuit was in that state before.
    pub(super) fn tell_hold_shown(&mut self) {
        let hold = self.hold_shown();
        // They hear of an opening of this process once its write was applied: no hold comes with it.
        if self.announced != self.phase.state() || !self.is_news_of_hold(hold.as_ref()) {
            return;
        }
        let cause = match (&hold, &self.phase) {
            (Some(_), _) => Cause::Hold,
            (None, Phase::Closed { .. }) => self.cause_of_closing(self.cache.record()),
            (None, Phase::Open(_) | Phase::HalfOpen(_)) => Cause::Elsewhere,
        };
        self.announce(cause, Origin::Observed);
    }

    /// Returns why others have closed the circuit of this record, or hold it closed.
    pub(super) fn cause_of_closing(&self, record: Option<&Record>) -> Cause {
        match record {
            Some(record) if is_held_closed(record, self.now) => Cause::Hold,
            Some(record) if record.is_released() => Cause::Release,
            Some(_) | None => Cause::Elsewhere,
        }
    }

    /// Tells subscribers that the time of a hold closed has passed. No write ends it, and each
    /// process tells it by its own clock. That of a hold open is told by the probe that follows.
    pub(super) fn tell_end_of_hold(&mut self) {
        let is_over = |told: &ToldHold| {
            let now = SystemTime::UNIX_EPOCH.checked_add(self.now.fleet_time());
            let is_past = now.is_some_and(|now| told.hold.until <= now);
            told.hold.kind == HoldKind::Closed && !told.is_over && is_past
        };
        if self.told_hold.as_deref().is_some_and(is_over)
            && self.announced == self.phase.state()
            && self.hold_shown().is_none()
        {
            self.announce(Cause::HoldEnded, Origin::WithoutStore);
        }
    }

    /// Returns the hold that a record carries, if it is not over. One without an end counts until
    /// somebody ends it: only the process that wrote it knows when it would be over.
    pub(super) fn hold_of(&self, record: &Record) -> Option<HoldInfo> {
        let told = |kind, end| HoldInfo::new(kind, end, record.held_by(), &record.hold_reason());
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
            let by = record.and_then(Record::held_by);
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
