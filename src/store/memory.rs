//! A store in memory, shared by the registries of one process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Ballot, Consistency, Operation, Record, Store, StoreError, Votes, Written};
use crate::name::CircuitName;

/// Keeps records in memory. Clones share them.
///
/// For services of one process, and for tests: several registries over clones
/// of one `MemoryStore` behave like a fleet. Records are kept until the last
/// clone is gone; nothing expires.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use fuseboard::{BreakerRegistry, MemoryStore};
///
/// let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
/// let payments = registry.breaker("payment-backend")?;
/// assert!(payments.admit().await.is_ok());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    records: HashMap<CircuitName, Record>,
    votes: HashMap<CircuitName, Votes>,
}

impl MemoryStore {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the record of a circuit; `None` if there is none.
    #[must_use]
    pub fn record(&self, circuit: &str) -> Option<Record> {
        self.lock().records.get(circuit).cloned()
    }

    /// Replaces the record of a circuit without any condition; `None` deletes it.
    pub fn set_record(&self, circuit: CircuitName, record: Option<Record>) {
        match record {
            Some(record) => self.lock().records.insert(circuit, record),
            None => self.lock().records.remove(&circuit),
        };
    }

    /// A poisoned lock still guards whole records, since no code of a user runs while
    /// it is held.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    async fn read(
        &self,
        circuit: &CircuitName,
        _: Consistency,
    ) -> Result<Option<Record>, StoreError> {
        Ok(self.lock().records.get(circuit).cloned())
    }

    async fn write(
        &self,
        circuit: &CircuitName,
        operation: &Operation,
    ) -> Result<Written, StoreError> {
        let records = &mut self.lock().records;
        let found = records.get(circuit);
        let Some(record) = operation.apply(found) else {
            return Ok(Written::Refused(found.cloned()));
        };
        records.insert(circuit.clone(), record.clone());
        Ok(Written::Applied(record))
    }

    async fn vote(
        &self,
        circuit: &CircuitName,
        ballot: &Ballot,
    ) -> Result<Option<Votes>, StoreError> {
        let all = &mut self.lock().votes;
        let votes = all.entry(circuit.clone()).or_default();
        ballot.apply(votes);
        Ok(Some(votes.clone()))
    }

    fn is_shared(&self) -> bool {
        false
    }
}
