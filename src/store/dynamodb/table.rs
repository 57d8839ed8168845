//! Creates the table, for development and tests, and describes it.

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::{BuildError, ProvideErrorMetadata},
    operation::{
        create_table::{CreateTableError, builders::CreateTableFluentBuilder},
        describe_table::DescribeTableError,
    },
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
        TableDescription, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
    },
};

use super::{
    DynamoDbStore,
    date::Dates,
    fault::{Call, service_error},
    misconfiguration::Misconfiguration,
};
use crate::store::{StoreError, StoreErrorKind};

/// A new table is described this often, and at most this many times, until it is
/// active.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
const MOST_POLLS: u32 = 120;

impl DynamoDbStore {
    /// Creates the table if it does not exist: paid per request, with the key
    /// that this store is configured for, and with time-to-live on its expiry
    /// attribute.
    ///
    /// For development and tests: declare production tables with the rest of an
    /// application's infrastructure. Returns when the table is active, or being
    /// updated, when it can be used too. Does nothing to a table that is complete.
    /// Several processes may call it at the same time. Waits up to 10 s for
    /// credentials. Needs
    /// `dynamodb:CreateTable`, `dynamodb:DescribeTable`,
    /// `dynamodb:DescribeTimeToLive` and `dynamodb:UpdateTimeToLive`.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] of kind
    ///
    /// - [`Misconfigured`](StoreErrorKind::Misconfigured): the table exists with
    ///   another key or another time-to-live attribute, this process may not create
    ///   it, or it has a status that it does not leave by itself: correct what the
    ///   text names;
    /// - [`Timeout`](StoreErrorKind::Timeout): it was not active after a minute: call
    ///   it again; the text has the status;
    /// - any other: as for [`read`](crate::store::Store::read).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have created the table without time-to-live. Another call
    /// completes it.
    pub async fn create_table(&self) -> Result<(), StoreError> {
        let store = self.at_start(&Dates::default());
        let call = store.call("create", None);
        Box::pin(store.create(&call)).await?;
        Box::pin(store.until_active(&call)).await?;
        Box::pin(store.enable_expiry(&call)).await
    }

