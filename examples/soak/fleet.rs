//! The registries under load, and the handles that are kept.

use std::{collections::BTreeMap, error::Error, sync::Arc};

use fuseboard::{Breaker, BreakerRegistry, DynamoDbStore};
use tokio::task::JoinSet;

use crate::{
    booked::{Booked, Books, Counts},
    plan::Plan,
    stopwatch::Stopwatch,
};

/// How many calls of one registry wait for their first read at once.
const WARM_AT_ONCE: usize = 64;
/// Transitions that wait for the one who counts them.
const TRANSITIONS: usize = 1 << 16;

/// One registry, as if it were a process of its own.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) registry: BreakerRegistry,
    /// Handles of the first circuits; the others get one for each visit.
    pub(crate) kept: Vec<Breaker>,
    pub(crate) books: Arc<Books>,
}

/// All registries.
#[derive(Debug)]
pub(crate) struct Fleet(pub(crate) Vec<Environment>);

impl Fleet {
    pub(crate) fn spawn(
        plan: &Plan,
        stopwatch: &Stopwatch,
        store: impl Fn(usize) -> DynamoDbStore,
    ) -> Result<Self, Box<dyn Error>> {
        let mut environments = Vec::new();
        for number in 0..plan.registries {
            let books = Arc::new(Books::new(stopwatch.clone()));
            let booked = Booked { store: store(number), books: Arc::clone(&books) };
            let registry = BreakerRegistry::builder(booked)
                .config(Plan::config(number)?)
                .transition_capacity(TRANSITIONS)
                .disabled(false)
                .spawn()?;
            let kept = (0..plan.kept())
                .map(|circuit| registry.breaker(Plan::name(circuit)))
                .collect::<Result<Vec<_>, _>>()?;
            environments.push(Environment { registry, kept, books });
        }
        Ok(Self(environments))
    }

    /// Calls every kept circuit once in every registry, so that what a circuit
    /// needs when it is used first is not taken for growth.
    pub(crate) async fn warm_up(self: &Arc<Self>) {
        let mut tasks = JoinSet::new();
        for number in 0..self.0.len() {
            for worker in 0..WARM_AT_ONCE {
                let fleet = Arc::clone(self);
                tasks.spawn(async move {
                    let kept = fleet.0.get(number).map(|one| one.kept.as_slice());
                    for breaker in
                        kept.unwrap_or_default().iter().skip(worker).step_by(WARM_AT_ONCE)
                    {
                        let _ = breaker.call(|| async { Ok::<_, ()>(()) }).await;
                    }
                });
            }
        }
        tasks.join_all().await;
    }

    /// Circuits that have an actor.
    pub(crate) fn circuits(&self) -> usize {
        self.0.iter().map(|one| one.registry.circuits()).fold(0, usize::saturating_add)
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
