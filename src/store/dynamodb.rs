//! A store in DynamoDB: one item per circuit, in the shape that Powertools for AWS
//! Lambda (Python) gives it.
//!
//! Reads with `GetItem` and writes with conditional `UpdateItem`, and nothing else.
//! Knows no machine, no actor and no clock but DynamoDB's. A refused write shows the
//! item, so that no read has to follow.

mod answers;
mod builder;
mod causes;
mod credentials;
mod date;
mod expression;
mod fault;
mod item;
mod misconfiguration;
#[cfg(feature = "aws-sdk")]
mod own;
mod records;
mod request;
mod table;
mod timeouts;
mod verify;
mod votes;

use std::{fmt, sync::Arc, time::Duration};

use aws_sdk_dynamodb::{Client, config};

#[cfg(feature = "aws-sdk")]
pub(crate) use self::own::OwnOperation;
pub use self::{
    builder::DynamoDbStoreBuilder,
    misconfiguration::{Misconfiguration, NotChecked, Verified, VerifyError},
    records::{CircuitRecord, OtherItem, Records, RecordsPage},
};
use self::{credentials::Credentials, date::Dates, item::AttributeNames, timeouts::Timeouts};
use super::{
    Ballot, Consistency, Operation, Record, ServerTime, Store, StoreError, Votes, Written,
};
use crate::name::CircuitName;

/// Bounds the wait of [`DynamoDbStore::verify`] and [`DynamoDbStore::create_table`] for
/// credentials. Providers that ask several sources in turn take seconds.
const CREDENTIALS_TIMEOUT_AT_START: Duration = Duration::from_secs(10);

/// Keeps records in a DynamoDB table, one item per circuit, and shares them
/// with every process that uses the same table and circuit names.
///
/// The items have the format of the circuit breaker of Powertools for AWS Lambda
/// (Python), whose functions can share the table. Writes keep attributes that this
/// crate does not know. Cloning is cheap.
///
/// # Permissions
///
/// `dynamodb:GetItem` and `dynamodb:UpdateItem` on the table.
///
/// # Timeouts
///
/// Each operation is bounded to 1 s: 250 ms for a connection, 400 ms for an
/// attempt, up to three attempts with pauses of 25 ms to 200 ms. These timeouts
/// replace those of the client;
/// [`operation_timeout`](DynamoDbStoreBuilder::operation_timeout) changes them. A
/// write that is refused without showing the item is followed by a read, which has
/// the same timeouts.
///
/// # Credentials
///
/// They are loaded outside of these timeouts, once for all operations that wait, in
/// a task on the runtime of the operation that needed them first. The task ends with
/// the last clone of the store. An operation waits for credentials for three quarters
/// of its own timeout, and then fails with
/// [`Timeout`](crate::store::StoreErrorKind::Timeout), while the loading goes on. The
/// client's cache keeps them, and bounds the loading (about 20 s by default). While
/// they are renewed, the old ones serve until 3 s before they expire.
///
/// ```no_run
/// # async fn example() {
/// use fuseboard::DynamoDbStore;
///
/// let store = DynamoDbStore::from_env("CircuitBreakerState").await;
/// // A service can start in spite of a fault: its circuits then act alone.
/// if let Err(faults) = store.verify().await {
///     tracing::error!(%faults, "circuits are not shared as they should be");
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct DynamoDbStore {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    client: Client,
    table: String,
    names: AttributeNames,
    timeouts: Timeouts,
    /// Bounds an operation's wait for credentials.
    credentials_timeout: Duration,
    /// The settings of the SDK for every call: timeouts, retries, interceptors.
    overrides: config::Builder,
    /// The times that answers show, if they correct the clocks of registries.
    dates: Option<Dates>,
}

impl fmt::Debug for DynamoDbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDbStore")
            .field("table", &self.inner.table)
            .field("names", &self.inner.names)
            .finish_non_exhaustive()
    }
}

