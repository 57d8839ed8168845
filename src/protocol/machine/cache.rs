//! The record as the store last showed it, and how far a process may act on it.

use std::time::Duration;

use super::{
    held::{defect, is_held_closed},
    storage::Election,
};
use crate::{
    protocol::moment::Moment,
    protocol::record::{Field, Record},
    state::CircuitState,
};

/// The record that the store last showed. Parts that idle circuits lack are boxed.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    record: Option<Box<Record>>,
    /// When the store showed it; `None` before the first time.
    pub(super) at: Option<Moment>,
    /// True if an operator held the circuit closed by the record before it, whose hold was not
    /// over when this one was shown.
    pub(super) was_held_closed: bool,
    /// True if no write of unknown outcome came after it.
    pub(super) confirmed: bool,
    /// True if a write of this process left it. An eventually consistent read that shows
    /// anything else may then be older.
    pub(super) is_own: bool,
    /// The number of 2,560ths by which its maximum age is cut.
    cut: u8,
    /// The number of reads that have ended, with or without a record.
    pub(super) reads: u64,
    /// True if the last of them showed a record, or its absence.
    pub(super) last_read_ok: bool,
    /// True if the last of them got no response at all. Being throttled is a response.
    pub(super) last_read_unanswered: bool,
    /// The last election of this process. It recognises its own token in a record when the
    /// response to the election was lost; otherwise it would wait for its own lease to end.
    pub(super) election: Option<Box<Election>>,
}

impl Cache {
    pub(super) fn record(&self) -> Option<&Record> {
        self.record.as_deref()
    }

    /// Returns the end of the lease that the record shows.
    pub(super) fn lease_until(&self) -> Field<i64> {
        self.record().map_or(Field::Absent, |record| record.lease_until.clone())
    }

    /// Returns an age, cut by up to a tenth.
    pub(super) fn cut(&self, age: Duration) -> Duration {
        let less = age.saturating_mul(u32::from(self.cut)).checked_div(2_560);
        age.saturating_sub(less.unwrap_or_default())
    }

    pub(super) fn is_older_than(&self, age: Duration, now: Moment) -> bool {
        self.at.is_none_or(|at| now.since(at) > age)
    }

    /// Keeps a record that the store has shown. Returns the attribute that makes it
    /// unreadable, if the record is not the one that was cached, so that it is logged once.
    /// `cut` is drawn for each record, so that a fleet does not read in step.
    pub(super) fn show(
        &mut self,
        record: Option<Record>,
        now: Moment,
        cut: u8,
    ) -> Option<&'static str> {
        let is_new = self.at.is_none() || self.record() != record.as_ref();
        let was_held_closed = if is_new {
            self.record().is_some_and(|before| is_held_closed(before, now))
        } else {
            self.was_held_closed
        };
        let defect = record.as_ref().filter(|_| is_new).and_then(|record| defect(record, now));
        *self = Self {
            record: record.map(Box::new),
            at: Some(now),
            was_held_closed,
            confirmed: true,
            // From the first record that is read on, stamps decide. Left set, each change by
            // another process would be read twice.
            is_own: false,
            cut,
            reads: self.reads.saturating_add(1),
            last_read_ok: true,
            last_read_unanswered: false,
            election: self.election.take(),
        };
        defect
    }

    /// Counts a read that ended without a record.
    pub(super) fn fail_read(&mut self) {
        self.reads = self.reads.saturating_add(1);
        self.last_read_ok = false;
    }

    /// Makes the cached record as old as the write that showed it.
    pub(super) fn date_back(&mut self, to: Moment) {
        self.at = self.at.map(|_| to);
    }

    /// Returns `true` if the record that an eventually consistent read shows may be older
    /// than the cached one. It is then confirmed by a consistent read: acted upon, it would
    /// take this process back behind its own write, to reject calls of a circuit that it has
    /// just closed.
    ///
    /// | the cached record | the record shown may be older if it differs and |
    /// |---|---|
    /// | this process wrote it | always |
    /// | another process wrote it | expires no later, and no stamp shows that it is newer |
    ///
    /// Equal stamps order nothing: two writes of one second leave the same. `life` is how
    /// long a record lives that no lease lengthens, in seconds.
    pub(super) fn may_be_newer_than(&self, shown: Option<&Record>, life: i64) -> bool {
        let known = self.record();
        if self.at.is_none() || shown == known {
            return false;
        }
        let expires_at = |record: Option<&Record>| {
            record.and_then(|record| record.expires_at.valid().copied()).unwrap_or(i64::MIN)
        };
        // An absent record has no stamp, and counts as the oldest.
        let is_later =
            || known.zip(shown).is_some_and(|(known, shown)| is_after_opening(known, shown, life));
        self.is_own || (expires_at(shown) <= expires_at(known) && !is_later())
    }
}

/// The state of a record as this crate acts on it. A state that cannot be read counts as
/// closed: a breaker must not become the outage that it is meant to prevent.
pub(super) enum Shown {
    Closed,
    Open,
    HalfOpen,
}

pub(super) fn shown(record: &Record) -> Shown {
    match record.state.valid() {
        Some(CircuitState::Open) => Shown::Open,
        Some(CircuitState::HalfOpen) => Shown::HalfOpen,
        Some(CircuitState::Closed) | None => Shown::Closed,
    }
}

