//! The settings of a [`DynamoDbStore`].

use std::{env, fmt, time::Duration};

use aws_sdk_dynamodb::Client;

use super::{DynamoDbStore, date::Dates, item::AttributeNames, timeouts::Timeouts};
use crate::{error::ConfigError, protocol::record::Attribute};

/// The variable that AWS Lambda sets to the name of the function.
const FUNCTION_NAME: &str = "AWS_LAMBDA_FUNCTION_NAME";

/// Builds a [`DynamoDbStore`] with other attribute names, a composite key, or other
/// timeouts.
///
/// The settings of names are called as in Powertools for AWS Lambda (Python): set
/// alike, both share a table.
///
/// ```
/// # use aws_sdk_dynamodb::{Client, config::{BehaviorVersion, Config}};
/// # let client = Client::from_conf(Config::builder().behavior_version(BehaviorVersion::latest()).build());
/// use fuseboard::DynamoDbStore;
///
/// let store = DynamoDbStore::builder(client, "shared-table")
///     .key_attr("pk")
///     .sort_key_attr("sk")
///     .static_pk_value("circuit_breaker#checkout")
///     .build()?;
/// # Ok::<(), fuseboard::ConfigError>(())
/// ```
#[must_use = "a builder does nothing until it is built"]
#[derive(Clone)]
pub struct DynamoDbStoreBuilder {
    client: Client,
    table: String,
    names: AttributeNames,
    timeouts: Timeouts,
    server_time: bool,
}

impl fmt::Debug for DynamoDbStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDbStoreBuilder")
            .field("table", &self.table)
            .field("names", &self.names)
            .field("timeouts", &self.timeouts)
            .field("server_time", &self.server_time)
            .finish_non_exhaustive()
    }
}

impl DynamoDbStoreBuilder {
    pub(super) fn new(client: Client, table: String) -> Self {
        Self {
            client,
            table,
            names: AttributeNames::default(),
            timeouts: Timeouts::default(),
            server_time: true,
        }
    }

    /// Names the partition key. Default: `id`.
    ///
    /// It holds the circuit's name, or [`static_pk_value`](Self::static_pk_value)
    /// if there is a sort key.
    pub fn key_attr(mut self, name: impl Into<String>) -> Self {
        self.names.key = name.into();
        self
    }

    /// Names the sort key, which then holds the circuit's name. Default: none.
    ///
    /// DynamoDB limits a sort key to 1,024 bytes, half of what a circuit's name
    /// may have otherwise. A circuit with a longer name is not shared: each of
    /// its store operations fails at once, with
    /// [`Misconfigured`](crate::store::StoreErrorKind::Misconfigured), and
    /// nothing is sent.
    pub fn sort_key_attr(mut self, name: impl Into<String>) -> Self {
        self.names.sort_key = Some(name.into());
        self
    }

    /// Sets the partition key's value in a table with a sort key.
    ///
    /// Default: `circuit_breaker#` and the name of the Lambda function, from
    /// the environment variable `AWS_LAMBDA_FUNCTION_NAME` at the time of
    /// [`build`](Self::build). At most 2,048 bytes. Without a sort key it is
    /// ignored, with a warning.
    pub fn static_pk_value(mut self, value: impl Into<String>) -> Self {
        self.names.static_pk_value = Some(value.into());
        self
    }

    /// Names the attribute of the state. Default: `state`.
    pub fn state_attr(self, name: impl Into<String>) -> Self {
        self.rename(Attribute::State, name)
    }

    /// Names the attribute of the failure count. Default: `failure_count`.
    pub fn failure_count_attr(self, name: impl Into<String>) -> Self {
        self.rename(Attribute::FailureCount, name)
    }

    /// Names the attribute of the time of opening. Default: `opened_at`.
    pub fn opened_at_attr(self, name: impl Into<String>) -> Self {
        self.rename(Attribute::OpenedAt, name)
    }

    /// Names the attribute of the prober's token. Default: `half_open_owner`.
    pub fn half_open_owner_attr(self, name: impl Into<String>) -> Self {
        self.rename(Attribute::Owner, name)
    }

    /// Names the attribute of the lease's end. Default: `probe_lease_expiry`.
    pub fn probe_lease_expiry_attr(self, name: impl Into<String>) -> Self {
        self.rename(Attribute::LeaseUntil, name)
    }

    /// Names the time-to-live attribute. Default: `expiration`.
    pub fn expiry_attr(self, name: impl Into<String>) -> Self {
        self.rename(Attribute::ExpiresAt, name)
    }

    /// Names the attribute of the count of good probes, which Powertools does not
    /// have. Default: `success_count`.
    pub fn success_count_attr(self, name: impl Into<String>) -> Self {
        self.rename(Attribute::SuccessCount, name)
    }

