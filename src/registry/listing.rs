//! Lists the circuits of a process.

use std::sync::Arc;

use super::BreakerRegistry;
use crate::{name::CircuitName, runtime::circuit::Circuit, snapshot::Snapshot};

impl BreakerRegistry {
    /// Returns what this process knows of each of its circuits, sorted by name: those that have
    /// a breaker, and those that were called recently. Reads nothing; a circuit that only other
    /// processes use is not among them. A disabled registry has none.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// let _breakers = [registry.breaker("payments")?, registry.breaker("invoices")?];
    /// for (name, snapshot) in registry.circuits() {
    ///     println!("{name} is {}, down since {:?}", snapshot.state(), snapshot.down_since());
    /// }
    /// # let names: Vec<_> = registry.circuits().into_iter().map(|(name, _)| name).collect();
    /// # assert!(names.iter().map(|name| name.as_str()).eq(["invoices", "payments"]));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn circuits(&self) -> Vec<(CircuitName, Arc<Snapshot>)> {
        let circuits: Vec<_> = self.inner.circuits().running.values().cloned().collect();
        let shown = |circuit: &Arc<Circuit>| (circuit.name.clone(), circuit.snapshot.load_full());
        let mut shown: Vec<_> = circuits.iter().map(shown).collect();
        shown.sort_by(|(one, _), (other, _)| one.cmp(other));
        shown
    }

    /// Returns the number of circuits that [`circuits`](Self::circuits) lists.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.circuits().running.len()
    }

    /// Returns `true` if [`circuits`](Self::circuits) lists none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
