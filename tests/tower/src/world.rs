//! A circuit whose clock the test moves.

use std::time::{Duration, SystemTime};

use fuseboard::{Breaker, BreakerRegistry, CircuitState, Config, MemoryStore, VirtualClock};

/// One process, or more on one store.
pub(crate) struct World {
    pub(crate) clock: VirtualClock,
    pub(crate) store: MemoryStore,
    pub(crate) registry: BreakerRegistry,
    pub(crate) breaker: Breaker,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let clock = VirtualClock::standing_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
        let store = MemoryStore::new();
        let registry = process(&store, &clock, config);
        let breaker = registry.breaker("dependency").unwrap();
        Self { clock, store, registry, breaker }
    }

    /// The breaker of another process.
    pub(crate) fn other(&self) -> (BreakerRegistry, Breaker) {
        let registry = process(&self.store, &self.clock, Config::default());
        let breaker = registry.breaker("dependency").unwrap();
        (registry, breaker)
    }

    /// A circuit that was read, and admits at once.
    pub(crate) async fn closed() -> Self {
        let world = Self::new();
        world.breaker.admit().await.unwrap().success();
        world
    }

    pub(crate) async fn open() -> Self {
        let world = Self::new();
        for _ in 0..5 {
            world.breaker.admit().await.unwrap().failure().settled().await;
        }
        assert_eq!(world.state(), CircuitState::Open);
        world
    }

    /// A circuit whose next call is a probe.
    pub(crate) async fn due() -> Self {
        let world = Self::open().await;
        world.clock.advance(Duration::from_secs(31));
        world
    }

    pub(crate) fn state(&self) -> CircuitState {
        self.breaker.state()
    }

    /// Waits for what reports by hand have caused.
    pub(crate) async fn flush(&self) {
        self.registry.flush(Duration::from_secs(1)).await.unwrap();
    }

    /// How many failures in a row it takes still to trip the circuit, by having them.
    pub(crate) async fn failures_to_trip(&self) -> u32 {
        let mut failures = 0;
        while self.state() == CircuitState::Closed {
            self.breaker.admit().await.unwrap().failure().settled().await;
            failures += 1;
        }
        failures
    }
}

fn process(store: &MemoryStore, clock: &VirtualClock, config: Config) -> BreakerRegistry {
    BreakerRegistry::builder(store.clone())
        .config(config)
        .clock(clock)
        .disabled(false)
        .spawn()
        .unwrap()
}
