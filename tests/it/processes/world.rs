//! One engine behind HTTP, and the processes over it.

use std::{
    future::Future,
    time::{Duration, SystemTime},
};

use futures::join;
use serde_json::{Value, json};

use super::{
    process::Process,
    relay::{Op, Relay},
    words::Settings,
};
use crate::support::{
    dynamodb::CIRCUIT,
    engine::{Engine, HttpServer},
};

/// The lease of a probe, here. Its end is a whole second, so that it may last
/// for one second more.
pub(super) const LEASE: Duration = Duration::from_secs(1);

/// Longer than any lease, cached reading or request.
const LONG: Duration = Duration::from_millis(2_500);

/// A freeze, for as long as a future takes, and never a short one.
pub(super) async fn for_long<T>(during: impl Future<Output = T>) -> T {
    join!(during, tokio::time::sleep(LONG)).0
}

/// What the system's clock shows, as items tell it.
#[expect(clippy::disallowed_methods, reason = "compared with what a process wrote")]
pub(super) fn unix_time() -> i64 {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(time.as_secs()).unwrap()
}

/// A table, served over HTTP.
pub(super) struct World {
    engine: Engine,
    server: HttpServer,
}

impl World {
    pub(super) async fn open() -> Self {
        let engine = Engine::new();
        let server = engine.serve_http().await;
        Self { engine, server }
    }

    /// Two processes.
    pub(super) async fn two(&self) -> (Process, Process) {
        join!(self.process("A"), self.process("B"))
    }

    /// A process with short times, which trips at the first failure and closes
    /// at the first good probe.
    pub(super) async fn process(&self, name: &'static str) -> Process {
        self.environment_with(name, |settings| settings).await
    }

    pub(super) async fn environment_with(
        &self,
        name: &'static str,
        change: impl FnOnce(Settings) -> Settings,
    ) -> Process {
        let endpoint = self.server.endpoint();
        let relay = Relay::to(endpoint.trim_start_matches("http://")).await;
        let settings = change(Settings {
            port: relay.port(),
            failure_threshold: 1,
            success_threshold: 1,
            recovery_timeout: Duration::from_secs(1),
            probe_lease: LEASE,
            max_clock_skew: Duration::ZERO,
            local_cache_max_age: Duration::from_secs(1),
            store_timeout: Duration::from_secs(1),
            slow_after: None,
        });
        Process::start(name, settings, relay).await
    }

    /// The circuit opened long ago: the next call is a probe.
    pub(super) fn put_due(&self) {
        let long_ago = json!({
            "state": "OPEN",
            "failure_count": 5,
            "opened_at": 1_000_000,
            "expiration": 1_003_630,
        });
        self.engine.put_item(CIRCUIT, &long_ago);
    }

    /// The item without its key, in short form.
    pub(super) fn item(&self) -> Value {
        self.engine.get_item(CIRCUIT).unwrap()
    }

    pub(super) fn attribute(&self, name: &str) -> Value {
        self.item()[name].clone()
    }
}

/// Checks that each announcement as a process's own stands for a write of
/// its own that was applied.
pub(super) fn announced_what_was_written(processes: &[&Process]) {
    for process in processes {
        let mut applied = process.relay.applied();
        for made in process.made() {
            let op = match made {
                "CLOSED>OPEN local" => Op::Trip,
                "OPEN>HALF_OPEN local" => Op::Elect,
                "HALF_OPEN>HALF_OPEN local" => Op::TakeOver,
                "HALF_OPEN>OPEN local" => Op::Reopen,
                "HALF_OPEN>CLOSED local" => Op::Close,
                _ => panic!("made without the store, which answered: {made}"),
            };
            let at = applied.iter().position(|applied| *applied == op);
            applied.remove(at.unwrap_or_else(|| panic!("announced, not written: {made}")));
        }
    }
}
