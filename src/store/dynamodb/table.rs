//! Making the table, for development and tests.

use std::time::Duration;

use aws_sdk_dynamodb::{
    operation::create_table::CreateTableError,
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
        TableDescription, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
    },
};

use super::{DynamoDbStore, fault::Call};
use crate::store::{StoreError, StoreErrorKind};

/// How often, and how many times, a new table is looked at until it is active.
const PAUSE: Duration = Duration::from_millis(500);
const LOOKS: u32 = 120;

impl DynamoDbStore {
    /// Creates the table if it does not exist: paid per request, with the key
    /// that this store is configured for, and with time-to-live on its expiry
    /// attribute.
    ///
    /// For development and tests; production tables are better declared with
    /// the rest of an application's infrastructure. Returns when the table is
    /// active, and does nothing if all is in place already. Needs
    /// `dynamodb:CreateTable`, `dynamodb:DescribeTable`,
    /// `dynamodb:DescribeTimeToLive` and `dynamodb:UpdateTimeToLive`.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] of kind
    ///
    /// - [`Misconfigured`](StoreErrorKind::Misconfigured): the table exists
    ///   with another key or another time-to-live attribute, or may not be made;
    /// - [`Timeout`](StoreErrorKind::Timeout): it was not active after a minute;
    /// - any other: as for [`read`](crate::store::Store::read).
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, the table may have been created without time-to-live.
    /// Calling it again completes it.
    pub async fn create_table(&self) -> Result<(), StoreError> {
        let call = self.call("create", None);
        Box::pin(self.create(&call)).await?;
        Box::pin(self.until_active(&call)).await?;
        Box::pin(self.enable_expiry(&call)).await
    }

    async fn create(&self, call: &Call<'_>) -> Result<(), StoreError> {
        let build = |error: aws_sdk_dynamodb::error::BuildError| {
            call.misconfigured("the key cannot be described").with_source(error)
        };
        let mut request = self
            .client()
            .create_table()
            .table_name(call.table)
            .billing_mode(BillingMode::PayPerRequest);
        for (name, role) in self.key_attributes() {
            request = request
                .attribute_definitions(
                    AttributeDefinition::builder()
                        .attribute_name(name)
                        .attribute_type(ScalarAttributeType::S)
                        .build()
                        .map_err(build)?,
                )
                .key_schema(
                    KeySchemaElement::builder()
                        .attribute_name(name)
                        .key_type(role)
                        .build()
                        .map_err(build)?,
                );
        }
        match request.customize().config_override(self.limits()).send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(CreateTableError::ResourceInUseException(_)) => Ok(()),
                Some(_) | None => Err(call.failed(error)),
            },
        }
    }

    async fn until_active(&self, call: &Call<'_>) -> Result<(), StoreError> {
        for _ in 0..LOOKS {
            let request = self.client().describe_table().table_name(call.table);
            let answer = request
                .customize()
                .config_override(self.limits())
                .send()
                .await
                .map_err(|error| call.failed(error))?;
            let Some(table) = answer.table else {
                return Err(call.bad_answer("the answer describes no table"));
            };
            if table.table_status == Some(TableStatus::Active) {
                return self.check_key(call, &table);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(StoreError::new(StoreErrorKind::Timeout, format!("{call}: not active after a minute")))
    }

    fn check_key(&self, call: &Call<'_>, table: &TableDescription) -> Result<(), StoreError> {
        let wanted: Vec<_> = self.key_attributes().collect();
        let found: Vec<_> = table
            .key_schema()
            .iter()
            .map(|element| (element.attribute_name(), element.key_type().clone()))
            .collect();
        if wanted == found {
            return Ok(());
        }
        let why = format!("the table has the key {found:?}, and the store is set to {wanted:?}");
        Err(call.misconfigured(&why))
    }

    async fn enable_expiry(&self, call: &Call<'_>) -> Result<(), StoreError> {
        let request = self.client().describe_time_to_live().table_name(call.table);
        let answer = request
            .customize()
            .config_override(self.limits())
            .send()
            .await
            .map_err(|error| call.failed(error))?;
        let attribute = self.expiry_attribute();
        let enabled = answer.time_to_live_description.filter(|found| {
            let status = found.time_to_live_status();
            matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
        });
        if let Some(found) = enabled {
            if found.attribute_name() == Some(attribute) {
                return Ok(());
            }
            let other = found.attribute_name().unwrap_or_default();
            let why = format!("time-to-live is on {other:?}, and expiry_attr is {attribute:?}");
            return Err(call.misconfigured(&why));
        }
        let setting = TimeToLiveSpecification::builder()
            .enabled(true)
            .attribute_name(attribute)
            .build()
            .map_err(|error| {
                call.misconfigured("time-to-live cannot be described").with_source(error)
            })?;
        let request = self.client().update_time_to_live().table_name(call.table);
        request
            .time_to_live_specification(setting)
            .customize()
            .config_override(self.limits())
            .send()
            .await
            .map_err(|error| call.failed(error))?;
        Ok(())
    }

    fn key_attributes(&self) -> impl Iterator<Item = (&str, KeyType)> {
        let (partition, sort) = self.key_names();
        [(Some(partition), KeyType::Hash), (sort, KeyType::Range)]
            .into_iter()
            .filter_map(|(name, role)| Some((name?, role)))
    }
}
