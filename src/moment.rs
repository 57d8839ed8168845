//! A reading of both clocks at one instant.

use std::time::Duration;

/// One reading of the monotonic and of the wall clock, taken together.
///
/// Waiting is measured on the monotonic clock; stamps that other processes
/// read come from the wall clock. Freshness needs both, because a frozen
/// process may see either of them stand still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Time since an arbitrary origin of this process.
    pub(crate) mono: Duration,
    /// Time since the Unix epoch.
    pub(crate) wall: Duration,
}

impl Moment {
    /// Whole seconds since the Unix epoch, rounded down.
    pub(crate) fn unix_floor(self) -> i64 {
        i64::try_from(self.wall.as_secs()).unwrap_or(i64::MAX)
    }

    /// Whole seconds since the Unix epoch, `after` from now, rounded up: a
    /// stamp that others compare with their clock must never be early.
    pub(crate) fn unix_ceil(self, after: Duration) -> i64 {
        let at = self.wall.saturating_add(after);
        let up = u64::from(at.subsec_nanos() > 0);
        i64::try_from(at.as_secs().saturating_add(up)).unwrap_or(i64::MAX)
    }

    /// Milliseconds since the Unix epoch, the unit of the gate.
    pub(crate) fn wall_ms(self) -> u64 {
        millis(self.wall)
    }
}

/// A duration in whole milliseconds, saturating.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_round_up_and_extremes_saturate() {
        let at = |secs, nanos| Moment { mono: Duration::ZERO, wall: Duration::new(secs, nanos) };
        assert_eq!(at(9, 0).unix_ceil(Duration::ZERO), 9);
        assert_eq!(at(9, 1).unix_ceil(Duration::ZERO), 10);
        assert_eq!(at(9, 999_999_999).unix_floor(), 9);
        assert_eq!(at(9, 0).unix_ceil(Duration::MAX), i64::MAX);
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }
}
