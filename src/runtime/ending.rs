//! That a registry has ended while its breakers are still in use, told once.
//!
//! Nothing is told when it ends, since a program that returns from `main` drops its
//! registry and its runtime before its statics: only a call that comes afterwards shows
//! that somebody still relies on a breaker that protects nothing.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

use crate::{name::CircuitName, runtime::log};

/// How a registry ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was shut down, by who knows that its breakers protect nothing from then on.
    ShutDown,
    /// Its last clone was dropped.
    Dropped,
    /// The runtime that it was spawned on has ended, and its tasks with it.
    RuntimeEnded,
}

/// Whether the registry of some circuits has ended, and how.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    end: OnceLock<End>,
    is_told: AtomicBool,
}

impl Ending {
    /// Notes how the registry ended. The first end counts.
    pub(crate) fn note(&self, end: End) {
        // What ends afterwards ends because of the first.
        let _ = self.end.set(end);
    }

    /// A call found nobody to count it: says so, once for all circuits of a registry.
    pub(crate) fn found_by(&self, circuit: &CircuitName) {
        match self.end.get() {
            None | Some(End::ShutDown) => {}
            Some(end @ (End::Dropped | End::RuntimeEnded)) => {
                if !self.is_told.swap(true, Ordering::Relaxed) {
                    log::unprotected(circuit, *end == End::RuntimeEnded);
                }
            }
        }
    }
}
