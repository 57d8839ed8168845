//! One request to DynamoDB, as every operation of the store sends it.

use std::{error::Error, future::Future, time::Duration};

use aws_sdk_dynamodb::{config, error::SdkError};

use super::{
    DynamoDbStore,
    caught::caught,
    credentials::{Loaded, NoCredentials, Unsigned, unsigned},
    fault::Call,
};
use crate::store::StoreError;

/// For how long someone who starts a program, or creates a table, waits for
/// credentials. Providers that ask several sources in turn take seconds.
pub(super) const PATIENCE_AT_START: Duration = Duration::from_secs(10);

impl DynamoDbStore {
    /// Sends a request under the store's limits, and once more if its
    /// credentials had to be loaded first: they are waited for here, outside of
    /// the attempts, whose limit is meant for DynamoDB alone.
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
        let sent = caught(request(self.limits())).await;
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
        let identity = loading.wait(self.inner.patience).await;
        let identity = identity.map_err(|error| call.no_credentials(error))?;
        let sent = caught(request(self.limits().identity_cache(Loaded(identity)))).await;
        sent.map_err(|panicked| call.panicked(panicked))
    }
}
