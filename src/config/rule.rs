//! Rules that trip a circuit beside `failure_threshold`.

use std::{fmt, time::Duration};

use super::{DAY, SECOND};
use crate::error::ConfigError;

/// The most rules that a circuit has beside `failure_threshold`.
pub(crate) const MAX_RULES: usize = 4;

/// The most failures that a rule can ask for: each is kept for as long as it may count.
pub(crate) const MAX_FAILURES: u32 = 10_000;

/// The most voters that a rule can ask for: the item keeps the vote of each.
const MAX_VOTERS: u32 = 1_000;

/// The parts of a share.
const BILLION: u32 = 1_000_000_000;

/// The shortest window.
const SHORTEST: Duration = Duration::from_millis(1);

/// A rule that trips a circuit, beside
/// [`failure_threshold`](crate::ConfigBuilder::failure_threshold). Added by
/// [`also_trip`](crate::ConfigBuilder::also_trip).
///
/// Every rule but [`votes`](Rule::votes) counts for one process. All trip at a failure, never at a
/// good call. When the state changes, all rules begin from nothing.
/// [`guide::tripping`](crate::guide::tripping) compares them.
///
/// | rule | trips when |
/// |---|---|
/// | [`Rule::of_last`] | that many of the last calls failed |
/// | [`Rule::within`] | that many calls failed within a time |
/// | [`Rule::rate`] | a share of the calls within a time failed |
/// | [`Rule::votes`] | that many processes fail now, each for a few calls |
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
    /// and there are `at_least` that many calls.
    Rate { share: Share, window: Duration, at_least: u32 },
    /// At least `voters` processes each had `streak` failures in a row within `window`, and no good
    /// call since.
    Votes { voters: u32, streak: u32, window: Duration },
}

/// A share of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Share {
    /// A whole number of them, so that it is compared exactly, and reads back as it was written.
    Billionths(u32),
    /// The bits of a number that is no share above 0 and at most 1: kept for the error.
    Invalid(u64),
}

impl Share {
    pub(crate) fn new(share: f64) -> Self {
        if !(1e-9..=1.0).contains(&share) {
            return Self::Invalid(share.to_bits());
        }
        #[expect(
            clippy::as_conversions,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and a billion"
        )]
        let billionths = (share * f64::from(BILLION)).round() as u32;
        Self::Billionths(billionths)
    }

    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Billionths(billionths) => f64::from(billionths) / f64::from(BILLION),
            Self::Invalid(bits) => f64::from_bits(bits),
        }
    }

    fn percent(self) -> f64 {
        match self {
            Self::Billionths(billionths) => f64::from(billionths) / f64::from(BILLION / 100),
            Self::Invalid(bits) => f64::from_bits(bits) * 100.0,
        }
    }

    /// Returns `true` if `failures` are at least this share of `calls`.
    pub(crate) fn is_reached(self, failures: u64, calls: u64) -> bool {
        let Self::Billionths(billionths) = self else {
            return false;
        };
        // One less: a share that was computed from two counts is reached by those counts, however
        // it was rounded.
        let least = u128::from(calls).saturating_mul(u128::from(billionths.saturating_sub(1)));
        u128::from(failures).saturating_mul(u128::from(BILLION)) >= least
    }
}

impl Rule {
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

    /// Trips when at least `share` of the calls failed: above 0, at most 1, to a billionth. Of which
    /// calls, [`over`](Rate::over) and [`at_least`](Rate::at_least) say.
    ///
    /// Counting begins with a failure: the calls are those that ended since the oldest failure
    /// that is not older than the window, that failure included. What was good before it does not
    /// count, so an outage is noticed after few calls, however long all was well, and a dense
    /// burst of failures right after health looks like one; `at_least` is the guard. The window
    /// is counted in sixteenths: a failure may be left out up to a sixteenth too early.
    pub fn rate(share: f64) -> Rate {
        let (window, at_least) = (Rate::OVER, Rate::AT_LEAST);
        Rate(Self(RuleKind::Rate { share: Share::new(share), window, at_least }))
    }

