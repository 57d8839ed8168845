//! Worlds over a store in memory, and calls by handles of the test's own.

use fuseboard::{
    Breaker, CallError, CircuitName, CircuitState, MemoryStore, Transitions,
    store::{Record, Store},
};

pub(crate) use super::world::{CIRCUIT, START, heard, pass, settle, timed};
use super::{
    faulty::{Fault, FaultyStore},
    world::{self, Shared, Way},
};

pub(crate) type World = world::World<MemoryStore>;
pub(crate) type Process = world::Process<FaultyStore>;

impl Shared for MemoryStore {
    type Way = FaultyStore;

    fn empty() -> Self {
        Self::new()
    }

    fn way(&self, _process: u64) -> (FaultyStore, impl Store) {
        let store = FaultyStore::over(self);
        (store.clone(), store)
    }

    fn record(&self) -> Option<Record> {
        Self::record(self, CIRCUIT)
    }

    fn set_record(&self, record: Option<Record>) {
        Self::set_record(self, CircuitName::new(CIRCUIT).unwrap(), record);
    }
}

impl Way for FaultyStore {
    fn reads_meet(&self, fault: Fault) {
        Self::reads_meet(self, fault);
    }

    fn writes_meet(&self, fault: Fault) {
        Self::writes_meet(self, fault);
    }

    fn reads(&self) -> usize {
        Self::reads(self)
    }

    fn writes(&self) -> usize {
        Self::writes(self)
    }
}

/// A call that succeeds, if it is admitted.
pub(crate) async fn succeed(breaker: &Breaker) -> Result<u32, CallError<&'static str>> {
    breaker.call(|| async { Ok(42) }).await
}

/// A call that fails, if it is admitted.
pub(crate) async fn fail(breaker: &Breaker) -> Result<u32, CallError<&'static str>> {
    breaker.call(|| async { Err("down") }).await
}

/// Fails until the circuit is open.
pub(crate) async fn trip(breaker: &Breaker) {
    for _ in 0..5 {
        assert_eq!(fail(breaker).await, Err(CallError::Inner("down")));
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
}

/// The states that the transitions so far went to.
pub(crate) fn states(transitions: &mut Transitions) -> Vec<CircuitState> {
    heard(transitions).into_iter().map(|transition| transition.to_state).collect()
}

/// Probes until the circuit is closed, from when its recovery is due.
pub(crate) async fn recover(breaker: &Breaker) {
    for _ in 0..3 {
        assert_eq!(succeed(breaker).await, Ok(42));
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
}

/// Whether a call was rejected without being run.
pub(crate) fn is_rejected<T>(result: &Result<T, CallError<&'static str>>) -> bool {
    matches!(result, Err(CallError::Open(_)))
}
