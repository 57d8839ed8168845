//! A store in DynamoDB: one item per circuit, in the reference's shape.
//!
//! Reads with `GetItem` and writes with conditional `UpdateItem`, and nothing
//! else. Knows no machine, no actor and no clock but DynamoDB's. An operation that is refused
//! shows the item that refuses it, so nothing is read twice.

mod answers;
mod builder;
mod caught;
mod credentials;
mod date;
mod expression;
mod fault;
mod item;
mod limits;
mod misconfiguration;
mod request;
mod table;
mod verify;

use std::{fmt, sync::Arc, time::Duration};

use aws_sdk_dynamodb::{
    Client, config,
    operation::update_item::UpdateItemError,
    types::{ReturnValue, ReturnValuesOnConditionCheckFailure},
};

pub use self::{
    builder::DynamoDbStoreBuilder,
    misconfiguration::{Misconfiguration, NotChecked, Verified, VerifyError},
};
use self::{
    credentials::Credentials,
    date::Dates,
    fault::Call,
    item::{AttributeNames, Item},
    limits::Limits,
    request::PATIENCE_AT_START,
};
use super::{Consistency, Operation, Record, ServerTime, Store, StoreError, Written};
use crate::{name::CircuitName, record::Attribute};

/// Keeps records in a DynamoDB table, one item per circuit, and shares them
/// with every process that uses the same table and circuit names.
///
/// The items are those of the circuit breaker of Powertools for AWS Lambda
/// (Python), whose functions can share the table. Attributes that are unknown
/// to this crate are left as they are. Cloning is cheap.
///
/// # Permissions
///
/// `dynamodb:GetItem` and `dynamodb:UpdateItem` on the table.
///
/// # Time limits
///
/// Each operation is bounded to 1 s: 250 ms for a connection, 400 ms for an
/// attempt, up to three attempts with pauses of 25 ms to 200 ms. These are set
/// for every call, whatever the client itself is set to; see
/// [`builder`](Self::builder) for others. A write that is refused without
/// showing the item is followed by a read, which has the same limits.
///
/// # Credentials
///
/// They are loaded outside of these limits, once for all operations that wait,
/// in a task on the runtime of the operation that needed them first; it ends
/// with the last clone of the store. An operation waits for them for three
/// quarters of its own limit, and then fails with
/// [`Timeout`](crate::store::StoreErrorKind::Timeout), while the loading goes
/// on. The client's cache keeps them, and bounds a loading (some 20 s by
/// default). While they are renewed, the old ones serve until 3 s before they
/// end.
///
/// ```no_run
/// # async fn example() {
/// use fuseboard::DynamoDbStore;
///
/// let store = DynamoDbStore::from_env("CircuitBreakerState").await;
/// // Not every fault has to keep a service from starting.
/// if let Err(faults) = store.verify().await {
///     tracing::error!(%faults, "circuits are not shared as they should be");
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct DynamoDbStore {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    table: String,
    names: AttributeNames,
    limits: Limits,
    /// How long an operation waits for credentials.
    patience: Duration,
    /// What the SDK is told for every call: the limits, and what watches it.
    overrides: config::Builder,
    /// The times that answers show, unless they are not to be relied upon.
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
    /// Makes a store over a client and the name of a table, with the
    /// reference's attribute names. Nothing is sent yet.
    ///
    /// The client sends by its own HTTP client, and without the feature
    /// `aws-config` nothing here links one: have `default-https-client` of
    /// `aws-sdk-dynamodb` on, or [bring another](crate::guide::performance#tls).
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self::builder(client, table).build_unchanged()
    }

    /// Starts from the defaults, to change attribute names, the key or limits.
    pub fn builder(client: Client, table: impl Into<String>) -> DynamoDbStoreBuilder {
        DynamoDbStoreBuilder::new(client, table.into())
    }

    /// Makes a store with region, credentials and endpoint from the
    /// environment: by the default chain of `aws-config`, but for SSO, credential
    /// processes and browser logins, whose features are off (turn `sso` and the like
    /// on in an `aws-config` of your own).
    ///
    /// Whether they are right shows at the first operation, or at
    /// [`verify`](Self::verify). Requests are sent by the SDK's own HTTPS client,
    /// which decodes all root certificates of the system when this is called;
    /// [what that costs](crate::guide::performance#a-start) is most of a cold start.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    #[cfg(feature = "aws-config")]
    pub async fn from_env(table: impl Into<String> + Send) -> Self {
        Box::pin(Self::builder_from_env(table)).await.build_unchanged()
    }

    /// Starts from region, credentials and endpoint of the environment, as
    /// [`from_env`](Self::from_env) does, to change attribute names, the key or
    /// limits: in a region that is 200 ms away the defaults are too short, and
    /// [`verify`](Self::verify) says which ones will do.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), fuseboard::ConfigError> {
    /// use std::time::Duration;
    /// use fuseboard::DynamoDbStore;
    ///
    /// let store = DynamoDbStore::builder_from_env("CircuitBreakerState")
    ///     .await
    ///     .connect_timeout(Duration::from_secs(1))
    ///     .attempt_timeout(Duration::from_secs(2))
    ///     .operation_timeout(Duration::from_secs(4))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
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
        limits: Limits,
        dates: Option<Dates>,
    ) -> Self {
        let mut overrides = limits.to_override().identity_cache(Credentials::of(&client));
        if let Some(dates) = &dates {
            overrides = overrides.interceptor(dates.clone());
        }
        let patience = limits.patience();
        Self { inner: Arc::new(Inner { client, table, names, limits, patience, overrides, dates }) }
    }

    /// The same store for someone who starts a program: it waits for credentials
    /// for longer, and has one more reader of what answers tell of the time.
    fn at_start(&self, dates: &Dates) -> Self {
        let Inner { client, table, names, limits, .. } = &*self.inner;
        let overrides = self.limits().interceptor(dates.clone());
        Self {
            inner: Arc::new(Inner {
                client: client.clone(),
                table: table.clone(),
                names: names.clone(),
                limits: limits.clone(),
                patience: PATIENCE_AT_START.max(limits.patience()),
                overrides,
                dates: None,
            }),
        }
    }

    /// The same store with limits so many times as long, for single attempts.
    fn slower(&self, factor: u32) -> Self {
        let Inner { client, table, names, limits, patience, overrides, .. } = &*self.inner;
        let limits = limits.times(factor);
        let overrides = limits.apply(overrides.clone());
        Self {
            inner: Arc::new(Inner {
                client: client.clone(),
                table: table.clone(),
                names: names.clone(),
                limits,
                patience: *patience,
                overrides,
                dates: None,
            }),
        }
    }

    fn client(&self) -> &Client {
        &self.inner.client
    }

    fn limits(&self) -> config::Builder {
        self.inner.overrides.clone()
    }

    fn call<'a>(&'a self, operation: &'static str, circuit: Option<&'a CircuitName>) -> Call<'a> {
        Call { table: &self.inner.table, operation, circuit, limits: &self.inner.limits }
    }

    /// The key of a circuit's item, or the error that DynamoDB would answer with
    /// each time.
    fn key_of(&self, call: Call<'_>, circuit: &CircuitName) -> Result<Item, StoreError> {
        let key = self.inner.names.key_of(circuit);
        key.map_err(|long| call.misconfigured(&long.to_string()))
    }

    fn key_names(&self) -> (&str, Option<&str>) {
        (&self.inner.names.key, self.inner.names.sort_key.as_deref())
    }

    fn expiry_attribute(&self) -> &str {
        self.inner.names.name_of(Attribute::ExpiresAt)
    }

    async fn get(
        &self,
        circuit: &CircuitName,
        consistency: Consistency,
    ) -> Result<Option<Record>, StoreError> {
        let call = self.call("read", Some(circuit));
        let key = self.key_of(call, circuit)?;
        let request = self
            .client()
            .get_item()
            .table_name(call.table)
            .set_key(Some(key))
            .consistent_read(consistency == Consistency::Strong);
        let send = |limits| request.clone().customize().config_override(limits).send();
        let answer = self.send(&call, send).await?.map_err(|error| call.failed(error))?;
        Ok(answer.item.as_ref().map(|item| self.inner.names.decode(item)))
    }

    async fn update(
        &self,
        circuit: &CircuitName,
        operation: &Operation,
    ) -> Result<Written, StoreError> {
        let names = &self.inner.names;
        let call = self.call(operation.name(), Some(circuit));
        let key = self.key_of(call, circuit)?;
        let expressions = expression::expressions(names, operation).map_err(|foreign| {
            let why = format!("the record seen was not read from DynamoDB: {:?}", foreign.0);
            call.bad_answer(&why)
        })?;
        let request = self
            .client()
            .update_item()
            .table_name(call.table)
            .set_key(Some(key))
            .update_expression(expressions.update)
            .condition_expression(expressions.condition)
            .set_expression_attribute_names(Some(expressions.names))
            .set_expression_attribute_values(Some(expressions.values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let send = |limits| request.clone().customize().config_override(limits).send();
        match self.send(&call, send).await? {
            Ok(answer) => match answer.attributes.filter(|item| !item.is_empty()) {
                Some(item) => Ok(Written::Applied(names.decode(&item))),
                None => Err(call.bad_answer("the answer does not show the item written")),
            },
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refusal)) => {
                    match refusal.item().filter(|item| !item.is_empty()) {
                        Some(item) => Ok(Written::Refused(Some(names.decode(item)))),
                        None => self.look_after_refusal(&call, circuit, operation).await,
                    }
                }
                Some(_) | None => Err(call.failed(error)),
            },
        }
    }

    /// Reads what a refusal has not shown. DynamoDB shows no item where there is
    /// none; engines that ignore `ReturnValuesOnConditionCheckFailure` never
    /// show it, and a process that took that for "deleted" would count on in a
    /// circuit that others have opened.
    async fn look_after_refusal(
        &self,
        call: &Call<'_>,
        circuit: &CircuitName,
        operation: &Operation,
    ) -> Result<Written, StoreError> {
        let found = Box::pin(self.get(circuit, Consistency::Strong)).await?;
        if operation.apply(found.as_ref()).is_none() {
            return Ok(Written::Refused(found));
        }
        Err(call.bad_answer(
            "the write was refused without showing the item, and the item, read after that, permits the write: this engine does not decide conditions as DynamoDB does, or the item changes all the time",
        ))
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

    fn server_time(&self) -> Option<ServerTime> {
        self.inner.dates.as_ref()?.newest()
    }
}
