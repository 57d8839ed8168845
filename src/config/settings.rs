//! The settings of all circuits of a process.

#[cfg(feature = "serde")]
mod serial;

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{Config, ConfigBuilder};
use crate::error::ConfigError;

/// The settings of all circuits of a registry: those of most, and what differs for some.
///
/// A circuit has the settings of the first of these that there is: its name; the longest prefix
/// (`payments*`) that its name begins with; the default. What a name or prefix leaves out is as in the
/// default. A shorter prefix adds nothing to a longer one.
///
/// Give them to [`RegistryBuilder::settings`](crate::RegistryBuilder::settings), and new ones to
/// [`BreakerRegistry::reconfigure`](crate::BreakerRegistry::reconfigure) while calls run.
///
/// ```
/// use std::time::Duration;
/// use fuseboard::{Config, Settings};
///
/// let settings = Settings::builder()
///     .defaults(Config::builder().failure_threshold(10))
///     .circuit("payments*", |config| config.recovery_timeout(Duration::from_secs(10)))
///     .circuit("payments-eu", |config| config.failure_threshold(3))
///     .build()?;
/// assert_eq!(settings.of("payments-us").failure_threshold().get(), 10);
/// assert_eq!(settings.of("payments-us").recovery_timeout().as_secs(), 10);
/// assert_eq!(settings.of("payments-eu").recovery_timeout().as_secs(), 30);
///
/// let refused = Settings::builder().circuit("mail*", |config| config.failure_threshold(0)).build();
/// assert_eq!(
///     refused.unwrap_err().to_string(),
///     "circuits.mail*.failure_threshold must be at least 1, got 0",
/// );
/// # Ok::<(), fuseboard::ConfigError>(())
/// ```
///
/// # As text
///
/// With the feature `serde` they are read from any format that serde knows, with the parts `default`
/// and `circuits`, each of which may be left out. Each holds settings as a [`Config`] does. Unknown
/// names are refused, and errors name the path and the value.
#[cfg_attr(
    feature = "serde",
    doc = r##"
```
let text = r#"{
    "default": {"failure_threshold": 10},
    "circuits": {"payments*": {"recovery_timeout": "10s"}}
}"#;
let settings: fuseboard::Settings = serde_json::from_str(text)?;
assert_eq!(settings.of("payments-eu").recovery_timeout().as_secs(), 10);

let text = r#"{"circuits": {"payments*": {"recovery_timeout": "0s"}}}"#;
let refused = serde_json::from_str::<fuseboard::Settings>(text).unwrap_err().to_string();
assert!(refused.starts_with("circuits.payments*.recovery_timeout must be between"));
# Ok::<(), serde_json::Error>(())
```
"##
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Shared, as all below, by the circuits that have it.
    default: Arc<Config>,
    /// By name, or by prefix with a `*` at its end.
    circuits: BTreeMap<String, Arc<Config>>,
}

impl Settings {
    /// Returns a builder with the defaults for every circuit.
    pub fn builder() -> SettingsBuilder {
        SettingsBuilder::default()
    }

    /// Returns the settings of a circuit.
    #[must_use]
    pub fn of(&self, name: &str) -> &Config {
        self.shared(name)
    }

    /// Returns the checksum by which the log and the metric `fuseboard_settings_checksum` tell which
    /// text of a [settings file](crate::RegistryBuilder::settings_file) is in force: the number that
    /// the command `cksum` prints of the file. It tells which file was deployed, and does not protect
    /// against one that was made to have the same checksum.
    ///
    /// ```
    /// // $ printf 'hello\n' | cksum
    /// // 3015617425 6
    /// assert_eq!(fuseboard::Settings::checksum_of("hello\n"), 3_015_617_425);
    /// ```
    #[must_use]
    pub fn checksum_of(text: &str) -> u32 {
        // The bytes, and then their number, lowest byte first and without zeros at its end.
        let length = text.len().to_le_bytes();
        let significant =
            length.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
        let bytes = text.as_bytes().iter().chain(length.iter().take(significant));
        !bytes.fold(0_u32, |sum, byte| {
            (0..8).fold(sum ^ (u32::from(*byte) << 24), |sum, _| {
                if sum >> 31 == 1 { (sum << 1) ^ 0x04c1_1db7 } else { sum << 1 }
            })
        })
    }

