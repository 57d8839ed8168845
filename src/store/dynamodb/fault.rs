//! The SDK's errors, sorted by what they mean for a circuit breaker.

use std::{error::Error, fmt};

use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ConnectorError, ProvideErrorMetadata, SdkError},
};

use crate::{
    name::CircuitName,
    store::{StoreError, StoreErrorKind},
};

/// One call, for error messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) table: &'a str,
    pub(super) operation: &'static str,
    pub(super) circuit: Option<&'a CircuitName>,
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
    /// An answer that is none, though the SDK found no fault in it.
    pub(super) fn bad_answer(&self, why: &str) -> StoreError {
        StoreError::new(StoreErrorKind::BadAnswer, format!("{self}: {why}"))
    }

    /// A fault that waiting does not mend.
    pub(super) fn misconfigured(&self, why: &str) -> StoreError {
        StoreError::new(StoreErrorKind::Misconfigured, format!("{self}: {why}"))
    }

    /// The error of an SDK call.
    pub(super) fn failed<E>(&self, error: SdkError<E>) -> StoreError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let (kind, what) = judge(&error);
        let mut message = format!("{self}: {what}");
        let fault = error.as_service_error();
        let detail = fault.and_then(ProvideErrorMetadata::message);
        if let Some(detail) = detail {
            message = format!("{message}: {detail}");
        }
        let cause = fault
            .and_then(ProvideErrorMetadata::code)
            .map(|code| Cause::of(code, detail.unwrap_or_default()));
        if let Some(mend) = cause.and_then(Cause::mend) {
            message = format!("{message} ({mend})");
        }
        StoreError::new(kind, message).with_source(error)
    }
}

fn judge<E: ProvideErrorMetadata>(error: &SdkError<E>) -> (StoreErrorKind, String) {
    match error {
        SdkError::ConstructionFailure(_) => {
            (StoreErrorKind::Misconfigured, "the request could not be built".to_owned())
        }
        SdkError::TimeoutError(_) => (StoreErrorKind::Timeout, "no answer in time".to_owned()),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(connector) => judge_connection(connector),
            None => (StoreErrorKind::Unavailable, "the request was not sent".to_owned()),
        },
        SdkError::ResponseError(_) => {
            (StoreErrorKind::Unavailable, "the answer could not be received whole".to_owned())
        }
        SdkError::ServiceError(answer) => judge_answer(answer.err().code(), answer.raw()),
        _ => (StoreErrorKind::Unavailable, "the request failed".to_owned()),
    }
}

/// The SDK gives one shape to what happens before a connection is asked for,
/// such as the lack of credentials, of a region or of an HTTP client, and to an
/// endpoint that does not speak HTTP: a connector's error without a cause that it
/// can name. Waiting mends none of them.
fn judge_connection(error: &ConnectorError) -> (StoreErrorKind, String) {
    if error.is_timeout() {
        (StoreErrorKind::Timeout, "no connection in time".to_owned())
    } else if error.is_other() && error.as_other().is_none() {
        let what = "the request could not be signed, or the endpoint does not speak HTTP";
        let why = innermost(error);
        let what = format!("{what} ({why}): check credentials, region and endpoint");
        (StoreErrorKind::Misconfigured, what)
    } else {
        (StoreErrorKind::Unavailable, "the connection failed".to_owned())
    }
}

/// What DynamoDB itself said: a code and a message.
pub(super) fn said<E>(error: &StoreError) -> Option<(String, String)>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let fault = error.source()?.downcast_ref::<SdkError<E, HttpResponse>>()?.as_service_error()?;
    Some((fault.code()?.to_owned(), fault.message().unwrap_or_default().to_owned()))
}

/// What the last of the causes says.
pub(super) fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

fn judge_answer(code: Option<&str>, response: &HttpResponse) -> (StoreErrorKind, String) {
    let status = response.status();
    let Some(code) = code else {
        let kind = match status.as_u16() {
            429 => StoreErrorKind::Throttled,
            _ if status.is_server_error() => StoreErrorKind::Unavailable,
            _ => StoreErrorKind::BadAnswer,
        };
        return (kind, format!("status {} without an error code", status.as_u16()));
    };
    let kind = match code {
        "ThrottlingException"
        | "Throttling"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "LimitExceededException" => StoreErrorKind::Throttled,
        "TransactionConflictException"
        | "ReplicatedWriteConflictException"
        | "ResourceInUseException"
        | "InternalServerError"
        | "ServiceUnavailable" => StoreErrorKind::Unavailable,
        _ if status.is_server_error() => StoreErrorKind::Unavailable,
        _ => StoreErrorKind::Misconfigured,
    };
    (kind, code.to_owned())
}

/// What a code means to an operator, if waiting does not mend it.
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
    /// Sorts a code; where one code has two causes, by the message.
    pub(super) fn of(code: &str, message: &str) -> Self {
        match code {
            "ResourceNotFoundException" => Self::NoTable,
            "AccessDeniedException" => Self::Denied,
            // What it says of a table's name: "Value '...' at 'tableName' ...".
            "ValidationException" if message.contains("ableName") => Self::Other,
            "ValidationException" => Self::Key,
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

    fn mend(self) -> Option<&'static str> {
        match self {
            Self::NoTable => Some("create the table, or correct its name, account and region"),
            Self::Denied => Some("allow dynamodb:GetItem and dynamodb:UpdateItem on it"),
            Self::Key => {
                Some("check key_attr and sort_key_attr against the key schema of the table")
            }
            Self::Credentials => Some("check the credentials of this process"),
            Self::Clock => Some("set the clock of this process"),
            Self::Other => None,
        }
    }
}
