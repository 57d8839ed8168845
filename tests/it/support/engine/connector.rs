//! The engine as the SDK's HTTP client.

use std::io;

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use super::{Answer, Engine, Event, network::Script};

/// One client's way to the engine.
#[derive(Clone)]
pub(super) struct Connector {
    engine: Engine,
    label: String,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("label", &self.label).finish_non_exhaustive()
    }
}

impl Connector {
    pub(super) fn new(engine: Engine, label: &str) -> Self {
        Self { engine, label: label.to_owned() }
    }

    async fn travel(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body: Value = body_of(&request);
        let (id, event) = self.depart(&operation, &body);
        let engine = &self.engine;
        match event {
            Event::Pass => Ok(genuine(engine, &engine.execute(id, &operation, &body))),
            Event::DelayBefore(delay) => {
                tokio::time::sleep(delay).await;
                Ok(genuine(engine, &engine.execute(id, &operation, &body)))
            }
            Event::DelayAfter(delay) => {
                let answer = genuine(engine, &engine.execute(id, &operation, &body));
                tokio::time::sleep(delay).await;
                Ok(answer)
            }
            Event::LoseRequest => hang().await,
            Event::LoseAnswer => {
                engine.execute(id, &operation, &body);
                hang().await
            }
            Event::ApplyLater(delay) => {
                apply_later(engine.clone(), id, operation, body, delay);
                hang().await
            }
            Event::HoldBack => {
                engine.state().held.push((id, operation, body));
                hang().await
            }
            Event::Doubled(delay) => {
                let answer = engine.execute(id, &operation, &body);
                apply_later(engine.clone(), id, operation, body, delay);
                Ok(genuine(engine, &answer))
            }
            Event::StaleBy(age) => {
                let stale = engine.stale_by(id, &operation, &body, age);
                Ok(genuine(engine, &stale.unwrap_or_else(|| engine.execute(id, &operation, &body))))
            }
            Event::RefuseConnection => Err(broken(io::ErrorKind::ConnectionRefused)),
            Event::ResetBefore => Err(broken(io::ErrorKind::ConnectionReset)),
            Event::ResetAfter => {
                engine.execute(id, &operation, &body);
                Err(broken(io::ErrorKind::ConnectionReset))
            }
            Event::BreakOff => {
                let (status, _) = engine.execute(id, &operation, &body);
                Ok(broken_off(genuine(engine, &(status, String::new()))))
            }
            Event::PassWithoutId => Ok(response(engine, &engine.execute(id, &operation, &body))),
            Event::PassUnshown => {
                let answer = unshown(engine.execute(id, &operation, &body));
                Ok(genuine(engine, &answer))
            }
            Event::Answer(status, text) => Ok(self.said(id, (status, text.to_owned()))),
            Event::Text(text) => Ok(self.told(id, (200, text.to_owned()))),
            Event::Refuse(code, message) => Ok(self.told(id, refused(code, message))),
            Event::Error(code) => Ok(self.told(id, refusal(code))),
        }
    }

    /// An answer of anybody's that the engine knows nothing of.
    fn said(&self, id: u64, answer: Answer) -> HttpResponse {
        response(&self.engine, &self.scripted(id, answer))
    }

    /// An answer of DynamoDB's that the engine knows nothing of.
    fn told(&self, id: u64, answer: Answer) -> HttpResponse {
        genuine(&self.engine, &self.scripted(id, answer))
    }

    /// An answer that the engine knows nothing of.
    fn scripted(&self, id: u64, answer: Answer) -> Answer {
        self.engine.state().log.answer(id, answer.0, &answer.1);
        answer
    }

    fn depart(&self, operation: &str, body: &Value) -> (u64, Event) {
        let mut state = self.engine.state();
        let id = state.log.push(&self.label, operation, body);
        let event = state
            .scripts
            .get_mut(&self.label)
            .map_or(Event::Pass, |script: &mut Script| script.meet(operation, body));
        (id, event)
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().travel(request))
    }
}

impl HttpClient for Connector {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// The SDK drops its future when it has waited long enough, so what happens
/// after that needs a task of its own.
#[expect(clippy::disallowed_methods, reason = "the network is not part of the crate")]
fn apply_later(
    engine: Engine,
    id: u64,
    operation: String,
    body: Value,
    delay: std::time::Duration,
) {
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        engine.execute(id, &operation, &body);
    });
}

async fn hang() -> Result<HttpResponse, ConnectorError> {
    std::future::pending().await
}

fn broken(kind: io::ErrorKind) -> ConnectorError {
    ConnectorError::io(io::Error::from(kind).into())
}

/// What a request asks for.
fn body_of(request: &HttpRequest) -> Value {
    serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default()
}

/// An answer whose reader gets an error instead of the text.
fn broken_off(mut answer: HttpResponse) -> HttpResponse {
    *answer.body_mut() = SdkBody::taken();
    answer
}

/// An answer from whoever.
fn response(engine: &Engine, (status, body): &Answer) -> HttpResponse {
    let status = StatusCode::try_from(*status).unwrap();
    let mut response = HttpResponse::new(status, SdkBody::from(body.as_str()));
    for (name, value) in engine.headers() {
        response.headers_mut().insert(name, value);
    }
    response
}

/// An answer of DynamoDB's.
fn genuine(engine: &Engine, answer: &Answer) -> HttpResponse {
    let mut response = response(engine, answer);
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response.headers_mut().insert("x-amzn-requestid", "ENGINE");
    response
}

/// An answer without the item that refused it.
fn unshown((status, body): Answer) -> Answer {
    let mut body: Value = serde_json::from_str(&body).unwrap();
    if status != 200 {
        body.as_object_mut().unwrap().remove("Item");
    }
    (status, body.to_string())
}

/// DynamoDB's answer with a code.
pub(super) fn refusal(code: &str) -> Answer {
    refused(code, "injected")
}

/// DynamoDB's answer with a code and a message.
fn refused(code: &str, message: &str) -> Answer {
    let status = match code {
        "InternalServerError" => 500,
        "ServiceUnavailable" => 503,
        _ => 400,
    };
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    (status, json!({"__type": kind, "message": message}).to_string())
}
