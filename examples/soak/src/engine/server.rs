//! The process that serves: a DynamoDB engine behind one relay for each registry.
//! It does what its standard input says until that ends.

use std::{
    error::Error,
    io::{self, BufRead as _},
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, SystemTime},
};

use fuseboard::DynamoDbStore;
use serde_json::json;
use tokio::{net::TcpListener, runtime::Runtime, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    TABLE, client,
    line::{Command, Word, say},
};
use crate::{
    plan::Plan,
    relay::{Relay, Traffic},
    stopwatch::Stopwatch,
    weather::Weather,
};

/// Engine and relays.
struct Server {
    runtime: Runtime,
    tasks: JoinSet<Result<(), String>>,
    stop: CancellationToken,
    database: dynoxide::Database,
    traffic: Arc<Traffic>,
    weather: Arc<Weather>,
    stopwatch: Stopwatch,
    /// How often all connections were parted.
    parted: watch::Sender<u64>,
}

/// Serves until the standard input ends.
pub(crate) fn serve(plan: &Plan) -> Result<(), Box<dyn Error>> {
    let (server, ports) = Server::start(plan)?;
    say(&Word::Ready { ports });
    for line in io::stdin().lock().lines() {
        server.obey(serde_json::from_str(&line?)?);
    }
    let tasks = server.stop()?;
    say(&Word::Stopped { tasks });
    Ok(())
}

impl Server {
    fn start(plan: &Plan) -> Result<(Self, Vec<u16>), Box<dyn Error>> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let stopwatch = Stopwatch::started();
        let server = Self {
            runtime,
            tasks: JoinSet::new(),
            stop: CancellationToken::new(),
            database: dynoxide::Database::memory()?,
            traffic: Arc::default(),
            weather: Arc::new(Weather::new(plan, stopwatch.clone())),
            stopwatch,
            parted: watch::Sender::new(0),
        };
        server.open(plan)
    }

    /// The table, and everyone who listens.
    fn open(mut self, plan: &Plan) -> Result<(Self, Vec<u16>), Box<dyn Error>> {
        let handle = self.runtime.handle().clone();
        let ports = handle.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let engine = listener.local_addr()?;
            let stopped = self.stop.clone().cancelled_owned();
            let database = self.database.clone();
            self.tasks.spawn(dynoxide::server::serve_with_shutdown(listener, database, stopped));
            DynamoDbStore::new(client(engine.port()), TABLE).create_table().await?;
            self.fill(plan)?;
            let mut ports = Vec::new();
            for registry in 0..plan.registries {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                ports.push(listener.local_addr()?.port());
                let relay = Relay {
                    registry,
                    engine,
                    weather: Arc::clone(&self.weather),
                    traffic: Arc::clone(&self.traffic),
                    parted: self.parted.subscribe(),
                    requests: AtomicU64::new(0),
                };
                let stop = self.stop.clone();
                self.tasks.spawn(async move {
                    relay.serve(listener, stop).await;
                    Ok(())
                });
            }
            Ok::<_, Box<dyn Error>>(ports)
        })?;
        Ok((self, ports))
    }

    /// An item of each circuit, as an earlier recovery left it.
    fn fill(&self, plan: &Plan) -> Result<(), Box<dyn Error>> {
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

    fn obey(&self, command: Command) {
        match command {
            Command::Begin { phase, since_epoch } => {
                let began = SystemTime::UNIX_EPOCH.checked_add(since_epoch);
                let ago = began.and_then(|began| began.elapsed().ok()).unwrap_or_default();
                self.weather.begin(phase, self.stopwatch.now().saturating_sub(ago));
            }
            Command::Calm => self.weather.clear(),
            Command::Part => self.parted.send_modify(|times| *times = times.wrapping_add(1)),
            Command::Count => say(&Word::Counted(self.traffic.counted())),
        }
    }

    /// Stops both, and says how many tasks are left.
    fn stop(mut self) -> Result<usize, Box<dyn Error>> {
        self.stop.cancel();
        let handle = self.runtime.handle().clone();
        handle.block_on(async {
            while let Some(ended) = self.tasks.join_next().await {
                ended??;
            }
            Ok::<_, Box<dyn Error>>(())
        })?;
        let left = || self.runtime.metrics().num_alive_tasks();
        for _ in 0..200 {
            if left() == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(left())
    }
}
