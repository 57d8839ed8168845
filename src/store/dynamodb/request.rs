//! The requests of the store: reads, writes, and what all requests share.

use std::{error::Error, future::Future};

use aws_sdk_dynamodb::{
    Client, config,
    error::SdkError,
    operation::update_item::UpdateItemError,
    types::{ReturnValue, ReturnValuesOnConditionCheckFailure},
};

use super::{
    DynamoDbStore,
    causes::caught,
    credentials::{Loaded, NoCredentials, Unsigned, unsigned},
    expression::expressions,
    fault::Call,
    item::Item,
};
use crate::{
    name::CircuitName,
    protocol::record::Attribute,
    store::{Consistency, Operation, Record, StoreError, Written},
};

impl DynamoDbStore {
    pub(super) async fn get(
        &self,
        circuit: &CircuitName,
        consistency: Consistency,
    ) -> Result<Option<Record>, StoreError> {
        let call = self.call("read", Some(circuit));
        let key = self.key_of(call, circuit.as_str())?;
        let request = self
            .client()
            .get_item()
            .table_name(call.table)
            .set_key(Some(key))
            .consistent_read(consistency == Consistency::Strong);
        let send = |overrides| request.clone().customize().config_override(overrides).send();
        let answer = self.send(&call, send).await?.map_err(|error| call.failed(error))?;
        Ok(answer.item.as_ref().map(|item| self.inner.names.decode(item)))
    }

    pub(super) async fn update(
        &self,
        circuit: &CircuitName,
        operation: &Operation,
    ) -> Result<Written, StoreError> {
        let names = &self.inner.names;
        let call = self.call(operation.name(), Some(circuit));
        let key = self.key_of(call, circuit.as_str())?;
        let sent = expressions(names, operation).map_err(|foreign| {
            let why = format!("the record seen was not read from DynamoDB: {:?}", foreign.0);
            call.bad_answer(&why)
        })?;
        let request = self
            .client()
            .update_item()
            .table_name(call.table)
            .set_key(Some(key))
            .update_expression(sent.update)
            .condition_expression(sent.condition)
            .set_expression_attribute_names(Some(sent.names))
            .set_expression_attribute_values(Some(sent.values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let send = |overrides| request.clone().customize().config_override(overrides).send();
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

    /// Reads the item that a refusal has not shown. DynamoDB shows no item if there is
    /// none; engines that ignore `ReturnValuesOnConditionCheckFailure` never show it.
    /// A process that took that for "deleted" would keep a circuit closed that others
    /// have opened.
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

    /// Sends a request under the store's timeouts, and once more if its
    /// credentials had to be loaded first: the wait for them is here, outside of
    /// the attempts, whose timeout is meant for DynamoDB alone.
    ///
    /// # Errors
    ///
    /// The outer error says that nothing was sent for want of credentials, or
    /// that the SDK panicked; the inner one is the SDK's.
    pub(super) async fn send<T, E, F>(
        &self,
        call: &Call<'_>,
        request: impl Fn(config::Builder) -> F,
    ) -> Result<Result<T, SdkError<E>>, StoreError>
    where
        E: Error + 'static,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        let sent = caught(request(self.overrides())).await;
        let error = match sent.map_err(|panicked| call.panicked(panicked))? {
            Ok(answer) => return Ok(Ok(answer)),
            Err(error) => error,
        };
        let loading = match unsigned(&error) {
            None => return Ok(Err(error)),
            Some(Unsigned::NotLoaded(error)) => {
                return Err(call.no_credentials(NoCredentials::NotLoaded(error)));
            }
            Some(Unsigned::Loading(loading)) => loading,
        };
        let identity = loading.wait(self.inner.credentials_timeout).await;
        let identity = identity.map_err(|error| call.no_credentials(error))?;
        let sent = caught(request(self.overrides().identity_cache(Loaded(identity)))).await;
        sent.map_err(|panicked| call.panicked(panicked))
    }

    pub(super) fn client(&self) -> &Client {
        &self.inner.client
    }

    fn overrides(&self) -> config::Builder {
        self.inner.overrides.clone()
    }

    pub(super) fn call<'a>(
        &'a self,
        operation: &'static str,
        circuit: Option<&'a CircuitName>,
    ) -> Call<'a> {
        Call { table: &self.inner.table, operation, circuit, timeouts: &self.inner.timeouts }
    }

    /// Returns the key of a circuit's item, or the error that DynamoDB would answer
    /// with each time.
    pub(super) fn key_of(&self, call: Call<'_>, name: &str) -> Result<Item, StoreError> {
        let key = self.inner.names.key_of(name);
        key.map_err(|long| call.misconfigured(&long.to_string()))
    }

    pub(super) fn key_names(&self) -> (&str, Option<&str>) {
        (&self.inner.names.key, self.inner.names.sort_key.as_deref())
    }

    pub(super) fn expiry_attribute(&self) -> &str {
        self.inner.names.name_of(Attribute::ExpiresAt)
    }
}
