//! The persisted record of a circuit, and the writes of the protocol as data.
//!
//! This is the vocabulary between the machine and a store. Neither knows the
//! other: the machine reads [`Record`]s and asks for [`Operation`]s; a store
//! shows the one and applies the other. An operation is data: conditions on
//! attributes and changes of attributes. A store that can run code under a lock
//! calls [`Operation::apply`]; any other translates the two lists.

mod attribute;
mod changes;
mod due;
mod held;
mod hints;
mod operation;

use std::{fmt, sync::Arc};

use self::attribute::{typed, untyped};
pub(crate) use self::held::LONGEST_CLOSED_TIME;
pub use self::{
    attribute::{Attribute, Change, Condition, Malformed, Value},
    held::HoldTerms,
    hints::Hints,
    operation::Operation,
};
use crate::state::CircuitState;

/// One attribute of a persisted record, as it was found.
///
/// The table is shared with programs that this crate does not control, so an
/// attribute may have any value. One that does not fit is kept in the store's own
/// form, so that the condition of the next write can name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// The record does not have the attribute.
    #[default]
    Absent,
    /// The attribute has a value of the expected kind.
    Valid(T),
    /// The attribute has a value of another kind.
    Malformed(Malformed),
}

impl<T> Field<T> {
    /// Returns the value when there is one of the expected kind.
    pub fn valid(&self) -> Option<&T> {
        match self {
            Self::Valid(value) => Some(value),
            Self::Absent | Self::Malformed(_) => None,
        }
    }

    /// Returns `true` if the record has the attribute, with a value that does not fit.
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::Malformed(_))
    }
}

impl<T> From<T> for Field<T> {
    fn from(value: T) -> Self {
        Self::Valid(value)
    }
}

/// The fencing token of one election: fresh random text for every election,
/// never the identity of a process.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LeaseToken(Arc<str>);

impl LeaseToken {
    /// Wraps the text of a token.
    pub fn new(token: impl AsRef<str>) -> Self {
        Self(Arc::from(token.as_ref()))
    }

    /// Returns the text of the token, as in `half_open_owner`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the `owner` that a record has while this token holds the lease.
    #[must_use]
    pub fn as_owner(&self) -> Field<Arc<str>> {
        Field::Valid(Arc::clone(&self.0))
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The persisted record of one circuit. A circuit without a record is closed.
///
/// Stamps are whole seconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// `state`
    pub state: Field<CircuitState>,
    /// `failure_count`: the failures that the tripping process had counted.
    pub failure_count: Field<u64>,
    /// `opened_at`
    pub opened_at: Field<i64>,
    /// `half_open_owner`: the token of the process that holds the right to probe, or
    /// `hold#reason` while an operator keeps the circuit open.
    pub owner: Field<Arc<str>>,
    /// `probe_lease_expiry`
    pub lease_until: Field<i64>,
    /// `expiration`: when the store may delete the record.
    pub expires_at: Field<i64>,
    /// `success_count`: consecutive good probes. The record has it only while the
    /// circuit is half-open.
    pub success_count: Field<u64>,
    /// `released`: when an operator closed the circuit. A circuit that probes
    /// closed does not have it.
    pub released: Field<i64>,
    /// `failed_probes`: probes in a row that failed. A hint by which processes with
    /// [`open_backoff`](crate::ConfigBuilder::open_backoff) lengthen the open time.
    pub failed_probes: Field<u64>,
    /// `open_until`: until when the circuit is open, where a call has asked for it.
    /// A hint on an open record only.
    pub open_until: Field<i64>,
    /// `hold`: the word `closed` while an operator holds the circuit closed.
    pub hold: Field<Arc<str>>,
    /// `hold_until`: the end of an operator's hold, open or closed.
    pub hold_until: Field<i64>,
    /// `hold_by`: who holds the circuit.
    pub hold_by: Field<Arc<str>>,
    /// `hold_reason`: why the circuit is held.
    pub hold_reason: Field<Arc<str>>,
    /// `down_since`: when the outage began, at its first opening. A hint for people who look.
    pub down_since: Field<i64>,
    /// `cause`: the cause of the first opening of the outage, as a text that
    /// `docs/table.md` lists. A hint for people who look; any text may stand here.
    pub cause: Field<Arc<str>>,
}

/// The prefix of `half_open_owner` while an operator holds the circuit open.
pub(crate) const HOLD_PREFIX: &str = "hold#";

/// The greatest count of failed probes that a process writes: one a second for 136 years.
pub(crate) const MOST_FAILED_PROBES: u64 = 0xFFFF_FFFF;

/// The longest open time that a process can ask for, in seconds: the upper bound of its settings.
const LONGEST_OPEN_TIME: i64 = 365 * 86_400;

impl Record {
    /// Makes a record without attributes.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Returns the value of an attribute.
    ///
    /// A value that [`set`](Self::set) found to be malformed is returned as it was
    /// set.
    ///
    /// ```
    /// use fuseboard::store::{Attribute, Field, Record, Value};
    ///
    /// let mut record = Record::empty();
    /// record.set(Attribute::State, Field::Valid(Value::Text("AJAR".into())));
    /// assert!(record.state.is_malformed());
    /// assert_eq!(record.get(Attribute::State), Field::Valid(Value::Text("AJAR".into())));
    /// ```
    #[must_use]
    pub fn get(&self, attribute: Attribute) -> Field<Value> {
        match attribute {
            Attribute::State => untyped(&self.state),
            Attribute::FailureCount => untyped(&self.failure_count),
            Attribute::OpenedAt => untyped(&self.opened_at),
            Attribute::Owner => untyped(&self.owner),
            Attribute::LeaseUntil => untyped(&self.lease_until),
            Attribute::ExpiresAt => untyped(&self.expires_at),
            Attribute::SuccessCount => untyped(&self.success_count),
            Attribute::Released => untyped(&self.released),
            Attribute::FailedProbes => untyped(&self.failed_probes),
            Attribute::OpenUntil => untyped(&self.open_until),
            Attribute::Hold => untyped(&self.hold),
            Attribute::HoldUntil => untyped(&self.hold_until),
            Attribute::HoldBy => untyped(&self.hold_by),
            Attribute::HoldReason => untyped(&self.hold_reason),
            Attribute::DownSince => untyped(&self.down_since),
            Attribute::Cause => untyped(&self.cause),
        }
    }

