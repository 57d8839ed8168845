//! When the circuit of a record is probed next, for people who look.

use super::{LONGEST_OPEN_TIME, Record};
use crate::state::CircuitState;

/// How much later than the record is needed its writer lets it expire, in seconds: an hour, in
/// this crate as in the reference.
pub(super) const EXPIRY_SLACK: i64 = 3_600;

impl Record {
    /// Returns from when on a call may probe, in seconds since the Unix epoch. If that has
    /// passed, the next call probes, of whichever process: without calls nothing does. `None` if
    /// the circuit is closed, or if the record does not tell.
    ///
    /// - Held open: the end of the hold.
    /// - Open: `open_until`, if a call asked for that time; else an hour before `expiration`,
    ///   where every writer leaves the end of the opening by its own settings. It is believed if
    ///   it is no sooner than `opened_at` and at most 365 days later.
    /// - Half-open: the end of the lease. A process that is well renews its lease, so a time that
    ///   has passed means that nobody probes.
    ///
    /// For people who look, and within a second or two: processes go by their own
    /// `recovery_timeout`, which may be another than the writer's. A trip that was written late
    /// shows a time that is as much too late. Powertools (Python) knows no `open_until`, and does
    /// not end a hold.
    ///
    /// ```
    /// use fuseboard::{CircuitState, store::Record};
    ///
    /// let mut record = Record::empty();
    /// record.state = CircuitState::Open.into();
    /// record.opened_at = 1_763_668_800.into();
    /// record.expires_at = 1_763_672_430.into();
    /// assert_eq!(record.next_probe_at(), Some(1_763_668_830));
    /// ```
    #[must_use]
    pub fn next_probe_at(&self) -> Option<i64> {
        match self.state.valid()? {
            CircuitState::Closed => None,
            CircuitState::HalfOpen => self.lease_until.valid().copied(),
            CircuitState::Open if self.is_held() => self.held_open_until(),
            CircuitState::Open => self.opening_ends_at(),
        }
    }

    fn opening_ends_at(&self) -> Option<i64> {
        let opened_at = *self.opened_at.valid()?;
        let lasts = |until: &i64| until.saturating_sub(opened_at);
        // As processes do, which take one that comes before the opening for none.
        let asked_for = self.open_until.valid().copied();
        let asked_for = asked_for.filter(|until| (1..=LONGEST_OPEN_TIME).contains(&lasts(until)));
        let left = || Some(self.expires_at.valid()?.saturating_sub(EXPIRY_SLACK));
        let by_expiry = || left().filter(|until| (0..=LONGEST_OPEN_TIME).contains(&lasts(until)));
        asked_for.or_else(by_expiry)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::protocol::record::{Attribute, Field, Value};

    /// Opened at 1,000, with these attributes.
    fn open(more: &[(Attribute, i64)]) -> Record {
        let mut record = Record { state: CircuitState::Open.into(), ..Record::empty() };
        record.opened_at = 1_000.into();
        for (attribute, value) in more {
            record.set(*attribute, Field::Valid(Value::Number(i128::from(*value))));
        }
        record
    }

    #[test]
    fn an_opening_ends_an_hour_before_its_record_expires_unless_a_call_asked_for_another_time() {
        use Attribute::{ExpiresAt, OpenUntil};
        const YEAR: i64 = 365 * 86_400;
        for (more, ends) in [
            (&[(ExpiresAt, 4_630)][..], Some(1_030)),
            // By the rounding of both stamps, of a process with the shortest timeout.
            (&[(ExpiresAt, 4_600)], Some(1_000)),
            (&[(ExpiresAt, 4_630), (OpenUntil, 1_120)], Some(1_120)),
            (&[(ExpiresAt, 4_630), (OpenUntil, 1_007)], Some(1_007)),
            (&[(OpenUntil, 1_120)], Some(1_120)),
            (&[(ExpiresAt, 4_630), (OpenUntil, 1_000)], Some(1_030)),
            (&[(ExpiresAt, 4_630), (OpenUntil, i64::MAX)], Some(1_030)),
            (&[(ExpiresAt, 4_630), (OpenUntil, i64::MIN)], Some(1_030)),
            (&[(ExpiresAt, 4_600 + YEAR)], Some(1_000 + YEAR)),
            // What another program has written.
            (&[(ExpiresAt, 4_601 + YEAR)], None),
            (&[(ExpiresAt, 4_599)], None),
            (&[(ExpiresAt, 0)], None),
            (&[(ExpiresAt, 1_763_668_800_000)], None),
            (&[(ExpiresAt, i64::MIN)], None),
            (&[(ExpiresAt, i64::MAX)], None),
            (&[], None),
        ] {
            assert_eq!(open(more).next_probe_at(), ends, "{more:?}");
        }
        let mut record = open(&[(ExpiresAt, 4_630)]);
        record.opened_at = Field::Absent;
        assert_eq!(record.next_probe_at(), None);
    }

    #[test]
    fn a_hold_and_a_lease_end_by_their_own_stamps_and_a_closed_circuit_is_not_probed() {
        use Attribute::{ExpiresAt, HoldUntil, LeaseUntil, OpenUntil};
        let owner = Field::Valid(Arc::<str>::from("hold#move"));
        let mut held = open(&[(ExpiresAt, 9_000), (HoldUntil, 5_400), (OpenUntil, 1_120)]);
        held.owner = owner.clone();
        held.hold_reason = Field::Valid(Arc::from("move"));
        assert_eq!(held.next_probe_at(), Some(5_400));
        // A version that does not know of ends: its timeout is not known.
        let mut old = open(&[(ExpiresAt, 4_630)]);
        old.owner = owner;
        assert_eq!(old.next_probe_at(), None);
        let mut probed = open(&[(ExpiresAt, 9_000), (LeaseUntil, 1_060), (OpenUntil, 1_120)]);
        probed.state = CircuitState::HalfOpen.into();
        assert_eq!(probed.next_probe_at(), Some(1_060));
        for state in [CircuitState::Closed.into(), Field::Absent] {
            let record = Record { state, ..open(&[(ExpiresAt, 4_630), (LeaseUntil, 1_060)]) };
            assert_eq!(record.next_probe_at(), None);
        }
    }
}
