//! A reading of both clocks at one instant.

use std::time::Duration;

/// The most by which the clocks of a process drift apart by themselves.
const AGREEMENT: Duration = Duration::from_secs(1);

/// The most by which a busy process is late. One that is later was frozen.
const STANDSTILL: Duration = Duration::from_secs(1);

/// One reading of the monotonic and of the wall clock, taken together.
///
/// Neither clock can be trusted alone: the monotonic clock may stand still while the process is
/// frozen, and the wall clock may be set. Stamps for other processes come from the fleet time;
/// waits are judged with [`Moment::since`].
///
/// A circuit remembers a dozen of them, so they are kept in nanoseconds, in 64
/// bits each: enough for 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    mono: u64,
    wall: u64,
    /// The milliseconds by which the store's clock, which the fleet shares, is ahead of the wall
    /// clock, as far as the store has shown.
    ahead_ms: i64,
}

impl Moment {
    pub(crate) fn new(mono: Duration, wall: Duration, ahead_ms: i64) -> Self {
        Self { mono: nanos(mono), wall: nanos(wall), ahead_ms }
    }

    /// Returns the time since an arbitrary origin of this process.
    pub(crate) fn mono(self) -> Duration {
        Duration::from_nanos(self.mono)
    }

    /// Returns the time since the Unix epoch by this process's wall clock.
    pub(crate) fn wall(self) -> Duration {
        Duration::from_nanos(self.wall)
    }

    /// Returns the moment at these seconds of both clocks.
    #[cfg(test)]
    pub(crate) const fn of_seconds(mono: u64, wall: u64) -> Self {
        let second = 1_000_000_000;
        Self { mono: mono.wrapping_mul(second), wall: wall.wrapping_mul(second), ahead_ms: 0 }
    }

    /// Returns the moment that is later by a span, on both clocks.
    #[cfg(test)]
    pub(crate) fn later(self, by: Duration) -> Self {
        let later = |at: u64| at.saturating_add(nanos(by));
        Self { mono: later(self.mono), wall: later(self.wall), ..self }
    }

    /// Returns the moment at which the clocks are moved by these milliseconds.
    #[cfg(test)]
    pub(crate) fn moved(self, mono_ms: i64, wall_ms: i64) -> Self {
        let moved = |by: u64, ms: i64| by.saturating_add_signed(ms.saturating_mul(1_000_000));
        Self { mono: moved(self.mono, mono_ms), wall: moved(self.wall, wall_ms), ..self }
    }

