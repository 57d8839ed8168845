//! The time since the run started, the same for everybody in it.

use std::time::{Duration, Instant, SystemTime};

/// Started once; copies show the same time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    started: Instant,
    started_at: SystemTime,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), started_at: SystemTime::now() }
    }

    /// The time now.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The time of an event that carries the wall clock's.
    pub(crate) fn at(&self, wall: SystemTime) -> Duration {
        wall.duration_since(self.started_at).unwrap_or(Duration::ZERO)
    }
}
