//! Rules that trip a circuit beside `failure_threshold`.

use std::{fmt, time::Duration};

use super::DAY;
use crate::error::ConfigError;

/// The most rules that a circuit has beside `failure_threshold`.
pub(crate) const MAX_RULES: usize = 4;

/// The most failures that a rule can ask for: each is kept for as long as it may count.
pub(crate) const MAX_FAILURES: u32 = 10_000;

/// The parts of one: a share is kept as a whole number of them, so that it is compared exactly.
const BILLION: u32 = 1_000_000_000;

/// The shortest window.
const SHORTEST: Duration = Duration::from_millis(1);

/// A rule that trips a circuit, beside
/// [`failure_threshold`](crate::ConfigBuilder::failure_threshold). Added by
/// [`also_trip`](crate::ConfigBuilder::also_trip).
///
/// Every rule counts for one process, and trips at a failure, never at a good call. When the state
/// changes, all rules begin from nothing. [`guide::tripping`](crate::guide::tripping) compares them.
///
/// | rule | trips when |
/// |---|---|
/// | [`Rule::of_last`] | so many of the last calls failed |
/// | [`Rule::within`] | so many calls failed within a time |
/// | [`Rule::rate`] | a share of the calls within a time failed |
///
/// ```
/// use std::time::Duration;
/// use fuseboard::{Config, Rule};
///
/// let config = Config::builder()
///     .also_trip(Rule::of_last(10, 20))
///     .also_trip(Rule::rate(0.5).over(Duration::from_secs(60)).at_least(20))
///     .build()?;
/// let rules: Vec<_> = config.also_trip().iter().map(ToString::to_string).collect();
/// assert_eq!(rules, ["10 of the last 20 calls failed", "50 % of at least 20 calls within 60s failed"]);
/// # Ok::<(), fuseboard::ConfigError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rule(pub(crate) RuleKind);

/// A rule, as the counting takes it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RuleKind {
    /// At least `failures` of the last `calls` failed.
    OfLast { failures: u32, calls: u32 },
    /// At least `failures` within `window`.
    Within { failures: u32, window: Duration },
    /// At least a share of the calls since the oldest failure that is not older than `window`,
    /// which are `at_least` so many.
    Rate { share: Share, window: Duration, at_least: u32 },
}

/// A share of calls, as the bits of the number that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Share(u64);

impl Share {
    pub(crate) fn new(share: f64) -> Self {
        Self(share.to_bits())
    }

    pub(crate) fn as_f64(self) -> f64 {
        f64::from_bits(self.0)
    }

    /// Returns the share as a whole number of billionths, so that it is compared exactly; zero
    /// for one that no rule may have. Rounded down: a share that was computed from two counts is
    /// reached by those counts.
    fn billionths(self) -> u32 {
        let share = self.as_f64();
        if !(1e-9..=1.0).contains(&share) {
            return 0;
        }
        #[expect(
            clippy::as_conversions,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and a billion"
        )]
        let billionths = (share * f64::from(BILLION)) as u32;
        billionths
    }

    /// Returns `true` if so many failures are at least this share of so many calls.
    pub(crate) fn is_reached(self, failures: u64, calls: u64) -> bool {
        let failures = u128::from(failures).saturating_mul(u128::from(BILLION));
        failures >= u128::from(calls).saturating_mul(u128::from(self.billionths()))
    }
}

impl Rule {
    pub(super) const RATE_OVER: Duration = Duration::from_secs(60);
    pub(super) const RATE_AT_LEAST: u32 = 20;

    /// Trips when at least `failures` of the last `calls` calls failed, of all that ended in this
    /// epoch. Calls from before the first failure count as good. 1 to 10,000 failures; at least
    /// as many calls.
    #[must_use]
    pub const fn of_last(failures: u32, calls: u32) -> Self {
        Self(RuleKind::OfLast { failures, calls })
    }

    /// Trips when at least `failures` calls failed within `window`, however many were good. 1 to
    /// 10,000 failures; 1 ms to 1 day.
    #[must_use]
    pub const fn within(failures: u32, window: Duration) -> Self {
        Self(RuleKind::Within { failures, window })
    }

