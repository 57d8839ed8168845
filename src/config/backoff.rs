//! How long an opening lasts: longer after each failed probe.

use std::{fmt, time::Duration};

use super::{DAY, YEAR, spread};
use crate::error::ConfigError;

/// The longest time for which a circuit that has closed is remembered to have failed before.
const LONGEST_MEMORY: Duration = DAY;

/// Lengthens the time for which a circuit stays open, with each probe in a row that fails. Set by
/// [`open_backoff`](crate::ConfigBuilder::open_backoff).
///
/// An opening after `n` failed probes in a row, 0 at a first trip, lasts
/// `min(at_most, recovery_timeout × factor^n)`, and up to `jitter` of it longer. A circuit that
/// closes and trips again within `forget_after` goes on where it was: otherwise one that flaps
/// would never wait for longer.
///
/// How much longer follows from the circuit's name and the time of its opening alone. So all
/// processes of a circuit agree without a write, and circuits that tripped together do not probe
/// together. The number of failed probes is in the shared item (`failed_probes`). Give all
/// processes of a circuit the same settings: each judges by its own.
///
/// ```
/// use std::time::Duration;
/// use fuseboard::{Backoff, Config};
///
/// let config = Config::builder()
///     .open_backoff(
///         Backoff::exponential(2.0)
///             .at_most(Duration::from_secs(600))
///             .jitter(0.1)
///             .forget_after(Duration::from_secs(900)),
///     )
///     .build()?;
/// assert!(config.open_backoff().is_some());
///
/// let error = Config::builder().open_backoff(Backoff::exponential(0.5)).build().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "open_backoff must have a factor of 1 to 1,000, got exponential(0.5).jitter(0.2).forget_after(600s)",
/// );
/// # Ok::<(), fuseboard::ConfigError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backoff {
    factor: Number,
    /// `None` follows `recovery_timeout`.
    at_most: Option<Duration>,
    jitter: Number,
    forget_after: Duration,
}

/// A number, as its bits, so that settings can be compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Number(u64);

impl Number {
    fn new(number: f64) -> Self {
        Self(number.to_bits())
    }

    fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl Backoff {
    pub(super) const JITTER: f64 = 0.2;
    pub(super) const FORGET_AFTER: Duration = Duration::from_secs(600);
    const AT_MOST: Duration = Duration::from_secs(300);

    /// Multiplies the open time by `factor` with each failed probe: 1 to 1,000. At 1 the jitter
    /// alone is left.
    #[must_use]
    pub fn exponential(factor: f64) -> Self {
        Self {
            factor: Number::new(factor),
            at_most: None,
            jitter: Number::new(Self::JITTER),
            forget_after: Self::FORGET_AFTER,
        }
    }

    /// Sets the longest open time, without the jitter. Default 300 s, or `recovery_timeout` if
    /// that is longer; `recovery_timeout` to 365 days.
    #[must_use]
    pub fn at_most(self, time: Duration) -> Self {
        Self { at_most: Some(time), ..self }
    }

    /// Sets the share of the open time by which it is lengthened at most. Default 0.2; 0 to 1.
    #[must_use]
    pub fn jitter(self, share: f64) -> Self {
        Self { jitter: Number::new(share), ..self }
    }

    /// Sets the time after a closing from which on the next trip counts as a first one. Default
    /// 600 s; at most 1 day.
    ///
    /// When a circuit closed follows from the item's `expiration`, less the reader's own
    /// `recovery_timeout` and an hour. With another writer's it is off by the difference.
    #[must_use]
    pub fn forget_after(self, time: Duration) -> Self {
        Self { forget_after: time, ..self }
    }

    /// Returns the settings as they were given.
    pub(super) fn parts(self) -> (f64, Option<Duration>, f64, Duration) {
        (self.factor.get(), self.at_most, self.jitter.get(), self.forget_after)
    }

    /// Returns how long after a closing a trip counts as one that goes on.
    pub(crate) fn remembers_for(self) -> Duration {
        self.forget_after
    }

    /// Returns how long the opening of a circuit lasts that began at `opened_at`, after this
    /// number of failed probes in a row: in whole milliseconds.
    pub(crate) fn open_time(
        self,
        recovery_timeout: Duration,
        failed_probes: u64,
        circuit: &str,
        opened_at: i64,
    ) -> Duration {
        let most = self.at_most.unwrap_or(Self::AT_MOST).max(recovery_timeout);
        let grown = recovery_timeout.as_secs_f64() * power(self.factor.get(), failed_probes);
        let share = self.jitter.get() * spread::fraction(circuit, opened_at);
        let time = grown.min(most.as_secs_f64()) * (1.0 + share);
        // Whole milliseconds: the last bit of a product may differ between processors.
        let time = Duration::try_from_secs_f64((time * 1_000.0).round() / 1_000.0);
        time.unwrap_or(most)
    }

    /// Checks that each part is in its range.
    pub(super) fn check(self, recovery_timeout: Duration) -> Result<(), ConfigError> {
        let refused = |requirement| Err(ConfigError::new("open_backoff", self, requirement));
        if !(1.0..=1_000.0).contains(&self.factor.get()) {
            return refused("must have a factor of 1 to 1,000");
        }
        if self.at_most.is_some_and(|most| !(recovery_timeout..=YEAR).contains(&most)) {
            let requirement = "must have an at_most between recovery_timeout and 365 days";
            let got = format_args!("{self:?} with a recovery_timeout of {recovery_timeout:?}");
            return Err(ConfigError::new("open_backoff", got, requirement));
        }
        if !(0.0..=1.0).contains(&self.jitter.get()) {
            return refused("must have a jitter between 0 and 1");
        }
        if self.forget_after > LONGEST_MEMORY {
            return refused("must forget after at most 1 day");
        }
        Ok(())
    }
}

/// Returns a number of at least 1 to the power of another; infinite where it is too great. By
/// multiplications alone, which give the same on every processor.
fn power(number: f64, mut exponent: u64) -> f64 {
    let (mut power, mut square) = (1.0_f64, number);
    while exponent > 0 {
        if exponent & 1 == 1 {
            power *= square;
        }
        square *= square;
        exponent >>= 1;
    }
    power
}

/// Shows the back-off as code makes it.
impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exponential({:?})", self.factor.get())?;
        if let Some(most) = self.at_most {
            write!(f, ".at_most({most:?})")?;
        }
        write!(f, ".jitter({:?}).forget_after({:?})", self.jitter.get(), self.forget_after)
    }
}

#[cfg(test)]
mod tests;
