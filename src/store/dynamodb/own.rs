//! A mark on the operations that a store asks for itself.

use aws_sdk_dynamodb::{
    config::{ConfigBag, Intercept, interceptors::BeforeSerializationInterceptorContextRef},
    error::BoxError,
};
use aws_smithy_types::config_bag::{Storable, StoreReplace};

/// Marks an operation as the store's own. A circuit's interceptor on the same client would count
/// the reads of the store as good calls, and reject the write of a trip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnOperation;

impl Storable for OwnOperation {
    type Storer = StoreReplace<Self>;
}

impl Intercept for OwnOperation {
    fn name(&self) -> &'static str {
        "fuseboard::OwnOperation"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        operation: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        operation.interceptor_state().store_put(*self);
        Ok(())
    }
}
