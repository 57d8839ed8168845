//! What each of the programs tells of its own start.
//!
//! The programs differ by what they are linked with, and do the same: get ready,
//! be admitted once (or read once), say how long both took.

#![expect(clippy::disallowed_methods, reason = "a measurement reads clocks")]

#[cfg(feature = "_by_hand")]
pub mod client;

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
    spawning: Option<Instant>,
}

impl Start {
    /// The program's `main` has begun.
    #[must_use]
    pub fn begun() -> Self {
        Self { began: Instant::now(), spawning: None }
    }

    /// There is a store (or a client), nothing has been asked of it, and what
    /// follows is `RegistryBuilder::spawn`.
    pub fn spawning(&mut self) {
        self.spawning = Some(Instant::now());
    }

    /// The first call may run. Writes a line for whoever measures: microseconds
    /// from `main` to the spawning, and from there.
    ///
    /// # Errors
    ///
    /// Nobody reads it.
    pub fn admitted(self) -> io::Result<()> {
        let spawning = self.spawning.unwrap_or(self.began);
        let (to_spawn, from_spawn) = (spawning - self.began, spawning.elapsed());
        writeln!(io::stdout(), "{} {}", to_spawn.as_micros(), from_spawn.as_micros())
    }
}
