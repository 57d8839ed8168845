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
        let direct = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let engine = listener.local_addr()?;
            let database = dynoxide::Database::memory()?;
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
        Ok(Self { runtime, tasks, stop, ports, direct, traffic })
    }

    /// Makes the table, past the relays.
    pub(crate) async fn create_table(&self) -> Result<(), Box<dyn Error>> {
        Ok(DynamoDbStore::new(client(self.direct), TABLE).create_table().await?)
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
