//! The settings of a circuit, checked once at construction.

mod differences;
mod presets;
#[cfg(feature = "serde")]
mod serial;

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use crate::error::ConfigError;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// The policy for a circuit that is known to be open when the store cannot be read any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum OnStoreOutage {
    /// Admit calls and count them here: after `failure_threshold` failures, and the calls under
    /// way by then, this process rejects by itself. The reference does the same without
    /// counting. An operator's [`hold`](crate::Breaker::hold) still holds.
    #[default]
    FailOpen,
    /// Reject until `recovery_timeout` has passed, then probe, one call at a time in this process.
    Protect,
}

/// The settings of one circuit. [`guide::settings`](crate::guide::settings) lists each with its
/// default, its range, and when to change it.
///
/// ```
/// use std::time::Duration;
/// use fuseboard::Config;
///
/// let config = Config::builder()
///     .failure_threshold(3)
///     .recovery_timeout(Duration::from_secs(10))
///     .build()?;
/// assert_eq!(config.success_threshold().get(), 3);
///
/// let error = Config::builder().failure_threshold(0).build().unwrap_err();
/// assert_eq!(error.to_string(), "failure_threshold must be at least 1, got 0");
/// # Ok::<(), fuseboard::ConfigError>(())
/// ```
///
/// # As text
///
/// With the feature `serde` settings are read and written as a map, with durations as text (`30s`,
/// `1m 30s`, `500ms`). Settings that are left out keep their defaults. An unknown setting, a
/// value that does not fit and one that is out of range are refused, and the error names the
/// setting.
#[cfg_attr(
    feature = "serde",
    doc = r##"
```
let text = r#"{"recovery_timeout": "1m 30s", "failure_threshold": 3}"#;
let config: fuseboard::Config = serde_json::from_str(text)?;
assert_eq!(config.recovery_timeout().as_secs(), 90);

let refused = serde_json::from_str::<fuseboard::Config>(r#"{"recovery_timeout": "0s"}"#);
assert!(refused.unwrap_err().to_string().starts_with("recovery_timeout must be between"));
# Ok::<(), serde_json::Error>(())
```
"##
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    failure_threshold: NonZeroU64,
    recovery_timeout: Duration,
    success_threshold: NonZeroU64,
    local_cache_max_age: Duration,
    refresh_ahead: bool,
    probe_lease: Duration,
    handoff: Duration,
    /// `None` follows `recovery_timeout` and `handoff`.
    election_spread: Option<Duration>,
    /// `None` follows `probe_lease`.
    probe_limit: Option<Duration>,
    store_timeout: Duration,
    on_store_outage: OnStoreOutage,
    max_clock_skew: Duration,
    await_trip_write: bool,
    count_cancelled: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            failure_threshold: NonZeroU64::MIN.saturating_add(4),
            recovery_timeout: Duration::from_secs(30),
            success_threshold: NonZeroU64::MIN.saturating_add(2),
            local_cache_max_age: Duration::from_secs(5),
            refresh_ahead: true,
            probe_lease: Duration::from_secs(30),
            handoff: SECOND,
            election_spread: None,
            probe_limit: None,
            store_timeout: SECOND,
            on_store_outage: OnStoreOutage::FailOpen,
            max_clock_skew: Duration::from_secs(2),
            await_trip_write: true,
            count_cancelled: false,
        }
    }
}

impl Config {
    /// Returns a builder with the defaults.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// Returns the number of consecutive counted failures in one process that trip the circuit.
    #[must_use]
    pub fn failure_threshold(&self) -> NonZeroU64 {
        self.failure_threshold
    }

    /// Returns the time for which the circuit stays open before a probe may run.
    #[must_use]
    pub fn recovery_timeout(&self) -> Duration {
        self.recovery_timeout
    }

    /// Returns the number of consecutive good probes, over all processes, that close the circuit.
    #[must_use]
    pub fn success_threshold(&self) -> NonZeroU64 {
        self.success_threshold
    }

