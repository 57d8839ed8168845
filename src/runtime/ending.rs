//! Warns once if breakers are used after their registry has ended.
//!
//! The end itself is not logged: a program that returns from `main` drops its registry and its
//! runtime before its statics, and a warning would be noise. Only a call that comes
//! afterwards shows that the program relies on a breaker that no longer protects it.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

use crate::{name::CircuitName, runtime::log};

/// The way in which a registry ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was shut down. The program knows that its breakers no longer protect: no warning.
    ShutDown,
    /// Its last clone was dropped.
    Dropped,
    /// The runtime that it was spawned on ended, and with it the actors.
    RuntimeEnded,
}

/// The end of the registry of these circuits, if it has ended.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    end: OnceLock<End>,
    is_logged: AtomicBool,
}

impl Ending {
    /// Notes how the registry ended. The first end counts.
    pub(crate) fn note(&self, end: End) {
        // Later ends follow from the first: a registry that was shut down is dropped as well.
        let _ = self.end.set(end);
    }

    /// Called by a call that finds its actor gone. Logs a warning, once for all circuits of a
    /// registry.
    pub(crate) fn found_by(&self, circuit: &CircuitName) {
        match self.end.get() {
            None | Some(End::ShutDown) => {}
            Some(end @ (End::Dropped | End::RuntimeEnded)) => {
                if !self.is_logged.swap(true, Ordering::Relaxed) {
                    log::unprotected(circuit, *end == End::RuntimeEnded);
                }
            }
        }
    }
}
