//! What callers do too often for the facade, counted in the circuit until it is drained.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ::metrics::counter;

use super::recorded::{FAILURES, REJECTIONS};
use crate::{panics::caught, snapshot::Snapshot};

/// Rejections and failures since they were last drained.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    rejections: AtomicU64,
    failures: AtomicU64,
}

impl Counts {
    /// Counts a rejected call.
    #[inline]
    pub(crate) fn reject(&self) {
        self.rejections.fetch_add(1, Relaxed);
    }

    /// Counts a failure.
    #[inline]
    pub(crate) fn fail(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    /// Hands the counts to the recorder. Each is taken once, however many drain at a time. The
    /// reason is that of the snapshot that was shown while they were counted; a rejection beside
    /// a publication may count with the reason of the next.
    pub(crate) fn drain(&self, shown: &Snapshot) {
        let circuit = || shown.label().to_string();
        // Loaded first: most publications find nothing to take.
        if self.rejections.load(Relaxed) > 0 {
            let rejections = self.rejections.swap(0, Relaxed);
            let reason = shown.reason();
            caught(|| {
                counter!(REJECTIONS, "circuit" => circuit(), "reason" => reason.as_str())
                    .increment(rejections);
            });
        }
        if self.failures.load(Relaxed) > 0 {
            let failures = self.failures.swap(0, Relaxed);
            caught(|| counter!(FAILURES, "circuit" => circuit()).increment(failures));
        }
    }
}
