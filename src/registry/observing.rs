//! Sets the gauges of a registry's circuits.

use std::{sync::Arc, time::SystemTime};

use super::BreakerRegistry;
use crate::{runtime::circuit::Circuit, runtime::metrics};

impl BreakerRegistry {
    /// Sets the gauges of all circuits of this process to what it knows now, and hands the
    /// counts of rejections and failures to the recorder: see
    /// [`guide::metrics`](crate::guide::metrics). Needs the feature `metrics`.
    ///
    /// Call it at each scrape, or before each export: a process without calls publishes nothing,
    /// and its gauges would keep the age and the state of its last call. It reads nothing: where
    /// the age that it shows is too old for you, [`refresh`](crate::Breaker::refresh) first.
    ///
    /// The gauges of a circuit that this process forgets are set to closed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # fn render() -> String { String::new() }
    /// // In the handler of `/metrics`:
    /// registry.observe();
    /// let text = render(); // the recorder's own
    /// # let _ = text;
    /// # Ok(()) }
    /// ```
    pub fn observe(&self) {
        let environment = &self.inner.environment;
        environment.observed.note();
        let now = environment.clock.now().wall();
        let now = SystemTime::UNIX_EPOCH.checked_add(now).unwrap_or(SystemTime::UNIX_EPOCH);
        let circuits: Vec<_> = self.inner.circuits().running.values().cloned().collect();
        for circuit in circuits {
            let shown = circuit.snapshot.load_full();
            circuit.counts.drain(&shown);
            metrics::observe(&shown, now);
            // Forgotten meanwhile, perhaps before we have set its gauges.
            if !self.is_running(&circuit) {
                environment.observed.forget(&circuit.label());
            }
        }
    }

    fn is_running(&self, circuit: &Arc<Circuit>) -> bool {
        let circuits = self.inner.circuits();
        let running = circuits.running.get(circuit.name.as_str());
        running.is_some_and(|running| Arc::ptr_eq(running, circuit))
    }
}
