//! Errors of the SDK as errors of a store: their kind, their causes, and advice.

use std::{error::Error, fmt};

use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ConnectorError, ProvideErrorMetadata, SdkError},
};

use super::{
    answers::{EmptyAnswer, is_conflict},
    causes::{Panicked, chain, find},
    credentials::{self, NoCredentials},
    timeouts::Timeouts,
};
use crate::{
    name::CircuitName,
    store::{StoreError, StoreErrorKind},
};

/// One call to DynamoDB, as its error messages name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) table: &'a str,
    pub(super) operation: &'static str,
    pub(super) circuit: Option<&'a CircuitName>,
    pub(super) timeouts: &'a Timeouts,
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        if let Some(circuit) = self.circuit {
            write!(f, " of circuit {circuit:?}")?;
        }
        write!(f, " in table {:?}", self.table)
    }
}

impl Call<'_> {
    /// An answer that the SDK accepted, and that is not valid.
    pub(super) fn bad_answer(&self, why: &str) -> StoreError {
        StoreError::new(StoreErrorKind::BadAnswer, format!("{self}: {why}"))
    }

    /// A fault that stays until somebody corrects the configuration.
    pub(super) fn misconfigured(&self, why: &str) -> StoreError {
        StoreError::new(StoreErrorKind::Misconfigured, format!("{self}: {why}"))
    }

    /// The SDK panics over its configuration, each time.
    pub(super) fn panicked(&self, panicked: Panicked) -> StoreError {
        self.misconfigured(&format!("{panicked} (check credentials, region and endpoint)"))
            .with_source(panicked)
    }

    /// Nothing was sent, as there were no credentials.
    pub(super) fn no_credentials(&self, error: NoCredentials) -> StoreError {
        let kind = match error {
            NoCredentials::NotYet(_) => StoreErrorKind::Timeout,
            NoCredentials::NotLoaded(_) => StoreErrorKind::Misconfigured,
        };
        let message = format!("{self}: no credentials: {error} ({})", credentials::ADVICE);
        StoreError::new(kind, message).with_source(error)
    }

    /// The error of an SDK call.
    pub(super) fn failed<E>(&self, error: SdkError<E>) -> StoreError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        if let Some(ran_out) = self.timeouts.ran_out(&error) {
            let message = format!("{self}: no answer in time: {ran_out}");
            return StoreError::new(StoreErrorKind::Timeout, message).with_source(ran_out);
        }
        let (kind, what) = classify(&error);
        let mut message = format!("{self}: {what}");
        let fault = error.as_service_error();
        let detail = fault.and_then(ProvideErrorMetadata::message);
        if let Some(detail) = detail {
            message = format!("{message}: {detail}");
        }
        let cause = fault
            .and_then(ProvideErrorMetadata::code)
            .map(|code| Cause::of(code, detail.unwrap_or_default()));
        if let Some(advice) = cause.and_then(|cause| cause.advice(self.operation)) {
            message = format!("{message} ({advice})");
        }
        StoreError::new(kind, message).with_source(error)
    }
}

fn classify<E: ProvideErrorMetadata + Error + 'static>(
    error: &SdkError<E>,
) -> (StoreErrorKind, String) {
    let with_causes = |what: &str| match error.source().map(chain) {
        Some(causes) => format!("{what}: {causes}"),
        None => what.to_owned(),
    };
    match error {
        SdkError::ConstructionFailure(_) => {
            (StoreErrorKind::Misconfigured, with_causes("the request could not be built"))
        }
        SdkError::TimeoutError(_) => (StoreErrorKind::Timeout, with_causes("no answer in time")),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(connector) => classify_connection(connector),
            None => (StoreErrorKind::Unavailable, with_causes("the request was not sent")),
        },
        SdkError::ResponseError(_) if find::<EmptyAnswer>(error).is_some() => {
            (StoreErrorKind::BadAnswer, EmptyAnswer.to_string())
        }
        SdkError::ResponseError(_) => {
            (StoreErrorKind::Unavailable, with_causes("the answer could not be received whole"))
        }
        SdkError::ServiceError(answer) => classify_answer(answer.err().code(), answer.raw()),
        _ => (StoreErrorKind::Unavailable, with_causes("the request failed")),
    }
}

/// The SDK gives one shape to what happens before a connection is asked for,
/// such as the lack of a region or of an HTTP client, and to an endpoint that
/// does not speak HTTP: a connector's error without a cause that it can name.
/// None of them ends by itself.
fn classify_connection(error: &ConnectorError) -> (StoreErrorKind, String) {
    let causes = error.source().map(chain).unwrap_or_default();
    if error.is_timeout() {
        (StoreErrorKind::Timeout, format!("no connection in time: {causes}"))
    } else if error.is_other() && error.as_other().is_none() {
        let what = "the request could not be sent, or the endpoint does not speak HTTP";
        let what = format!("{what}: {causes} (check region, endpoint, proxy and credentials)");
        (StoreErrorKind::Misconfigured, what)
    } else {
        (StoreErrorKind::Unavailable, format!("the connection failed: {causes}"))
    }
}

/// Returns the code and the message of DynamoDB's own error; `None` if the error
/// is not DynamoDB's.
pub(super) fn service_error<E>(error: &StoreError) -> Option<(String, String)>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let fault = error.source()?.downcast_ref::<SdkError<E, HttpResponse>>()?.as_service_error()?;
    Some((fault.code()?.to_owned(), fault.message().unwrap_or_default().to_owned()))
}