    /// Returns the maximum age of the cached record.
    #[must_use]
    pub fn local_cache_max_age(&self) -> Duration {
        self.local_cache_max_age
    }

    /// Returns `true` if traffic on a closed circuit reads again before `local_cache_max_age` is
    /// reached.
    #[must_use]
    pub fn refresh_ahead(&self) -> bool {
        self.refresh_ahead
    }

    /// Returns the length of a probe's lease.
    #[must_use]
    pub fn probe_lease(&self) -> Duration {
        self.probe_lease
    }

    /// Returns the time after a good probe that does not close the circuit, from which on other
    /// processes may probe.
    #[must_use]
    pub fn handoff(&self) -> Duration {
        self.handoff
    }

    /// Returns the span of which each process waits a random part before it elects itself or takes
    /// a lease over: the value that was set, or else the smaller of `recovery_timeout` / 30
    /// and `handoff`. The default is zero over a store that is not shared
    /// ([`Store::is_shared`](crate::store::Store::is_shared)).
    #[must_use]
    pub fn election_spread(&self) -> Duration {
        let thirtieth = self.recovery_timeout.checked_div(30).unwrap_or_default();
        self.election_spread.unwrap_or_else(|| thirtieth.min(self.handoff))
    }

    /// Returns the total time for which the lease of one probe is renewed: the value that was set,
    /// or else four times `probe_lease`.
    #[must_use]
    pub fn probe_limit(&self) -> Duration {
        self.probe_limit.unwrap_or_else(|| self.probe_lease.saturating_mul(4))
    }

    /// Returns these settings for a store that other processes share (`true`) or do not: without
    /// other processes nothing needs to be spread.
    pub(crate) fn for_store(mut self, is_shared: bool) -> Self {
        if !is_shared {
            self.election_spread.get_or_insert(Duration::ZERO);
        }
        self
    }

    /// Returns the time limit of a whole store operation, retries included.
    #[must_use]
    pub fn store_timeout(&self) -> Duration {
        self.store_timeout
    }

    /// Returns the policy for an open circuit when the store cannot be read.
    #[must_use]
    pub fn on_store_outage(&self) -> OnStoreOutage {
        self.on_store_outage
    }

    /// Returns the time by which another process's lease has to be over, on this process's wall
    /// clock, before it is taken over.
    #[must_use]
    pub fn max_clock_skew(&self) -> Duration {
        self.max_clock_skew
    }

    /// Returns `true` if a call whose outcome leads to a write returns only after the write.
    #[must_use]
    pub fn await_trip_write(&self) -> bool {
        self.await_trip_write
    }

    /// Returns `true` if a call that was dropped before it ended counts as a failure.
    #[must_use]
    pub fn count_cancelled(&self) -> bool {
        self.count_cancelled
    }
}

/// Builds a [`Config`]; settings that are not set keep their defaults.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ConfigBuilder {
    failure_threshold: u32,
    success_threshold: u32,
    probe_lease: Option<Duration>,
    handoff: Option<Duration>,
    config: Config,
}

impl Default for ConfigBuilder {
    fn default() -> Self {
        Self {
            failure_threshold: 5,
            success_threshold: 3,
            probe_lease: None,
            handoff: None,
            config: Config::default(),
        }
    }
}

impl ConfigBuilder {
    /// Sets the number of consecutive counted failures in one process that trip the circuit.
    /// Default 5; at least 1.
    pub fn failure_threshold(mut self, failures: u32) -> Self {
        self.failure_threshold = failures;
        self
    }

    /// Sets the time for which the circuit stays open before a probe may run. Default 30 s; 1 s to
    /// 365 days, because the shared item counts whole seconds.
    pub fn recovery_timeout(mut self, timeout: Duration) -> Self {
        self.config.recovery_timeout = timeout;
        self
    }

    /// Sets the number of consecutive good probes, over all processes, that close the circuit.
    /// Default 3; at least 1.
    pub fn success_threshold(mut self, successes: u32) -> Self {
        self.success_threshold = successes;
        self
    }

