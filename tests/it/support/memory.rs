//! Worlds over a store in memory.

use std::time::Duration;

use fuseboard::{
    CircuitName, MemoryStore,
    store::{Record, Store, StoreErrorKind},
};

pub(crate) use super::calls::{fail, is_rejected, recover, states, succeed, trip};
pub(crate) use super::world::{CIRCUIT, START, heard, pass, settle, timed};
use super::{
    faulty::{Fault, FaultyStore},
    world::{self, Shared, Way},
};

pub(crate) type World = world::World<MemoryStore>;
pub(crate) type Process = world::Process<FaultyStore>;

impl Shared for MemoryStore {
    type Way = FaultyStore;

    const FAULTS: &'static [Fault] =
        &[Fault::Fail(StoreErrorKind::Unavailable), Fault::Hang, Fault::LoseAnswer, Fault::Panic];

    const ATTEMPTS: usize = 1;

    const RETRIES: Duration = Duration::ZERO;

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
