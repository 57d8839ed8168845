//! The ranges of settings, and what contradicts what.

use std::time::Duration;

use super::{
    Config, DAY, SECOND, YEAR,
    rule::{MAX_FAILURES, MAX_RULES, is_window},
};
use crate::error::ConfigError;

/// Returns the first setting that is out of range or contradicts another.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    check_rules(config)?;
    check_open_time(config)?;
    // Before the lease, whose default follows it.
    check_store_timeout(config)?;
    check_probes(config)?;
    check_clocks(config)
}

fn check_open_time(config: &Config) -> Result<(), ConfigError> {
    let requirement = "must be between 1 s and 365 days";
    let timeout = config.recovery_timeout;
    within("recovery_timeout", timeout, SECOND, YEAR, requirement)?;
    if let Some(most) = config.open_for_at_most
        && !(timeout..=YEAR).contains(&most)
    {
        let requirement = "must be between recovery_timeout and 365 days";
        let got = format_args!("{most:?} with a recovery_timeout of {timeout:?}");
        return Err(ConfigError::new("open_for_at_most", got, requirement));
    }
    if let Some(backoff) = config.open_backoff {
        backoff.check(timeout)?;
    }
    match config.ramp {
        Some(ramp) => within("ramp", ramp, SECOND, DAY, "must be between 1 s and 1 day"),
        None => Ok(()),
    }
}

fn check_store_timeout(config: &Config) -> Result<(), ConfigError> {
    let (least, most) = (Duration::from_millis(1), Duration::from_secs(60));
    let requirement = "must be between 1 ms and 60 s";
    within("store_timeout", config.store_timeout, least, most, requirement)
}

fn check_probes(config: &Config) -> Result<(), ConfigError> {
    let requirement = "must be between 1 s and 365 days";
    within("probe_lease", config.probe_lease, SECOND, YEAR, requirement)?;
    if config.handoff > config.probe_lease {
        let requirement = "must not be longer than probe_lease";
        return Err(ConfigError::new("handoff", config.handoff, requirement));
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
    Ok(())
}

fn check_clocks(config: &Config) -> Result<(), ConfigError> {
    let (age, requirement) = (config.local_cache_max_age, "must be at most 1 day");
    within("local_cache_max_age", age, Duration::ZERO, DAY, requirement)?;
    let (skew, most) = (config.max_clock_skew, Duration::from_secs(3_600));
    within("max_clock_skew", skew, Duration::ZERO, most, "must be at most 1 hour")
}

fn check_rules(config: &Config) -> Result<(), ConfigError> {
    if let Some(window) = config.failure_window {
        if !is_window(window) {
            let requirement = "must be between 1 ms and 1 day";
            return Err(ConfigError::new("failure_window", window, requirement));
        }
        if config.failure_threshold.get() > u64::from(MAX_FAILURES) {
            let requirement = "must be at most 10,000 with a failure_window";
            let failures = config.failure_threshold;
            return Err(ConfigError::new("failure_threshold", failures, requirement));
        }
    }
    if let Some(slow_after) = config.slow_after
        && !is_window(slow_after)
    {
        let requirement = "must be between 1 ms and 1 day";
        return Err(ConfigError::new("slow_after", slow_after, requirement));
    }
    let rules = &config.also_trip;
    if rules.len() > MAX_RULES {
        return Err(ConfigError::new("also_trip", rules, "must be at most 4 rules"));
    }
    if rules.iter().filter(|rule| rule.is_votes()).count() > 1 {
        return Err(ConfigError::new("also_trip", rules, "must have at most one rule of votes"));
    }
    rules.iter().try_for_each(|rule| rule.check())
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
