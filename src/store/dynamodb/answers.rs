//! Corrections of the SDK: it accepts empty responses, and does not retry conflicts.

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{AfterDeserializationInterceptorContextRef, InterceptorContext},
        retry::{ClassifyRetry, RetryAction},
    },
    error::{BoxError, ProvideErrorMetadata},
    operation::update_item::UpdateItemError,
};

/// An answer without a text, from anything but DynamoDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not DynamoDB's: it has neither a request id nor a JSON object as its body")]
pub(super) struct EmptyAnswer;

/// Refuses successful answers that have neither a request id nor a body.
///
/// The SDK takes an empty 200, which a proxy may send, for "no item", and a circuit
/// without an item is closed. Engines other than AWS's own, and mocked clients, send
/// no request id; a body that the SDK has parsed shows that they answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoEmptyAnswers;

impl Intercept for NoEmptyAnswers {
    fn name(&self) -> &'static str {
        "fuseboard::NoEmptyAnswers"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let has_id = response.headers().get("x-amzn-requestid").is_some();
        let has_text = response.body().bytes().is_some_and(|text| !text.is_empty());
        if context.output_or_error().is_ok() && !has_id && !has_text {
            return Err(EmptyAnswer.into());
        }
        Ok(())
    }
}

/// Returns `true` for the codes of a conflict with another write of the same item:
/// DynamoDB has applied nothing, and a retry succeeds.
pub(super) fn is_conflict(code: &str) -> bool {
    matches!(
        code,
        "TransactionConflictException"
            | "TransactionInProgressException"
            | "ReplicatedWriteConflictException"
    )
}

/// Makes the SDK retry after a conflict with another write, which it does not do by
/// itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryConflicts;

impl ClassifyRetry for RetryConflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let failed = context.output_or_error().and_then(|answer| answer.err());
        let error = failed
            .and_then(|error| error.as_operation_error())
            .and_then(|error| error.downcast_ref::<UpdateItemError>());
        match error.and_then(ProvideErrorMetadata::code) {
            Some(code) if is_conflict(code) => RetryAction::transient_error(),
            Some(_) | None => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "fuseboard::RetryConflicts"
    }
}