    /// Trips when `voters` processes fail at the same time: each has had `streak` failures in a row
    /// within a [window](Votes::within), and no good call since. 2 to 1,000 voters, a streak of 1 to
    /// 10,000. At most one such rule for a circuit.
    ///
    /// For fleets of which each process makes few calls, or one at a time, such as AWS Lambda:
    /// there `failure_threshold` failures of one process take as many timeouts. A process votes
    /// when its streak is reached, and withdraws its vote after a good call; both are written to an
    /// item beside the circuit's. This is the only thing that is written in health.
    /// [The guide](crate::guide::votes) says how many false openings to expect, and what it costs.
    ///
    /// ```
    /// use std::time::Duration;
    /// use fuseboard::{Config, Rule};
    ///
    /// let votes = Rule::votes(5, 2).within(Duration::from_secs(30));
    /// let config = Config::builder().also_trip(votes).build()?;
    /// assert_eq!(config.also_trip(), [votes.into()]);
    /// # Ok::<(), fuseboard::ConfigError>(())
    /// ```
    pub const fn votes(voters: u32, streak: u32) -> Votes {
        Votes(Self(RuleKind::Votes { voters, streak, window: Votes::WITHIN }))
    }

    /// Returns `true` for [votes](Self::votes).
    pub(crate) fn is_votes(self) -> bool {
        matches!(self.0, RuleKind::Votes { .. })
    }

    /// Returns the time within which failures count; `None` if it has no end.
    pub(super) fn window(self) -> Option<Duration> {
        match self.0 {
            RuleKind::OfLast { .. } => None,
            RuleKind::Within { window, .. }
            | RuleKind::Rate { window, .. }
            | RuleKind::Votes { window, .. } => Some(window),
        }
    }

    /// Checks that the rule can trip, and can be kept.
    pub(crate) fn check(self) -> Result<(), ConfigError> {
        let refused = |requirement| Err(ConfigError::new("also_trip", self, requirement));
        match self.0 {
            RuleKind::OfLast { failures, calls } => {
                if !is_failures(failures) {
                    return refused("must have 1 to 10,000 failures");
                }
                if failures > calls {
                    return refused("must have at least as many calls as failures");
                }
            }
            RuleKind::Within { failures, window } => {
                if !is_failures(failures) {
                    return refused("must have 1 to 10,000 failures");
                }
                if !is_window(window) {
                    return refused("must have a window between 1 ms and 1 day");
                }
            }
            RuleKind::Rate { share, window, at_least } => {
                if matches!(share, Share::Invalid(_)) {
                    return refused("must have a share above 0 and at most 1");
                }
                if !is_window(window) {
                    return refused("must have a window between 1 ms and 1 day");
                }
                if at_least < 2 {
                    return refused("must need at least 2 calls");
                }
            }
            RuleKind::Votes { voters, streak, window } => {
                if !(2..=MAX_VOTERS).contains(&voters) {
                    return refused("must have 2 to 1,000 voters");
                }
                if !is_failures(streak) {
                    return refused("must have a streak of 1 to 10,000");
                }
                if !(SECOND..=DAY).contains(&window) {
                    return refused("must have a window between 1 s and 1 day");
                }
            }
        }
        Ok(())
    }
}

/// A [`Rule::rate`], and of which calls it is. Becomes a [`Rule`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a rate is a rule once it is added to settings"]
pub struct Rate(Rule);

impl Rate {
    pub(super) const OVER: Duration = Duration::from_secs(60);
    pub(super) const AT_LEAST: u32 = 20;

    /// Sets the time within which failures count. Default 60 s; 1 ms to 1 day.
    pub fn over(mut self, time: Duration) -> Self {
        if let RuleKind::Rate { window, .. } = &mut self.0.0 {
            *window = time;
        }
        self
    }

    /// Sets how many calls the rate needs before it decides. Default 20; 2 or more.
    pub fn at_least(mut self, calls: u32) -> Self {
        if let RuleKind::Rate { at_least, .. } = &mut self.0.0 {
            *at_least = calls;
        }
        self
    }
}

impl From<Rate> for Rule {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A [`Rule::votes`], and within which time the votes count. Becomes a [`Rule`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "votes are a rule once they are added to settings"]
pub struct Votes(Rule);

impl Votes {
    pub(super) const WITHIN: Duration = Duration::from_secs(60);

    /// Sets the time within which failures and votes count. Default 60 s; 1 s to 1 day.
    pub fn within(mut self, time: Duration) -> Self {
        if let RuleKind::Votes { window, .. } = &mut self.0.0 {
            *window = time;
        }
        self
    }
}

impl From<Votes> for Rule {
    fn from(votes: Votes) -> Self {
        votes.0
    }
}

impl fmt::Debug for Votes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
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
            RuleKind::Votes { voters, streak, window } => {
                write!(f, "votes({voters}, {streak}).within({window:?})")
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
                let percent = share.percent();
                write!(f, "{percent} % of at least {at_least} calls within {window:?} failed")
            }
            RuleKind::Votes { voters, streak, window } => {
                write!(f, "{voters} processes failed {streak} times in a row within {window:?}")
            }
        }
    }
}
