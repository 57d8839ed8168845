//! The settings of a circuit, checked once at construction.

mod backoff;
mod builder;
mod check;
mod differences;
mod presets;
mod rule;
#[cfg(feature = "serde")]
mod serial;
mod settings;
mod shown;
mod spread;

use std::{num::NonZeroU64, time::Duration};

pub(crate) use self::rule::{RuleKind, Share};
pub use self::{
    backoff::Backoff,
    builder::ConfigBuilder,
    rule::{Rate, Rule, Votes},
    settings::{Settings, SettingsBuilder},
};

/// The rule of votes, taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VotesRule {
    pub(crate) rule: Rule,
    pub(crate) voters: u32,
    pub(crate) streak: u32,
    pub(crate) window: Duration,
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// The longest open time that a call may ask for, where `recovery_timeout` is not longer.
const OPEN_FOR_AT_MOST: Duration = Duration::from_secs(600);

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
    failure_window: Option<Duration>,
    also_trip: Vec<Rule>,
    slow_after: Option<Duration>,
    recovery_timeout: Duration,
    ramp: Option<Duration>,
    open_backoff: Option<Backoff>,
    /// `None` follows `recovery_timeout`.
    open_for_at_most: Option<Duration>,
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
    dry_run: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            failure_threshold: NonZeroU64::MIN.saturating_add(4),
            failure_window: None,
            also_trip: Vec::new(),
            slow_after: None,
            recovery_timeout: Duration::from_secs(30),
            ramp: None,
            open_backoff: None,
            open_for_at_most: None,
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
            dry_run: false,
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

    /// Returns the time within which `failure_threshold` failures have to lie, if one was set.
    #[must_use]
    pub fn failure_window(&self) -> Option<Duration> {
        self.failure_window
    }

    /// Returns the rules that trip the circuit beside `failure_threshold`.
    #[must_use]
    pub fn also_trip(&self) -> &[Rule] {
        &self.also_trip
    }

    /// Returns the time after which a call that runs is a failure, if one was set.
    #[must_use]
    pub fn slow_after(&self) -> Option<Duration> {
        self.slow_after
    }

    /// Returns the name of a window within which the failures of calls that hang one after the
    /// other do not lie: one that is shorter than these take.
    pub(crate) fn window_too_short_for_slow(&self) -> Option<&'static str> {
        let slow_after = self.slow_after?;
        let threshold = u32::try_from(self.failure_threshold.get()).unwrap_or(u32::MAX);
        let in_a_row = self.failure_window.map(|window| ("failure_window", threshold, window));
        let rules = self.also_trip.iter().filter_map(|rule| match rule.0 {
            RuleKind::Within { failures, window } => Some(("within", failures, window)),
            RuleKind::Rate { window, at_least, .. } => Some(("rate", at_least, window)),
            RuleKind::Votes { streak, window, .. } => Some(("votes", streak, window)),
            RuleKind::OfLast { .. } => None,
        });
        in_a_row
            .into_iter()
            .chain(rules)
            .find(|(_, failures, window)| *window < slow_after.saturating_mul(*failures))
            .map(|(name, ..)| name)
    }

    /// Returns the rule of votes, if there is one.
    pub(crate) fn votes(&self) -> Option<VotesRule> {
        self.also_trip.iter().find_map(|rule| match rule.0 {
            RuleKind::Votes { voters, streak, window } => {
                Some(VotesRule { rule: *rule, voters, streak, window })
            }
            RuleKind::OfLast { .. } | RuleKind::Within { .. } | RuleKind::Rate { .. } => None,
        })
    }

    /// Returns the longest time within which failures count; zero if no rule has one.
    pub(crate) fn longest_window(&self) -> Duration {
        let rules = self.also_trip.iter().filter_map(|rule| rule.window());
        rules.chain(self.failure_window).max().unwrap_or_default()
    }

    /// Returns the time for which the circuit stays open before a probe may run.
    #[must_use]
    pub fn recovery_timeout(&self) -> Duration {
        self.recovery_timeout
    }

    /// Returns the time after a closing in which the admitted share of calls grows to all, if one
    /// was set.
    #[must_use]
    pub fn ramp(&self) -> Option<Duration> {
        self.ramp
    }

    /// Returns what lengthens the open time with each failed probe, if that was set.
    #[must_use]
    pub fn open_backoff(&self) -> Option<Backoff> {
        self.open_backoff
    }

    /// Returns the longest time for which [`Outcome::OpenFor`](crate::Outcome::OpenFor) opens a
    /// circuit: the value that was set, or else the greater of 600 s and `recovery_timeout`.
    #[must_use]
    pub fn open_for_at_most(&self) -> Duration {
        self.open_for_at_most.unwrap_or_else(|| OPEN_FOR_AT_MOST.max(self.recovery_timeout))
    }

    /// Returns how long the opening of a circuit lasts that began at `opened_at`, after this
    /// number of failed probes in a row.
    pub(crate) fn open_time(&self, failed_probes: u64, circuit: &str, opened_at: i64) -> Duration {
        self.open_backoff.map_or(self.recovery_timeout, |backoff| {
            backoff.open_time(self.recovery_timeout, failed_probes, circuit, opened_at)
        })
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

    /// Takes over the settings of a probe that is under way.
    pub(crate) fn keep_probe_settings(&mut self, before: &Self) {
        self.probe_lease = before.probe_lease;
        self.handoff = before.handoff;
        // By value: those that follow others would follow the new ones.
        self.election_spread = Some(before.election_spread());
        self.probe_limit = Some(before.probe_limit());
    }

    /// Takes over the limit of an operation that is under way.
    pub(crate) fn keep_store_timeout(&mut self, before: &Self) {
        self.store_timeout = before.store_timeout;
    }

    /// Returns `true` if an opening lasts as long by these settings as by others.
    pub(crate) fn has_open_times_of(&self, other: &Self) -> bool {
        self.recovery_timeout == other.recovery_timeout
            && self.open_backoff == other.open_backoff
            && self.open_for_at_most() == other.open_for_at_most()
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

    /// Returns `true` if the circuit is in a dry run, and rejects nothing.
    #[must_use]
    pub fn dry_run(&self) -> bool {
        self.dry_run
    }
}

#[cfg(test)]
mod tests;