    /// Names the attribute of the time at which an operator released the circuit,
    /// which Powertools does not have. Default: `released`.
    pub fn released_attr(self, name: impl Into<String>) -> Self {
        self.rename(Attribute::Released, name)
    }

    /// Names the attribute of the count of failed probes in a row, which Powertools does not
    /// have. Default: `failed_probes`.
    pub fn failed_probes_attr(self, name: impl Into<String>) -> Self {
        self.rename(Attribute::FailedProbes, name)
    }

    /// Names the attribute of the time until which a call has asked for the circuit to be open,
    /// which Powertools does not have. Default: `open_until`.
    pub fn open_until_attr(self, name: impl Into<String>) -> Self {
        self.rename(Attribute::OpenUntil, name)
    }

    /// Names the attribute that tells a circuit which an operator holds closed, which Powertools
    /// does not have. Default: `hold`.
    pub fn hold_attr(self, name: impl Into<String>) -> Self {
        self.rename(Attribute::Hold, name)
    }

    /// Names the attribute of the end of an operator's hold, which Powertools does not have.
    /// Default: `hold_until`.
    pub fn hold_until_attr(self, name: impl Into<String>) -> Self {
        self.rename(Attribute::HoldUntil, name)
    }

    /// Names the attribute of who holds the circuit, which Powertools does not have. Default:
    /// `hold_by`.
    pub fn hold_by_attr(self, name: impl Into<String>) -> Self {
        self.rename(Attribute::HoldBy, name)
    }

    /// Names the attribute of why the circuit is held, which Powertools does not have. Default:
    /// `hold_reason`.
    pub fn hold_reason_attr(self, name: impl Into<String>) -> Self {
        self.rename(Attribute::HoldReason, name)
    }

    /// Names the attribute of the time at which the outage began, which Powertools does not
    /// have. Default: `down_since`.
    pub fn down_since_attr(self, name: impl Into<String>) -> Self {
        self.rename(Attribute::DownSince, name)
    }

    /// Names the attribute of the cause of the outage, which Powertools does not have. Default:
    /// `cause`.
    pub fn cause_attr(self, name: impl Into<String>) -> Self {
        self.rename(Attribute::Cause, name)
    }

    /// Bounds an operation, retries included. Default: 1 s; at most 1 hour.
    ///
    /// An attempt takes at most two fifths of it, so that another can follow one
    /// that is not answered, and the making of a connection at most a quarter.
    /// Retries follow after 25 ms to 200 ms. A breaker bounds its operations by its
    /// own `store_timeout` as well: the shorter one counts.
    ///
    /// The default works up to 80 ms away from DynamoDB (round trip).
    /// [`verify`](DynamoDbStore::verify) says what works where it does not.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.operation = timeout;
        self
    }

    /// Sets how often an operation is tried, the first attempt included.
    /// Default: 3; 1 to 100.
    ///
    /// With a single attempt, the first request after a freeze fails if the other
    /// side has closed the connection meanwhile.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.timeouts.max_attempts = attempts;
        self
    }

    /// Sets whether the `Date` of DynamoDB's answers corrects the wall clocks of
    /// registries over this store. Default: `true`.
    ///
    /// Processes whose clocks differ then agree on the times in an item. Set `false`
    /// for a registry with a clock of its own, such as a virtual one, which real time
    /// would set wrong.
    pub fn server_time(mut self, corrects: bool) -> Self {
        self.server_time = corrects;
        self
    }

    fn rename(mut self, attribute: Attribute, name: impl Into<String>) -> Self {
        self.names.renamed.insert(attribute, name.into());
        self
    }

    /// Builds the store. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] names the setting: the table's name or an attribute's
    /// is empty, two attributes have one name, the static partition value is
    /// empty or too long, or a limit is out of its range.
    pub fn build(self) -> Result<DynamoDbStore, ConfigError> {
        if self.table.is_empty() {
            return Err(ConfigError::new("table", &self.table, "must not be empty"));
        }
        self.names.check()?;
        self.timeouts.check()?;
        if self.names.sort_key.is_none() && self.names.static_pk_value.is_some() {
            tracing::warn!(
                table = self.table,
                "static_pk_value is ignored unless sort_key_attr is also set"
            );
        }
        Ok(self.assemble())
    }

    /// Builds a store with defaults alone, which need no check.
    pub(super) fn build_unchanged(self) -> DynamoDbStore {
        self.assemble()
    }

    fn assemble(mut self) -> DynamoDbStore {
        self.names.static_pk_value.get_or_insert_with(|| {
            format!("circuit_breaker#{}", env::var(FUNCTION_NAME).unwrap_or_default())
        });
        let dates = self.server_time.then(Dates::default);
        DynamoDbStore::assemble(self.client, self.table, self.names, self.timeouts, dates)
    }
}
