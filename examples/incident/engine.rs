//! Where the table is: in a DynamoDB engine on loopback, or elsewhere.

use std::{env, error::Error};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::{Client, Config, config::Credentials};
use fuseboard::{DynamoDbStore, store::Misconfiguration};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::args::Args;

const TABLE: &str = "CircuitBreakerState";

/// A DynamoDB engine in this process, listening on loopback.
#[derive(Debug)]
struct Loopback {
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), String>>,
}

/// A table, and how to reach it.
#[derive(Debug)]
pub(crate) struct Engine {
    loopback: Option<Loopback>,
    endpoint: Option<String>,
    table: String,
}

impl Engine {
    /// Starts the engine on loopback, unless the arguments name another one,
    /// and sees to it that the table is there.
    pub(crate) async fn open(args: &Args) -> Result<Self, Box<dyn Error>> {
        let table = args.table.clone().unwrap_or_else(|| TABLE.to_owned());
        let own = args.endpoint_url.is_none() && args.table.is_none();
        let engine = if own {
            let (loopback, endpoint) = Loopback::start().await?;
            Self { loopback: Some(loopback), endpoint: Some(endpoint), table }
        } else {
            Self { loopback: None, endpoint: args.endpoint_url.clone(), table }
        };
        let store = engine.store().await;
        if own || args.create_table {
            store.create_table().await.map_err(|error| engine.explain(&error))?;
        }
        if let Err(error) = store.verify().await {
            let mut faults = error.faults().iter();
            let missing = faults.any(|fault| matches!(fault, Misconfiguration::NoTable { .. }));
            let hint = if missing { "; --create-table makes it" } else { "" };
            return Err(format!("{}{hint}", engine.explain(&error)).into());
        }
        Ok(engine)
    }

    /// A store with an SDK client of its own, as every environment has.
    pub(crate) async fn store(&self) -> DynamoDbStore {
        let client = match self.endpoint.as_deref() {
            Some(endpoint) if endpoint.starts_with("http://") => plain_client(endpoint),
            endpoint => Box::pin(default_client(endpoint)).await,
        };
        DynamoDbStore::new(client, &self.table)
    }

    /// Where it is, for people.
    pub(crate) fn place(&self) -> String {
        let at = match (&self.loopback, self.endpoint.as_deref()) {
            (Some(_), Some(endpoint)) => format!("an engine on loopback ({endpoint})"),
            (_, Some(endpoint)) => endpoint.to_owned(),
            (_, None) => "AWS".to_owned(),
        };
        format!("table {} in {at}", self.table)
    }

    /// A name that no earlier run has used, where earlier runs may have been.
    pub(crate) fn circuit(&self) -> String {
        if self.loopback.is_some() {
            return "payment-backend".to_owned();
        }
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        format!("payment-backend#{}", now.as_millis())
    }

    /// Stops the engine on loopback; leaves others alone.
    pub(crate) async fn close(self) -> Result<(), Box<dyn Error>> {
        if let Some(Loopback { stop, served }) = self.loopback {
            // An engine that is gone needs no stop.
            let _ = stop.send(());
            served.await??;
        }
        Ok(())
    }

    fn explain(&self, error: &(dyn Error + 'static)) -> String {
        let text = format!("cannot use {}: {error}", self.place());
        // Down to what the operating system or the service said.
        let mut root: &dyn Error = error;
        while let Some(cause) = root.source() {
            root = cause;
        }
        let root = root.to_string();
        if text.contains(&root) { text } else { format!("{text}: {root}") }
    }
}

impl Loopback {
    async fn start() -> Result<(Self, String), Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let database = dynoxide::Database::memory()?;
        let (stop, stopped) = oneshot::channel();
        let served =
            tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, async {
                // A sender that is gone stops it as well.
                let _ = stopped.await;
            }));
        Ok((Self { stop, served }, endpoint))
    }
}

/// A client without TLS, and with any credentials: whoever speaks plain HTTP
/// is a stand-in for DynamoDB.
fn plain_client(endpoint: &str) -> Client {
    let set = |name: &str, otherwise: &str| env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let key = set("AWS_ACCESS_KEY_ID", "incident");
    let secret = set("AWS_SECRET_ACCESS_KEY", "incident");
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(set("AWS_REGION", "us-east-1")))
        .credentials_provider(Credentials::new(key, secret, None, None, "incident"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// A client as every AWS tool would make it.
async fn default_client(endpoint: Option<&str>) -> Client {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(endpoint) = endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    Client::new(&loader.load().await)
}
