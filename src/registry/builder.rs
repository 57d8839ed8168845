//! The builder of a registry.

use std::{
    env, fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{runtime::Handle, sync::broadcast};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{BreakerRegistry, Inner, entropy::Jitter};
use crate::{
    clock::{self, Clock},
    config::Config,
    error::{ConfigError, SpawnError},
    runtime::actor::Environment,
    runtime::log,
    runtime::metrics,
    runtime::reachability::Reachability,
    store::ErasedStore,
};

/// The environment variable that disables every breaker of a process, as it does in the
/// reference.
pub const DISABLED_ENV: &str = "POWERTOOLS_CIRCUIT_BREAKER_DISABLED";

pub(super) const DEFAULT_TRANSITION_CAPACITY: usize = 1_024;
const MOST_TRANSITION_CAPACITY: usize = 1 << 20;

/// Builds and spawns a [`BreakerRegistry`].
#[must_use = "a builder does nothing until `spawn` is called"]
pub struct RegistryBuilder {
    pub(super) store: Arc<dyn ErasedStore>,
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) jitter: Jitter,
    pub(super) disabled: Option<bool>,
    pub(super) transition_capacity: usize,
}

impl RegistryBuilder {
    /// Sets the settings of circuits that have none of their own. Default:
    /// [`Config::default`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets the clock. Default: the clocks of the operating system.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Sets the seed of the jitter of back-offs and elections, for repeatable simulations on a
    /// runtime of one thread. Give each process a seed of its own: processes with the same
    /// seed retry at the same instant. Lease tokens and an SDK's own retries stay random.
    /// Default: random numbers of the operating system.
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.jitter = Jitter::seeded(seed);
        self
    }

    /// Disables all breakers of this registry (`true`), or enables them regardless of the
    /// environment (`false`). A disabled breaker admits every call and never contacts the
    /// store. Default: the value of the environment variable
    /// `POWERTOOLS_CIRCUIT_BREAKER_DISABLED`, `false` if it is not set.
    pub fn disabled(mut self, disabled: bool) -> Self {
        self.disabled = Some(disabled);
        self
    }

    /// Sets the number of transitions by which a subscriber may be behind before it loses the
    /// oldest. Default 1,024; 1 to 1,048,576.
    pub fn transition_capacity(mut self, transitions: usize) -> Self {
        self.transition_capacity = transitions;
        self
    }

    /// Spawns the registry on the current tokio runtime, which needs its timer.
    ///
    /// # Errors
    ///
    /// - [`SpawnError::NoRuntime`]: called outside a tokio runtime.
    /// - [`SpawnError::NoTimer`]: the runtime has no timer. (tokio shows that only by a panic,
    ///   which is caught; with `panic = "abort"` the process ends.)
    /// - [`SpawnError::Config`]: the environment variable is not a boolean, or
    ///   a setting is out of range.
    pub fn spawn(self) -> Result<BreakerRegistry, SpawnError> {
        let runtime = Handle::try_current().map_err(|_| SpawnError::NoRuntime)?;
        if clock::timer(Duration::ZERO).is_none() {
            return Err(SpawnError::NoTimer);
        }
        let disabled = match self.disabled {
            Some(disabled) => disabled,
            None => disabled_by_environment()?,
        };
        if disabled {
            log::disabled();
        }
        if !(1..=MOST_TRANSITION_CAPACITY).contains(&self.transition_capacity) {
            return Err(ConfigError::new(
                "transition_capacity",
                self.transition_capacity,
                "must be between 1 and 1,048,576",
            )
            .into());
        }
        metrics::describe();
        let config = self.config.for_store(self.store.is_shared());
        let cancel = CancellationToken::new();
        Ok(BreakerRegistry {
            inner: Arc::new(Inner {
                environment: Arc::new(Environment {
                    store: self.store,
                    reachability: Reachability::new(Box::new(self.jitter.clone())),
                    clock: self.clock.of_registry(runtime.clone()),
                    pending: Arc::default(),
                    rights: Arc::default(),
                    queue: Arc::default(),
                    transitions: broadcast::channel(self.transition_capacity).0,
                }),
                config: Arc::new(config),
                jitter: self.jitter,
                disabled,
                tracker: TaskTracker::new(),
                _cancel_on_drop: cancel.clone().drop_guard(),
                cancel,
                runtime,
                circuits: Mutex::default(),
            }),
        })
    }
}

impl fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryBuilder")
            .field("config", &self.config)
            .field("disabled", &self.disabled)
            .field("transition_capacity", &self.transition_capacity)
            .finish_non_exhaustive()
    }
}

/// Reads the environment variable by the reference's rules.
fn disabled_by_environment() -> Result<bool, ConfigError> {
    let requirement = "must be one of 1, y, yes, t, true, on, 0, n, no, f, false, off";
    match env::var(DISABLED_ENV) {
        Err(env::VarError::NotPresent) => Ok(false),
        Err(env::VarError::NotUnicode(value)) => {
            Err(ConfigError::new(DISABLED_ENV, value, requirement))
        }
        Ok(value) => match value.to_lowercase().as_str() {
            "1" | "y" | "yes" | "t" | "true" | "on" => Ok(true),
            "0" | "n" | "no" | "f" | "false" | "off" => Ok(false),
            _ => Err(ConfigError::new(DISABLED_ENV, value, requirement)),
        },
    }
}