    /// Sets the maximum age of the cached record. Default 5 s; at most 1 day. Once it is older:
    ///
    /// | the circuit is | the next call |
    /// |---|---|
    /// | closed, or due for a probe | waits for a read |
    /// | open or half-open, so that calls would be rejected | one waits for a read, 0.1 s at most, and goes by its result; the others are rejected at once |
    ///
    /// If `election_spread` is above zero, each age is cut by up to a tenth. A circuit that another
    /// process probes is read again after 2 s.
    ///
    /// Zero reads on every call, which puts the store on the path of every call of a closed
    /// circuit.
    pub fn local_cache_max_age(mut self, age: Duration) -> Self {
        self.config.local_cache_max_age = age;
        self
    }

    /// Sets whether a call on a closed circuit starts the next read in the background after 0.8 of
    /// the maximum age, so that no call waits for it. Default `true`. Without traffic nothing
    /// is read either way.
    pub fn refresh_ahead(mut self, on: bool) -> Self {
        self.config.refresh_ahead = on;
        self
    }

    /// Sets the length of a probe's lease. Default: the greater of
    /// `recovery_timeout` and three times `store_timeout`, which is 30 s at the
    /// defaults; 1 s to 365 days. [`Breaker::call`](crate::Breaker::call) renews it while the
    /// probe runs; a permit that you hold does not, unless you keep it alive.
    ///
    /// The lease begins when its write is sent. If it is shorter than three times `store_timeout`
    /// and the store is slow, it may end before a call can use it: then a circuit stays
    /// half-open whose callers do not wait, or wait for less than the store takes.
    ///
    /// Processes that share a circuit should share this setting: a process takes a lease over that
    /// is unchanged for the length of its own. The circuit stays correct, but two probes run
    /// at once.
    pub fn probe_lease(mut self, lease: Duration) -> Self {
        self.probe_lease = Some(lease);
        self
    }

    /// Sets the time after a good probe that did not close the circuit, from which on other
    /// processes may probe. Default 1 s; at most `probe_lease`. A right to probe that no call
    /// takes is kept for 1 s even if this is shorter.
    pub fn handoff(mut self, handoff: Duration) -> Self {
        self.handoff = Some(handoff);
        self
    }

    /// Sets the span of which each process waits a random part before it elects itself or takes a
    /// lease over, so that not all processes of a fleet write in the same instant. The part is
    /// drawn once for each opening or lease. Default: the smaller of `recovery_timeout` / 30
    /// and `handoff` (1 s at the defaults), and zero over a store that is not shared; at most
    /// `handoff`. The process that wrote the opening waits for one `handoff` instead: it may
    /// be the only one that fails, and should not probe first.
    ///
    /// Zero turns all spreading off, also that wait, and the random tenth by which the maximum age
    /// of the cached record is cut. Use it for a fleet of a few processes whose recovery has
    /// to be exact to the millisecond. In a fleet of thousands it makes all of them read and
    /// write the item in the same instant.
    pub fn election_spread(mut self, spread: Duration) -> Self {
        self.config.election_spread = Some(spread);
        self
    }

    /// Sets the total time for which the lease of one probe is renewed while the probe runs.
    /// Default four times `probe_lease`; `probe_lease` to 365 days. After that another process
    /// may probe, so that a probe that hangs does not keep the circuit half-open for ever. If
    /// it still ends, its verdict changes nothing.
    pub fn probe_limit(mut self, limit: Duration) -> Self {
        self.config.probe_limit = Some(limit);
        self
    }

