//! The builder of a registry.

use std::{
    env,
    fmt::{self, Display},
    path::PathBuf,
    sync::{Arc, Mutex, Once},
    time::Duration,
};

use tokio::{runtime::Handle, sync::broadcast};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    BreakerRegistry, Inner,
    entropy::{Jitter, Numbers},
    following::SettingsFile,
};
use crate::{
    clock::{self, Clock},
    config::{Config, Settings},
    error::{ConfigError, SpawnError},
    runtime::actor::Environment,
    runtime::key_prefix::KeyPrefix,
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
const MOST_INSTANCE_BYTES: usize = 128;

/// Builds and spawns a [`BreakerRegistry`].
#[must_use = "a builder does nothing until `spawn` is called"]
pub struct RegistryBuilder {
    pub(super) store: Arc<dyn ErasedStore>,
    pub(super) settings: Settings,
    /// Takes the place of `settings`.
    pub(super) settings_file: Option<SettingsFile>,
    pub(super) clock: Clock,
    pub(super) numbers: Numbers,
    pub(super) prefix: String,
    pub(super) instance: Option<String>,
    pub(super) disabled: Option<bool>,
    pub(super) transition_capacity: usize,
}

impl RegistryBuilder {
    /// Sets the same settings for all circuits that have none of their own. Default:
    /// [`Config::default`]. Replaces [`settings`](Self::settings).
    pub fn config(self, config: Config) -> Self {
        self.settings(config.into())
    }

    /// Sets the settings of circuits that have none of their own, by name or prefix. Replaces
    /// [`config`](Self::config).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// use fuseboard::Settings;
    ///
    /// let settings = Settings::builder()
    ///     .circuit("payments*", |config| config.failure_threshold(3))
    ///     .build()?;
    /// let registry = BreakerRegistry::builder(MemoryStore::new()).settings(settings).spawn()?;
    /// let payments = registry.breaker("payments-eu")?;
    /// # let _ = payments;
    /// # Ok(()) }
    /// ```
    ///
    /// Replaces a [settings file](Self::settings_file).
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self.settings_file = None;
        self
    }

    /// Takes the settings of circuits that have none of their own from a file, and follows it: what
    /// it says is in force at [`spawn`](Self::spawn), and when it has changed, within 10 s. Replaces
    /// [`config`](Self::config) and [`settings`](Self::settings).
    ///
    /// `parse` reads the text. With the feature `serde` that is any format that serde knows: see
    /// [`guide::settings`](crate::guide::settings).
    ///
    /// The file is read every 5 s, without blocking the runtime. A content that differs is taken when
    /// it was read twice, a second apart, and then as
    /// [`reconfigure`](crate::BreakerRegistry::reconfigure) says. A file that is replaced by a rename,
    /// as a mounted one of Kubernetes is, is taken whole. One that is written in place is taken whole
    /// only if no two of its writes are a second apart.
    ///
    /// A file that is gone, empty or refused changes nothing: the settings stay as they are, and the
    /// log says why, at `warn` and once for each content. The feature `metrics` shows the checksum
    /// of the file that is in force, and whether a newer one is refused. The file is no longer read
    /// when the registry has ended; a [disabled](Self::disabled) one reads it once. Of two registries
    /// of one process that follow a file the gauges tell that of the last to read.
    ///
    /// Settings that are given to [`reconfigure`](crate::BreakerRegistry::reconfigure) beside the
    /// file stay until the file changes, and the gauges go on telling that of the file.
    ///
    /// At `spawn` the file is read on the thread that calls it, which waits for it. `parse` runs
    /// there, and later on the runtime: it should not block.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = std::env::temp_dir().join(format!("fuseboard-{}.txt", std::process::id()));
    /// # std::fs::write(&path, "3")?;
    /// use fuseboard::{BreakerRegistry, Config, MemoryStore, Settings};
    ///
    /// // In a service: `|text| toml::from_str(text)`. Here the file has one number.
    /// let parse = |text: &str| -> Result<Settings, Box<dyn std::error::Error>> {
    ///     let threshold = text.trim().parse()?;
    ///     Ok(Config::builder().failure_threshold(threshold).build()?.into())
    /// };
    /// let registry =
    ///     BreakerRegistry::builder(MemoryStore::new()).settings_file(&path, parse).spawn()?;
    /// let payments = registry.breaker("payments")?;
    /// assert_eq!(payments.config().failure_threshold().get(), 3);
    ///
    /// std::fs::write(&path, "7")?;
    /// tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    /// assert_eq!(payments.config().failure_threshold().get(), 7);
    /// # std::fs::remove_file(&path)?;
    /// # Ok(()) }
    /// ```
    pub fn settings_file<E: Display>(
        mut self,
        path: impl Into<PathBuf>,
        parse: impl Fn(&str) -> Result<Settings, E> + Send + Sync + 'static,
    ) -> Self {
        self.settings_file = Some(SettingsFile::new(path.into(), parse));
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
        self.numbers = Numbers::seeded(seed);
        self
    }

    /// Sets what comes before each circuit's name in the key of its item. Default: nothing; at most
    /// 1,024 bytes.
    ///
    /// Processes share a circuit if prefix and name together make the same key in one table: prefix
    /// `orders/` and name `db` are the same circuit as no prefix and name `orders/db`. Two services
    /// that both name a circuit `db` in one table share it by accident, unless their prefixes differ.
    /// The name alone is what the program sees: in transitions, errors, metrics and the log. The
    /// prefix is in the table alone, and a name and its prefix have at most 2,048 bytes together.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// let store = MemoryStore::new();
    /// let registry = BreakerRegistry::builder(store.clone()).prefix("orders/").spawn()?;
    /// let db = registry.breaker("db")?;
    /// # for _ in 0..5 { db.admit().await?.failure().settled().await; }
    /// assert!(store.record("orders/db").is_some());
    /// assert_eq!(db.snapshot().circuit().name.as_str(), "db");
    /// # Ok(()) }
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the name of this process, for people who look at the table: `half_open_owner` shows it before
    /// the token of a probe's lease, as in `task-42/0f3c…`, and the log shows it with each
    /// transition. Default: none. 1 to 128 bytes, without `#`, `/` and control characters.
    ///
    /// It is for people. No decision depends on it, and two processes may have the same.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// let host = std::env::var("HOSTNAME").unwrap_or("task-42".into());
    /// let registry = BreakerRegistry::builder(MemoryStore::new()).instance(host).spawn()?;
    /// # Ok(()) }
    /// ```
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
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

    /// Spawns the registry on the current tokio runtime, which needs its timer. Blocks while it
    /// reads a [settings file](Self::settings_file), if it has one.
    ///
    /// # Errors
    ///
    /// - [`SpawnError::NoRuntime`]: called outside a tokio runtime.
    /// - [`SpawnError::NoTimer`]: the runtime has no timer. (tokio shows that only by a panic,
    ///   which is caught; with `panic = "abort"` the process ends.)
    /// - [`SpawnError::Config`]: the environment variable is not a boolean, or
    ///   a setting is out of range.
    /// - [`SpawnError::SettingsFile`]: the [settings file](Self::settings_file) cannot be read, or is
    ///   refused.
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
        let prefix = KeyPrefix::new(&self.prefix)?;
        let instance = self.instance.map(checked_instance).transpose()?;
        let jitter = Jitter::new(self.numbers, instance.clone());
        metrics::describe();
        let is_shared = self.store.is_shared();
        let (settings, follower) = match self.settings_file.map(SettingsFile::first).transpose()? {
            Some((settings, follower)) => (settings, Some(follower)),
            None => (self.settings, None),
        };
        let settings = settings.map(|config| config.for_store(is_shared));
        let cancel = CancellationToken::new();
        let inner = Inner {
            environment: Arc::new(Environment {
                store: self.store,
                prefix,
                instance,
                observed: metrics::Observed::default(),
                reachability: Reachability::new(Box::new(jitter.clone())),
                clock: self.clock.of_registry(runtime.clone()),
                pending: Arc::default(),
                rights: Arc::default(),
                queue: Arc::default(),
                transitions: broadcast::channel(self.transition_capacity).0,
            }),
            jitter,
            disabled,
            tracker: TaskTracker::new(),
            _cancel_on_drop: cancel.clone().drop_guard(),
            cancel,
            runtime,
            has_warned: Once::new(),
            circuits: Mutex::default(),
        };
        settings.configs().for_each(|config| inner.warn_of_a_short_window(config));
        inner.circuits().settings = settings;
        let registry = BreakerRegistry { inner: Arc::new(inner) };
        if let Some(follower) = follower.filter(|_| !disabled) {
            registry.follow(follower);
        }
        Ok(registry)
    }
}

impl Inner {
    /// Warns of a window that is too short for calls that are slow, once.
    pub(super) fn warn_of_a_short_window(&self, config: &Config) {
        if let Some(window) = config.window_too_short_for_slow() {
            self.has_warned.call_once(|| log::window_too_short(window));
        }
    }
}

impl fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryBuilder")
            .field("settings", &self.settings)
            .field("settings_file", &self.settings_file)
            .field("disabled", &self.disabled)
            .field("prefix", &self.prefix)
            .field("instance", &self.instance)
            .field("transition_capacity", &self.transition_capacity)
            .finish_non_exhaustive()
    }
}

/// Refuses what would break the form of an owner: `instance/token`, or `hold#reason`.
fn checked_instance(instance: String) -> Result<Arc<str>, ConfigError> {
    let is_refused = |letter: char| matches!(letter, '#' | '/') || letter.is_control();
    if instance.is_empty() || instance.len() > MOST_INSTANCE_BYTES || instance.contains(is_refused)
    {
        let requirement = "must have 1 to 128 bytes, without #, / and control characters";
        return Err(ConfigError::new("instance", instance, requirement));
    }
    Ok(instance.into())
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