    /// Trips when at least `share` of the calls failed: above 0, at most 1. Of which calls,
    /// [`over`](Self::over) and [`at_least`](Self::at_least) say.
    ///
    /// Counting begins with a failure: the calls are those that ended since the oldest failure
    /// that is not older than the window, that failure included. What was good before it does not
    /// count, so an outage is noticed after few calls, however long all was well, and a dense
    /// burst of failures right after health looks like one; `at_least` is the guard. The window
    /// is counted in sixteenths: a failure may be left out up to a sixteenth too early.
    #[must_use]
    pub fn rate(share: f64) -> Self {
        let (window, at_least) = (Self::RATE_OVER, Self::RATE_AT_LEAST);
        Self(RuleKind::Rate { share: Share::new(share), window, at_least })
    }

    /// Sets the window of a [rate](Self::rate). Default 60 s; 1 ms to 1 day. Any other rule stays
    /// as it is.
    #[must_use]
    pub fn over(self, window: Duration) -> Self {
        match self.0 {
            RuleKind::Rate { share, at_least, .. } => {
                Self(RuleKind::Rate { share, window, at_least })
            }
            RuleKind::OfLast { .. } | RuleKind::Within { .. } => self,
        }
    }

    /// Sets how many calls a [rate](Self::rate) needs before it decides. Default 20; 2 or more.
    /// Any other rule stays as it is.
    #[must_use]
    pub fn at_least(self, calls: u32) -> Self {
        match self.0 {
            RuleKind::Rate { share, window, .. } => {
                Self(RuleKind::Rate { share, window, at_least: calls })
            }
            RuleKind::OfLast { .. } | RuleKind::Within { .. } => self,
        }
    }

    /// Returns the time within which failures count; `None` if it has no end.
    pub(super) fn window(self) -> Option<Duration> {
        match self.0 {
            RuleKind::OfLast { .. } => None,
            RuleKind::Within { window, .. } | RuleKind::Rate { window, .. } => Some(window),
        }
    }

    /// Checks that the rule can trip, and can be kept.
    pub(super) fn check(self) -> Result<(), ConfigError> {
        let refused = |rule, requirement| Err(ConfigError::new(rule, self, requirement));
        match self.0 {
            RuleKind::OfLast { failures, calls } => {
                if !is_failures(failures) {
                    return refused("of_last", "must have 1 to 10,000 failures");
                }
                if failures > calls {
                    return refused("of_last", "must have at least as many calls as failures");
                }
            }
            RuleKind::Within { failures, window } => {
                if !is_failures(failures) {
                    return refused("within", "must have 1 to 10,000 failures");
                }
                if !is_window(window) {
                    return refused("within", "must have a window between 1 ms and 1 day");
                }
            }
            RuleKind::Rate { share, window, at_least } => {
                if share.billionths() == 0 {
                    return refused("rate", "must have a share above 0 and at most 1");
                }
                if !is_window(window) {
                    return refused("rate", "must have a window between 1 ms and 1 day");
                }
                if at_least < 2 {
                    return refused("rate", "must need at least 2 calls");
                }
            }
        }
        Ok(())
    }
}

fn is_failures(failures: u32) -> bool {
    (1..=MAX_FAILURES).contains(&failures)
}

/// Returns `true` if a rule may count over this time.
pub(super) fn is_window(window: Duration) -> bool {
    (SHORTEST..=DAY).contains(&window)
}

/// Shows the rule as code makes it.
impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            RuleKind::OfLast { failures, calls } => write!(f, "of_last({failures}, {calls})"),
            RuleKind::Within { failures, window } => write!(f, "within({failures}, {window:?})"),
            RuleKind::Rate { share, window, at_least } => {
                write!(f, "rate({:?}).over({window:?}).at_least({at_least})", share.as_f64())
            }
        }
    }
}

/// Shows what has happened if the rule trips.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            RuleKind::OfLast { failures, calls } => {
                write!(f, "{failures} of the last {calls} calls failed")
            }
            RuleKind::Within { failures, window } => {
                write!(f, "{failures} calls failed within {window:?}")
            }
            RuleKind::Rate { share, window, at_least } => {
                let percent = share.as_f64() * 100.0;
                write!(f, "{percent} % of at least {at_least} calls within {window:?} failed")
            }
        }
    }
}
