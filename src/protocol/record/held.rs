//! An operator's hold, as the record carries it.

use std::sync::Arc;

use super::{
    Field, HOLD_PREFIX, LONGEST_OPEN_TIME, Record,
    attribute::{
        Attribute::{self, Hold, HoldBy, HoldReason, HoldUntil},
        Change,
    },
    changes::{forget, set},
};
use crate::{hold::info::HoldKind, state::CircuitState};

/// The word of `hold` while an operator holds the circuit closed.
const CLOSED: &str = "closed";

/// The longest time for which a circuit is held closed, in seconds: a year, and a day for clocks
/// that differ.
pub(crate) const LONGEST_CLOSED_TIME: i64 = 366 * 86_400;

/// What an operator's hold says: until when, by whom and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HoldTerms {
    /// The end of the hold, in seconds since the Unix epoch.
    pub until: i64,
    /// Who holds the circuit.
    pub by: Option<Arc<str>>,
    /// Why. May be empty.
    pub reason: Arc<str>,
}

impl HoldTerms {
    /// Returns the owner of a record that is held open: programs that do not know `hold_until`
    /// keep from electing over it.
    #[must_use]
    pub fn owner(&self) -> Arc<str> {
        Arc::from(format!("{HOLD_PREFIX}{}", self.reason))
    }

    /// Returns the changes that write the hold over a record that was seen.
    pub(super) fn over(&self, kind: HoldKind, seen: Option<&Record>) -> Vec<Change> {
        let word = match kind {
            HoldKind::Open => forget(Hold, seen),
            HoldKind::Closed => vec![set(Hold, &Arc::<str>::from(CLOSED))],
        };
        let by = self.by.as_ref().map_or_else(|| forget(HoldBy, seen), |by| vec![set(HoldBy, by)]);
        let rest = vec![set(HoldUntil, &self.until), set(HoldReason, &self.reason)];
        [word, rest, by].concat()
    }
}

/// What a hold says beside its kind and its end, which stand for the hold in conditions.
pub(super) const DETAILS: [Attribute; 2] = [HoldBy, HoldReason];

/// Removes what a hold has left, where the record that was seen has it.
pub(super) fn forget_hold(seen: Option<&Record>) -> Vec<Change> {
    [Hold, HoldUntil, HoldBy, HoldReason].map(|name| forget(name, seen)).concat()
}

impl Record {
    /// Returns `true` if an operator holds the circuit open.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.state == Field::Valid(CircuitState::Open)
            && self.owner.valid().is_some_and(|owner| owner.starts_with(HOLD_PREFIX))
    }

    /// Returns `true` if both records carry the same hold: one way, with one end, by one name and
    /// for one reason.
    pub(crate) fn has_hold_of(&self, other: &Self) -> bool {
        let terms = |record: &Self| {
            let closed = record.hold.clone();
            (record.is_held(), closed, record.hold_until.clone(), record.hold_by.clone())
        };
        terms(self) == terms(other) && self.hold_reason() == other.hold_reason()
    }

    /// Returns until when an operator holds the circuit closed. `None` if it is not held closed,
    /// also if its end cannot be read, or lies more than a year after it began: a hold without an
    /// end would admit calls for ever.
    #[must_use]
    pub fn held_closed_until(&self) -> Option<i64> {
        let is_held = self.state == Field::Valid(CircuitState::Closed)
            && self.hold.valid().is_some_and(|word| **word == *CLOSED);
        // By the stamp of its holder, where there is one.
        let is_sound = |until: &i64| {
            self.released.valid().is_none_or(|at| until.saturating_sub(*at) <= LONGEST_CLOSED_TIME)
        };
        self.hold_until.valid().copied().filter(is_sound).filter(|_| is_held)
    }

    /// Returns until when an operator holds the circuit open. `None` if it is not held open, or
    /// if the record has no end that can be one: then the hold ends a recovery timeout after
    /// `opened_at`.
    #[must_use]
    pub fn held_open_until(&self) -> Option<i64> {
        let until = self.hold_until.valid().copied()?;
        // The holder's recovery timeout lies between the two.
        let is_sound = self.opened_at.valid().is_none_or(|opened_at| {
            (1..=LONGEST_OPEN_TIME).contains(&until.saturating_sub(*opened_at))
        });
        (self.is_held() && is_sound).then_some(until)
    }

    /// Returns `true` if the record is held, and the end of the hold is no time that a process
    /// writes.
    pub(super) fn has_unsound_hold_until(&self) -> bool {
        let is_held_closed = self.state == Field::Valid(CircuitState::Closed)
            && self.hold.valid().is_some_and(|word| **word == *CLOSED);
        // A hold of a version that does not know `hold_until` has none.
        let is_open_with_end = self.is_held() && self.hold_until != Field::Absent;
        (is_held_closed && self.held_closed_until().is_none())
            || (is_open_with_end && self.held_open_until().is_none())
    }

    /// Returns why the circuit is held; empty if nothing says so.
    pub(crate) fn hold_reason(&self) -> Arc<str> {
        // The owner first: a program that does not know `hold_reason` leaves an older one.
        let of_owner = self.owner.valid().filter(|_| self.is_held());
        let of_owner = of_owner.and_then(|owner| owner.strip_prefix(HOLD_PREFIX));
        of_owner.map(Arc::from).or_else(|| self.hold_reason.valid().cloned()).unwrap_or_default()
    }
}
