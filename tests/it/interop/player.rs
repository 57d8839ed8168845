//! A process, of whichever implementation.

use fuseboard::VirtualClock;
use serde::Deserialize;

use super::{older::Older, python::Python, rust::Rust, world::seconds};

/// What became of a call.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Called {
    /// `ok`, `fail`, `rejected`, or of an older version `ignored`.
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
    Older(Box<Older>),
}

pub(super) struct Player {
    pub(super) process: Process,
    pub(super) clock: VirtualClock,
}

impl Player {
    /// Whether this is a process of this crate, of whichever version.
    pub(super) fn is_rust(&self) -> bool {
        matches!(self.process, Process::Rust(_) | Process::Older(_))
    }

    /// This crate's process, for what only it can do.
    pub(super) fn rust(&mut self) -> &mut Rust {
        match &mut self.process {
            Process::Rust(rust) => rust,
            Process::Python(_) | Process::Older(_) => panic!("only today's version can do this"),
        }
    }

    pub(super) async fn call(&mut self, circuit: &str, outcome: &str) -> Called {
        match &mut self.process {
            Process::Rust(rust) => rust.call(circuit, outcome).await,
            Process::Python(python) => python.call(circuit, seconds(&self.clock), outcome).await,
            Process::Older(older) => older.call(circuit, seconds(&self.clock), outcome).await,
        }
    }

    /// Makes a call that has to end like this, and change these states.
    pub(super) async fn has(&mut self, circuit: &str, outcome: &str, made: &[(&str, &str)]) {
        let called = self.call(circuit, outcome).await;
        let made = made.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned()));
        assert_eq!((called.result.as_str(), called.made), (outcome, made.collect()));
    }

    /// Gives an operator's order, as the older version does.
    pub(super) async fn orders(&self, circuit: &str, order: &[&str]) {
        match &self.process {
            Process::Older(older) => older.orders(circuit, seconds(&self.clock), order).await,
            Process::Rust(_) | Process::Python(_) => panic!("this is no older version"),
        }
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
            Process::Older(older) => older.park(circuit, seconds(&self.clock)).await,
        }
    }

    pub(super) async fn end(&mut self, outcome: &str) -> Called {
        match &mut self.process {
            Process::Rust(rust) => rust.end(outcome).await,
            Process::Python(python) => python.end(seconds(&self.clock), outcome).await,
            Process::Older(older) => older.end(seconds(&self.clock), outcome).await,
        }
    }
}
