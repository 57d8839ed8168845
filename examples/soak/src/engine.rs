//! A DynamoDB engine in a process of its own, behind one relay for each registry,
//! so that what this process allocates and runs is the registries' and the load's.

pub(crate) mod line;
pub(crate) mod server;

use std::{
    error::Error,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio},
    sync::Arc,
};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
};
use fuseboard::DynamoDbStore;
use tokio::sync::mpsc;

use self::line::{Command, Counted, Word};
use crate::{ledger::Ledger, meter, plan::Plan};

const TABLE: &str = "CircuitBreakerState";

/// The engine, and the line to it.
pub(crate) struct Engine {
    process: Child,
    orders: Option<ChildStdin>,
    ports: Vec<u16>,
    /// What it says, but for the writes, which go to the ledger at once.
    words: mpsc::UnboundedReceiver<Word>,
}

impl Engine {
    /// Starts it: this executable once more. It ends with this process.
    pub(crate) fn start(plan: &Plan, ledger: &Arc<Ledger>) -> Result<Self, Box<dyn Error>> {
        let mut process = Process::new(std::env::current_exe()?)
            .arg("--engine")
            .args(["--seed", &plan.seed.to_string()])
            .args(["--duration", &plan.duration.as_secs().to_string()])
            .args(["--registries", &plan.registries.to_string()])
            .args(["--circuits", &plan.circuits.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = process.stdin.take();
        let said = process.stdout.take().ok_or("the engine has no output")?;
        let (words, heard) = mpsc::unbounded_channel();
        let ledger = Arc::clone(ledger);
        std::thread::spawn(move || listen(said, &ledger, &words));
        let mut engine = Self { process, orders, ports: Vec::new(), words: heard };
        match engine.words.blocking_recv() {
            Some(Word::Ready { ports }) => engine.ports = ports,
            word => return Err(format!("the engine did not start, but said {word:?}").into()),
        }
        Ok(engine)
    }

    /// Tells it what to do.
    pub(crate) fn order(&mut self, command: &Command) {
        if let Some(orders) = &mut self.orders {
            line::write(orders, command);
        }
    }

    /// What has passed the relays. Every write of before is in the ledger then.
    pub(crate) async fn counted(&mut self) -> Result<Counted, Box<dyn Error>> {
        self.order(&Command::Count);
        match self.words.recv().await {
            Some(Word::Counted(counted)) => Ok(counted),
            word => Err(format!("the engine did not count, but said {word:?}").into()),
        }
    }

    /// The store of a registry: a client of its own, through its own relay.
    pub(crate) fn store(&self, registry: usize) -> DynamoDbStore {
        let port = self.ports.get(registry).copied().unwrap_or_default();
        DynamoDbStore::new(client(port), TABLE)
    }

    /// Resident memory of engine and relays.
    pub(crate) fn resident(&self) -> u64 {
        meter::resident(self.process.id())
    }

    /// Stops it, and says how many of its tasks are left.
    pub(crate) fn stop(mut self) -> Result<usize, Box<dyn Error>> {
        drop(self.orders.take());
        let last = self.words.blocking_recv();
        let status = self.process.wait()?;
        match last {
            Some(Word::Stopped { tasks }) if status.success() => Ok(tasks),
            word => Err(format!("the engine ended with {status}, after {word:?}").into()),
        }
    }
}

fn listen(said: ChildStdout, ledger: &Ledger, words: &mpsc::UnboundedSender<Word>) {
    for line in BufReader::new(said).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(Word::Wrote { registry, circuit, write, delivered }) => {
                ledger.wrote(registry, &circuit, write, delivered);
            }
            Ok(word) => {
                if words.send(word).is_err() {
                    return;
                }
            }
            // Whoever waits hears that there is nothing more.
            Err(_) => return,
        }
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