    /// Sets an attribute. A value that does not fit it is kept as
    /// [`Malformed`](Field::Malformed).
    pub fn set(&mut self, attribute: Attribute, value: Field<Value>) {
        match attribute {
            Attribute::State => self.state = typed(value),
            Attribute::FailureCount => self.failure_count = typed(value),
            Attribute::OpenedAt => self.opened_at = typed(value),
            Attribute::Owner => self.owner = typed(value),
            Attribute::LeaseUntil => self.lease_until = typed(value),
            Attribute::ExpiresAt => self.expires_at = typed(value),
            Attribute::SuccessCount => self.success_count = typed(value),
            Attribute::Released => self.released = typed(value),
            Attribute::FailedProbes => self.failed_probes = typed(value),
            Attribute::OpenUntil => self.open_until = typed(value),
            Attribute::Hold => self.hold = typed(value),
            Attribute::HoldUntil => self.hold_until = typed(value),
            Attribute::HoldBy => self.hold_by = typed(value),
            Attribute::HoldReason => self.hold_reason = typed(value),
            Attribute::DownSince => self.down_since = typed(value),
            Attribute::Cause => self.cause = typed(value),
        }
    }

    /// Returns `true` if an operator closed the circuit, or holds it closed, and not probes. Any
    /// value of `released` says so, a malformed one too.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.state == Field::Valid(CircuitState::Closed) && self.released != Field::Absent
    }

    /// Returns `true` if the circuit is half-open under this token.
    #[must_use]
    pub fn is_leased_to(&self, token: &LeaseToken) -> bool {
        self.state == Field::Valid(CircuitState::HalfOpen) && self.owner == token.as_owner()
    }

    /// Returns the name of the first attribute that makes the record malformed;
    /// `None` if there is none.
    ///
    /// A record is malformed if an attribute has a value that does not fit, if it
    /// has no state, if it is open without `opened_at`, or half-open without a lease
    /// and its owner. A malformed `released` is no defect: only its presence counts. The two
    /// hints are malformed, too, with a value that no process writes: one that comes before the
    /// opening, or more than 365 days after it, and a count beyond 32 bits. So is the end of a
    /// hold. What only people read (`hold_by`, `hold_reason`, `down_since`, `cause`) is no defect.
    #[must_use]
    pub fn defect(&self) -> Option<&'static str> {
        let malformed = [
            (self.failure_count.is_malformed(), "failure_count"),
            (self.opened_at.is_malformed(), "opened_at"),
            (self.owner.is_malformed(), "half_open_owner"),
            (self.lease_until.is_malformed(), "probe_lease_expiry"),
            (self.expires_at.is_malformed(), "expiration"),
            (self.success_count.is_malformed(), "success_count"),
            (!self.has_sound_failed_probes(), "failed_probes"),
            (!self.has_sound_open_until(), "open_until"),
            (self.has_unsound_hold_until(), "hold_until"),
        ];
        match self.state {
            Field::Absent | Field::Malformed(_) => Some("state"),
            Field::Valid(CircuitState::Open) if self.opened_at == Field::Absent => {
                Some("opened_at")
            }
            Field::Valid(CircuitState::HalfOpen) if self.lease_until == Field::Absent => {
                Some("probe_lease_expiry")
            }
            Field::Valid(CircuitState::HalfOpen) if self.owner == Field::Absent => {
                Some("half_open_owner")
            }
            Field::Valid(_) => malformed.into_iter().find_map(|(bad, name)| bad.then_some(name)),
        }
    }

    /// Returns `true` if this is perhaps the record of another program's item: it has none of the
    /// attributes that only circuits have (`failure_count`, `half_open_owner`,
    /// `probe_lease_expiry`), and no state of a circuit with another attribute beside it.
    ///
    /// For lists. A breaker of that name takes any item for its own.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        let has = |attribute: &Attribute| self.get(*attribute) != Field::Absent;
        let only_circuits = [Attribute::FailureCount, Attribute::Owner, Attribute::LeaseUntil];
        let is_state_alone = Attribute::ALL.iter().filter(|attribute| has(attribute)).count() < 2;
        let is_known = self.state.valid().is_some() && !is_state_alone;
        !is_known && !only_circuits.iter().any(has)
    }

    pub(crate) fn has_sound_failed_probes(&self) -> bool {
        match self.failed_probes {
            Field::Absent => true,
            Field::Valid(probes) => probes <= MOST_FAILED_PROBES,
            Field::Malformed(_) => false,
        }
    }

    fn has_sound_open_until(&self) -> bool {
        let is_open = self.state == Field::Valid(CircuitState::Open);
        match (&self.open_until, &self.opened_at) {
            (Field::Malformed(_), _) => false,
            (Field::Valid(until), Field::Valid(opened_at)) if is_open => {
                let length = until.saturating_sub(*opened_at);
                (1..=LONGEST_OPEN_TIME).contains(&length)
            }
            (Field::Absent | Field::Valid(_), _) => true,
        }
    }
}
