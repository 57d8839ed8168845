//! Stores: they keep one record per circuit, which processes share.
//!
//! A store knows nothing of machines, actors or clocks. It shows a [`Record`], and
//! applies an [`Operation`] whole or refuses it. [`MemoryStore`] shares circuits
//! between the registries of one process; `DynamoDbStore` shares them between
//! processes. `store::contract` checks any other implementation, in the tests of its
//! author: it needs the feature `store-contract`.
//!
//! # A store in another database
//!
//! A store that runs code under a lock calls [`Operation::apply`]; see [`Store`]. A
//! database that decides conditions by itself gets an operation as two lists:
//! [`Operation::conditions`], all of which must hold, and [`Operation::changes`].
//! Nothing in it depends on the kind of operation. In SQL, with a column for each
//! [`Attribute`]:
//!
//! ```
//! use fuseboard::store::{Hints, Attribute, Change, Condition, Field, LeaseToken, Operation, Value};
//!
//! /// The statement of an operation on the circuit `$1`, and its other parameters.
//! fn statement(operation: &Operation) -> Result<(String, Vec<Value>), &'static str> {
//!     let mut parameters = Vec::new();
//!     let mut bind = |value| {
//!         parameters.push(value);
//!         format!("${}", parameters.len() + 1)
//!     };
//!     let (mut columns, mut values) = (Vec::new(), Vec::new());
//!     for change in operation.changes() {
//!         let (attribute, value) = match change {
//!             Change::Set(attribute, value) => (attribute, bind(value)),
//!             Change::Remove(attribute) => (attribute, "NULL".to_owned()),
//!         };
//!         columns.push(attribute.to_string());
//!         values.push(value);
//!     }
//!     let (columns, values) = (columns.join(", "), values.join(", "));
//!     let mut condition = "name = $1".to_owned();
//!     for required in operation.conditions() {
//!         condition += &match required {
//!             Condition::NoRecord => {
//!                 let row = format!("(name, {columns}) VALUES ($1, {values})");
//!                 let insert = format!("INSERT INTO circuits {row} ON CONFLICT DO NOTHING");
//!                 return Ok((insert, parameters));
//!             }
//!             // An UPDATE changes no row that does not exist.
//!             Condition::AnyRecord => continue,
//!             Condition::Unchanged(attribute, Field::Absent) => format!(" AND {attribute} IS NULL"),
//!             Condition::Unchanged(attribute, Field::Valid(value)) => {
//!                 format!(" AND {attribute} = {}", bind(value))
//!             }
//!             Condition::Unchanged(_, Field::Malformed(_)) => return Err("read by another store"),
//!             Condition::Below(attribute, limit) => {
//!                 format!(" AND {attribute} < {}", bind(Value::Number(limit.into())))
//!             }
//!         };
//!     }
//!     let update = format!("UPDATE circuits SET ({columns}) = ROW ({values}) WHERE {condition}");
//!     Ok((update, parameters))
//! }
//!
//! let token = LeaseToken::new("a");
//! let renew = Operation::Renew { token, lease_until: 60, expires_at: 3_600, starts_probe: false };
//! let (sql, parameters) = statement(&renew)?;
//! assert_eq!(
//!     sql,
//!     "UPDATE circuits SET (probe_lease_expiry, expiration) = ROW ($2, $3) \
//!      WHERE name = $1 AND state = $4 AND half_open_owner = $5 AND probe_lease_expiry < $6"
//! );
//! let parameters: Vec<_> = parameters.iter().map(Value::to_string).collect();
//! assert_eq!(parameters, ["60", "3600", "HALF_OPEN", "a", "60"]);
//!
//! let trip = Operation::Trip { seen: None, failure_count: 5, opened_at: 1_000, expires_at: 4_630, hints: Hints::NONE };
//! assert!(statement(&trip)?.0.starts_with("INSERT INTO circuits (name, state, failure_count,"));
//! # Ok::<(), &str>(())
//! ```
//!
//! One changed row means [`Written::Applied`]; none means [`Written::Refused`], with
//! the row as it is. A row becomes a [`Record`] by [`Record::set`].

