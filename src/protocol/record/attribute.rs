//! The attributes of a record as data: their values without types, conditions on
//! them, and changes of them.
//!
//! [`Record`] has a typed field for each attribute. A store that maps records to
//! columns or items loops over all of them instead.

use std::{any::Any, fmt, sync::Arc};

use super::{Field, Record};
use crate::state::CircuitState;

/// An attribute of a [`Record`]. Displays as its
/// [`name`](Self::name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Attribute {
    /// The state: one of three words.
    State,
    /// The failures that the tripping process had counted.
    FailureCount,
    /// The time of opening.
    OpenedAt,
    /// The token of the lease, or `hold#` and the reason of an operator.
    Owner,
    /// The end of the lease.
    LeaseUntil,
    /// The time from which the store may delete the record.
    ExpiresAt,
    /// Consecutive good probes.
    SuccessCount,
    /// The time at which an operator closed the circuit.
    Released,
    /// Failed probes in a row.
    FailedProbes,
    /// The time until which a call asked for the circuit to be open.
    OpenUntil,
    /// The word `closed` while an operator holds the circuit closed.
    Hold,
    /// The end of an operator's hold.
    HoldUntil,
    /// Who holds the circuit.
    HoldBy,
    /// Why the circuit is held.
    HoldReason,
    /// The time at which the outage began.
    DownSince,
    /// The cause of the first opening of the outage.
    Cause,
}

impl Attribute {
    /// All attributes.
    pub const ALL: [Self; 16] = [
        Self::State,
        Self::FailureCount,
        Self::OpenedAt,
        Self::Owner,
        Self::LeaseUntil,
        Self::ExpiresAt,
        Self::SuccessCount,
        Self::Released,
        Self::FailedProbes,
        Self::OpenUntil,
        Self::Hold,
        Self::HoldUntil,
        Self::HoldBy,
        Self::HoldReason,
        Self::DownSince,
        Self::Cause,
    ];

    /// Returns the name that the attribute has by default in a DynamoDB item.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::FailureCount => "failure_count",
            Self::OpenedAt => "opened_at",
            Self::Owner => "half_open_owner",
            Self::LeaseUntil => "probe_lease_expiry",
            Self::ExpiresAt => "expiration",
            Self::SuccessCount => "success_count",
            Self::Released => "released",
            Self::FailedProbes => "failed_probes",
            Self::OpenUntil => "open_until",
            Self::Hold => "hold",
            Self::HoldUntil => "hold_until",
            Self::HoldBy => "hold_by",
            Self::HoldReason => "hold_reason",
            Self::DownSince => "down_since",
            Self::Cause => "cause",
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The value of an attribute, for stores that handle all attributes alike.
///
/// Displays as the text or the digits alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// A state's word, a token, or an operator's reason.
    Text(Arc<str>),
    /// A stamp in seconds since the Unix epoch, which fits an `i64`, or a count,
    /// which fits a `u64`.
    Number(i128),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.pad(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// A value that does not fit its attribute, in the form that its store read.
///
/// Only that store looks into it: to name the value in the condition of a write,
/// and so to replace it. `Debug` shows it.
#[derive(Clone)]
pub struct Malformed(Arc<dyn Opaque>);

impl Malformed {
    /// Wraps a value as the store has read it.
    pub fn new(value: impl Any + fmt::Debug + PartialEq + Send + Sync) -> Self {
        Self(Arc::new(value))
    }

    /// Returns the value if it was wrapped as this type.
    #[must_use]
    pub fn downcast_ref<T: Any>(&self) -> Option<&T> {
        self.0.as_any().downcast_ref()
    }
}

impl PartialEq for Malformed {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(other.0.as_any())
    }
}

impl Eq for Malformed {}

impl fmt::Debug for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A value whose type [`Malformed`] does not know.
trait Opaque: fmt::Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn equals(&self, other: &dyn Any) -> bool;
}

impl<T: Any + fmt::Debug + PartialEq + Send + Sync> Opaque for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

/// A requirement of an [`Operation`](super::Operation) on the record that is stored now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The circuit has no record.
    NoRecord,
    /// The circuit has a record. The conditions beside this one would also hold
    /// without a record, as they require attributes to be absent.
    AnyRecord,
    /// The attribute has exactly this value, or is absent.
    Unchanged(Attribute, Field<Value>),
    /// The attribute is a number, and less than this one, which the operation sets.
    Below(Attribute, i64),
}

impl Condition {
    pub(super) fn holds_for(&self, current: Option<&Record>) -> bool {
        match (self, current) {
            (Self::NoRecord, found) => found.is_none(),
            (_, None) => false,
            (Self::AnyRecord, Some(_)) => true,
            (Self::Unchanged(attribute, seen), Some(record)) => record.get(*attribute) == *seen,
            (Self::Below(attribute, limit), Some(record)) => match record.get(*attribute) {
                Field::Valid(Value::Number(number)) => number < i128::from(*limit),
                Field::Valid(Value::Text(_)) | Field::Absent | Field::Malformed(_) => false,
            },
        }
    }
}

/// The effect of an [`Operation`](super::Operation) on one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets the attribute to this value.
    Set(Attribute, Value),
    /// Removes the attribute, if the record has it.
    Remove(Attribute),
}

impl Change {
    pub(super) fn apply_to(self, record: &mut Record) {
        match self {
            Self::Set(attribute, value) => record.set(attribute, Field::Valid(value)),
            Self::Remove(attribute) => record.set(attribute, Field::Absent),
        }
    }
}

/// The type of a record's field, to and from a [`Value`].
pub(super) trait Typed: Sized {
    fn to_value(&self) -> Value;
    fn from_value(value: &Value) -> Option<Self>;
}

impl Typed for CircuitState {
    fn to_value(&self) -> Value {
        Value::Text(self.as_str().into())
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(word) => Self::parse(word),
            Value::Number(_) => None,
        }
    }
}

impl Typed for Arc<str> {
    fn to_value(&self) -> Value {
        Value::Text(Self::clone(self))
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(Self::clone(text)),
            Value::Number(_) => None,
        }
    }
}

macro_rules! typed_numbers {
    ($($number:ty),*) => {$(
        impl Typed for $number {
            fn to_value(&self) -> Value {
                Value::Number((*self).into())
            }

            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::Number(number) => (*number).try_into().ok(),
                    Value::Text(_) => None,
                }
            }
        }
    )*};
}

typed_numbers!(u64, i64);

/// A field without the type of its value. A value that [`typed`] found malformed
/// comes back as it was given.
pub(super) fn untyped<T: Typed>(field: &Field<T>) -> Field<Value> {
    match field {
        Field::Absent => Field::Absent,
        Field::Valid(value) => Field::Valid(value.to_value()),
        Field::Malformed(malformed) => match malformed.downcast_ref::<Value>() {
            Some(value) => Field::Valid(value.clone()),
            None => Field::Malformed(malformed.clone()),
        },
    }
}

/// A field of the type that its attribute has.
pub(super) fn typed<T: Typed>(field: Field<Value>) -> Field<T> {
    match field {
        Field::Absent => Field::Absent,
        Field::Malformed(malformed) => Field::Malformed(malformed),
        Field::Valid(value) => match T::from_value(&value) {
            Some(typed) => Field::Valid(typed),
            None => Field::Malformed(Malformed::new(value)),
        },
    }
}
