//! How a store is asked and what it answers: values that the machine and the
//! stores share without knowing each other.

use crate::protocol::record::Record;

/// How fresh a read has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// May be behind the last write: enough while a circuit is closed.
    Eventual,
    /// Shows every write that was answered before the read began.
    Strong,
}

/// The answer to an [`Operation`](crate::store::Operation).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// The operation was applied; this is the record after it.
    Applied(Record),
    /// The condition refused the operation; this is the record as it stands,
    /// `None` if there is none.
    Refused(Option<Record>),
}

/// What kind of fault kept a store from answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// No answer in time.
    Timeout,
    /// The store could not be reached, or answered with a fault of its own.
    Unavailable,
    /// The store asked to be called less often, or somebody else was writing
    /// this record: an answer, which concerns this circuit alone.
    Throttled,
    /// A fault that waiting does not mend: no table, no permission, another
    /// key schema, no credentials.
    Misconfigured,
    /// An answer that cannot be one.
    BadAnswer,
}