    async fn create(&self, call: &Call<'_>) -> Result<(), StoreError> {
        let request = self.with_key(call.table).map_err(|error| {
            call.misconfigured("the key cannot be described").with_source(error)
        })?;
        let send = |overrides| request.clone().customize().config_override(overrides).send();
        match self.send(call, send).await? {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                // The table exists, or another process creates it.
                Some(CreateTableError::ResourceInUseException(_)) => Ok(()),
                Some(_) | None => Err(call.failed(error)),
            },
        }
    }

    fn with_key(&self, table: &str) -> Result<CreateTableFluentBuilder, BuildError> {
        let request =
            self.client().create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
        self.key().into_iter().try_fold(request, |request, KeyAttribute { name, role, kind }| {
            let definition =
                AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build()?;
            let element =
                KeySchemaElement::builder().attribute_name(name).key_type(role).build()?;
            Ok(request.attribute_definitions(definition).key_schema(element))
        })
    }

    async fn until_active(&self, call: &Call<'_>) -> Result<(), StoreError> {
        let mut status = "it cannot be seen".to_owned();
        for _ in 0..MOST_POLLS {
            match self.describe(call).await {
                Ok(table) => {
                    status = describe_status(table.table_status());
                    match Readiness::of(table.table_status()) {
                        Readiness::Usable => {
                            let fault = self.key_mismatch(&table);
                            return fault.map_or(Ok(()), |fault| {
                                Err(call.misconfigured(&fault.to_string()))
                            });
                        }
                        Readiness::Later => {}
                        Readiness::Never => return Err(call.misconfigured(&status)),
                    }
                }
                // DescribeTable is eventually consistent: it may not show a new table yet.
                Err(error)
                    if service_error::<DescribeTableError>(&error).is_some_and(is_no_table) => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        let message = format!("{call}: not active after a minute: {status}");
        Err(StoreError::new(StoreErrorKind::Timeout, message))
    }

    /// Enables time-to-live, unless it is on. Another process may do the same at the
    /// same time, and DynamoDB refuses a change while it makes another. So the state
    /// afterwards decides, not the answer to the request.
    async fn enable_expiry(&self, call: &Call<'_>) -> Result<(), StoreError> {
        let mut refused = None;
        for _ in 0..MOST_POLLS {
            match self.expiry(call).await? {
                Expiry::On => return Ok(()),
                Expiry::Elsewhere(fault) => return Err(call.misconfigured(&fault.to_string())),
                Expiry::Off => {}
            }
            match (self.set_expiry(call).await?, refused.take()) {
                (SetExpiry::Done, _) => return Ok(()),
                // By another process. The description may lag behind, and show it off.
                (SetExpiry::AlreadyOn, _) => {
                    return match self.expiry(call).await? {
                        Expiry::On | Expiry::Off => Ok(()),
                        Expiry::Elsewhere(fault) => Err(call.misconfigured(&fault.to_string())),
                    };
                }
                // Refused twice, and still off: no other process enables it.
                (SetExpiry::Refused(error), Some(SetExpiry::Refused(_))) => return Err(error),
                (outcome, _) => refused = Some(outcome),
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        let message = format!("{call}: others have been changing the table for a minute");
        Err(StoreError::new(StoreErrorKind::Timeout, message))
    }

    async fn set_expiry(&self, call: &Call<'_>) -> Result<SetExpiry, StoreError> {
        let setting = TimeToLiveSpecification::builder()
            .enabled(true)
            .attribute_name(self.expiry_attribute())
            .build()
            .map_err(|error| {
                call.misconfigured("time-to-live cannot be described").with_source(error)
            })?;
        let request = self
            .client()
            .update_time_to_live()
            .table_name(call.table)
            .time_to_live_specification(setting);
        let send = |overrides| request.clone().customize().config_override(overrides).send();
        let error = match self.send(call, send).await? {
            Ok(_) => return Ok(SetExpiry::Done),
            Err(error) => error,
        };
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).map(str::to_owned);
        let error = call.failed(error);
        match code.as_deref() {
            Some("ValidationException") if error.to_string().contains("already enabled") => {
                Ok(SetExpiry::AlreadyOn)
            }
            Some("ValidationException") => Ok(SetExpiry::Refused(error)),
            Some("ResourceInUseException" | "LimitExceededException") => Ok(SetExpiry::Busy),
            Some(_) | None => Err(error),
        }
    }

    /// Describes the table.
    pub(super) async fn describe(&self, call: &Call<'_>) -> Result<TableDescription, StoreError> {
        let request = self.client().describe_table().table_name(call.table);
        let send = |overrides| request.clone().customize().config_override(overrides).send();
        let answer = self.send(call, send).await?.map_err(|error| call.failed(error))?;
        answer.table.ok_or_else(|| call.bad_answer("the answer describes no table"))
    }

    /// Returns a fault if the table has another key than the store is set to.
    pub(super) fn key_mismatch(&self, table: &TableDescription) -> Option<Misconfiguration> {
        let kind_of = |name: &str| {
            let definitions = table.attribute_definitions();
            let definition = definitions.iter().find(|found| found.attribute_name() == name)?;
            Some(definition.attribute_type().clone())
        };
        let found: Vec<_> = table
            .key_schema()
            .iter()
            .map(|element| KeyAttribute {
                name: element.attribute_name(),
                role: element.key_type().clone(),
                kind: kind_of(element.attribute_name()).unwrap_or(ScalarAttributeType::S),
            })
            .collect();
        let wanted = self.key();
        (found != wanted).then(|| Misconfiguration::OtherKey {
            found: describe_key(&found),
            configured: describe_key(&wanted),
        })
    }

    /// Describes the time-to-live of the table.
    pub(super) async fn expiry(&self, call: &Call<'_>) -> Result<Expiry, StoreError> {
        let request = self.client().describe_time_to_live().table_name(call.table);
        let send = |overrides| request.clone().customize().config_override(overrides).send();
        let answer = self.send(call, send).await?.map_err(|error| call.failed(error))?;
        let configured = self.expiry_attribute();
        let enabled = answer.time_to_live_description.filter(|found| {
            let status = found.time_to_live_status();
            matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
        });
        Ok(match enabled.and_then(|found| found.attribute_name) {
            None => Expiry::Off,
            Some(found) if found == configured => Expiry::On,
            Some(found) => {
                let configured = configured.to_owned();
                Expiry::Elsewhere(Misconfiguration::OtherExpiry { found, configured })
            }
        })
    }

    /// Returns the key that the store is set to, in words.
    pub(super) fn key_description(&self) -> String {
        describe_key(&self.key())
    }

    fn key(&self) -> Vec<KeyAttribute<'_>> {
        let (partition, sort) = self.key_names();
        [(Some(partition), KeyType::Hash), (sort, KeyType::Range)]
            .into_iter()
            .filter_map(|(name, role)| {
                Some(KeyAttribute { name: name?, role, kind: ScalarAttributeType::S })
            })
            .collect()
    }
}

/// The time-to-live of a table: on, off, or on another attribute than the store's.
pub(super) enum Expiry {
    On,
    Off,
    Elsewhere(Misconfiguration),
}

/// The result of a request to enable time-to-live.
enum SetExpiry {
    Done,
    /// It was on before, by another process.
    AlreadyOn,
    /// For another reason, such as a change within the last hour.
    Refused(StoreError),
    /// The table is being changed.
    Busy,
}

/// The readiness of a table, by its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    Usable,
    Later,
    Never,
}

impl Readiness {
    fn of(status: Option<&TableStatus>) -> Self {
        match status {
            // Reads and writes work while a table is updated or replicated.
            Some(TableStatus::Active | TableStatus::Updating) => Self::Usable,
            Some(
                TableStatus::Deleting
                | TableStatus::InaccessibleEncryptionCredentials
                | TableStatus::Archiving
                | TableStatus::Archived,
            ) => Self::Never,
            _ => Self::Later,
        }
    }
}

fn describe_status(status: Option<&TableStatus>) -> String {
    status.map_or_else(
        || "its status is not told".to_owned(),
        |status| format!("the status of the table is {}", status.as_str()),
    )
}

/// One attribute of a key.
#[derive(PartialEq)]
struct KeyAttribute<'a> {
    name: &'a str,
    role: KeyType,
    kind: ScalarAttributeType,
}

fn is_no_table((code, _): (String, String)) -> bool {
    code == "ResourceNotFoundException"
}

fn describe_key(key: &[KeyAttribute<'_>]) -> String {
    let words: Vec<_> = key
        .iter()
        .map(|KeyAttribute { name, role, kind }| {
            let role = if *role == KeyType::Hash { "partition" } else { "sort" };
            let kind = if *kind == ScalarAttributeType::S {
                String::new()
            } else {
                format!(" of type {kind}")
            };
            format!("the {role} key {name:?}{kind}")
        })
        .collect();
    words.join(" and ")
}
