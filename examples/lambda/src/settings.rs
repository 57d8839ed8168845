//! The settings, from the function's environment variables.

use std::{
    env::{self, VarError},
    time::{Duration, SystemTime},
};

use fuseboard::{Config, ConfigError, Limit};
use lambda_runtime::Error;

pub(crate) struct Settings {
    pub(crate) circuits_table: String,
    pub(crate) orders_table: String,
    pub(crate) partner_url: String,
    /// How long a call may take, if the invocation leaves it that time.
    call_timeout: Duration,
    /// What is left of the invocation's time when a call is cut: for the response and the flush.
    margin: Duration,
    failure_threshold: u32,
    success_threshold: u32,
    recovery_timeout: Duration,
    probe_lease: Duration,
    cache_max_age: Duration,
}

impl Settings {
    pub(crate) fn from_env() -> Result<Self, Error> {
        Ok(Self {
            circuits_table: text("CIRCUITS_TABLE")?,
            orders_table: text("ORDERS_TABLE")?,
            partner_url: text("PARTNER_URL")?,
            call_timeout: millis("CALL_TIMEOUT_MS", 2_000)?,
            margin: millis("MARGIN_MS", 300)?,
            // Each environment counts for itself, and may be called rarely.
            failure_threshold: number("BREAKER_FAILURES", 3)?,
            success_threshold: number("BREAKER_SUCCESSES", 3)?,
            recovery_timeout: millis("BREAKER_RECOVERY_MS", 30_000)?,
            probe_lease: millis("BREAKER_LEASE_MS", 30_000)?,
            cache_max_age: millis("BREAKER_CACHE_MS", 5_000)?,
        })
    }

    /// Writes are not awaited by calls, whose callers wait for the response, but by the flush layer
    /// after it.
    pub(crate) fn breaker(&self) -> Result<Config, ConfigError> {
        Config::builder()
            .failure_threshold(self.failure_threshold)
            .success_threshold(self.success_threshold)
            .recovery_timeout(self.recovery_timeout)
            .probe_lease(self.probe_lease)
            .local_cache_max_age(self.cache_max_age)
            .await_trip_write(false)
            .build()
    }

    /// Where several invocations share the process it is not frozen, and nothing needs a flush.
    pub(crate) fn flush_budget(&self) -> Duration {
        if env::var_os("AWS_LAMBDA_MAX_CONCURRENCY").is_some() {
            Duration::ZERO
        } else {
            Duration::from_secs(1)
        }
    }

    /// Limits a call: to what is left of the invocation's time, and to what it should take.
    pub(crate) fn limit(&self, deadline: SystemTime) -> Limit {
        Limit::until(deadline).margin(self.margin).at_most(self.call_timeout)
    }
}

fn text(name: &str) -> Result<String, Error> {
    env::var(name).map_err(|error| format!("{name}: {error}").into())
}

fn number<T: std::str::FromStr>(name: &str, default: T) -> Result<T, Error>
where
    T::Err: std::fmt::Display,
{
    match env::var(name) {
        Ok(value) => value.parse().map_err(|error| format!("{name}: {error}").into()),
        Err(VarError::NotPresent) => Ok(default),
        Err(error @ VarError::NotUnicode(_)) => Err(format!("{name}: {error}").into()),
    }
}

fn millis(name: &str, default: u64) -> Result<Duration, Error> {
    number(name, default).map(Duration::from_millis)
}