/// Returns `true` if the record is acted on as closed, readable or not.
pub(super) fn is_closed(record: &Record) -> bool {
    matches!(shown(record), Shown::Closed)
}

/// Returns `true` if `shown` was written after the opening of `known` had ended.
///
/// `expires_at` alone does not tell: that of a lease is rounded up and may be long, so that
/// the closing after it expires before it. The stamps of openings grow, though, and a closing
/// of before the opening expires no later than the opening did.
fn is_after_opening(known: &Record, shown: &Record, life: i64) -> bool {
    let Some(opened_at) = known.opened_at.valid().filter(|_| !is_closed(known)) else {
        return false;
    };
    match shown.state.valid() {
        Some(CircuitState::Open | CircuitState::HalfOpen) => {
            shown.opened_at.valid().is_some_and(|at| at > opened_at)
        }
        // A closed record has lost the stamp of its opening. Each later write expires later
        // than a record that was written at the opening itself.
        Some(CircuitState::Closed) => {
            let opening_expired_at = opened_at.saturating_add(life);
            shown.expires_at.valid().is_some_and(|at| *at > opening_expired_at)
        }
        None => false,
    }
}

/// Returns `true` if both records belong to the same epoch of the circuit: a trip, an
/// election or a take-over that was made for one would be applied to the other.
pub(super) fn is_same_epoch(before: Option<&Record>, after: Option<&Record>) -> bool {
    match (before, after) {
        (None, None) => true,
        (Some(before), Some(after)) if before.state == after.state => match shown(after) {
            // A closed record has no stamp but `expires_at`, which each closing sets, and the end
            // of a hold. A trip names both in its condition, so that it applies to this closing
            // only.
            Shown::Closed => {
                before.expires_at == after.expires_at && before.hold_until == after.hold_until
            }
            // A hold, too, is an opening of its own: its owner differs, or its end.
            Shown::Open => {
                before.opened_at == after.opened_at
                    && before.owner == after.owner
                    && before.held_open_until() == after.held_open_until()
            }
            // A renewed lease is a new one: its holder is alive, and its length counts again.
            Shown::HalfOpen => {
                before.owner == after.owner && before.lease_until == after.lease_until
            }
        },
        (Some(_) | None, Some(_) | None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: i64 = 3_630;

    fn record(state: CircuitState, opened_at: Option<i64>, expires_at: i64) -> Record {
        Record {
            state: state.into(),
            opened_at: opened_at.map_or(Field::Absent, Field::Valid),
            expires_at: expires_at.into(),
            ..Record::empty()
        }
    }

    fn knows(record: Record) -> Cache {
        let mut cache = Cache::default();
        let _ = cache.show(Some(record), Moment::of_seconds(1, 1_000), 0);
        cache
    }

    #[test]
    fn an_age_is_cut_by_a_tenth_at_most() {
        let ages = [0, 128, 255].map(|cut| {
            let mut cache = Cache::default();
            let _ = cache.show(None, Moment::default(), cut);
            cache.cut(Duration::from_millis(2_560)).as_millis()
        });
        assert_eq!(ages, [2_560, 2_432, 2_305]);
    }

    #[test]
    fn an_unreadable_record_is_told_once() {
        let mut cache = Cache::default();
        let mut show =
            |record: &Record| cache.show(Some(record.clone()), Moment::default(), 0).is_some();
        let unreadable = Record { state: Field::Absent, ..Record::empty() };
        assert!(show(&unreadable) && !show(&unreadable));
        assert!(!show(&record(CircuitState::Closed, None, 5_000)) && show(&unreadable));
    }

    #[test]
    fn what_is_shown_after_our_own_write_may_be_older_unless_it_is_that_write() {
        let open = record(CircuitState::Open, Some(1_000), 4_630);
        let mut cache = knows(open.clone());
        cache.is_own = true;
        assert!(!cache.may_be_newer_than(Some(&open), LIFE));
        assert!(cache.may_be_newer_than(None, LIFE));
        assert!(cache.may_be_newer_than(Some(&record(CircuitState::Closed, None, 9_999)), LIFE));
    }

    #[test]
    fn a_record_that_expires_sooner_is_later_only_if_its_stamps_say_so() {
        // Leased for long, so that the closing after it expires before it.
        let leased = record(CircuitState::HalfOpen, Some(1_000), 90_000);
        let cache = knows(leased);
        let closed = |expires_at| record(CircuitState::Closed, None, expires_at);
        assert!(!cache.may_be_newer_than(Some(&closed(1_001 + LIFE)), LIFE));
        assert!(
            cache.may_be_newer_than(Some(&closed(1_000 + LIFE)), LIFE),
            "as old as the opening"
        );
        let open = |opened_at| record(CircuitState::Open, Some(opened_at), 5_000);
        assert!(!cache.may_be_newer_than(Some(&open(1_001)), LIFE));
        assert!(cache.may_be_newer_than(Some(&open(1_000)), LIFE));
        assert!(cache.may_be_newer_than(None, LIFE), "an absent record has no stamp");
    }

    #[test]
    fn nothing_is_older_than_what_was_never_read() {
        assert!(!Cache::default().may_be_newer_than(None, LIFE));
    }
}
