//! Environments that share one circuit through one engine, on one clock.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    time::{Duration, SystemTime},
};

use fuseboard::{
    Breaker, BreakerRegistry, CallError, CircuitState, CircuitTransition, Clock, Config,
    ConfigBuilder, OpenError, Origin, Transitions, VirtualClock, store::Store,
};
use futures::FutureExt;

use super::{engine::Engine, jitter};

/// The circuit that most tests are about.
pub(crate) const CIRCUIT: &str = "payment-backend";

/// The wall clock at the start of every test, in seconds since the Unix epoch.
pub(crate) const START: i64 = 1_000_000;

/// One engine and one clock; the clock follows tokio's, which tests pause.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) clock: VirtualClock,
    environments: Cell<u64>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(START.unsigned_abs());
        let clock = VirtualClock::following_tokio(start);
        Self { engine: Engine::new().await, clock, environments: Cell::new(0) }
    }

    /// An environment with default settings.
    pub(crate) fn environment(&self, label: &str) -> Environment {
        self.environment_with(label, |config| config)
    }

    /// An environment with some settings changed; without spread, unless they say so.
    pub(crate) fn environment_with(
        &self,
        label: &str,
        change: impl FnOnce(ConfigBuilder) -> ConfigBuilder,
    ) -> Environment {
        let config = change(Config::builder().election_spread(Duration::ZERO)).build().unwrap();
        self.environment_over(self.engine.store(label), config)
    }

    /// An environment over a store of its own.
    pub(crate) fn environment_over(&self, store: impl Store, config: Config) -> Environment {
        self.environments.set(self.environments.get() + 1);
        let registry = BreakerRegistry::builder(store)
            .jitter_seed(jitter::seed(self.environments.get()))
            .config(config)
            .clock(Clock::from(&self.clock))
            .disabled(false)
            .spawn()
            .unwrap();
        Environment::of(registry)
    }

    /// The item of the circuit, without its key, in short form.
    pub(crate) fn item(&self) -> Option<serde_json::Value> {
        self.engine.get_item(CIRCUIT)
    }

    /// One attribute of the item; `null` if it or the item is missing.
    pub(crate) fn attribute(&self, name: &str) -> serde_json::Value {
        self.item().map_or(serde_json::Value::Null, |item| item[name].clone())
    }
}

/// Time passes, for everyone.
pub(crate) async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// What became of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Ok,
    Failed,
    Rejected(OpenError),
}

impl Call {
    pub(crate) fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected(_))
    }
}

/// One registry, as one process would have it.
pub(crate) struct Environment {
    pub(crate) registry: BreakerRegistry,
    pub(crate) breaker: Breaker,
    transitions: RefCell<Transitions>,
}

impl Environment {
    /// What a registry makes of [`CIRCUIT`].
    pub(crate) fn of(registry: BreakerRegistry) -> Self {
        let transitions = RefCell::new(registry.subscribe());
        let breaker = registry.breaker(CIRCUIT).unwrap();
        Self { registry, breaker, transitions }
    }

    /// A call that succeeds, if it runs.
    pub(crate) async fn ok(&self) -> Call {
        self.call(async { Ok(()) }).await
    }

    /// A call that fails, if it runs.
    pub(crate) async fn fail(&self) -> Call {
        self.call(async { Err("down") }).await
    }

    pub(crate) async fn call(&self, call: impl Future<Output = Result<(), &'static str>>) -> Call {
        match self.breaker.call(|| call).await {
            Ok(()) => Call::Ok,
            Err(CallError::Inner(error)) => {
                assert_eq!(error, "down", "the caller gets its own error");
                Call::Failed
            }
            Err(CallError::Open(open)) => Call::Rejected(open),
        }
    }

    /// As many failures as trip a circuit with default settings.
    pub(crate) async fn trip(&self) {
        for _ in 0..5 {
            assert_eq!(self.fail().await, Call::Failed);
        }
    }

    pub(crate) fn state(&self) -> CircuitState {
        self.breaker.snapshot().state()
    }

    /// The transitions since the last time, whole.
    pub(crate) fn transitions(&self) -> Vec<CircuitTransition> {
        let mut transitions = self.transitions.borrow_mut();
        let mut heard = Vec::new();
        while let Some(Some(Ok(transition))) = transitions.recv().now_or_never() {
            heard.push(transition);
        }
        heard
    }

    /// The transitions since the last time, as text: `CLOSED>OPEN local`.
    pub(crate) fn heard(&self) -> Vec<String> {
        let origin = |origin| match origin {
            Origin::Local => "local",
            Origin::WithoutStore => "alone",
            Origin::Observed => "observed",
        };
        self.transitions()
            .iter()
            .map(|t| format!("{}>{} {}", t.from_state, t.to_state, origin(t.origin)))
            .collect()
    }
}
