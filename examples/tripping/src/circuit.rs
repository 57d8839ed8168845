//! A circuit of one process, on a clock that the simulation moves.

use std::{
    io,
    time::{Duration, SystemTime},
};

use fuseboard::{Breaker, BreakerRegistry, CircuitState, Config, MemoryStore, VirtualClock};
use futures::FutureExt as _;
use tokio::runtime::{Builder, Runtime};

/// Some time: what the item of a circuit counts are seconds since 1970.
fn start() -> SystemTime {
    let later = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(1_000_000));
    later.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Good,
    Failed,
    Rejected,
}

/// A circuit, and what its calls ran into.
#[derive(Debug)]
pub(crate) struct Circuit {
    runtime: Runtime,
    clock: VirtualClock,
    breaker: Breaker,
    /// Actors live as long as their registry.
    _registry: BreakerRegistry,
}

impl Circuit {
    pub(crate) fn new(config: &Config) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let clock = VirtualClock::standing_at(start());
        let registry = runtime.block_on(async {
            let builder = BreakerRegistry::builder(MemoryStore::new()).config(config.clone());
            builder.clock(&clock).disabled(false).jitter_seed(0).spawn()
        });
        let registry = registry.map_err(io::Error::other)?;
        let breaker = registry.breaker("dependency").map_err(io::Error::other)?;
        Ok(Self { runtime, clock, breaker, _registry: registry })
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Makes one call, which ends at once.
    pub(crate) fn call(&self, is_good: bool) -> Ending {
        // A healthy call waits for nobody: entering the runtime for each would take most of the
        // time of a day of traffic.
        let admitted = self.breaker.admit().now_or_never();
        let admitted = admitted.unwrap_or_else(|| self.runtime.block_on(self.breaker.admit()));
        let Ok(permit) = admitted else {
            return Ending::Rejected;
        };
        if permit.is_probe() || !is_good {
            let settling = if is_good { permit.success() } else { permit.failure() };
            self.runtime.block_on(settling.settled());
        } else {
            permit.success();
        }
        if is_good { Ending::Good } else { Ending::Failed }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.breaker.snapshot().state() != CircuitState::Closed
    }
}