    /// Returns the time since an earlier moment, by the clock that moved further: a clock that
    /// stands still must not keep a call waiting. The wall clock counts only as far as the
    /// fleet time agrees, since neither a step that the store has corrected nor the correction
    /// is time that passed. A wall clock that was set forward, and that no store has
    /// corrected yet, shortens waits; it unfences no write.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let mono = self.mono().saturating_sub(earlier.mono());
        let wall = self.wall().saturating_sub(earlier.wall());
        let shared = self.fleet_time().saturating_sub(earlier.fleet_time());
        mono.max(wall.min(shared))
    }

    /// Returns `true` if both clocks of this process agree that less than `age` has passed. A
    /// wall clock that was set back never agrees: the true age is unknown then.
    pub(crate) fn is_within(self, earlier: Self, age: Duration) -> bool {
        let mono = self.mono().saturating_sub(earlier.mono());
        let wall = self.wall().checked_sub(earlier.wall());
        mono < age && wall.is_some_and(|wall| wall < age)
    }

    /// Returns `true` if the clocks of this process disagree about the time since an earlier
    /// moment: it was frozen, or its wall clock was set.
    pub(crate) fn clocks_disagree_since(self, earlier: Self) -> bool {
        let mono = self.mono().saturating_sub(earlier.mono());
        let wall = self.wall().checked_sub(earlier.wall());
        wall.is_none_or(|wall| wall.abs_diff(mono) > AGREEMENT)
    }

    /// Returns the time since the Unix epoch on the clock that the fleet shares. Stamps are made
    /// of it and compared with it.
    pub(crate) fn fleet_time(self) -> Duration {
        let by = Duration::from_millis(self.ahead_ms.unsigned_abs());
        if self.ahead_ms < 0 {
            self.wall().saturating_sub(by)
        } else {
            self.wall().saturating_add(by)
        }
    }

    /// Returns `true` if this process stood still since an earlier moment, frozen or starved:
    /// something that takes `limit` at most has taken a second more. A timer that ran out
    /// then says nothing about the operation that it bounds, and the answer to an operation
    /// from before may be out of date.
    pub(crate) fn was_frozen_since(self, earlier: Self, limit: Duration) -> bool {
        // By the process's own clocks: a correction by the store is no standstill.
        let mono = self.mono().saturating_sub(earlier.mono());
        let wall = self.wall().saturating_sub(earlier.wall());
        mono.max(wall) > limit.saturating_add(STANDSTILL)
    }

    /// Returns the fleet time `after` from now in whole seconds, rounded down.
    pub(crate) fn unix_floor(self, after: Duration) -> i64 {
        let at = self.fleet_time().saturating_add(after);
        i64::try_from(at.as_secs()).unwrap_or(i64::MAX)
    }

    /// Returns the fleet time `after` from now in whole seconds, rounded up: other processes would
    /// take a lease over too early by a stamp that was rounded down.
    pub(crate) fn unix_ceil(self, after: Duration) -> i64 {
        let at = self.fleet_time().saturating_add(after);
        let up = u64::from(at.subsec_nanos() > 0);
        i64::try_from(at.as_secs().saturating_add(up)).unwrap_or(i64::MAX)
    }

    /// Returns the fleet time since a stamp in seconds; zero if the stamp is in the future.
    pub(crate) fn elapsed_since_stamp(self, stamp: i64) -> Duration {
        match u64::try_from(stamp) {
            Ok(seconds) => self.fleet_time().saturating_sub(Duration::from_secs(seconds)),
            Err(_) => self.fleet_time(),
        }
    }

    /// Returns the wall clock in milliseconds since the Unix epoch, the unit of the gate.
    pub(crate) fn wall_ms(self) -> u64 {
        millis(self.wall())
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns a duration in whole milliseconds, rounded down, saturating.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono: u64, wall: u64) -> Moment {
        Moment::of_seconds(mono, wall)
    }

    #[test]
    fn stamps_round_up_and_extremes_saturate() {
        let wall = |secs, nanos| Moment::new(Duration::ZERO, Duration::new(secs, nanos), 0);
        assert_eq!(wall(9, 0).unix_ceil(Duration::ZERO), 9);
        assert_eq!(wall(9, 1).unix_ceil(Duration::ZERO), 10);
        assert_eq!(wall(9, 999_999_999).unix_floor(Duration::ZERO), 9);
        assert_eq!(wall(9, 0).unix_ceil(Duration::MAX), i64::MAX);
        assert_eq!(wall(9, 0).elapsed_since_stamp(-1), Duration::from_secs(9));
        assert_eq!(wall(9, 0).elapsed_since_stamp(i64::MAX), Duration::ZERO);
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }

    #[test]
    fn stamps_are_of_the_shared_clock() {
        let ahead = Moment { ahead_ms: -60_000, ..at(10, 1_060) };
        assert_eq!(ahead.unix_floor(Duration::ZERO), 1_000);
        assert_eq!(ahead.elapsed_since_stamp(990), Duration::from_secs(10));
        assert_eq!(Moment { ahead_ms: i64::MIN, ..ahead }.fleet_time(), Duration::ZERO);
    }

    #[test]
    fn a_step_of_the_wall_clock_is_no_time_once_it_is_corrected() {
        let before = at(10, 1_000);
        let stepped = at(15, 4_605);
        assert_eq!(stepped.since(before), Duration::from_secs(3_605));
        assert!(
            stepped.clocks_disagree_since(before) && !at(15, 1_005).clocks_disagree_since(before)
        );
        assert!(at(15, 999).clocks_disagree_since(before));
        let corrected = Moment { ahead_ms: -3_600_000, ..stepped };
        assert_eq!(corrected.since(before), Duration::from_secs(5));
        let learned = Moment { ahead_ms: 60_000, ..at(15, 1_005) };
        assert_eq!(learned.since(before), Duration::from_secs(5), "a correction is no time");
        assert!(
            !corrected.is_within(before, Duration::from_secs(10)),
            "freshness needs both clocks"
        );
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