#[cfg(feature = "store-contract")]
pub mod contract;
#[cfg(feature = "dynamodb")]
mod dynamodb;
mod memory;
mod server_time;

use std::{error::Error, fmt, future::Future, pin::Pin};

#[cfg(all(feature = "dynamodb", feature = "aws-sdk"))]
pub(crate) use self::dynamodb::OwnOperation;
#[cfg(feature = "dynamodb")]
pub use self::dynamodb::{
    CircuitRecord, DynamoDbStore, DynamoDbStoreBuilder, Misconfiguration, NotChecked, OtherItem,
    Records, RecordsPage, Verified, VerifyError,
};
pub use self::{memory::MemoryStore, server_time::ServerTime};
use crate::name::CircuitName;
pub use crate::{
    protocol::answer::{Consistency, StoreErrorKind, Written},
    protocol::record::{
        Attribute, Change, Condition, Field, Hints, HoldTerms, LeaseToken, Malformed, Operation,
        Record, Value,
    },
    protocol::votes::{Ballot, NotAVote, Vote, Votes},
};

/// Keeps one record per circuit.
///
/// Implementations must be atomic per circuit: of two operations whose conditions
/// exclude each other, at most one is applied. [`Operation::apply`] defines each
/// operation. The registry bounds every read and write with `store_timeout` by
/// dropping the future, so a store needs no timeout of its own.
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
/// use fuseboard::{CircuitName, store::{Consistency, Operation, Record, Store, StoreError, Written}};
///
/// #[derive(Default)]
/// struct Shelf(Mutex<HashMap<CircuitName, Record>>);
///
/// impl Store for Shelf {
///     async fn read(&self, circuit: &CircuitName, _: Consistency) -> Result<Option<Record>, StoreError> {
///         let shelf = self.0.lock().map_err(StoreError::unavailable_from)?;
///         Ok(shelf.get(circuit).cloned())
///     }
///
///     async fn write(&self, circuit: &CircuitName, operation: &Operation) -> Result<Written, StoreError> {
///         let mut shelf = self.0.lock().map_err(StoreError::unavailable_from)?;
///         let found = shelf.get(circuit);
///         let Some(record) = operation.apply(found) else {
///             return Ok(Written::Refused(found.cloned()));
///         };
///         shelf.insert(circuit.clone(), record.clone());
///         Ok(Written::Applied(record))
///     }
/// }
/// ```
pub trait Store: Send + Sync + 'static {
    /// Reads the record of a circuit; `None` if there is none.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the record is not known for certain. Its
    /// [kind](StoreErrorKind) tells the registry when to try again.
    ///
    /// # Cancel safety
    ///
    /// The registry drops the future after `store_timeout`. A dropped read must leave
    /// nothing locked.
    fn read(
        &self,
        circuit: &CircuitName,
        consistency: Consistency,
    ) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send;

    /// Applies an operation, or returns the record that refuses it.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it is not certain that the operation was applied, or that
    /// it was refused.
    ///
    /// # Cancel safety
    ///
    /// The registry drops the future after `store_timeout`. A dropped write may be
    /// applied, also later, or not; it must not be applied in part.
    fn write(
        &self,
        circuit: &CircuitName,
        operation: &Operation,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Casts or withdraws the vote of one process, and returns all votes of the circuit after it;
    /// `None`, as by default, if this store keeps no votes. [`Rule::votes`](crate::Rule::votes)
    /// then never trips, and a warning says so once for each circuit.
    ///
    /// Votes are kept beside the record: an operation on the one leaves the other as it is.
    /// [`Ballot::apply`] defines what a ballot changes. It has no condition, and need not be
    /// atomic with anything but other ballots of the circuit. Votes may be deleted once the
    /// `expires_at` of the last ballot has passed. A vote that cannot be read is shown as
    /// [`Vote::OVER`].
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it is not certain that the ballot was taken.
    ///
    /// # Cancel safety
    ///
    /// The registry drops the future after `store_timeout`. A dropped ballot may be taken, also
    /// later, or not.
    fn vote(
        &self,
        circuit: &CircuitName,
        ballot: &Ballot,
    ) -> impl Future<Output = Result<Option<Votes>, StoreError>> + Send {
        let _ = (circuit, ballot);
        std::future::ready(Ok(None))
    }

    /// Returns the time on the store's own clock in its newest answer; `None`, as by
    /// default, if no answer had a time, or if the store's clock is not reliable.
    ///
    /// Registries correct the wall clock of their process by it, so that processes
    /// whose clocks differ agree on the times in a record. They ask before and after
    /// each operation, also one that failed; an answer to another circuit serves as
    /// well, so the correction is exact to within the time that one operation takes.
    /// Only an answer that arrived counts. Must not block.
    fn server_time(&self) -> Option<ServerTime> {
        None
    }

    /// Returns `true`, as by default, if other processes may use the records of this
    /// store as well. Must not block, and must not change.
    ///
    /// Registries over a shared store spread their elections and reads over time
    /// ([`election_spread`](crate::ConfigBuilder::election_spread)). `false` is for a
    /// store whose records live in this process alone.
    fn is_shared(&self) -> bool {
        true
    }
}

