//! New settings for circuits that run.

use std::sync::Arc;

use super::{BreakerRegistry, Circuits};
use crate::{
    config::{Config, Settings},
    error::ConfigError,
    name::CircuitName,
    runtime::circuit::Circuit,
};

/// What [`BreakerRegistry::reconfigure`] has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconfigured {
    /// The circuits whose settings have changed, sorted by name.
    pub changed: Vec<CircuitName>,
    /// The circuits that keep the settings that [`breaker_with`](BreakerRegistry::breaker_with) gave
    /// them, sorted by name.
    pub kept: Vec<CircuitName>,
}

impl BreakerRegistry {
    /// Gives all circuits of this registry new settings, while calls run: those that it has, with all
    /// their breakers, and those that it makes from now on.
    ///
    /// No circuit changes its state by it, no permit is lost, and no failure that was counted. A
    /// circuit whose settings stay the same does not notice. From when a setting holds:
    ///
    /// | setting | holds |
    /// |---|---|
    /// | `failure_threshold`, `failure_window`, `also_trip` | at the next failure, which counts with those that stand |
    /// | `success_threshold` | at the next good probe |
    /// | `recovery_timeout`, `open_backoff`, `open_for_at_most`, `local_cache_max_age`, `max_clock_skew`, `on_store_outage` | at once: an opening lasts from its stamp for as long as the new settings say |
    /// | `probe_lease`, `probe_limit`, `handoff`, `election_spread` | at once; while this process holds the right to probe, from when it no longer does |
    /// | `store_timeout` | for the next store operation |
    /// | `await_trip_write`, `count_cancelled` | at once, for calls that run as well |
    /// | `slow_after` | for calls that begin. A call that runs keeps the time that it began with; one that began without may be judged by the new time, counted from when it is next polled |
    /// | `ramp` | at once for its length; a circuit that has closed already begins none |
    ///
    /// A circuit that was asked for by [`breaker_with`](Self::breaker_with) keeps the settings that it
    /// was given. Processes of a fleet need not change at the same moment, though each judges by its
    /// own settings meanwhile.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] with the path of a setting that a running circuit cannot change, which is
    /// [`dry_run`](crate::ConfigBuilder::dry_run) alone. Then nothing has changed, for any circuit.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, CircuitState, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// use fuseboard::{Config, Settings};
    ///
    /// let payments = registry.breaker("payments")?;
    /// for _ in 0..4 {
    ///     payments.admit().await?.failure();
    /// }
    /// let settings = Settings::builder().circuit("pay*", |config| config.failure_threshold(3));
    /// let done = registry.reconfigure(&settings.build()?)?;
    /// assert_eq!(done.changed.len(), 1);
    ///
    /// assert_eq!(payments.state(), CircuitState::Closed);
    /// payments.admit().await?.failure().settled().await;
    /// assert_eq!(payments.state(), CircuitState::Open);
    /// # Ok(()) }
    /// ```
    pub fn reconfigure(&self, settings: &Settings) -> Result<Reconfigured, ConfigError> {
        let is_shared = self.inner.environment.store.is_shared();
        let settings = settings.clone().map(|config| config.for_store(is_shared));
        let mut circuits = self.inner.circuits();
        let Circuits { running, own, settings: in_force, .. } = &mut *circuits;
        let mut done = Reconfigured::default();
        let mut changes: Vec<(&Arc<Circuit>, Arc<Config>)> = Vec::new();
        for (name, circuit) in running.iter() {
            let config = settings.shared(name.as_str());
            if own.contains(name) {
                done.kept.push(name.clone());
            } else if circuit.is_dry_run() != config.dry_run() {
                let requirement = "cannot change while a circuit of it runs";
                let refused = ConfigError::new("dry_run", config.dry_run(), requirement);
                return Err(refused.within(&settings.part_of(name.as_str())));
            } else if config.votes().is_some() && !self.has_room_for_votes(name, config) {
                let requirement = "leaves no room in the key for the votes of this circuit";
                let refused = ConfigError::new("also_trip", name, requirement);
                return Err(refused.within(&settings.part_of(name.as_str())));
            } else if **circuit.config() != **config {
                done.changed.push(name.clone());
                changes.push((circuit, Arc::clone(config)));
            }
        }
        // Nothing is refused from here on.
        for (circuit, config) in changes {
            circuit.reconfigure(config);
        }
        *in_force = settings.clone();
        // A subscriber of the log is code of others: not under the lock.
        drop(circuits);
        settings.configs().for_each(|config| self.inner.warn_of_a_short_window(config));
        done.changed.sort();
        done.kept.sort();
        Ok(done)
    }

    fn has_room_for_votes(&self, name: &CircuitName, config: &Config) -> bool {
        let key = self.inner.environment.prefix.key(name, config.dry_run());
        key.is_ok_and(|key| key.check_with_votes().is_ok())
    }
}
