//! New settings for circuits that run.

use std::sync::Arc;

use super::{BreakerRegistry, Circuits};
use crate::{
    config::{Config, Settings},
    error::ConfigError,
    name::CircuitName,
    runtime::{circuit::Circuit, log, metrics},
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
    /// The circuits that keep all their settings until the process is restarted, sorted by name: their
    /// [`dry_run`](crate::ConfigBuilder::dry_run) differs, which a circuit cannot change while it
    /// runs. What is meant for a dry run must not be enforced.
    pub needs_restart: Vec<CircuitName>,
}

/// A circuit and the settings that it is given.
struct Change {
    circuit: Arc<Circuit>,
    old: Arc<Config>,
    new: Arc<Config>,
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
    /// was given, and so does a circuit whose `dry_run` differs: see
    /// [`Reconfigured::needs_restart`]. Processes of a fleet need not change at the same moment,
    /// though each judges by its own settings meanwhile.
    ///
    /// Each setting that changes is logged at `info`, with its circuit and both values, and each
    /// circuit that needs a restart at `warn`. To follow a file, see
    /// [`settings_file`](crate::RegistryBuilder::settings_file).
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] with the path of a setting that a running circuit cannot have: a rule of
    /// votes, for a circuit whose name is so long that its votes have no key. Then nothing has
    /// changed, for any circuit.
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
        let given = self.follow_settings(settings);
        metrics::reconfigured(if given.is_ok() { "taken" } else { "refused" });
        given
    }

    /// Reconfigures without counting it.
    pub(super) fn follow_settings(&self, settings: &Settings) -> Result<Reconfigured, ConfigError> {
        let is_shared = self.inner.environment.store.is_shared();
        let settings = settings.clone().map(|config| config.for_store(is_shared));
        let (done, changes) = self.give(&settings)?;
        let instance = self.inner.environment.instance.as_deref();
        for Change { circuit, old, new } in &changes {
            for ((setting, old), (_, new)) in old.values().iter().zip(&new.values()) {
                if old != new {
                    log::setting_changed(&circuit.name, setting, old, new, instance);
                }
            }
        }
        for circuit in &done.needs_restart {
            log::needs_restart(circuit, instance);
        }
        settings.configs().for_each(|config| self.inner.warn_of_a_short_window(config));
        Ok(done)
    }

    /// Gives all circuits their settings, or none of them. Logs nothing: a subscriber of the log is
    /// code of others, and must not run under the lock.
    fn give(&self, settings: &Settings) -> Result<(Reconfigured, Vec<Change>), ConfigError> {
        let mut circuits = self.inner.circuits();
        let Circuits { running, own, settings: in_force, .. } = &mut *circuits;
        let mut done = Reconfigured::default();
        let mut changes = Vec::new();
        for (name, circuit) in running.iter() {
            let config = settings.shared(name.as_str());
            if own.contains(name) {
                done.kept.push(name.clone());
            } else if circuit.is_dry_run() != config.dry_run() {
                done.needs_restart.push(name.clone());
            } else if config.votes().is_some() && !self.has_room_for_votes(name, config) {
                let requirement = "leaves no room in the key for the votes of this circuit";
                let refused = ConfigError::new("also_trip", name, requirement);
                return Err(refused.within(&settings.part_of(name.as_str())));
            } else if **circuit.config() != **config {
                done.changed.push(name.clone());
                let (circuit, old) = (Arc::clone(circuit), Arc::clone(&circuit.config()));
                changes.push(Change { circuit, old, new: Arc::clone(config) });
            }
        }
        // Nothing is refused from here on.
        for Change { circuit, new, .. } in &changes {
            circuit.reconfigure(Arc::clone(new));
        }
        *in_force = settings.clone();
        drop(circuits);
        for names in [&mut done.changed, &mut done.kept, &mut done.needs_restart] {
            names.sort();
        }
        changes.sort_by(|one, other| one.circuit.name.cmp(&other.circuit.name));
        Ok((done, changes))
    }

    fn has_room_for_votes(&self, name: &CircuitName, config: &Config) -> bool {
        let key = self.inner.environment.prefix.key(name, config.dry_run());
        key.is_ok_and(|key| key.check_with_votes().is_ok())
    }
}
