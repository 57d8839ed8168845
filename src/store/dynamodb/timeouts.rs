//! The timeouts of a store operation and of its parts.

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
    causes::chain,
};
use crate::error::ConfigError;

/// Beyond these the SDK's own sums of them overflow, and panic.
const LONGEST: Duration = Duration::from_secs(3_600);
const MOST_ATTEMPTS: u32 = 100;

/// The pauses before the first retry and before any: less than the SDK's own,
/// whose first may take as long as the whole operation.
const INITIAL_BACKOFF: Duration = Duration::from_millis(25);
const MAX_BACKOFF: Duration = Duration::from_millis(200);

/// The timeouts of every call, of any client. The SDK's defaults
/// have no attempt and no operation timeout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Timeouts {
    /// Bounds an operation with all its attempts.
    pub(super) operation: Duration,
    pub(super) max_attempts: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { operation: Duration::from_secs(1), max_attempts: 3 }
    }
}

impl Timeouts {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let refused =
            |requirement| Err(ConfigError::new("operation_timeout", self.operation, requirement));
        if self.operation.is_zero() {
            return refused("must be more than 0");
        }
        if self.operation > LONGEST {
            return refused("must be at most 1 hour");
        }
        if !(1..=MOST_ATTEMPTS).contains(&self.max_attempts) {
            let requirement = "must be between 1 and 100";
            return Err(ConfigError::new("max_attempts", self.max_attempts, requirement));
        }
        Ok(())
    }

    /// Bounds one attempt, so that a second one can succeed: a connection that died
    /// while the process was frozen does not answer at all.
    fn attempt(&self) -> Duration {
        self.part(2, 5)
    }

    /// Bounds the making of a connection.
    fn connect(&self) -> Duration {
        self.part(1, 4)
    }

    /// Bounds the wait for credentials. It is less than a `store_timeout` of the
    /// same length as the operation, so that the error which names the credentials
    /// comes first.
    pub(super) fn credentials(&self) -> Duration {
        self.part(3, 4)
    }

    fn part(&self, of: u32, parts: u32) -> Duration {
        let part = self.operation.saturating_mul(of).checked_div(parts);
        part.unwrap_or_default().max(Duration::from_nanos(1))
    }

    /// Returns timeouts that are longer by this factor, for a single attempt.
    pub(super) fn times(&self, factor: u32) -> Self {
        Self { operation: self.operation.saturating_mul(factor).min(LONGEST), max_attempts: 1 }
    }

    /// Returns the timeout that ended an SDK call; `None` if none of this store did.
    /// Only the SDK's words tell its timeouts apart.
    pub(super) fn ran_out<E: Error + 'static>(&self, error: &SdkError<E>) -> Option<RanOut> {
        let is_timeout = matches!(error, SdkError::TimeoutError(_))
            || matches!(error, SdkError::DispatchFailure(failure) if failure.is_timeout());
        let words = error.source().filter(|_| is_timeout).map(chain)?;
        [
            ("all attempts", RanOut::Operation(self.operation)),
            ("single attempt", RanOut::Attempt(self.attempt())),
            ("connect timeout", RanOut::Connect(self.connect())),
        ]
        .into_iter()
        .find_map(|(its, ran_out)| words.contains(its).then_some(ran_out))
    }

    /// Returns the settings for the SDK. The retry partition has a budget of its own,
    /// so that the retries of the store and those of the application's other calls do
    /// not use up each other's.
    pub(super) fn to_override(&self) -> config::Builder {
        let overrides = config::Builder::new()
            .retry_partition(RetryPartition::custom("fuseboard").build())
            .retry_classifier(RetryConflicts)
            .interceptor(NoEmptyAnswers)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        self.apply(overrides)
    }

    /// Sets these timeouts in place of others.
    pub(super) fn apply(&self, overrides: config::Builder) -> config::Builder {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.connect())
            .operation_attempt_timeout(self.attempt())
            .operation_timeout(self.operation)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(self.max_attempts)
            .with_initial_backoff(INITIAL_BACKOFF)
            .with_max_backoff(MAX_BACKOFF);
        overrides.timeout_config(timeouts).retry_config(retries)
    }
}

/// A timeout that ran out, with its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RanOut {
    #[error("operation_timeout, {0:?}, ran out")]
    Operation(Duration),
    #[error("an attempt took longer than {0:?}, two fifths of operation_timeout")]
    Attempt(Duration),
    #[error("a connection took longer than {0:?}, a quarter of operation_timeout")]
    Connect(Duration),
}