fn classify_answer(code: Option<&str>, response: &HttpResponse) -> (StoreErrorKind, String) {
    let status = response.status();
    let Some(code) = code else {
        let kind = match status.as_u16() {
            429 => StoreErrorKind::Throttled,
            _ if status.is_server_error() => StoreErrorKind::Unavailable,
            _ => StoreErrorKind::BadAnswer,
        };
        return (kind, format!("status {} without an error code", status.as_u16()));
    };
    (kind_of(code, status.is_server_error()), code.to_owned())
}

/// Returns the kind of a code. A code about one item (throttling, a conflict, its
/// size) concerns that circuit alone. Only a code that says that DynamoDB itself is
/// out of order counts against the store, and so for all circuits.
fn kind_of(code: &str, is_server_error: bool) -> StoreErrorKind {
    match code {
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "SlowDown"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "LimitExceededException" => StoreErrorKind::Throttled,
        code if is_conflict(code) => StoreErrorKind::Throttled,
        "RequestTimeout" | "RequestTimeoutException" => StoreErrorKind::Timeout,
        "ResourceInUseException"
        | "InternalServerError"
        | "InternalServerErrorException"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => StoreErrorKind::Unavailable,
        _ if is_server_error => StoreErrorKind::Unavailable,
        _ => StoreErrorKind::Misconfigured,
    }
}

/// The cause of a code, as an operator has to correct it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    NoTable,
    Denied,
    Key,
    Credentials,
    Clock,
    Other,
}

impl Cause {
    /// Returns the cause of a code. Some codes have several causes, which only the
    /// message tells apart.
    pub(super) fn of(code: &str, message: &str) -> Self {
        match code {
            "ResourceNotFoundException" => Self::NoTable,
            "AccessDeniedException" if lacks_permission(message) => Self::Denied,
            "ValidationException" if is_about_the_key(message) => Self::Key,
            "RequestTimeTooSkewed" | "RequestExpired" => Self::Clock,
            "InvalidSignatureException"
                if message.contains("Signature expired")
                    || message.contains("Signature not yet current") =>
            {
                Self::Clock
            }
            "InvalidSignatureException"
            | "UnrecognizedClientException"
            | "ExpiredTokenException"
            | "MissingAuthenticationTokenException"
            | "IncompleteSignatureException" => Self::Credentials,
            _ => Self::Other,
        }
    }

    fn advice(self, operation: &str) -> Option<&'static str> {
        match self {
            Self::NoTable => Some("create the table, or correct its name, account and region"),
            Self::Denied => Some(match operation {
                "scan" => "allow dynamodb:Scan on it, to a role of operators",
                "query" => "allow dynamodb:Query on it, to a role of operators",
                "create" => {
                    "allow dynamodb:CreateTable, dynamodb:DescribeTable, dynamodb:DescribeTimeToLive and dynamodb:UpdateTimeToLive on it"
                }
                _ => "allow dynamodb:GetItem and dynamodb:UpdateItem on it",
            }),
            Self::Key => {
                Some("check key_attr and sort_key_attr against the key schema of the table")
            }
            Self::Credentials => Some("check the credentials of this process"),
            Self::Clock => Some("set the clock of this process"),
            Self::Other => None,
        }
    }
}

/// Returns `true` if a permission is denied that the policy of this process's role
/// would give. KMS, the policy of a VPC endpoint, a permissions boundary, a session
/// policy and an organization's policies deny with the same code; their messages name
/// them.
fn lacks_permission(message: &str) -> bool {
    let is_ours = match message.split_once("perform: ") {
        Some((_, action)) => action.starts_with("dynamodb:"),
        None => !message.contains("KMS"),
    };
    let is_elsewhere = message.contains("explicit deny")
        || (message.contains("because no ")
            && !message.contains("because no identity-based policy"));
    is_ours && !is_elsewhere
}

/// Returns `true` if DynamoDB refused a request because the table has another key.
/// It refuses an index, the size of an item and a table's name with the same code.
fn is_about_the_key(message: &str) -> bool {
    let of_keys = [
        "key element does not match the schema",
        "number of conditions on the keys is invalid",
        "Missing the key",
        "Type mismatch for key",
        "missed key schema element",
        "is part of the key",
    ];
    of_keys.iter().any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_178_a_code_of_one_item_is_that_circuits_own() {
        use StoreErrorKind::{Misconfigured, Throttled, Timeout, Unavailable};
        for (code, kind) in [
            ("TransactionConflictException", Throttled),
            ("TransactionInProgressException", Throttled),
            ("ReplicatedWriteConflictException", Throttled),
            ("ProvisionedThroughputExceededException", Throttled),
            ("RequestThrottledException", Throttled),
            ("SlowDown", Throttled),
            ("ItemCollectionSizeLimitExceededException", Misconfigured),
            ("ValidationException", Misconfigured),
            ("AccessDeniedException", Misconfigured),
            ("RequestTimeout", Timeout),
            ("InternalServerError", Unavailable),
            ("ServiceUnavailable", Unavailable),
        ] {
            assert_eq!(kind_of(code, false), kind, "{code}");
        }
        assert_eq!(kind_of("SomethingNew", true), Unavailable);
    }
}
