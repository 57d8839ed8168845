//! How long one store operation may take, retries included.

use std::{error::Error, time::Duration};

use aws_sdk_dynamodb::{
    config::{
        self, StalledStreamProtectionConfig,
        retry::{RetryConfig, RetryPartition},
        timeout::TimeoutConfig,
    },
    error::SdkError,
};

use super::{
    answers::{NoEmptyAnswers, RetryConflicts},
    fault::{RanOut, chain},
};
use crate::error::ConfigError;

/// Beyond these the SDK's own sums of them overflow, and panic.
const LONGEST: Duration = Duration::from_secs(3_600);
const MOST_ATTEMPTS: u32 = 100;

/// What the SDK is told for every call, whatever client the user brings: its
/// own defaults have no attempt and no operation timeout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) connect_timeout: Duration,
    pub(super) attempt_timeout: Duration,
    pub(super) operation_timeout: Duration,
    pub(super) max_attempts: u32,
    pub(super) initial_backoff: Duration,
    pub(super) max_backoff: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_millis(250),
            attempt_timeout: Duration::from_millis(400),
            operation_timeout: Duration::from_secs(1),
            max_attempts: 3,
            initial_backoff: Duration::from_millis(25),
            max_backoff: Duration::from_millis(200),
        }
    }
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let ordered = [
            ("connect_timeout", self.connect_timeout, "must be more than 0"),
            ("attempt_timeout", self.attempt_timeout, "must be at least connect_timeout"),
            ("operation_timeout", self.operation_timeout, "must be at least attempt_timeout"),
        ];
        let mut least = Duration::from_nanos(1);
        for (field, value, requirement) in ordered {
            if value < least {
                return Err(ConfigError::new(field, value, requirement));
            }
            if value > LONGEST {
                return Err(ConfigError::new(field, value, "must be at most 1 hour"));
            }
            least = value;
        }
        if !(1..=MOST_ATTEMPTS).contains(&self.max_attempts) {
            let requirement = "must be between 1 and 100";
            return Err(ConfigError::new("max_attempts", self.max_attempts, requirement));
        }
        if self.initial_backoff.is_zero() {
            let requirement = "must be more than 0";
            return Err(ConfigError::new("initial_backoff", self.initial_backoff, requirement));
        }
        if self.max_backoff < self.initial_backoff {
            let requirement = "must be at least initial_backoff";
            return Err(ConfigError::new("max_backoff", self.max_backoff, requirement));
        }
        if self.max_backoff > LONGEST {
            return Err(ConfigError::new(
                "max_backoff",
                self.max_backoff,
                "must be at most 1 hour",
            ));
        }
        Ok(())
    }

    /// How long an operation of a circuit waits for credentials: so long that
    /// its own error, which names them, comes before that of a `store_timeout`
    /// of the same length.
    pub(super) fn patience(&self) -> Duration {
        self.operation_timeout.saturating_mul(3).checked_div(4).unwrap_or_default()
    }

    /// Limits so many times as long, for a single attempt.
    pub(super) fn times(&self, factor: u32) -> Self {
        let longer = |limit: Duration| limit.saturating_mul(factor).min(LONGEST);
        Self {
            connect_timeout: longer(self.connect_timeout),
            attempt_timeout: longer(self.attempt_timeout),
            operation_timeout: longer(self.operation_timeout),
            max_attempts: 1,
            ..self.clone()
        }
    }

    /// The limit that an SDK call was cut off by. The SDK tells them apart in
    /// words only; a limit that is not ours has none here.
    pub(super) fn ran_out<E: Error + 'static>(&self, error: &SdkError<E>) -> Option<RanOut> {
        let is_timeout = matches!(error, SdkError::TimeoutError(_))
            || matches!(error, SdkError::DispatchFailure(failure) if failure.is_timeout());
        let words = error.source().filter(|_| is_timeout).map(chain)?;
        let limits = [
            ("all attempts", "operation_timeout", self.operation_timeout),
            ("single attempt", "attempt_timeout", self.attempt_timeout),
            ("connect timeout", "connect_timeout", self.connect_timeout),
        ];
        let (_, setting, after) = limits.into_iter().find(|(its, ..)| words.contains(its))?;
        Some(RanOut { setting, after })
    }

    /// The settings as the SDK takes them. The retry partition has its own
    /// budget of retries, so that neither the breaker's retries nor those of
    /// the application's other calls use up each other's.
    pub(super) fn to_override(&self) -> config::Builder {
        let overrides = config::Builder::new()
            .retry_partition(RetryPartition::custom("fuseboard").build())
            .retry_classifier(RetryConflicts)
            .interceptor(NoEmptyAnswers)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        self.apply(overrides)
    }

    /// Sets these limits in place of others.
    pub(super) fn apply(&self, overrides: config::Builder) -> config::Builder {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.connect_timeout)
            .operation_attempt_timeout(self.attempt_timeout)
            .operation_timeout(self.operation_timeout)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(self.max_attempts)
            .with_initial_backoff(self.initial_backoff)
            .with_max_backoff(self.max_backoff);
        overrides.timeout_config(timeouts).retry_config(retries)
    }
}
