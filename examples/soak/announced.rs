//! The transitions that the registries announce, counted.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use fuseboard::{CircuitState, Origin, Transitions};

/// How often each transition was announced, by what made it.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    counts: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
}

impl Announced {
    /// Listens until the registry is gone.
    pub(crate) async fn listen(self: Arc<Self>, mut transitions: Transitions) {
        while let Some(heard) = transitions.recv().await {
            let (row, by) = match heard {
                Ok(transition) => {
                    let row = match (transition.from_state, transition.to_state) {
                        (CircuitState::Closed, CircuitState::Open) => "closed to open",
                        (CircuitState::Open, CircuitState::HalfOpen) => "open to half-open",
                        (CircuitState::HalfOpen, CircuitState::Closed) => "half-open to closed",
                        (CircuitState::HalfOpen, CircuitState::Open) => "half-open to open",
                        (CircuitState::HalfOpen, CircuitState::HalfOpen) => "taken over",
                        (CircuitState::Open, CircuitState::Closed) => "open to closed",
                        (CircuitState::Closed, CircuitState::HalfOpen) => "closed to half-open",
                        (CircuitState::Closed, CircuitState::Closed)
                        | (CircuitState::Open, CircuitState::Open) => "none",
                    };
                    (row, by(transition.origin))
                }
                Err(_) => ("missed by the counter", "times"),
            };
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry((row, by)).or_default();
            *count = count.saturating_add(1);
        }
    }

    pub(crate) fn counts(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn by(origin: Origin) -> &'static str {
    match origin {
        Origin::Local => "local",
        Origin::WithoutStore => "without store",
        Origin::Observed => "observed",
    }
}
