//! A store that counts what it is asked for, over another one.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use fuseboard::{
    CircuitName,
    store::{Consistency, Operation, Record, Store, StoreError, Written},
};

/// What a fleet asked of its store.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    reads: AtomicU64,
    applied: AtomicU64,
    refused: AtomicU64,
    errors: AtomicU64,
}

/// A [`Tally`] at one time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) reads: u64,
    pub(crate) applied: u64,
    pub(crate) refused: u64,
    pub(crate) errors: u64,
}

impl Tally {
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            reads: self.reads.load(Ordering::Relaxed),
            applied: self.applied.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
        }
    }
}

/// Passes everything on and counts it in a tally that a fleet shares.
#[derive(Debug)]
pub(crate) struct Counted<S> {
    store: S,
    tally: Arc<Tally>,
}

impl<S> Counted<S> {
    pub(crate) fn new(store: S, tally: Arc<Tally>) -> Self {
        Self { store, tally }
    }
}

impl<S: Store> Store for Counted<S> {
    async fn read(
        &self,
        circuit: &CircuitName,
        consistency: Consistency,
    ) -> Result<Option<Record>, StoreError> {
        let answer = self.store.read(circuit, consistency).await;
        count(if answer.is_ok() { &self.tally.reads } else { &self.tally.errors });
        answer
    }

    async fn write(
        &self,
        circuit: &CircuitName,
        operation: &Operation,
    ) -> Result<Written, StoreError> {
        let answer = self.store.write(circuit, operation).await;
        count(match &answer {
            Ok(Written::Applied(_)) => &self.tally.applied,
            Ok(Written::Refused(_)) => &self.tally.refused,
            Err(_) => &self.tally.errors,
        });
        answer
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