    pub(crate) fn shared(&self, name: &str) -> &Arc<Config> {
        let pattern = pattern_of(name, self.circuits.keys().map(String::as_str));
        pattern.and_then(|pattern| self.circuits.get(pattern)).unwrap_or(&self.default)
    }

    /// Changes the settings of every circuit.
    pub(crate) fn map(mut self, change: impl Fn(Config) -> Config) -> Self {
        let change = |config: &mut Arc<Config>| *config = Arc::new(change(Config::clone(config)));
        change(&mut self.default);
        self.circuits.values_mut().for_each(change);
        self
    }

    /// Returns the part that a circuit has its settings from, as errors name it: `default`, or
    /// `circuits.` and a name or prefix.
    #[must_use]
    pub fn part_of(&self, name: &str) -> String {
        pattern_of(name, self.circuits.keys().map(String::as_str)).map_or_else(default_part, part)
    }

    /// Lists the default, and what names and prefixes have.
    pub(crate) fn configs(&self) -> impl Iterator<Item = &Config> {
        std::iter::once(&self.default).chain(self.circuits.values()).map(|config| &**config)
    }
}

/// The same for every circuit.
impl From<Config> for Settings {
    fn from(default: Config) -> Self {
        Self { default: Arc::new(default), circuits: BTreeMap::new() }
    }
}

/// Returns the pattern that a circuit goes by: its name, or else the longest prefix of it.
fn pattern_of<'a>(name: &str, patterns: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    patterns
        .filter_map(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix).then_some((false, pattern)),
            None => (name == pattern).then_some((true, pattern)),
        })
        .max_by_key(|(is_exact, pattern)| (*is_exact, pattern.len()))
        .map(|(_, pattern)| pattern)
}

fn part(pattern: &str) -> String {
    format!("circuits.{pattern}")
}

fn default_part() -> String {
    "default".into()
}

type Change = Box<dyn FnOnce(ConfigBuilder) -> ConfigBuilder>;

/// Builds [`Settings`].
#[derive(Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct SettingsBuilder {
    default: ConfigBuilder,
    circuits: Vec<(String, Change)>,
}

impl SettingsBuilder {
    /// Sets what holds for circuits without a name or prefix of their own, and what these leave out.
    /// Default: the defaults of [`Config`].
    pub fn defaults(mut self, config: ConfigBuilder) -> Self {
        self.default = config;
        self
    }

    /// Sets what differs from the default for the circuit of this name, or, with a `*` at the end,
    /// for all whose names begin with what stands before it. A rule that is added here is one more
    /// than those of the default.
    pub fn circuit(
        mut self,
        pattern: impl Into<String>,
        change: impl FnOnce(ConfigBuilder) -> ConfigBuilder + 'static,
    ) -> Self {
        self.circuits.push((pattern.into(), Box::new(change)));
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] with the first setting that is out of range or contradicts another, its
    /// [path](ConfigError::path) and its value; or with a pattern that is empty, given twice, or has
    /// a `*` before its end.
    pub fn build(self) -> Result<Settings, ConfigError> {
        let default = self.default.clone().build();
        let default = default.map_err(|error| error.within(&default_part()))?;
        let mut circuits = BTreeMap::new();
        for (pattern, change) in self.circuits {
            let name = pattern.strip_suffix('*').unwrap_or(&pattern);
            if pattern.is_empty() || name.contains('*') {
                let requirement = "must be names, or prefixes with a `*` at their end";
                return Err(ConfigError::new("circuits", pattern, requirement));
            }
            if circuits.contains_key(&pattern) {
                let requirement = "must have each name and prefix once";
                return Err(ConfigError::new("circuits", pattern, requirement));
            }
            let config = change(self.default.clone()).build();
            let config = config.map_err(|error| error.within(&part(&pattern)))?;
            circuits.insert(pattern, Arc::new(config));
        }
        Ok(Settings { default: Arc::new(default), circuits })
    }
}

impl fmt::Debug for SettingsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: Vec<_> = self.circuits.iter().map(|(pattern, _)| pattern).collect();
        f.debug_struct("SettingsBuilder")
            .field("default", &self.default)
            .field("circuits", &patterns)
            .finish_non_exhaustive()
    }
}
