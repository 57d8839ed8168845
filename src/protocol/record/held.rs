//! An operator's hold, as the record carries it.

use std::sync::Arc;

use super::{
    Field, HOLD_PREFIX, LONGEST_OPEN_TIME, Record,
    attribute::{
        Attribute::{self, Hold, HoldBy, HoldReason, HoldUntil},
        Change,
    },
    changes::{forget, set},
    due::EXPIRY_SLACK,
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
    /// Returns the owner of a record that is held open. Programs that do not know `hold_until`
    /// elect no prober while an owner stands there.
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

/// The attributes of a hold that conditions name only where they were seen: its kind and its end
/// tell it from any other.
pub(super) const DETAILS: [Attribute; 2] = [HoldBy, HoldReason];

/// Removes what a hold has left, where the record that was seen has it.
pub(super) fn forget_hold(seen: Option<&Record>) -> Vec<Change> {
    [Hold, HoldUntil, HoldBy, HoldReason].map(|name| forget(name, seen)).concat()
}

/// Ends the hold of a record that was seen. Of a hold closed its end stays, which is now: a process
/// that starts later learns from it that all calls were admitted until then.
///
/// Of a closed circuit that is not held, `hold_until` stays as it is: another one would be another
/// closing, which drops failures.
pub(super) fn end_hold(seen: &Record, now: i64) -> Vec<Change> {
    let is_closed = seen.state == Field::Valid(CircuitState::Closed);
    let end = match seen.held_closed_until() {
        Some(until) if until > now => vec![set(HoldUntil, &now)],
        Some(_) => Vec::new(),
        None if is_closed && seen.hold == Field::Absent => Vec::new(),
        None => forget(HoldUntil, Some(seen)),
    };
    let forgotten = [Hold, HoldBy, HoldReason].map(|name| forget(name, Some(seen))).concat();
    [end, forgotten].concat()
}

impl Record {
    /// Returns `true` if an operator has released a hold closed, and nothing has changed since. The
    /// release leaves its time as the end of the hold: versions that do not know of it keep that end
    /// when they open the circuit, and release it later.
    #[must_use]
    pub fn was_held_closed(&self) -> bool {
        let released_at = self.released.valid();
        let is_last_change = released_at.is_some() && released_at == self.hold_until.valid();
        self.is_released() && self.hold == Field::Absent && is_last_change
    }

    /// Returns `true` if an operator holds the circuit open.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.state == Field::Valid(CircuitState::Open)
            && self.owner.valid().is_some_and(|owner| owner.starts_with(HOLD_PREFIX))
    }

    /// Returns `true` if both records carry the same hold: one way, with one end, by one name and
    /// for one reason; or none, whatever the release of one has left.
    pub(crate) fn has_hold_of(&self, other: &Self) -> bool {
        let terms = |record: &Self| {
            let is_held = record.is_held() || record.held_closed_until().is_some();
            let end = (record.hold.clone(), record.hold_until.clone());
            // By which a hold open ends that has no end of its own.
            let opened_at = record.is_held().then(|| record.opened_at.clone());
            is_held.then(|| (opened_at, end, record.hold_by.clone(), record.hold_reason()))
        };
        terms(self) == terms(other)
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

    /// Returns `true` if `hold_until` and `hold_by` are of the hold open that the owner tells of. A
    /// version of this crate that does not know them leaves those of the hold before its own.
    fn has_own_details(&self) -> bool {
        let of_owner = self.owner.valid().and_then(|owner| owner.strip_prefix(HOLD_PREFIX));
        let is_same = self.hold_reason.valid().is_some_and(|reason| Some(&**reason) == of_owner);
        // By its reason it may be the hold before, which ended later than this record is needed.
        let is_needed =
            self.expires_at.valid().zip(self.hold_until.valid()).is_none_or(
                |(expires_at, until)| *expires_at >= until.saturating_add(EXPIRY_SLACK),
            );
        // A hold closed: one that is open has no such word.
        is_same && is_needed && self.hold == Field::Absent
    }

    /// Returns until when an operator holds the circuit open. `None` if it is not held open, or
    /// if the record has no end that can be one, or one of an older hold, as versions leave it that
    /// do not know of it: then the hold ends a recovery timeout after `opened_at`.
    #[must_use]
    pub fn held_open_until(&self) -> Option<i64> {
        let until = self.hold_until.valid().copied().filter(|_| self.has_own_details())?;
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
        // A hold of a version that does not know `hold_until` has none, or that of another.
        let is_open_with_end = self.is_held()
            && (self.hold_until.is_malformed()
                || (self.hold_until != Field::Absent && self.has_own_details()));
        (is_held_closed && self.held_closed_until().is_none())
            || (is_open_with_end && self.held_open_until().is_none())
    }

    /// Returns who holds the circuit, if the record tells.
    pub(crate) fn held_by(&self) -> Option<&Arc<str>> {
        self.hold_by.valid().filter(|_| !self.is_held() || self.has_own_details())
    }

    /// Returns why the circuit is held; empty if nothing says so.
    pub(crate) fn hold_reason(&self) -> Arc<str> {
        // The owner first: a program that does not know `hold_reason` leaves an older one.
        let of_owner = self.owner.valid().filter(|_| self.is_held());
        let of_owner = of_owner.and_then(|owner| owner.strip_prefix(HOLD_PREFIX));
        of_owner.map(Arc::from).or_else(|| self.hold_reason.valid().cloned()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::record::{Hints, Operation};

    const AT: i64 = 1_000_000;

    fn held(kind: HoldKind, until: i64, reason: &str) -> Record {
        let terms = HoldTerms { until, by: Some(Arc::from("anna")), reason: Arc::from(reason) };
        let (seen, expires_at, hints) = (None, until.saturating_add(3_600), Hints::NONE);
        let hold = match kind {
            HoldKind::Open => Operation::Hold {
                seen,
                terms,
                opened_at: until.saturating_sub(30),
                expires_at,
                hints,
            },
            HoldKind::Closed => Operation::HoldClosed { seen, terms, held_at: AT, expires_at },
        };
        hold.apply(None).unwrap()
    }

    #[test]
    fn what_the_release_of_a_hold_closed_leaves_is_no_other_hold() {
        let hold = held(HoldKind::Closed, AT + 100, "deploy");
        let released = Record { hold: Field::Absent, hold_until: AT.into(), ..hold.clone() };
        let plain =
            Record { hold_until: Field::Absent, hold_by: Field::Absent, ..released.clone() };
        assert!(released.has_hold_of(&plain) && plain.has_hold_of(&released));
        assert!(hold.has_hold_of(&hold));
        assert!(!hold.has_hold_of(&plain) && !released.has_hold_of(&hold));
        let other = held(HoldKind::Closed, AT + 101, "deploy");
        assert!(!hold.has_hold_of(&other));
    }

    /// A hold open over this record, by a version that does not know the attributes of holds.
    fn held_by_an_older_version(over: Record, until: i64, reason: &str) -> Record {
        Record {
            state: CircuitState::Open.into(),
            opened_at: until.saturating_sub(30).into(),
            owner: Field::Valid(Arc::from(format!("{HOLD_PREFIX}{reason}"))),
            expires_at: until.saturating_add(3_600).into(),
            released: Field::Absent,
            ..over
        }
    }

    #[test]
    fn case_134_a_hold_of_an_older_version_has_not_the_end_of_the_hold_before_it() {
        for kind in [HoldKind::Open, HoldKind::Closed] {
            let record =
                held_by_an_older_version(held(kind, AT + 7_200, "deploy"), AT + 60, "bank is down");
            assert!(record.is_held());
            assert_eq!(record.held_open_until(), None, "a recovery timeout after `opened_at`");
            assert_eq!((record.held_by(), &*record.hold_reason()), (None, "bank is down"));
            assert_eq!(record.defect(), None, "nothing is malformed");
        }
        // Of the same reason as a hold closed: the word tells.
        let over = held(HoldKind::Closed, AT + 7_200, "deploy");
        assert_eq!(held_by_an_older_version(over, AT + 60, "deploy").held_open_until(), None);
        // After the release of a hold closed, which leaves its end.
        let seen = held(HoldKind::Closed, AT + 7_200, "deploy");
        let release =
            Operation::Release { seen: seen.clone(), released_at: AT + 9, expires_at: AT + 3_600 };
        let released = release.apply(Some(&seen)).unwrap();
        assert!(released.was_held_closed());
        let record = held_by_an_older_version(released, AT + 20, "bank is down");
        assert_eq!((record.held_open_until(), record.defect()), (None, None));
    }

    #[test]
    fn case_134_a_shorter_hold_of_an_older_version_for_the_same_reason_has_its_own_end() {
        let over = held(HoldKind::Open, AT + 7_200, "deploy");
        let record = held_by_an_older_version(over, AT + 3_600, "deploy");
        assert_eq!((record.held_open_until(), record.held_by()), (None, None));
        assert_eq!(record.defect(), None, "nothing is malformed");
    }

    #[test]
    fn a_hold_without_an_end_is_told_from_another_by_its_stamp() {
        let older = |until| held_by_an_older_version(Record::empty(), until, "deploy");
        assert!(older(AT).has_hold_of(&older(AT)));
        assert!(!older(AT).has_hold_of(&older(AT + 1)));
    }

    #[test]
    fn a_later_release_by_an_older_version_is_none_of_a_hold_closed() {
        let seen = held(HoldKind::Closed, AT + 7_200, "deploy");
        let release =
            Operation::Release { seen: seen.clone(), released_at: AT + 9, expires_at: AT + 3_600 };
        let released = release.apply(Some(&seen)).unwrap();
        assert!(released.was_held_closed());
        // It trips and releases, and leaves the end that it does not know.
        let later = Record { released: (AT + 60).into(), ..released.clone() };
        assert!(!later.was_held_closed());
        let malformed = Record { hold_until: Field::Valid(AT + 10), ..released };
        assert!(!malformed.was_held_closed());
    }

    #[test]
    fn case_134_a_hold_of_this_version_has_its_own_end() {
        let record = held(HoldKind::Open, AT + 7_200, "");
        assert_eq!(record.held_open_until(), Some(AT + 7_200));
        assert_eq!(record.held_by().map(|by| &**by), Some("anna"));
        let record = Record { hold_until: (AT - 7_200).into(), ..record };
        assert_eq!(record.defect(), Some("hold_until"), "before it began");
        let closed = held(HoldKind::Closed, AT + 7_200, "deploy");
        assert_eq!(closed.held_by().map(|by| &**by), Some("anna"));
    }
}
