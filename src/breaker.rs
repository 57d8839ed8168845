//! The user's handle to one circuit.

// In the order in which the documentation is to list their methods.
mod calling;

mod admitting;

mod operator;

mod classified;
mod refreshing;
mod rejection;
mod running;
#[cfg(feature = "tower")]
mod service;

use std::sync::Arc;

#[cfg(feature = "tower")]
pub(crate) use self::service::{Asked, Shared};
pub use self::{classified::ClassifiedBreaker, refreshing::RefreshError, rejection::Rejection};
use crate::{
    config::Config,
    name::CircuitName,
    runtime::circuit::{Circuit, Handle},
    snapshot::Snapshot,
    state::CircuitState,
};

/// A handle to one circuit. Get it from
/// [`BreakerRegistry::breaker`](crate::BreakerRegistry::breaker), keep it, and
/// clone it into whatever calls the dependency.
///
/// On a closed circuit that was read within `local_cache_max_age` a call costs a
/// few nanoseconds: nothing is sent, nothing is awaited and nothing is allocated.
/// The first call, and one after a longer pause, waits for a read of the store.
///
/// - [`call`](Self::call) runs a call, [`call_within`](Self::call_within) with a limit.
/// - [`call_or_else`](Self::call_or_else) has a fallback for a rejection, and
///   [`call_or_recover`](Self::call_or_recover) for a failed call too.
/// - [`classified_by`](Self::classified_by) says which results are failures.
/// - [`admit`](Self::admit) gives a permit: for a call whose outcome is reported by hand, and for
///   one whose input must outlive a rejection.
/// - [`hold`](Self::hold) and [`release`](Self::release) are for operators.
///
/// A circuit without handles is forgotten; its failures are kept for `recovery_timeout` after the
/// last call, or for as long as a rule counts them if that is longer. A breaker whose registry has ended, or
/// whose runtime is shutting down, decides by the last state that it knew until that
/// is older than `local_cache_max_age`. From then on every call runs.
#[derive(Clone, Debug)]
pub struct Breaker {
    circuit: Handle,
}

impl Breaker {
    pub(crate) fn new(circuit: Arc<Circuit>) -> Self {
        Self { circuit: Handle::new(circuit) }
    }

    /// Returns the circuit as this process last saw it. It may be outdated:
    /// neither the store nor the actor is asked.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// assert_eq!(payments.snapshot().state().to_string(), "CLOSED");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.circuit.snapshot.load_full()
    }

    /// Returns the number of calls of this process that would have been rejected if the circuit were
    /// not in a [dry run](crate::ConfigBuilder::dry_run). Zero for a circuit that is enforced.
    #[must_use]
    pub fn would_have_rejected(&self) -> u64 {
        self.circuit.would_have_rejected()
    }

    /// Returns the state as this process last saw it, without the rest of
    /// [`snapshot`](Self::snapshot): one load. It may be outdated.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, CircuitState, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// assert_eq!(payments.state(), CircuitState::Closed);
    /// for _ in 0..5 {
    ///     payments.admit().await?.failure().settled().await;
    /// }
    /// assert_eq!(payments.state(), CircuitState::Open);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn state(&self) -> CircuitState {
        self.circuit.gate.state()
    }

    /// Returns the settings that the circuit has now: those that
    /// [`reconfigure`](crate::BreakerRegistry::reconfigure) gave it last. Of these a few hold from a
    /// little later on, as is said there.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// // On a page for people:
    /// for (setting, value) in payments.config().values() {
    ///     println!("{setting}: {value}");
    /// }
    /// # assert_eq!(payments.config().failure_threshold().get(), 5);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.circuit.config())
    }

    /// Returns the circuit's name.
    #[must_use]
    pub fn name(&self) -> &CircuitName {
        &self.circuit.name
    }
}
