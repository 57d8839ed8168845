//! Circuits in every state, which stay in it for as long as the benchmark runs.

use std::{error::Error, thread, time::Duration};

use fuseboard::{
    Breaker, BreakerRegistry, CircuitState, Config, ConfigBuilder, MemoryStore, OwnedPermit,
};
use tokio::runtime::Runtime;

const DAY: Duration = Duration::from_secs(86_400);

/// The circuits, and what keeps them.
pub(crate) struct World {
    pub(crate) closed: Breaker,
    pub(crate) open: Breaker,
    pub(crate) half_open: Breaker,
    /// Fails and is not tripped by it.
    pub(crate) failing: Breaker,
    /// Has failed once.
    pub(crate) watched: Breaker,
    pub(crate) flaky: Breaker,
    /// Trips at the first failure.
    pub(crate) tripping: Breaker,
    pub(crate) registry: BreakerRegistry,
    pub(crate) runtime: Runtime,
    /// Keeps the half-open circuit half-open.
    _probe: OwnedPermit,
}

impl World {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let entered = runtime.enter();
        let registry = BreakerRegistry::builder(MemoryStore::new()).disabled(false).spawn()?;
        drop(entered);
        let circuit = |name: &str, config: ConfigBuilder| {
            let breaker = registry.breaker_with(name, config.local_cache_max_age(DAY).build()?)?;
            // What is known of it is fresh from here on.
            let permit = runtime.block_on(breaker.admit())?;
            runtime.block_on(permit.success().settled());
            Ok::<_, Box<dyn Error>>(breaker)
        };
        let tripping = Config::builder().failure_threshold(1).recovery_timeout(DAY);
        let open = circuit("open", tripping.clone())?;
        runtime.block_on(open.admit())?.failure();
        wait_for(&open, CircuitState::Open);
        let soon = Config::builder().failure_threshold(1).recovery_timeout(Duration::from_secs(1));
        let half_open = circuit("half-open", soon.probe_lease(DAY))?;
        runtime.block_on(half_open.admit())?.failure();
        let probe = loop {
            match runtime.block_on(half_open.admit_owned()) {
                Ok(permit) if permit.is_probe() => break permit,
                Ok(_) | Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        };
        let patient = Config::builder().failure_threshold(u32::MAX);
        Ok(Self {
            closed: circuit("closed", Config::builder())?,
            failing: circuit("failing", patient.clone())?,
            watched: circuit("watched", patient.clone())?,
            flaky: circuit("flaky", patient)?,
            tripping: circuit("tripping", tripping)?,
            open,
            half_open,
            _probe: probe,
            registry,
            runtime,
        })
    }

    /// Closes a circuit that was tripped, and makes what is known of it fresh.
    pub(crate) async fn close(&self, breaker: &Breaker) {
        while breaker.release().await.is_err() {}
        if let Ok(permit) = breaker.admit().await {
            permit.success().settled().await;
        }
    }
}

fn wait_for(breaker: &Breaker, state: CircuitState) {
    while breaker.snapshot().state() != state {
        thread::sleep(Duration::from_millis(1));
    }
}
