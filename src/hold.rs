//! An operator's hold, as it is asked for.

pub(crate) mod info;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use self::info::MOST_BYTES;
pub use self::info::{HoldInfo, HoldKind};
use crate::error::ConfigError;

/// A hold for [`Breaker::hold`](crate::Breaker::hold): which way, until when, and why.
///
/// | | every process that has read it | its failures |
/// |---|---|---|
/// | [`Hold::open`] | rejects every call | n/a |
/// | [`Hold::closed`] | admits every call | trip nothing |
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fuseboard::{BreakerRegistry, CircuitState, MemoryStore};
/// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
/// # let payments = registry.breaker("payment-backend")?;
/// use std::time::Duration;
/// use fuseboard::Hold;
///
/// let hold = Hold::open_for(Duration::from_secs(7_200)).reason("maintenance").by("ops");
/// payments.hold(hold).await?;
/// assert_eq!(payments.snapshot().state(), CircuitState::Open);
///
/// let snapshot = payments.snapshot();
/// let told = snapshot.hold().ok_or("not held")?;
/// assert_eq!((&*told.reason, told.by.as_deref()), ("maintenance", Some("ops")));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a hold does nothing until a breaker is told"]
pub struct Hold {
    kind: HoldKind,
    end: End,
    reason: String,
    by: Option<String>,
}

/// The longest time for which a circuit can be held closed. A hold that nobody ends would turn
/// the breaker off for good.
const LONGEST_CLOSED: Duration = Duration::from_secs(365 * 86_400);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    At(SystemTime),
    After(Duration),
}

impl Hold {
    /// Holds a circuit open until a time: every call is rejected.
    pub const fn open(until: SystemTime) -> Self {
        Self::new(HoldKind::Open, End::At(until))
    }

    /// Holds a circuit closed until a time: every call is admitted, and failures do not trip it.
    /// At most 365 days ahead.
    pub const fn closed(until: SystemTime) -> Self {
        Self::new(HoldKind::Closed, End::At(until))
    }

    /// Holds a circuit open for a time, which counts from [`Breaker::hold`](crate::Breaker::hold).
    pub const fn open_for(time: Duration) -> Self {
        Self::new(HoldKind::Open, End::After(time))
    }

    /// Holds a circuit closed for a time, which counts from
    /// [`Breaker::hold`](crate::Breaker::hold): at most 365 days.
    pub const fn closed_for(time: Duration) -> Self {
        Self::new(HoldKind::Closed, End::After(time))
    }

    const fn new(kind: HoldKind, end: End) -> Self {
        Self { kind, end, reason: String::new(), by: None }
    }

    /// Says why, for people who look: at most 1,024 bytes. Default: empty.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Sets the name of the operator: at most 1,024 bytes. Default: no name.
    pub fn by(mut self, who: impl Into<String>) -> Self {
        self.by = Some(who.into());
        self
    }

    pub(crate) fn kind(&self) -> HoldKind {
        self.kind
    }

    /// Returns how long the hold lasts from `now`, the time since the Unix epoch.
    pub(crate) fn lasts(&self, now: Duration) -> Result<Duration, ConfigError> {
        let (field, lasts) = match self.end {
            End::At(until) => {
                let until = until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let left = until.saturating_sub(now);
                if left.is_zero() {
                    let ago = now.saturating_sub(until);
                    let requirement = "must lie in the future (given is how long ago it was)";
                    return Err(ConfigError::new("until", ago, requirement));
                }
                ("until", left)
            }
            End::After(time) if time.is_zero() => {
                return Err(ConfigError::new("time", time, "must be more than zero"));
            }
            End::After(time) => ("time", time),
        };
        if self.kind == HoldKind::Closed && lasts > LONGEST_CLOSED {
            let requirement = "must be at most 365 days for a hold closed";
            return Err(ConfigError::new(field, lasts, requirement));
        }
        Ok(lasts)
    }

    /// Returns who holds the circuit, and why.
    pub(crate) fn into_texts(self) -> Result<(Option<Arc<str>>, Arc<str>), ConfigError> {
        let by = self.by.filter(|by| !by.is_empty());
        let texts = [("reason", Some(&self.reason)), ("by", by.as_ref())];
        for (field, text) in texts {
            if let Some(text) = text.filter(|text| text.len() > MOST_BYTES) {
                let requirement = "must have at most 1,024 bytes";
                return Err(ConfigError::new(field, text.len(), requirement));
            }
        }
        Ok((by.map(Arc::from), Arc::from(self.reason)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap()
    }

    #[test]
    fn a_hold_ends_in_the_future_or_is_refused() {
        let lasts = |hold: Hold| hold.lasts(NOW).map_err(|error| error.to_string());
        assert_eq!(lasts(Hold::open(at(1_060))), Ok(Duration::from_secs(60)));
        assert_eq!(lasts(Hold::open_for(Duration::MAX)), Ok(Duration::MAX));
        let year = Duration::from_secs(365 * 86_400);
        assert_eq!(lasts(Hold::closed_for(year)), Ok(year));
        let long = "must be at most 365 days for a hold closed";
        assert_eq!(
            lasts(Hold::closed_for(Duration::from_secs(365 * 86_400 + 1))),
            Err(format!("time {long}, got 31536001s"))
        );
        assert_eq!(
            lasts(Hold::closed(at(31_537_001))),
            Err(format!("until {long}, got 31536001s"))
        );
        let past = "until must lie in the future (given is how long ago it was), got 10s";
        assert_eq!(lasts(Hold::closed(at(990))), Err(past.to_owned()));
        let before_1970 = SystemTime::UNIX_EPOCH.checked_sub(Duration::from_secs(1 << 40)).unwrap();
        assert!(lasts(Hold::open(before_1970)).is_err());
        let zero = "time must be more than zero, got 0ns";
        assert_eq!(lasts(Hold::open_for(Duration::ZERO)), Err(zero.to_owned()));
    }

    #[test]
    fn long_texts_are_refused_when_given_and_cut_when_read() {
        let hold = || Hold::open(at(2_000));
        let texts = hold().reason("x".repeat(1_024)).by("").into_texts().unwrap();
        assert_eq!((texts.0, texts.1.len()), (None, 1_024));
        let refused = |hold: Hold| hold.into_texts().unwrap_err().to_string();
        let long = "ö".repeat(513);
        let told = |field: &str| format!("{field} must have at most 1,024 bytes, got 1026");
        assert_eq!(refused(hold().reason(&*long)), told("reason"));
        assert_eq!(refused(hold().by(&*long)), told("by"));
        let long = Arc::from(format!("a{long}"));
        let read = HoldInfo::new(HoldKind::Open, 2_000, Some(&long), &long);
        assert_eq!((read.reason.len(), read.by.unwrap().len()), (1_023, 1_023));
    }
}
