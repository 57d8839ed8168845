//! The values of a store's interface. The machine and the stores share them without knowing
//! each other.

use crate::protocol::record::Record;

/// The consistency that a read needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// The read may miss recent writes. Enough while a circuit is closed.
    Eventual,
    /// The read shows every write that was answered before it began.
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

/// The kind of a store's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store did not answer in time.
    Timeout,
    /// The store could not be reached, or answered with a fault of its own.
    Unavailable,
    /// The store asked to be called less often, or another process was writing this record. It
    /// is an answer, and concerns this circuit alone.
    Throttled,
    /// The store refused in a way that waiting does not mend: no table, no permission, another
    /// key schema, no credentials.
    Misconfigured,
    /// The store sent something that is not a valid response: a proxy's page, or a 200 without a
    /// request id.
    BadAnswer,
}
