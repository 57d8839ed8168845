//! A process, of whichever implementation.

use fuseboard::VirtualClock;
use serde::Deserialize;

use super::{python::Python, rust::Rust, world::seconds};

/// What became of a call.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Called {
    /// `ok`, `fail` or `rejected`.
    pub(super) result: String,
    /// State, failure count and time of opening, as a rejection shows them.
    #[serde(default)]
    pub(super) seen: Option<(String, u64, Option<i64>)>,
    /// The changes of state that the call made.
    pub(super) made: Vec<(String, String)>,
}

pub(super) enum Process {
    Rust(Rust),
    Python(Box<Python>),
}

pub(super) struct Player {
    pub(super) process: Process,
    pub(super) clock: VirtualClock,
}

impl Player {
    pub(super) fn is_rust(&self) -> bool {
        matches!(self.process, Process::Rust(_))
    }

    /// This crate's process, for what only it can do.
    pub(super) fn rust(&mut self) -> &mut Rust {
        match &mut self.process {
            Process::Rust(rust) => rust,
            Process::Python(_) => panic!("the reference cannot do this"),
        }
    }

    pub(super) async fn call(&mut self, circuit: &str, outcome: &str) -> Called {
        match &mut self.process {
            Process::Rust(rust) => rust.call(circuit, outcome).await,
            Process::Python(python) => python.call(circuit, seconds(&self.clock), outcome).await,
        }
    }

    /// Makes a call that has to end like this, and change these states.
    pub(super) async fn has(&mut self, circuit: &str, outcome: &str, made: &[(&str, &str)]) {
        let called = self.call(circuit, outcome).await;
        let made = made.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned()));
        assert_eq!((called.result.as_str(), called.made), (outcome, made.collect()));
    }

    /// Makes a call that has to be rejected.
    pub(super) async fn is_rejected(&mut self, circuit: &str) {
        let called = self.call(circuit, "ok").await;
        assert_eq!((called.result.as_str(), called.made), ("rejected", Vec::new()));
    }

    /// Trips the circuit by five failures in a row.
    pub(super) async fn trips(&mut self, circuit: &str) {
        for _ in 0..4 {
            self.has(circuit, "fail", &[]).await;
        }
        self.has(circuit, "fail", &[("CLOSED", "OPEN")]).await;
    }

    /// Begins a call that does not end before [`end`](Self::end).
    pub(super) async fn park(&mut self, circuit: &str) {
        match &mut self.process {
            Process::Rust(rust) => rust.park(circuit).await,
            Process::Python(python) => python.park(circuit, seconds(&self.clock)).await,
        }
    }

    pub(super) async fn end(&mut self, outcome: &str) -> Called {
        match &mut self.process {
            Process::Rust(rust) => rust.end(outcome).await,
            Process::Python(python) => python.end(seconds(&self.clock), outcome).await,
        }
    }
}
