//! The DynamoDB engine of the demo, as the HTTP client of the SDK.
//!
//! It has no socket. One on loopback is reached by the pages of every site in a browser of this
//! machine, and the engine's own server lets them write.

use std::fmt;

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};

/// The engine. Clones are the same.
#[derive(Clone)]
pub(super) struct Engine(Database);

/// Status and text of an answer.
type Answer = (u16, String);

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine without tables.
    pub(super) fn new() -> Result<Self, DynoxideError> {
        Database::memory().map(Self)
    }

    /// Does what the stores of the demo, and the page, ask for.
    fn run(&self, operation: &str, body: &[u8]) -> Answer {
        let database = &self.0;
        match operation {
            "GetItem" => answer(body, |request| database.get_item(request)),
            "UpdateItem" => answer(body, |request| database.update_item(request)),
            "Scan" => answer(body, |request| database.scan(request)),
            "CreateTable" => answer(body, |request| database.create_table(request)),
            "DescribeTable" => answer(body, |request| database.describe_table(request)),
            "UpdateTimeToLive" => answer(body, |request| database.update_time_to_live(request)),
            "DescribeTimeToLive" => answer(body, |request| database.describe_time_to_live(request)),
            _ => refusal("UnknownOperationException"),
        }
    }
}

fn answer<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    run: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Answer {
    let Ok(request) = serde_json::from_slice(body) else {
        return refusal("SerializationException");
    };
    match run(request) {
        Ok(answer) => match serde_json::to_string(&answer) {
            Ok(text) => (200, text),
            Err(_) => refusal("InternalServerError"),
        },
        Err(error) => (error.status_code(), error.to_json()),
    }
}

fn refusal(kind: &str) -> Answer {
    (400, format!("{{\"__type\":\"com.amazonaws.dynamodb.v20120810#{kind}\"}}"))
}

impl HttpConnector for Engine {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let (status, text) = self.run(operation, request.body().bytes().unwrap_or_default());
        let status = StatusCode::try_from(status);
        HttpConnectorFuture::ready(
            status
                .map(|status| HttpResponse::new(status, text.into()))
                .map_err(|error| ConnectorError::other(error.into(), None)),
        )
    }
}

impl HttpClient for Engine {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
