//! The transitions that the registries announce: counted, and compared with what
//! was written.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use fuseboard::{CircuitState, CircuitTransition, Lagged, Origin, Transitions};
use futures::FutureExt as _;
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinSet, coop::unconstrained},
};

use crate::{fleet::Fleet, ledger::Ledger};

type Counts = BTreeMap<(&'static str, &'static str), u64>;

/// Those who listen to the registries, one for each.
pub(crate) struct Announced {
    counts: Arc<Mutex<Counts>>,
    listeners: JoinSet<()>,
    asked: Vec<mpsc::UnboundedSender<oneshot::Sender<()>>>,
}

struct Listener {
    registry: usize,
    transitions: Transitions,
    counts: Arc<Mutex<Counts>>,
    ledger: Arc<Ledger>,
}

impl Announced {
    /// Listens until the registries are gone.
    pub(crate) fn listen(fleet: &Fleet, ledger: &Arc<Ledger>) -> Self {
        let counts = Arc::default();
        let mut listeners = JoinSet::new();
        let mut asked = Vec::new();
        for (registry, one) in fleet.0.iter().enumerate() {
            let (ask, asks) = mpsc::unbounded_channel();
            let listener = Listener {
                registry,
                transitions: one.registry.subscribe(),
                counts: Arc::clone(&counts),
                ledger: Arc::clone(ledger),
            };
            listeners.spawn(listener.run(asks));
            asked.push(ask);
        }
        Self { counts, listeners, asked }
    }

    /// How many listen.
    pub(crate) fn tasks(&self) -> usize {
        self.listeners.len()
    }

    /// Returns when everything that was announced before is noted.
    pub(crate) async fn catch_up(&self) {
        for ask in &self.asked {
            let (caught_up, done) = oneshot::channel();
            if ask.send(caught_up).is_ok() {
                // One that ended has heard all.
                let _ = done.await;
            }
        }
    }

    /// Waits until everyone has heard that its registry is gone.
    pub(crate) async fn end(mut self) -> Result<Counts, tokio::task::JoinError> {
        while let Some(ended) = self.listeners.join_next().await {
            ended?;
        }
        Ok(self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Listener {
    async fn run(mut self, mut asks: mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
        loop {
            tokio::select! {
                heard = self.transitions.recv() => match heard {
                    Some(heard) => self.note(heard),
                    None => return,
                },
                Some(caught_up) = asks.recv() => {
                    // Not bounded by the task's budget, which ends after 128 of them.
                    while let Some(Some(heard)) =
                        unconstrained(self.transitions.recv()).now_or_never()
                    {
                        self.note(heard);
                    }
                    // Whoever asked still waits.
                    let _ = caught_up.send(());
                }
            }
        }
    }

    fn note(&self, heard: Result<CircuitTransition, Lagged>) {
        let (row, by) = match &heard {
            Ok(transition) => {
                self.ledger.told(self.registry, transition);
                (what(transition), by(transition.origin))
            }
            Err(Lagged(missed)) => {
                self.ledger.missed(self.registry, *missed);
                ("missed by the counter", "times")
            }
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry((row, by)).or_default();
        *count = count.saturating_add(1);
    }
}

fn what(transition: &CircuitTransition) -> &'static str {
    match (transition.from_state, transition.to_state) {
        (CircuitState::Closed, CircuitState::Open) => "closed to open",
        (CircuitState::Open, CircuitState::HalfOpen) => "open to half-open",
        (CircuitState::HalfOpen, CircuitState::Closed) => "half-open to closed",
        (CircuitState::HalfOpen, CircuitState::Open) => "half-open to open",
        (CircuitState::HalfOpen, CircuitState::HalfOpen) => "taken over",
        (CircuitState::Open, CircuitState::Closed) => "open to closed",
        (CircuitState::Closed, CircuitState::HalfOpen) => "closed to half-open",
        (CircuitState::Closed, CircuitState::Closed) | (CircuitState::Open, CircuitState::Open) => {
            "none"
        }
    }
}

fn by(origin: Origin) -> &'static str {
    match origin {
        Origin::Local => "local",
        Origin::WithoutStore => "without store",
        Origin::Observed => "observed",
    }
}
