//! One table and one clock for both implementations.

use std::{
    env,
    io::{self, Write},
    path::Path,
    time::{Duration, SystemTime},
};

use fuseboard::{
    CircuitName, Config, ConfigBuilder, DynamoDbStore, VirtualClock,
    store::{Consistency, Store as _},
};
use serde_json::{Value, json};

use super::{
    older::Older,
    player::{Player, Process},
    python::Python,
    rust::Rust,
};
use crate::support::{
    dynamodb::START,
    engine::{Engine, HttpServer, TABLE},
};

/// Names a Python that has the reference.
const PYTHON: &str = "FUSEBOARD_PYTHON";

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) clock: VirtualClock,
    server: HttpServer,
    interpreter: String,
    names: Value,
    success_threshold: u32,
}

impl World {
    /// A table with the reference's names; `None`, and a reason, where there is
    /// no reference.
    pub(super) async fn open() -> Option<Self> {
        Self::with_key(&["id"], json!({})).await
    }

    /// A table with other names, by the reference's words for them.
    pub(super) async fn with_key(key: &[&str], names: Value) -> Option<Self> {
        let Ok(interpreter) = env::var(PYTHON) else {
            let reason = format!("skipped: {PYTHON} names no Python with the reference");
            // Past the capture of output: a test that did nothing is to be seen.
            let _ = writeln!(io::stderr(), "{reason}");
            return None;
        };
        Some(Self { interpreter, ..Self::of_this_crate(key, names).await })
    }

    /// A table for versions of this crate alone.
    pub(super) async fn of_this_crate(key: &[&str], names: Value) -> Self {
        let engine = Engine::empty();
        engine.create_table(TABLE, key);
        let server = engine.serve_http().await;
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(START.unsigned_abs());
        let clock = VirtualClock::standing_at(start);
        let interpreter = String::new();
        Self { engine, clock, server, interpreter, names, success_threshold: 3 }
    }

    pub(super) fn success_threshold(mut self, successes: u32) -> Self {
        self.success_threshold = successes;
        self
    }

    /// A process of this crate and one of the reference.
    pub(super) async fn players(&self) -> (Player, Player) {
        (self.rust(), self.python().await)
    }

    /// A process of this crate.
    pub(super) fn rust(&self) -> Player {
        self.rust_with(|config| config)
    }

    /// A process of this crate with more settings.
    pub(super) fn rust_with(&self, set: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Player {
        // Step by step, so without spread.
        let config = Config::builder().election_spread(Duration::ZERO);
        let config = config.success_threshold(self.success_threshold);
        // What is slow to answer here is a machine with other work: no lease is longer
        // for it than one of the reference.
        let config = config.probe_lease(Duration::from_secs(30));
        let config = set(config.store_timeout(Duration::from_secs(30))).build().unwrap();
        let rust = Rust::new(self.store(), config, &self.clock);
        Player { process: Process::Rust(rust), clock: self.clock.clone() }
    }

    /// A process of the reference.
    pub(super) async fn python(&self) -> Player {
        let told = json!({
            "endpoint": self.server.endpoint(),
            "table": TABLE,
            "names": self.names,
            "settings": {"success_threshold": self.success_threshold},
        });
        let python = Python::start(&self.interpreter, &told).await;
        Player { process: Process::Python(Box::new(python)), clock: self.clock.clone() }
    }

    /// A process of an older version, from the folder that it was built to.
    pub(super) async fn older(&self, folder: &Path) -> Player {
        let older = Older::start(folder, self.server.endpoint(), seconds(&self.clock)).await;
        Player { process: Process::Older(Box::new(older)), clock: self.clock.clone() }
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The item of a circuit without its key, in short form.
    pub(super) fn item(&self, circuit: &str) -> Value {
        self.engine.get_item(circuit).unwrap()
    }

    /// When the next probe is due, as the record tells people who look.
    pub(super) async fn next_probe_at(&self, circuit: &str) -> Option<i64> {
        let circuit = CircuitName::new(circuit).unwrap();
        let record = self.store().read(&circuit, Consistency::Strong).await.unwrap();
        record.unwrap().next_probe_at()
    }

    fn store(&self) -> DynamoDbStore {
        let limit = Duration::from_secs(30);
        let mut store = DynamoDbStore::builder(self.server.client(), TABLE)
            .operation_timeout(limit)
            // The server's clock is not the one that the test moves.
            .server_time(false);
        for (word, name) in self.names.as_object().unwrap() {
            let name = name.as_str().unwrap();
            store = match word.as_str() {
                "key_attr" => store.key_attr(name),
                "sort_key_attr" => store.sort_key_attr(name),
                "static_pk_value" => store.static_pk_value(name),
                "state_attr" => store.state_attr(name),
                "failure_count_attr" => store.failure_count_attr(name),
                "opened_at_attr" => store.opened_at_attr(name),
                "half_open_owner_attr" => store.half_open_owner_attr(name),
                "probe_lease_expiry_attr" => store.probe_lease_expiry_attr(name),
                "expiry_attr" => store.expiry_attr(name),
                _ => panic!("the reference has no {word}"),
            };
        }
        store.build().unwrap()
    }
}

/// What the clock shows, as the reference reads it.
pub(super) fn seconds(clock: &VirtualClock) -> i64 {
    let since = clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}
