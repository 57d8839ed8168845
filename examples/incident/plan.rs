//! The script of a run: its settings, and what happens when.

use std::time::Duration;

use fuseboard::{Config, ConfigError};

/// What is known before the run starts. All times count from its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) environments: usize,
    /// Calls per second and environment.
    pub(crate) rate: u32,
    pub(crate) outage: Duration,
}

impl Plan {
    pub(crate) const FAILURE_THRESHOLD: u32 = 5;
    pub(crate) const SUCCESS_THRESHOLD: u32 = 3;
    pub(crate) const RECOVERY_TIMEOUT: Duration = Duration::from_secs(2);
    pub(crate) const LOCAL_CACHE_MAX_AGE: Duration = Duration::from_secs(1);
    /// All is well before the outage.
    pub(crate) const LEAD_IN: Duration = Duration::from_secs(2);
    /// All is well again, once every environment has seen the circuit closed.
    pub(crate) const TAIL: Duration = Duration::from_millis(1_500);
    /// The circuit has to be closed this long after the dependency's return:
    /// a recovery timeout that had just started, one second of rounding, three
    /// probes that change hands, everybody's next read, and some more.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
    /// How long the dependency takes to answer, and to fail.
    pub(crate) const ANSWERS_IN: Duration = Duration::from_millis(5);
    pub(crate) const FAILS_IN: Duration = Duration::from_millis(40);

    pub(crate) const fn new(environments: usize, rate: u32, outage: Duration) -> Self {
        Self { environments, rate, outage }
    }

    /// When the dependency is back.
    pub(crate) const fn returns_at(&self) -> Duration {
        Self::LEAD_IN.saturating_add(self.outage)
    }

    /// Whether the dependency is down.
    pub(crate) fn is_down(&self, at: Duration) -> bool {
        (Self::LEAD_IN..self.returns_at()).contains(&at)
    }

    /// When the run is given up.
    pub(crate) const fn gives_up_at(&self) -> Duration {
        self.returns_at().saturating_add(Self::PATIENCE)
    }

    /// How long a run is likely to take.
    pub(crate) const fn likely_end(&self) -> Duration {
        self.returns_at()
            .saturating_add(Self::RECOVERY_TIMEOUT)
            .saturating_add(Self::TAIL.saturating_mul(2))
    }

    /// The pause between two calls of one environment.
    pub(crate) fn period(&self) -> Duration {
        Duration::from_secs(1).checked_div(self.rate).unwrap_or(Duration::from_secs(1))
    }

    /// How long one environment takes to see as many failures as trip a circuit.
    pub(crate) fn time_to_trip(&self) -> Duration {
        self.period().saturating_mul(Self::FAILURE_THRESHOLD).saturating_add(Self::FAILS_IN)
    }

    /// The settings of the circuit.
    pub(crate) fn config() -> Result<Config, ConfigError> {
        Config::builder()
            .failure_threshold(Self::FAILURE_THRESHOLD)
            .success_threshold(Self::SUCCESS_THRESHOLD)
            .recovery_timeout(Self::RECOVERY_TIMEOUT)
            .local_cache_max_age(Self::LOCAL_CACHE_MAX_AGE)
            .build()
    }
}
