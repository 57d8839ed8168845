//! The time since the load began, the same for everybody.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

/// Started once; clones show the same time. Until then it shows zero.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stopwatch(Arc<OnceLock<Instant>>);

impl Stopwatch {
    pub(crate) fn started() -> Self {
        let stopwatch = Self::default();
        stopwatch.start();
        stopwatch
    }

    pub(crate) fn start(&self) {
        let _ = self.0.set(Instant::now());
    }

    pub(crate) fn now(&self) -> Duration {
        self.0.get().map_or(Duration::ZERO, Instant::elapsed)
    }
}
