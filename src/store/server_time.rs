//! The time on a store's own clock.

use std::time::{Duration, SystemTime};

/// The time on a store's own clock when it answered.
///
/// The exact time was at least [`at`](Self::at), and less than `at` plus
/// [`resolution`](Self::resolution).
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use fuseboard::store::ServerTime;
///
/// let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
/// let shown = ServerTime::new(at, Duration::from_secs(1), 1);
/// assert_eq!(shown.at(), at);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerTime {
    at: SystemTime,
    resolution: Duration,
    answers: u64,
}

impl ServerTime {
    /// Describes an answer whose time was rounded down to a multiple of
    /// `resolution`. `answers` numbers the answers of one store, from 1.
    #[must_use]
    pub fn new(at: SystemTime, resolution: Duration, answers: u64) -> Self {
        Self { at, resolution, answers }
    }

    /// Returns the time of the answer, rounded down.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        self.at
    }

    /// Returns the resolution: 1 s for a clock that shows whole seconds.
    #[must_use]
    pub fn resolution(&self) -> Duration {
        self.resolution
    }

    /// Returns the number of the answer. Two answers within one resolution differ by
    /// it alone.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.answers
    }
}
