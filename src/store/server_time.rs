//! What a store's own clock showed.

use std::time::{Duration, SystemTime};

/// What a store's own clock showed when it answered, as precisely as it tells.
///
/// The true time was at least [`at`](Self::at), and less than `at` plus
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
    /// Makes a reading of a clock that shows its time rounded down to a
    /// multiple of `resolution`. `answers` numbers the readings of one
    /// store, from 1.
    #[must_use]
    pub fn new(at: SystemTime, resolution: Duration, answers: u64) -> Self {
        Self { at, resolution, answers }
    }

    /// Returns the wall time that the store's clock showed, rounded down.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        self.at
    }

    /// Returns how much the rounding can have taken off: 1 s for a clock that
    /// shows whole seconds.
    #[must_use]
    pub fn resolution(&self) -> Duration {
        self.resolution
    }

    /// Returns the number of this reading. Another number than before means an
    /// answer that came in since; the same number means the same answer.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.answers
    }
}
