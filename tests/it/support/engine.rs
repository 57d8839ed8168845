//! A DynamoDB engine in this process, behind the real SDK and without a socket.
//!
//! Requests of each client pass its scripted [`Network`], so that every fault
//! is one line, and are logged with what became of them. All waiting is by
//! tokio's clock: under `start_paused` the SDK's own timeouts take no time.
//!
//! dynoxide ignores `ConsistentRead` and never throttles: both are injected.

mod connector;
mod items;
mod log;
mod network;
mod tap;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Config, Credentials, Region, SharedHttpClient},
    primitives::{DateTime, DateTimeFormat},
};
use fuseboard::{DynamoDbStore, store::DynamoDbStoreBuilder};
use serde_json::{Value, json};

use self::{log::Log, network::Script, tap::Tap};
pub(crate) use self::{
    log::{Fate, Request},
    network::{Event, Network},
    tap::{History, Write},
};

/// The table that every engine but an [`Engine::empty`] one begins with.
pub(crate) const TABLE: &str = "circuits";

/// One engine, shared by any number of clients. Clones are the same engine.
#[derive(Clone)]
pub(crate) struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    database: dynoxide::Database,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    log: Log,
    scripts: HashMap<String, Script>,
    /// The history of the items, if it is recorded.
    tap: Option<Tap>,
    /// Operations that are answered; all if `None`.
    allowed: Option<Vec<&'static str>>,
    /// Items as they were: what eventually consistent reads show.
    stale: Option<Vec<(String, Value)>>,
    /// Requests that hang on the way, by client.
    held: Vec<(u64, String, Value)>,
    /// Headers of every answer, beside those that DynamoDB always sends.
    headers: Option<Headers>,
}

type Headers = Arc<dyn Fn() -> Vec<(&'static str, String)> + Send + Sync>;

/// The engine's answer to a request: status and body.
type Answer = (u16, String);

impl Engine {
    /// An engine with [`TABLE`], its partition key being `id`.
    pub(crate) fn new() -> Self {
        let engine = Self::empty();
        engine.create_table(TABLE, &["id"]);
        engine
    }

    /// An engine without tables.
    pub(crate) fn empty() -> Self {
        let database = dynoxide::Database::memory().unwrap();
        Self { shared: Arc::new(Shared { database, state: Mutex::default() }) }
    }

    /// Creates a table with one or two key attributes of type `S`.
    pub(crate) fn create_table(&self, table: &str, key: &[&str]) {
        let definitions: Vec<_> =
            key.iter().map(|name| json!({"AttributeName": name, "AttributeType": "S"})).collect();
        let schema: Vec<_> = key
            .iter()
            .zip(["HASH", "RANGE"])
            .map(|(name, role)| json!({"AttributeName": name, "KeyType": role}))
            .collect();
        self.ask(
            "CreateTable",
            &json!({
                "TableName": table,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": definitions,
                "KeySchema": schema,
            }),
        );
    }

    /// A client whose requests are logged, and scripted, under this label.
    pub(crate) fn client(&self, label: &str) -> Client {
        let connector = connector::Connector::new(self.clone(), label);
        Client::from_conf(config(SharedHttpClient::new(connector)).build())
    }

    /// A store on [`TABLE`] with default names.
    pub(crate) fn store(&self, label: &str) -> DynamoDbStore {
        DynamoDbStore::new(self.client(label), TABLE)
    }

    /// A store to be configured.
    pub(crate) fn store_builder(&self, label: &str, table: &str) -> DynamoDbStoreBuilder {
        DynamoDbStore::builder(self.client(label), table)
    }

    /// The script of a client's network.
    pub(crate) fn network(&self, label: &str) -> Network {
        Network::new(self.clone(), label)
    }

    /// Every request so far, in order of sending.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state().log.requests()
    }

    /// Requests for an operation so far, of all clients.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.state().log.count(|request| request.operation == operation)
    }

    /// Requests of one client for an operation so far.
    pub(crate) fn count_of(&self, label: &str, operation: &str) -> usize {
        self.state().log.count(|request| request.client == label && request.operation == operation)
    }

    /// Forgets the requests so far.
    pub(crate) fn clear(&self) {
        self.state().log.clear();
    }

    /// Denies every operation but these, as a policy would.
    pub(crate) fn allow_only(&self, operations: &[&'static str]) {
        self.state().allowed = Some(operations.to_vec());
    }

    /// From now on every answer tells what this clock shows, as `Date`.
    pub(crate) fn set_clock(&self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) {
        self.set_headers(move || {
            let seconds = DateTime::from_secs(DateTime::from(clock()).secs());
            vec![("date", seconds.fmt(DateTimeFormat::HttpDate).unwrap())]
        });
    }

    /// From now on every answer has these headers as well, a scripted one too.
    pub(crate) fn set_headers(
        &self,
        headers: impl Fn() -> Vec<(&'static str, String)> + Send + Sync + 'static,
    ) {
        self.state().headers = Some(Arc::new(headers));
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let headers = self.state().headers.clone();
        headers.map_or_else(Vec::new, |headers| headers())
    }

    /// From now on, eventually consistent reads show the items of this moment.
    pub(crate) fn freeze_stale_reads(&self) {
        let items = self.all_items();
        self.state().stale = Some(items);
    }

    /// Reads are up to date again.
    pub(crate) fn thaw_stale_reads(&self) {
        self.state().stale = None;
    }

    /// Applies the requests that [`Event::HoldBack`] kept, in order of sending,
    /// and returns how many. Their answers are lost.
    pub(crate) fn release_held(&self) -> usize {
        let held = std::mem::take(&mut self.state().held);
        for (id, operation, body) in &held {
            self.execute(*id, operation, body);
        }
        held.len()
    }

    /// Serves the engine over HTTP on a free port, unscripted and unlogged.
    /// Not for a paused clock, which runs ahead of sockets.
    pub(crate) async fn serve_http(&self) -> HttpServer {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let database = self.shared.database.clone();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            dynoxide::server::serve_with_shutdown(listener, database, shutdown).await.unwrap();
        });
        HttpServer { port, stop, tasks }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An engine behind a socket.
pub(crate) struct HttpServer {
    port: u16,
    stop: tokio::sync::oneshot::Sender<()>,
    tasks: tokio::task::JoinSet<()>,
}

impl HttpServer {
    /// Where it is.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A client that speaks plain HTTP to this server.
    pub(crate) fn client(&self) -> Client {
        http_client(self.port)
    }

    /// Stops serving. Clients have to be dropped first, or their idle
    /// connections are closed.
    pub(crate) async fn shutdown(mut self) {
        let _ = self.stop.send(());
        while let Some(result) = self.tasks.join_next().await {
            result.unwrap();
        }
    }
}

/// Tokio's time: virtual in a test with a paused clock.
#[expect(clippy::disallowed_methods, reason = "measures virtual waiting; the crate is not asked")]
pub(crate) fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// A client that speaks plain HTTP to a port of this machine.
pub(crate) fn http_client(port: u16) -> Client {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = config(http).endpoint_url(format!("http://127.0.0.1:{port}"));
    Client::from_conf(config.build())
}

fn config(http: SharedHttpClient) -> aws_sdk_dynamodb::config::Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "tests"))
        .http_client(http)
}
