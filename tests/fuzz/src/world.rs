//! The real store over the real SDK, whose HTTP client replays answers.

use std::{
    cell::OnceCell,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Config, Credentials, Region},
};
use aws_smithy_async::time::StaticTimeSource;
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
use fuseboard::{
    CircuitName, DynamoDbStore,
    store::{Consistency, Operation, Record, Store, StoreError, Written},
};
use tokio::runtime::Runtime;

/// A request that the store sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// `x-amz-target`, which names the operation.
    pub target: String,
    /// The body as it went out.
    pub body: Vec<u8>,
}

/// One store for all inputs of a process, as building it costs more than a
/// call. It does not retry: a budget of retries would carry over from one input
/// to the next.
pub struct World {
    runtime: Runtime,
    wire: Wire,
    store: DynamoDbStore,
    circuit: CircuitName,
}

thread_local! {
    static WORLD: OnceCell<World> = const { OnceCell::new() };
}

impl World {
    /// Runs something on the world of this thread.
    pub fn with<T>(run: impl FnOnce(&Self) -> T) -> T {
        WORLD.with(|world| run(world.get_or_init(Self::new)))
    }

    fn new() -> Self {
        let wire = Wire::default();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("key", "secret", None, None, "fuzz"))
            .time_source(StaticTimeSource::new(SystemTime::UNIX_EPOCH))
            .http_client(wire.clone())
            .build();
        let store = DynamoDbStore::builder(Client::from_conf(config), "circuits").max_attempts(1);
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime without I/O needs nothing"),
            wire,
            store: store.build().expect("one attempt is within limits"),
            circuit: CircuitName::new("payment-backend")
                .expect("the name is neither empty nor long"),
        }
    }

    /// Reads the circuit, answered by this status and body.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn read(&self, status: u16, body: &[u8]) -> Result<Option<Record>, StoreError> {
        self.wire.rewind(status, body);
        let read = self.store.read(&self.circuit, Consistency::Strong);
        let found = self.runtime.block_on(read);
        let sent = self.wire.sent();
        assert_eq!(sent.len(), 1, "a read is one request: {sent:?}");
        assert_eq!(sent[0].target, "DynamoDB_20120810.GetItem");
        found
    }

    /// Writes an operation, answered by this status and body, and shows what
    /// was sent.
    pub fn write(
        &self,
        operation: &Operation,
        status: u16,
        body: &[u8],
    ) -> (Result<Written, StoreError>, Vec<Sent>) {
        self.wire.rewind(status, body);
        let written = self.runtime.block_on(self.store.write(&self.circuit, operation));
        (written, self.wire.sent())
    }
}

/// An HTTP client that gives one answer, once.
#[derive(Clone, Debug, Default)]
struct Wire(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    answer: Option<(u16, Vec<u8>)>,
    sent: Vec<Sent>,
}

impl Wire {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rewind(&self, status: u16, body: &[u8]) {
        let mut log = self.log();
        log.answer = Some((status, body.to_vec()));
        log.sent.clear();
    }

    fn sent(&self) -> Vec<Sent> {
        std::mem::take(&mut self.log().sent)
    }

    fn answer(&self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let mut log = self.log();
        log.sent.push(Sent {
            target: request.headers().get("x-amz-target").unwrap_or_default().to_owned(),
            body: request.body().bytes().unwrap_or_default().to_vec(),
        });
        let Some((status, body)) = log.answer.take() else {
            return Err(ConnectorError::other("there is one answer only".into(), None));
        };
        let status = StatusCode::try_from(status).expect("a target answers with a real status");
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
        response.headers_mut().insert("x-amzn-requestid", "FUZZ");
        Ok(response)
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(self.answer(&request))
    }
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
