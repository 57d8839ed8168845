//! A rejection by `try_admit`.

use std::{fmt, time::Duration};

use crate::{error::OpenError, reason::Reason, runtime::circuit::Circuit, state::CircuitInfo};

/// A rejection by [`Breaker::try_admit`](crate::Breaker::try_admit): how long it
/// lasts is known, and the circuit is looked up when asked for.
#[derive(Clone, Copy)]
pub struct Rejection<'a> {
    circuit: &'a Circuit,
    retry_after_ms: u64,
}

impl<'a> Rejection<'a> {
    #[inline]
    pub(super) fn new(circuit: &'a Circuit, retry_after_ms: u64) -> Self {
        Self { circuit, retry_after_ms }
    }

    /// Returns how long until the circuit may admit a probe, as far as this
    /// process knows. Zero means that the next call may be the one.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        Duration::from_millis(self.retry_after_ms)
    }

    /// Returns the circuit as this process sees it now.
    #[must_use]
    pub fn circuit(&self) -> CircuitInfo {
        self.circuit.snapshot.load().circuit().clone()
    }

    /// Returns why the circuit rejects calls, as this process sees it now.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.circuit.snapshot.load().reason()
    }
}

impl From<Rejection<'_>> for OpenError {
    fn from(rejection: Rejection<'_>) -> Self {
        rejection.circuit.open_error(rejection.retry_after())
    }
}

impl fmt::Display for Rejection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&OpenError::from(*self), f)
    }
}

impl fmt::Debug for Rejection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection")
            .field("circuit", &self.circuit())
            .field("retry_after", &self.retry_after())
            .finish()
    }
}

impl std::error::Error for Rejection<'_> {}
