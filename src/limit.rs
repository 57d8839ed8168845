//! How long a call may take.

use std::time::{Duration, SystemTime};

/// How long a call may run: a duration, or the time until a deadline.
///
/// [`Breaker::call_within`](crate::Breaker::call_within) takes one, or a plain [`Duration`].
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use fuseboard::Limit;
///
/// // Two seconds.
/// let limit = Limit::from(Duration::from_secs(2));
///
/// // Until half a second before the deadline of an invocation, and never more than two seconds.
/// let deadline = SystemTime::now() + Duration::from_secs(30);
/// let limit = Limit::until(deadline)
///     .margin(Duration::from_millis(500))
///     .at_most(Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a limit does nothing until a call is given it"]
pub struct Limit {
    deadline: Option<SystemTime>,
    margin: Duration,
    at_most: Option<Duration>,
}

impl Limit {
    /// Limits a call to the time that is left until `deadline`, by this process's wall clock.
    ///
    /// A deadline that is past when the call begins is ignored: emulators of AWS Lambda on a
    /// developer's machine send one of 1970. Then only [`at_most`](Self::at_most) limits the
    /// call, and without it nothing does.
    pub fn until(deadline: SystemTime) -> Self {
        Self { deadline: Some(deadline), margin: Duration::ZERO, at_most: None }
    }

    /// Ends the call this long before the deadline. The default is zero.
    ///
    /// Leave room for what comes after the call: the write of a trip, for which `call_within`
    /// waits `store_timeout` (1 s) at most, and the answer to your own caller. A call that
    /// begins within the margin has a limit of zero, and
    /// [is not counted](crate::Breaker::call_within). A call that begins shortly before the
    /// margin has little time, and counts if it is cut: begin no call that late. Without a deadline
    /// the margin changes nothing.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// Limits the call to `limit` too, if the time until the deadline is longer or unknown. Of
    /// several such limits the shortest counts.
    pub fn at_most(mut self, limit: Duration) -> Self {
        self.at_most = Some(self.at_most.map_or(limit, |before| before.min(limit)));
        self
    }

    /// Returns the time that a call has which begins at `wall`, a time since 1970. `None` if
    /// nothing limits it.
    pub(crate) fn of_call_at(&self, wall: Duration) -> Option<Duration> {
        let deadline = self.deadline.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let left = deadline
            .filter(|deadline| *deadline > wall)
            .map(|deadline| deadline.saturating_sub(wall).saturating_sub(self.margin));
        match (left, self.at_most) {
            (Some(left), Some(at_most)) => Some(left.min(at_most)),
            (left, at_most) => left.or(at_most),
        }
    }
}

/// Limits a call to this duration.
impl From<Duration> for Limit {
    fn from(limit: Duration) -> Self {
        Self { deadline: None, margin: Duration::ZERO, at_most: Some(limit) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A deadline this many seconds from now.
    fn due_in(seconds: i64) -> Limit {
        let now = SystemTime::UNIX_EPOCH.checked_add(NOW).unwrap();
        let by = Duration::from_secs(seconds.unsigned_abs());
        let at = if seconds < 0 { now.checked_sub(by) } else { now.checked_add(by) };
        Limit::until(at.unwrap())
    }

    #[test]
    fn case_181_a_limit_is_what_is_left_and_a_past_deadline_is_unknown() {
        let far = SystemTime::UNIX_EPOCH.checked_add(seconds(1 << 40)).unwrap();
        let before_1970 = SystemTime::UNIX_EPOCH.checked_sub(seconds(1)).unwrap();
        let cases = [
            (Limit::from(seconds(2)), Some(seconds(2))),
            (Limit::from(Duration::ZERO), Some(Duration::ZERO)),
            (Limit::from(Duration::MAX), Some(Duration::MAX)),
            (Limit::from(seconds(2)).at_most(seconds(3)), Some(seconds(2))),
            (Limit::from(seconds(3)).at_most(seconds(2)), Some(seconds(2))),
            (Limit::from(seconds(2)).margin(seconds(1)), Some(seconds(2))),
            (due_in(30), Some(seconds(30))),
            (due_in(30).margin(seconds(1)), Some(seconds(29))),
            (due_in(30).margin(seconds(1)).at_most(seconds(2)), Some(seconds(2))),
            (due_in(2).margin(seconds(1)).at_most(seconds(5)), Some(seconds(1))),
            (due_in(1).margin(seconds(1)), Some(Duration::ZERO)),
            (due_in(1).margin(Duration::MAX), Some(Duration::ZERO)),
            (due_in(0), None),
            (due_in(-1), None),
            (due_in(-1).at_most(seconds(2)), Some(seconds(2))),
            (due_in(-1).margin(seconds(5)).at_most(seconds(2)), Some(seconds(2))),
            (Limit::until(SystemTime::UNIX_EPOCH).at_most(seconds(2)), Some(seconds(2))),
            (Limit::until(before_1970), None),
            (Limit::until(far), Some(seconds((1 << 40) - 1_000_000))),
        ];
        for (limit, expected) in cases {
            assert_eq!(limit.of_call_at(NOW), expected, "{limit:?}");
        }
    }
}
