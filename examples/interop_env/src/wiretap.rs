//! What the process sends: counted, and failed or delayed when told to.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpClient, SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use serde_json::{Value, json};

/// One request, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    number: u64,
    pub(crate) operation: String,
    /// `ok`, or the code of an error.
    pub(crate) outcome: String,
    pub(crate) params: Value,
}

/// An HTTP client that is listened to. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Wiretap {
    client: SharedHttpClient,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    sent: u64,
    log: Vec<Sent>,
    /// Error codes and delays by operation; `*` is every operation.
    fail: HashMap<String, String>,
    delay: HashMap<String, Duration>,
    /// Attributes of the last item that a write of this process left.
    written: HashMap<String, Value>,
    /// The attribute that tells which circuit an item is of.
    name_attr: String,
}

impl Wiretap {
    pub(crate) fn new(name_attr: &str) -> Self {
        let client = aws_smithy_http_client::Builder::new().build_http();
        let shared = Shared { name_attr: name_attr.to_owned(), ..Shared::default() };
        Self { client, shared: Arc::new(Mutex::new(shared)) }
    }

    /// How many requests were sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.shared().sent
    }

    /// The requests after the first `sent`.
    pub(crate) fn since(&self, sent: u64) -> Vec<Sent> {
        self.shared().log.iter().filter(|request| request.number >= sent).cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.shared().log.clear();
    }

    pub(crate) fn fail(&self, operations: Vec<String>, code: &str) {
        self.shared().fail.extend(operations.into_iter().map(|name| (name, code.to_owned())));
    }

    pub(crate) fn delay(&self, operations: Vec<String>, by: Duration) {
        self.shared().delay.extend(operations.into_iter().map(|name| (name, by)));
    }

    pub(crate) fn heal(&self) {
        let mut shared = self.shared();
        shared.fail.clear();
        shared.delay.clear();
    }

    /// What is in an attribute of the item that this process last wrote.
    pub(crate) fn last_written(&self, circuit: &str, attribute: &str) -> Option<Value> {
        self.shared().written.get(circuit)?.get(attribute)?.get("S").cloned()
    }

    /// Forgets what it wrote: it is another process from now on.
    pub(crate) fn forget(&self) {
        self.shared().written.clear();
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, as unanswered so far, and says what is to become of it.
    fn depart(&self, operation: &str, params: Value) -> (u64, Option<Duration>, Option<String>) {
        let mut shared = self.shared();
        let number = shared.sent;
        shared.sent = shared.sent.saturating_add(1);
        let outcome = "error:Unanswered".to_owned();
        shared.log.push(Sent { number, operation: operation.to_owned(), outcome, params });
        let delay = shared.delay.get(operation).or_else(|| shared.delay.get("*")).copied();
        let fail = shared.fail.get(operation).or_else(|| shared.fail.get("*")).cloned();
        (number, delay, fail)
    }

    fn arrive(&self, number: u64, outcome: String) {
        let mut shared = self.shared();
        let request = shared.log.iter_mut().rev().find(|request| request.number == number);
        if let Some(request) = request {
            request.outcome = outcome;
        }
    }

    fn note_item(&self, answer: &Value) {
        let mut shared = self.shared();
        let Some(item) = answer.get("Attributes") else { return };
        let name = item.get(&shared.name_attr).and_then(|name| name.get("S"));
        if let Some(name) = name.and_then(Value::as_str) {
            shared.written.insert(name.to_owned(), item.clone());
        }
    }

    async fn travel(
        self,
        connector: SharedHttpConnector,
        request: HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let params = serde_json::from_slice(request.body().bytes().unwrap_or_default());
        let (number, delay, fail) = self.depart(&operation, params.unwrap_or_default());
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        if let Some(code) = fail {
            self.arrive(number, format!("injected:{code}"));
            return refusal(&code);
        }
        let mut response = match connector.call(request).await {
            Ok(response) => response,
            Err(error) => {
                self.arrive(number, "error:ConnectorError".to_owned());
                return Err(error);
            }
        };
        let body = ByteStream::new(response.take_body()).collect().await;
        let body = body.map_err(|error| ConnectorError::io(error.into()))?.into_bytes();
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        *response.body_mut() = SdkBody::from(body);
        if response.status().is_success() {
            self.note_item(&answer);
            self.arrive(number, "ok".to_owned());
        } else {
            let code = answer.get("__type").and_then(Value::as_str).unwrap_or("Unknown");
            self.arrive(number, code.rsplit('#').next().unwrap_or(code).to_owned());
        }
        Ok(response)
    }
}

impl fmt::Debug for Wiretap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wiretap").finish_non_exhaustive()
    }
}

impl HttpClient for Wiretap {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        SharedHttpConnector::new(Tapped { connector, tap: self.clone() })
    }
}

#[derive(Debug)]
struct Tapped {
    connector: SharedHttpConnector,
    tap: Wiretap,
}

impl HttpConnector for Tapped {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.tap.clone().travel(self.connector.clone(), request))
    }
}

/// DynamoDB's answer with a code.
fn refusal(code: &str) -> Result<HttpResponse, ConnectorError> {
    let status = match code {
        "InternalServerError" => 500,
        "ServiceUnavailable" => 503,
        _ => 400,
    };
    let status = StatusCode::try_from(status);
    let status = status.map_err(|error| ConnectorError::other(error.into(), None))?;
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    let body = json!({"__type": kind, "message": "injected by the harness"}).to_string();
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response.headers_mut().insert("x-amzn-requestid", "INJECTED");
    Ok(response)
}
