//! What each of the programs tells of its own start.
//!
//! The programs differ by what they are linked with, and do the same: get ready,
//! be admitted once (or read once), say how long both took.

#![expect(clippy::disallowed_methods, reason = "a measurement reads clocks")]

use std::{
    io::{self, Write as _},
    time::Instant,
};

/// The table and the circuit of all programs.
pub const TABLE: &str = "CircuitBreakerState";
/// The circuit of all programs.
pub const CIRCUIT: &str = "payment-backend";

/// Takes the times of one start.
#[derive(Debug)]
pub struct Start {
    began: Instant,
    ready: Option<Instant>,
}

impl Start {
    /// The program's `main` has begun.
    #[must_use]
    pub fn begun() -> Self {
        Self { began: Instant::now(), ready: None }
    }

    /// There is a breaker (or a client), and nothing has been asked of it.
    pub fn ready(&mut self) {
        self.ready = Some(Instant::now());
    }

    /// The first call may run. Writes a line for whoever measures: microseconds
    /// until ready, and from there.
    ///
    /// # Errors
    ///
    /// Nobody reads it.
    pub fn admitted(self) -> io::Result<()> {
        let ready = self.ready.unwrap_or(self.began);
        let (until_ready, from_there) = (ready - self.began, ready.elapsed());
        writeln!(io::stdout(), "{} {}", until_ready.as_micros(), from_there.as_micros())
    }
}
