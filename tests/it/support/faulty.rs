//! A store that does as it is told, over a store in memory.

use std::{
    future::pending,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use fuseboard::{
    CircuitName, MemoryStore,
    store::{
        Ballot, Consistency, Operation, Record, Store, StoreError, StoreErrorKind, Votes, Written,
    },
};

/// What a [`FaultyStore`] does to one kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: it answers.
    None,
    /// It answers with an error, and does nothing.
    Fail(StoreErrorKind),
    /// It does nothing and never answers.
    Hang,
    /// It answers, but only after so long.
    Delay(Duration),
    /// It does as it is asked, and the answer is lost.
    LoseAnswer,
    /// It refuses every write, soon, and shows the record as it stands, whether that
    /// permits the write or not.
    Refuse,
    /// It panics.
    Panic,
}

/// The store of one environment: a [`MemoryStore`] behind faults of its own.
/// Clones share the faults and the counts.
#[derive(Clone)]
pub(crate) struct FaultyStore {
    inner: MemoryStore,
    told: Arc<Mutex<Told>>,
}

struct Told {
    reads: Fault,
    writes: Fault,
    /// What happens at every request.
    at_each: Box<dyn Fn() + Send>,
    /// The requests so far, by name, in order.
    log: Vec<&'static str>,
}

impl FaultyStore {
    pub(crate) fn over(inner: &MemoryStore) -> Self {
        let told = Told {
            reads: Fault::None,
            writes: Fault::None,
            at_each: Box::new(|| {}),
            log: Vec::new(),
        };
        Self { inner: inner.clone(), told: Arc::new(Mutex::new(told)) }
    }

    /// The store behind the faults.
    pub(crate) fn memory(&self) -> &MemoryStore {
        &self.inner
    }

    /// From now on reads and writes meet this fault.
    pub(crate) fn meets(&self, fault: Fault) {
        self.reads_meet(fault);
        self.writes_meet(fault);
    }

    /// From now on this happens at every request, before its fault.
    pub(crate) fn on_every_request(&self, happens: impl Fn() + Send + 'static) {
        self.told().at_each = Box::new(happens);
    }

    pub(crate) fn reads_meet(&self, fault: Fault) {
        self.told().reads = fault;
    }

    pub(crate) fn writes_meet(&self, fault: Fault) {
        self.told().writes = fault;
    }

    /// How many reads were asked for.
    pub(crate) fn reads(&self) -> usize {
        self.log().iter().filter(|name| **name == "read").count()
    }

    /// How many writes were asked for.
    pub(crate) fn writes(&self) -> usize {
        self.log().len() - self.reads()
    }

    /// The requests so far: `read`, or the name of the write.
    pub(crate) fn log(&self) -> Vec<&'static str> {
        self.told().log.clone()
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    fn note(&self, name: &'static str) -> Fault {
        let mut told = self.told();
        told.log.push(name);
        (told.at_each)();
        if name == "read" { told.reads } else { told.writes }
    }
}

impl Store for FaultyStore {
    async fn read(
        &self,
        circuit: &CircuitName,
        consistency: Consistency,
    ) -> Result<Option<Record>, StoreError> {
        met(self.note("read")).await?;
        Store::read(&self.inner, circuit, consistency).await
    }

    async fn write(
        &self,
        circuit: &CircuitName,
        operation: &Operation,
    ) -> Result<Written, StoreError> {
        let fault = self.note(operation.name());
        if fault == Fault::LoseAnswer {
            let _ = Store::write(&self.inner, circuit, operation).await;
        }
        if fault == Fault::Refuse {
            tokio::time::sleep(Duration::from_millis(5)).await;
            return Ok(Written::Refused(self.inner.record(circuit.as_str())));
        }
        met(fault).await?;
        Store::write(&self.inner, circuit, operation).await
    }

    async fn vote(
        &self,
        circuit: &CircuitName,
        ballot: &Ballot,
    ) -> Result<Option<Votes>, StoreError> {
        let fault = self.note("vote");
        if fault == Fault::LoseAnswer {
            let _ = Store::vote(&self.inner, circuit, ballot).await;
        }
        met(fault).await?;
        Store::vote(&self.inner, circuit, ballot).await
    }

    /// Without spread, so that tests hold to the millisecond.
    fn is_shared(&self) -> bool {
        false
    }
}

async fn met(fault: Fault) -> Result<(), StoreError> {
    match fault {
        Fault::None | Fault::Refuse => Ok(()),
        Fault::Fail(kind) => Err(StoreError::new(kind, "the test says so")),
        Fault::Hang | Fault::LoseAnswer => pending().await,
        Fault::Delay(delay) => {
            tokio::time::sleep(delay).await;
            Ok(())
        }
        Fault::Panic => panic!("a store that panics, as the test says"),
    }
}