impl DynamoDbStore {
    /// Makes a store over a client and the name of a table, with the attribute names
    /// of Powertools. Sends nothing yet.
    ///
    /// The client sends by its own HTTP client, and without the feature
    /// `aws-config` nothing here links one: have `default-https-client` of
    /// `aws-sdk-dynamodb` on, or [bring another](crate::guide::performance#tls).
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self::builder(client, table).build_unchanged()
    }

    /// Starts from the defaults, to change attribute names, the key or timeouts.
    pub fn builder(client: Client, table: impl Into<String>) -> DynamoDbStoreBuilder {
        DynamoDbStoreBuilder::new(client, table.into())
    }

    /// Makes a store with region, credentials and endpoint from the
    /// environment: by the default chain of `aws-config`, but for SSO, credential
    /// processes and browser logins, whose features are off (turn `sso` and the like
    /// on in an `aws-config` of your own).
    ///
    /// Nothing is checked before the first operation, or
    /// [`verify`](Self::verify). Requests are sent by the SDK's own HTTPS client,
    /// which decodes all root certificates of the system in this call;
    /// [its cost](crate::guide::performance#a-start) is most of a cold start.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has no effect.
    #[cfg(feature = "aws-config")]
    pub async fn from_env(table: impl Into<String> + Send) -> Self {
        Box::pin(Self::builder_from_env(table)).await.build_unchanged()
    }

    /// Starts from region, credentials and endpoint of the environment, as
    /// [`from_env`](Self::from_env) does, to change attribute names, the key or
    /// timeouts: in a region that is 200 ms away the default is too short, and
    /// [`verify`](Self::verify) says which one works.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), fuseboard::ConfigError> {
    /// use std::time::Duration;
    /// use fuseboard::DynamoDbStore;
    ///
    /// let store = DynamoDbStore::builder_from_env("CircuitBreakerState")
    ///     .await
    ///     .operation_timeout(Duration::from_secs(4))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// A dropped future has no effect.
    #[cfg(feature = "aws-config")]
    pub async fn builder_from_env(table: impl Into<String> + Send) -> DynamoDbStoreBuilder {
        let table = table.into();
        let version = aws_config::BehaviorVersion::latest();
        let config = Box::pin(aws_config::load_defaults(version)).await;
        Self::builder(Client::new(&config), table)
    }

    fn assemble(
        client: Client,
        table: String,
        names: AttributeNames,
        timeouts: Timeouts,
        dates: Option<Dates>,
    ) -> Self {
        let credentials = Credentials::of(&client);
        let mut overrides = timeouts.to_override().identity_cache(credentials);
        #[cfg(feature = "aws-sdk")]
        {
            overrides = overrides.interceptor(OwnOperation);
        }
        if let Some(dates) = &dates {
            overrides = overrides.interceptor(dates.clone());
        }
        let wait = timeouts.credentials();
        Self {
            inner: Arc::new(Inner {
                client,
                table,
                names,
                timeouts,
                credentials_timeout: wait,
                overrides,
                dates,
            }),
        }
    }

    /// The same store for the start of a program: it waits for credentials for
    /// longer, and notes the times of answers in `dates` too.
    fn at_start(&self, dates: &Dates) -> Self {
        let mut inner = Inner::clone(&self.inner);
        inner.credentials_timeout = inner.credentials_timeout.max(CREDENTIALS_TIMEOUT_AT_START);
        inner.overrides = inner.overrides.interceptor(dates.clone());
        inner.dates = None;
        Self { inner: Arc::new(inner) }
    }

    /// The same store with timeouts that are longer by this factor, for single
    /// attempts.
    fn slower(&self, factor: u32) -> Self {
        let mut inner = Inner::clone(&self.inner);
        inner.timeouts = inner.timeouts.times(factor);
        inner.overrides = inner.timeouts.apply(inner.overrides);
        Self { inner: Arc::new(inner) }
    }
}

impl Store for DynamoDbStore {
    async fn read(
        &self,
        circuit: &CircuitName,
        consistency: Consistency,
    ) -> Result<Option<Record>, StoreError> {
        Box::pin(self.get(circuit, consistency)).await
    }

    async fn write(
        &self,
        circuit: &CircuitName,
        operation: &Operation,
    ) -> Result<Written, StoreError> {
        Box::pin(self.update(circuit, operation)).await
    }

    async fn vote(
        &self,
        circuit: &CircuitName,
        ballot: &Ballot,
    ) -> Result<Option<Votes>, StoreError> {
        Box::pin(self.ballot(circuit, ballot)).await.map(Some)
    }

    fn server_time(&self) -> Option<ServerTime> {
        self.inner.dates.as_ref()?.newest()
    }
}
