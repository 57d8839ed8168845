//! The registries under load, and the handles that are kept.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};

use fuseboard::{Breaker, BreakerRegistry, DynamoDbStore, RegistryError};
use tokio::task::JoinSet;

use crate::{
    booked::{Booked, Books, Counts},
    ledger::Ledger,
    plan::Plan,
    stopwatch::Stopwatch,
};

/// How many calls of one registry wait for their first read at once.
const WARM_AT_ONCE: usize = 64;
/// How many call the most called circuits at once: more than there are tasks.
const CALLERS: usize = 64;
/// Transitions that wait for the one who compares them: more than a phase has.
const TRANSITIONS: usize = 1 << 16;

/// One registry, as if it were a process of its own.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) registry: BreakerRegistry,
    kept: Mutex<Arc<Vec<Breaker>>>,
    pub(crate) books: Arc<Books>,
}

impl Process {
    /// Handles of the first circuits; the others get one for each visit.
    pub(crate) fn kept(&self) -> Arc<Vec<Breaker>> {
        Arc::clone(&self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps handles of so many circuits. The actors of the others end when they
    /// are closed.
    fn keep(&self, circuits: usize) -> Result<(), RegistryError> {
        let kept = (0..circuits).map(|circuit| self.registry.breaker(Plan::name(circuit)));
        let kept = Arc::new(kept.collect::<Result<Vec<_>, _>>()?);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(())
    }
}

/// All registries.
#[derive(Debug)]
pub(crate) struct Fleet(pub(crate) Vec<Process>);

impl Fleet {
    pub(crate) fn spawn(
        plan: &Plan,
        stopwatch: &Stopwatch,
        ledger: &Arc<Ledger>,
        store: impl Fn(usize) -> DynamoDbStore,
    ) -> Result<Self, Box<dyn Error>> {
        let mut processes = Vec::new();
        for number in 0..plan.registries {
            let books = Arc::new(Books::new(stopwatch.clone()));
            let booked = Booked {
                store: store(number),
                registry: number,
                books: Arc::clone(&books),
                ledger: Arc::clone(ledger),
            };
            let registry = BreakerRegistry::builder(booked)
                .config(Plan::config(number)?)
                .transition_capacity(TRANSITIONS)
                .disabled(false)
                .spawn()?;
            processes.push(Process { registry, kept: Mutex::default(), books });
        }
        let fleet = Self(processes);
        fleet.keep(plan.hot())?;
        Ok(fleet)
    }

    /// Keeps handles of so many circuits in every registry.
    pub(crate) fn keep(&self, circuits: usize) -> Result<(), RegistryError> {
        self.0.iter().try_for_each(|one| one.keep(circuits))
    }

    /// Calls every kept circuit in every registry, so that what a circuit needs
    /// when it is used first is not taken for growth: the first of them by many
    /// at once, as the load does.
    pub(crate) async fn warm_up(&self, plan: &Plan) {
        let mut tasks = JoinSet::new();
        let hot = plan.hot();
        for one in &self.0 {
            let kept = one.kept();
            for worker in 0..WARM_AT_ONCE {
                let kept = Arc::clone(&kept);
                tasks.spawn(async move {
                    for (number, breaker) in
                        kept.iter().enumerate().skip(worker).step_by(WARM_AT_ONCE)
                    {
                        let callers = if number < hot { CALLERS } else { 1 };
                        let call = || breaker.call(|| async { Ok::<_, ()>(()) });
                        futures::future::join_all((0..callers).map(|_| call())).await;
                    }
                });
            }
        }
        tasks.join_all().await;
    }

    /// Circuits that have an actor.
    pub(crate) fn circuits(&self) -> usize {
        self.0.iter().map(|one| one.registry.len()).fold(0, usize::saturating_add)
    }

    /// What all registries asked of their stores.
    pub(crate) fn operations(&self) -> BTreeMap<&'static str, Counts> {
        let mut all: BTreeMap<&'static str, Counts> = BTreeMap::new();
        for one in &self.0 {
            for (name, counts) in one.books.counts() {
                let sum = all.entry(name).or_default();
                sum.done = sum.done.saturating_add(counts.done);
                sum.refused = sum.refused.saturating_add(counts.refused);
                sum.failed = sum.failed.saturating_add(counts.failed);
            }
        }
        all
    }
}
