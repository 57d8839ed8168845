//! Environments over one store, on one virtual clock.

use std::{
    future::Future,
    time::{Duration, SystemTime},
};

use fuseboard::{
    Breaker, BreakerRegistry, CallError, CircuitState, CircuitTransition, Config, ConfigBuilder,
    MemoryStore, RegistryBuilder, Transitions, VirtualClock, store::Record,
};
use futures::FutureExt as _;

use super::faulty::FaultyStore;

/// The circuit that most tests are about.
pub(crate) const NAME: &str = "payment-backend";

/// The wall time, in seconds since the Unix epoch, at which every test starts.
pub(crate) const START: i64 = 1_000_000;

/// Environments that share records. The clock follows tokio's, so a test with
/// paused time moves it with [`pass`].
pub(crate) struct Fleet {
    pub(crate) memory: MemoryStore,
    pub(crate) clock: VirtualClock,
    config: Config,
}

/// One environment: a registry and its own way to the shared records.
pub(crate) struct Environment {
    pub(crate) registry: BreakerRegistry,
    pub(crate) store: FaultyStore,
}

impl Fleet {
    /// Environments with default settings.
    pub(crate) fn new() -> Self {
        Self::with(|config| config)
    }

    /// Environments with settings of their own.
    pub(crate) fn with(settings: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Self {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(START.unsigned_abs());
        Self {
            memory: MemoryStore::new(),
            clock: VirtualClock::following_tokio(wall),
            config: settings(Config::builder()).build().unwrap(),
        }
    }

    /// One more environment.
    pub(crate) fn environment(&self) -> Environment {
        self.environment_with(|builder| builder)
    }

    /// One more environment, spawned in another way.
    pub(crate) fn environment_with(
        &self,
        spawn: impl FnOnce(RegistryBuilder) -> RegistryBuilder,
    ) -> Environment {
        let store = FaultyStore::over(&self.memory);
        let builder = BreakerRegistry::builder(store.clone())
            .config(self.config.clone())
            .clock(&self.clock)
            .disabled(false);
        Environment { registry: spawn(builder).spawn().unwrap(), store }
    }

    /// The shared record of the circuit.
    pub(crate) fn record(&self) -> Record {
        self.memory.record(NAME).unwrap()
    }

    /// The state that the shared record shows.
    pub(crate) fn stored_state(&self) -> Option<CircuitState> {
        self.memory.record(NAME)?.state.valid().copied()
    }

    /// Replaces the shared record of the circuit.
    pub(crate) fn write(&self, record: Option<Record>) {
        self.memory.set_record(fuseboard::CircuitName::new(NAME).unwrap(), record);
    }
}

impl Environment {
    pub(crate) fn breaker(&self) -> Breaker {
        self.registry.breaker(NAME).unwrap()
    }
}

/// Lets so much virtual time pass, and everything run that is due in it.
pub(crate) async fn pass(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// Lets everything run that is due now.
pub(crate) async fn settle() {
    pass(0.001).await;
}

/// How much virtual time a future takes.
pub(crate) async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    #[expect(clippy::disallowed_methods, reason = "virtual time")]
    let start = tokio::time::Instant::now();
    let value = future.await;
    (value, start.elapsed())
}

/// A call that succeeds, if it is admitted.
pub(crate) async fn succeed(breaker: &Breaker) -> Result<u32, CallError<&'static str>> {
    breaker.call(|| async { Ok(42) }).await
}

/// A call that fails, if it is admitted.
pub(crate) async fn fail(breaker: &Breaker) -> Result<u32, CallError<&'static str>> {
    breaker.call(|| async { Err("down") }).await
}

/// Fails until the circuit is open.
pub(crate) async fn trip(breaker: &Breaker) {
    for _ in 0..5 {
        assert_eq!(fail(breaker).await, Err(CallError::Inner("down")));
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
}

/// The transitions that were broadcast so far.
pub(crate) fn heard(transitions: &mut Transitions) -> Vec<CircuitTransition> {
    let mut heard = Vec::new();
    while let Some(Some(received)) = transitions.recv().now_or_never() {
        heard.push(received.unwrap());
    }
    heard
}

/// The states that the transitions so far went to.
pub(crate) fn states(transitions: &mut Transitions) -> Vec<CircuitState> {
    heard(transitions).into_iter().map(|transition| transition.to_state).collect()
}

/// Probes until the circuit is closed, from when its recovery is due.
pub(crate) async fn recover(breaker: &Breaker) {
    for _ in 0..3 {
        assert_eq!(succeed(breaker).await, Ok(42));
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
}

/// Whether a call was rejected without being run.
pub(crate) fn is_rejected<T>(result: &Result<T, CallError<&'static str>>) -> bool {
    matches!(result, Err(CallError::Open(_)))
}
