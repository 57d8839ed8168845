//! A DynamoDB engine in this process, behind one relay for each registry. Both
//! run on a runtime of their own, as if they were elsewhere.

use std::{
    error::Error,
    sync::{Arc, atomic::AtomicU64},
};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
};
use fuseboard::DynamoDbStore;
use serde_json::json;
use tokio::{net::TcpListener, runtime::Runtime, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    plan::Plan,
    relay::{Relay, Traffic},
    weather::Weather,
};

const TABLE: &str = "CircuitBreakerState";

/// The engine and the relays before it.
pub(crate) struct Engine {
    runtime: Runtime,
    tasks: JoinSet<Result<(), String>>,
    stop: CancellationToken,
    ports: Vec<u16>,
    direct: u16,
    database: dynoxide::Database,
    pub(crate) traffic: Arc<Traffic>,
}

impl Engine {
    /// Starts engine and relays on free ports.
    pub(crate) fn start(plan: &Plan, weather: &Arc<Weather>) -> Result<Self, Box<dyn Error>> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("engine")
            .enable_all()
            .build()?;
        let stop = CancellationToken::new();
        let traffic = Arc::new(Traffic::default());
        let mut tasks = JoinSet::new();
        let mut ports = Vec::new();
        let database = dynoxide::Database::memory()?;
        let direct = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let engine = listener.local_addr()?;
            let database = database.clone();
            let stopped = stop.clone().cancelled_owned();
            tasks.spawn(dynoxide::server::serve_with_shutdown(listener, database, stopped));
            for registry in 0..plan.registries {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                ports.push(listener.local_addr()?.port());
                let relay = Relay {
                    registry,
                    engine,
                    weather: Arc::clone(weather),
                    traffic: Arc::clone(&traffic),
                    requests: AtomicU64::new(0),
                };
                let stop = stop.clone();
                tasks.spawn(async move {
                    relay.serve(listener, stop).await;
                    Ok(())
                });
            }
            Ok::<_, Box<dyn Error>>(engine.port())
        })?;
        Ok(Self { runtime, tasks, stop, ports, direct, database, traffic })
    }

    /// Makes the table, past the relays, with an item of each circuit as an
    /// earlier recovery left it: what the table needs for them is not growth.
    pub(crate) async fn create_table(&self, plan: &Plan) -> Result<(), Box<dyn Error>> {
        DynamoDbStore::new(client(self.direct), TABLE).create_table().await?;
        for circuit in 0..plan.circuits {
            let item = json!({
                "TableName": TABLE,
                "Item": {
                    "id": {"S": Plan::name(circuit)},
                    "state": {"S": "CLOSED"},
                    "failure_count": {"N": "0"},
                    "expiration": {"N": "4102444800"},
                },
            });
            self.database.put_item(serde_json::from_value(item)?)?;
        }
        Ok(())
    }

    /// The way past relays and sockets, for what is no part of the load.
    pub(crate) fn table(&self) -> Table {
        Table(self.database.clone())
    }

    /// The store of a registry: a client of its own, through its own relay.
    pub(crate) fn store(&self, registry: usize) -> DynamoDbStore {
        let port = self.ports.get(registry).copied().unwrap_or(self.direct);
        DynamoDbStore::new(client(port), TABLE)
    }

    /// Tasks of engine and relays that are alive.
    pub(crate) fn tasks(&self) -> usize {
        self.runtime.metrics().num_alive_tasks()
    }

    /// Stops both, and says how many tasks are left.
    pub(crate) fn stop(mut self) -> Result<usize, Box<dyn Error>> {
        self.stop.cancel();
        self.runtime.block_on(async {
            while let Some(ended) = self.tasks.join_next().await {
                ended??;
            }
            Ok::<_, Box<dyn Error>>(())
        })?;
        for _ in 0..200 {
            if self.tasks() == 0 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Ok(self.tasks())
    }
}

/// The table, for those who clean up.
#[derive(Clone)]
pub(crate) struct Table(dynoxide::Database);

impl Table {
    /// Deletes the item of a circuit that is not called any more.
    pub(crate) fn forget(&self, circuit: &str) {
        let request = json!({"TableName": TABLE, "Key": {"id": {"S": circuit}}});
        // An item that stays is one more row.
        let _ = serde_json::from_value(request).map(|request| self.0.delete_item(request));
    }
}

fn client(port: u16) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("soak", "soak", None, None, "soak"))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}