    /// Sets the time limit of a whole store operation, retries included. Default 1 s; 1 ms to 60 s.
    /// One [`call`](crate::Breaker::call) waits for the store no longer than this and a tenth
    /// of a second, before and after it runs together. A [`DynamoDbStore`](crate::store) has
    /// a limit of its own, of 1 s: to wait longer, raise its `operation_timeout` as well.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.config.store_timeout = timeout;
        self
    }

    /// Sets the policy for an open circuit when the store cannot be read. Default
    /// [`OnStoreOutage::FailOpen`].
    pub fn on_store_outage(mut self, policy: OnStoreOutage) -> Self {
        self.config.on_store_outage = policy;
        self
    }

    /// Sets the time by which another process's lease has to be over, on this process's wall
    /// clock, before it is taken over. Default 2 s; at most 1 hour.
    pub fn max_clock_skew(mut self, skew: Duration) -> Self {
        self.config.max_clock_skew = skew;
        self
    }

    /// Sets whether a call whose outcome leads to a write (a trip, or the verdict of a probe)
    /// returns only after the write landed, or after its `store_timeout`, of which its
    /// admission has used a part. Default `true`: on AWS Lambda a write that no call awaits
    /// lands when the environment is thawed next, or never. If the store may be slow, call
    /// [`flush`](crate::BreakerRegistry::flush) before the response, which waits for the
    /// rest. Permits are not affected: await [`Settling::settled`](crate::Settling::settled).
    pub fn await_trip_write(mut self, on: bool) -> Self {
        self.config.await_trip_write = on;
        self
    }

    /// Sets whether a call that was dropped before it ended, for example by the caller's own
    /// timeout, counts as a failure. Default `false`.
    pub fn count_cancelled(mut self, on: bool) -> Self {
        self.config.count_cancelled = on;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] with the first setting that is out of range or contradicts another, and
    /// its value.
    pub fn build(self) -> Result<Config, ConfigError> {
        let mut config = self.config;
        config.failure_threshold = threshold("failure_threshold", self.failure_threshold)?;
        config.success_threshold = threshold("success_threshold", self.success_threshold)?;
        within(
            "recovery_timeout",
            config.recovery_timeout,
            SECOND,
            YEAR,
            "must be between 1 s and 365 days",
        )?;
        within(
            "store_timeout",
            config.store_timeout,
            Duration::from_millis(1),
            Duration::from_secs(60),
            "must be between 1 ms and 60 s",
        )?;
        let for_a_slow_store = config.store_timeout.saturating_mul(3);
        let lease = config.recovery_timeout.max(for_a_slow_store);
        config.probe_lease = self.probe_lease.unwrap_or(lease);
        within(
            "probe_lease",
            config.probe_lease,
            SECOND,
            YEAR,
            "must be between 1 s and 365 days",
        )?;
        config.handoff = self.handoff.unwrap_or(SECOND);
        if config.handoff > config.probe_lease {
            return Err(ConfigError::new(
                "handoff",
                config.handoff,
                "must not be longer than probe_lease",
            ));
        }
        if let Some(spread) = config.election_spread
            && spread > config.handoff
        {
            let requirement = "must not be longer than handoff";
            return Err(ConfigError::new("election_spread", spread, requirement));
        }
        if let Some(limit) = config.probe_limit {
            let requirement = "must be between probe_lease and 365 days";
            within("probe_limit", limit, config.probe_lease, YEAR, requirement)?;
        }
        within(
            "local_cache_max_age",
            config.local_cache_max_age,
            Duration::ZERO,
            DAY,
            "must be at most 1 day",
        )?;
        within(
            "max_clock_skew",
            config.max_clock_skew,
            Duration::ZERO,
            Duration::from_secs(3_600),
            "must be at most 1 hour",
        )?;
        Ok(config)
    }
}

fn threshold(field: &'static str, value: u32) -> Result<NonZeroU64, ConfigError> {
    NonZeroU32::new(value)
        .map(NonZeroU64::from)
        .ok_or_else(|| ConfigError::new(field, value, "must be at least 1"))
}

fn within(
    field: &'static str,
    value: Duration,
    least: Duration,
    most: Duration,
    requirement: &'static str,
) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::new(field, value, requirement))
    }
}

#[cfg(test)]
mod tests;
