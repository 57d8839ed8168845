//! A reading of both clocks at one instant.

use std::time::Duration;

/// One reading of the monotonic and of the wall clock, taken together.
///
/// Neither clock can be trusted alone: monotonic time may stand still while a
/// process is frozen, and wall time may be set. Stamps that other processes
/// read come from the wall clock; waiting is judged with [`Moment::since`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Time since an arbitrary origin of this process.
    pub(crate) mono: Duration,
    /// Time since the Unix epoch.
    pub(crate) wall: Duration,
}

impl Moment {
    /// How much time has passed since an earlier moment: what the clock that
    /// moved further says, so that a frozen clock keeps nobody waiting. A wall
    /// clock that was set forward can only shorten a wait, never unfence a write.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let mono = self.mono.saturating_sub(earlier.mono);
        let wall = self.wall.saturating_sub(earlier.wall);
        mono.max(wall)
    }

    /// Whether both clocks agree that less than `age` has passed; a wall clock
    /// that was set back agrees with nothing.
    pub(crate) fn is_within(self, earlier: Self, age: Duration) -> bool {
        self.wall >= earlier.wall && self.since(earlier) < age
    }

    /// Whole seconds since the Unix epoch, `after` from now, rounded down.
    pub(crate) fn unix_floor(self, after: Duration) -> i64 {
        let at = self.wall.saturating_add(after);
        i64::try_from(at.as_secs()).unwrap_or(i64::MAX)
    }

    /// Whole seconds since the Unix epoch, `after` from now, rounded up: a
    /// stamp that others compare with their clock must never be early.
    pub(crate) fn unix_ceil(self, after: Duration) -> i64 {
        let at = self.wall.saturating_add(after);
        let up = u64::from(at.subsec_nanos() > 0);
        i64::try_from(at.as_secs().saturating_add(up)).unwrap_or(i64::MAX)
    }

    /// How far the wall clock is past a stamp; zero if it is not.
    pub(crate) fn past(self, stamp: i64) -> Duration {
        match u64::try_from(stamp) {
            Ok(seconds) => self.wall.saturating_sub(Duration::from_secs(seconds)),
            Err(_) => self.wall,
        }
    }

    /// Milliseconds since the Unix epoch, the unit of the gate.
    pub(crate) fn wall_ms(self) -> u64 {
        millis(self.wall)
    }
}

/// A duration in whole milliseconds, rounded down, saturating.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono: u64, wall: u64) -> Moment {
        Moment { mono: Duration::from_secs(mono), wall: Duration::from_secs(wall) }
    }

    #[test]
    fn stamps_round_up_and_extremes_saturate() {
        let wall = |secs, nanos| Moment { mono: Duration::ZERO, wall: Duration::new(secs, nanos) };
        assert_eq!(wall(9, 0).unix_ceil(Duration::ZERO), 9);
        assert_eq!(wall(9, 1).unix_ceil(Duration::ZERO), 10);
        assert_eq!(wall(9, 999_999_999).unix_floor(Duration::ZERO), 9);
        assert_eq!(wall(9, 0).unix_ceil(Duration::MAX), i64::MAX);
        assert_eq!(wall(9, 0).past(-1), Duration::from_secs(9));
        assert_eq!(wall(9, 0).past(i64::MAX), Duration::ZERO);
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }

    #[test]
    fn a_clock_that_stands_still_does_not_stop_time() {
        assert_eq!(at(10, 700).since(at(10, 100)), Duration::from_secs(600));
        assert_eq!(at(70, 100).since(at(10, 100)), Duration::from_secs(60));
        assert!(!at(10, 700).is_within(at(10, 100), Duration::from_secs(5)));
    }

    #[test]
    fn a_wall_clock_set_back_ends_freshness_at_once() {
        assert!(at(11, 101).is_within(at(10, 100), Duration::from_secs(5)));
        assert!(!at(11, 99).is_within(at(10, 100), Duration::from_secs(5)));
    }
}