impl<S: Store> Store for std::sync::Arc<S> {
    async fn read(
        &self,
        circuit: &CircuitName,
        consistency: Consistency,
    ) -> Result<Option<Record>, StoreError> {
        S::read(self, circuit, consistency).await
    }

    async fn write(
        &self,
        circuit: &CircuitName,
        operation: &Operation,
    ) -> Result<Written, StoreError> {
        S::write(self, circuit, operation).await
    }

    async fn vote(
        &self,
        circuit: &CircuitName,
        ballot: &Ballot,
    ) -> Result<Option<Votes>, StoreError> {
        S::vote(self, circuit, ballot).await
    }

    fn server_time(&self) -> Option<ServerTime> {
        S::server_time(self)
    }

    fn is_shared(&self) -> bool {
        S::is_shared(self)
    }
}

/// A store could not read the record, or does not know whether a write was applied.
///
/// Callers of a breaker never get it: while the store fails, a circuit decides by
/// what its own process knows.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// Describes a fault.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Describes a fault of kind [`Unavailable`](StoreErrorKind::Unavailable) by the
    /// text of another error.
    pub fn unavailable_from(error: impl fmt::Display) -> Self {
        Self::new(StoreErrorKind::Unavailable, error.to_string())
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns the kind of fault.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

/// A future of an erased store.
pub(crate) type StoreFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`Store`] with its futures boxed, so that a registry has no type parameter.
pub(crate) trait ErasedStore: Send + Sync {
    fn read<'a>(
        &'a self,
        circuit: &'a CircuitName,
        consistency: Consistency,
    ) -> StoreFuture<'a, Option<Record>>;

    fn write<'a>(
        &'a self,
        circuit: &'a CircuitName,
        operation: &'a Operation,
    ) -> StoreFuture<'a, Written>;

    fn vote<'a>(
        &'a self,
        circuit: &'a CircuitName,
        ballot: &'a Ballot,
    ) -> StoreFuture<'a, Option<Votes>>;

    fn server_time(&self) -> Option<ServerTime>;

    fn is_shared(&self) -> bool;
}

impl<S: Store> ErasedStore for S {
    fn read<'a>(
        &'a self,
        circuit: &'a CircuitName,
        consistency: Consistency,
    ) -> StoreFuture<'a, Option<Record>> {
        Box::pin(Store::read(self, circuit, consistency))
    }

    fn write<'a>(
        &'a self,
        circuit: &'a CircuitName,
        operation: &'a Operation,
    ) -> StoreFuture<'a, Written> {
        Box::pin(Store::write(self, circuit, operation))
    }

    fn vote<'a>(
        &'a self,
        circuit: &'a CircuitName,
        ballot: &'a Ballot,
    ) -> StoreFuture<'a, Option<Votes>> {
        Box::pin(Store::vote(self, circuit, ballot))
    }

    fn server_time(&self) -> Option<ServerTime> {
        Store::server_time(self)
    }

    fn is_shared(&self) -> bool {
        Store::is_shared(self)
    }
}
