//! The rule: which results of the AWS SDK count against a service.

use std::error::Error;

use aws_smithy_runtime_api::client::{
    interceptors::{InterceptorError, context::FinalizerInterceptorContextRef},
    orchestrator::HttpResponse,
    result::{ConnectorError, SdkError},
    retries::classifiers::{ClassifyRetry as _, RetryAction, RetryReason},
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::{
    error::metadata::{ErrorMetadata, ProvideErrorMetadata},
    retry::ErrorKind,
};

use crate::{classifier::Classify, error::OpenError, outcome::Outcome};

/// Judges the result of every operation of any client of the AWS SDK for Rust: one handle serves
/// them all.
///
/// | result | outcome |
/// |---|---|
/// | `Ok` | success |
/// | a timeout; a response that broke off, or that the SDK could not read | failure |
/// | a request that could not be sent (no connection, no credentials) | failure |
/// | an error of the service with status 408, 429 or 5xx, or with a code of throttling or of a timeout | failure |
/// | any other error of the service: a 404, a failed condition, a denied access | success: the service has answered |
/// | a request that could not be built; an error of an interceptor before there was a response; a connector that blames its user | ignored: it is the program's own |
/// | a rejection by a circuit, found by [`OpenError::find`] | ignored |
///
/// The codes of throttling are those that the SDK retries as such, `ThrottlingException` and
/// `ProvisionedThroughputExceededException` among them.
///
/// The SDK retries by itself. What this judges is the last attempt.
/// [`BreakerInterceptor::per_attempt`](super::BreakerInterceptor::per_attempt) judges each.
///
/// An operation with a streamed body, such as S3's `GetObject`, ends when the body begins: collect
/// the body inside of the call, so that one which breaks off is a failure.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fuseboard::{BreakerRegistry, MemoryStore};
/// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
/// # #[cfg(feature = "dynamodb")] {
/// use aws_sdk_dynamodb::{Client, types::AttributeValue};
/// use fuseboard::{ClassifiedBreaker, aws::SdkFaults};
///
/// async fn visit(
///     orders: &ClassifiedBreaker<SdkFaults>,
///     client: &Client,
/// ) -> Result<(), Box<dyn std::error::Error>> {
///     let id = AttributeValue::S("order 7".to_owned());
///     // The results are of different types.
///     orders.call(|| client.get_item().table_name("orders").key("id", id.clone()).send()).await?;
///     orders.call(|| client.delete_item().table_name("orders").key("id", id).send()).await?;
///     Ok(())
/// }
///
/// let orders = registry.breaker("orders-table")?.classified_by(SdkFaults);
/// # }
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SdkFaults;

impl<T, E> Classify<T, SdkError<E, HttpResponse>> for SdkFaults
where
    E: ProvideErrorMetadata + Error + 'static,
{
    fn classify(&self, result: &Result<T, SdkError<E, HttpResponse>>) -> Outcome {
        match result {
            Ok(_) => Outcome::Success,
            Err(error) => of_result(error),
        }
    }
}

fn of_result<E>(error: &SdkError<E, HttpResponse>) -> Outcome
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if OpenError::find(error).is_some() {
        return Outcome::Ignored;
    }
    match error {
        SdkError::ConstructionFailure(_) => Outcome::Ignored,
        SdkError::DispatchFailure(_) if is_of_an_interceptor(error) => Outcome::Ignored,
        SdkError::DispatchFailure(failure) => of_connector(failure.as_connector_error()),
        SdkError::ServiceError(answer) => {
            of_answer(answer.raw(), answer.err().code().is_some_and(is_of_a_fault))
        }
        // The SDK may come to have other kinds of errors.
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) | _ => Outcome::Failure,
    }
}

/// Judges an operation, or an attempt, that has ended, by the same rule. The type of its error is
/// not known here. That of its retry classifiers is, so that they are asked whether the service
/// throttles.
pub(super) fn of_context(
    context: &FinalizerInterceptorContextRef<'_>,
    components: &RuntimeComponents,
) -> Outcome {
    let error = match context.output_or_error() {
        Some(Ok(_)) => return Outcome::Success,
        Some(Err(error)) => error,
        // A request that was signed in advance: nothing was sent.
        None => return Outcome::Ignored,
    };
    if OpenError::find(error).is_some() {
        return Outcome::Ignored;
    }
    let response = context.response();
    if let (Some(fault), Some(response)) = (error.as_operation_error(), response) {
        let unmodeled = fault.source().and_then(|cause| cause.downcast_ref::<ErrorMetadata>());
        let is_of_a_fault = unmodeled.and_then(ErrorMetadata::code).is_some_and(is_of_a_fault);
        return of_answer(response, is_of_a_fault || is_throttling(context, components));
    }
    if let Some(connector) = error.as_connector_error() {
        return of_connector(Some(connector));
    }
    let was_built = context.request().is_some() || error.is_timeout_error();
    match response {
        None if error.is_interceptor_error() || !was_built => Outcome::Ignored,
        None | Some(_) => Outcome::Failure,
    }
}

fn of_answer(response: &HttpResponse, is_of_a_fault: bool) -> Outcome {
    match response.status().as_u16() {
        // An answer that the SDK did not understand, or an error within one: S3 has some.
        ..300 => Outcome::Failure,
        408 | 429 | 500.. => Outcome::Failure,
        _ if is_of_a_fault => Outcome::Failure,
        _ => Outcome::Success,
    }
}

fn of_connector(error: Option<&ConnectorError>) -> Outcome {
    if error.is_some_and(ConnectorError::is_user) { Outcome::Ignored } else { Outcome::Failure }
}

/// Returns `true` for an error that an interceptor has made: the SDK tells it as a failed
/// dispatch, though nothing was sent.
fn is_of_an_interceptor(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<InterceptorError>() {
            return true;
        }
        next = error.source();
    }
    false
}

fn is_throttling(
    context: &FinalizerInterceptorContextRef<'_>,
    components: &RuntimeComponents,
) -> bool {
    components.retry_classifiers().any(|classifier| {
        matches!(
            classifier.classify_retry(context.inner()),
            RetryAction::RetryIndicated(RetryReason::RetryableError {
                kind: ErrorKind::ThrottlingError,
                ..
            })
        )
    })
}

/// Returns `true` for the codes that the SDK retries as throttling, and for those of a request
/// that the service waited for in vain, whatever their status.
fn is_of_a_fault(code: &str) -> bool {
    matches!(
        code,
        "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "ProvisionedThroughputExceededException"
            | "TransactionInProgressException"
            | "RequestLimitExceeded"
            | "BandwidthLimitExceeded"
            | "LimitExceededException"
            | "SlowDown"
            | "PriorRequestNotComplete"
            | "EC2ThrottledException"
            | "RequestTimeout"
            | "RequestTimeoutException"
    )
}
