//! A recorder that keeps a record of each call, and registries over a store whose faults a test
//! sets.

use std::{
    collections::BTreeSet,
    fmt,
    future::pending,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use ::metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

use crate::{
    Breaker, BreakerRegistry, CallError, CircuitName, CircuitState, MemoryStore, VirtualClock,
    store::{Consistency, Operation, Record, Store, StoreError, StoreErrorKind, Written},
};

/// Records each call for each series. Tests install it for their thread, on which their actors run
/// as well.
#[derive(Clone, Default)]
pub(super) struct Recorded(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    events: Vec<String>,
    registered: BTreeSet<String>,
    panics: bool,
    before_next: Option<BeforeNext>,
}

/// What happens during a call of the recorder whose record begins so.
type BeforeNext = (&'static str, Box<dyn FnOnce() + Send>);

/// One series of one recorder.
struct Series {
    recorded: Recorded,
    key: Key,
}

impl Recorded {
    /// Returns the records of transitions and of the store's faults since the last call.
    pub(super) fn take(&self) -> Vec<String> {
        let faults = ["fuseboard_store_faults", "fuseboard_store_misconfigured"];
        self.take_of(&[&["fuseboard_transitions"], &faults[..]].concat())
    }

    /// Returns the records of some metrics since the last call; drops those of others.
    pub(super) fn take_of(&self, names: &[&str]) -> Vec<String> {
        let mut events = self.take_all();
        events.retain(|event| names.iter().any(|name| event.starts_with(name)));
        events
    }

    /// Returns all records since the last call.
    pub(super) fn take_all(&self) -> Vec<String> {
        std::mem::take(&mut self.inner().events)
    }

    /// Returns the series that are registered, with a value or without.
    pub(super) fn registered(&self) -> Vec<String> {
        self.inner().registered.iter().cloned().collect()
    }

    /// Panics at every call from now on.
    pub(super) fn panics(&self) {
        self.inner().panics = true;
    }

    /// Calls this during the next call of the recorder whose record begins with `start`.
    pub(super) fn before_next(&self, start: &'static str, happens: impl FnOnce() + Send + 'static) {
        self.inner().before_next = Some((start, Box::new(happens)));
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    fn note(&self, event: impl fmt::Display) {
        let mut inner = self.inner();
        if inner.panics {
            drop(inner);
            panic!("a recorder that panics, as the test says");
        }
        let event = event.to_string();
        let before_next = inner.before_next.take_if(|(start, _)| event.starts_with(*start));
        if let Some((_, happens)) = before_next {
            drop(inner);
            happens();
            inner = self.inner();
        }
        inner.events.push(event);
    }

    fn series(&self, key: &Key) -> Arc<Series> {
        let series = Series { recorded: self.clone(), key: key.clone() };
        self.inner().registered.insert(series.to_string());
        Arc::new(series)
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.note(format_args!("counter {} {unit:?}: {text}", name.as_str()));
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.note(format_args!("gauge {} {unit:?}: {text}", name.as_str()));
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.note(format_args!("histogram {} {unit:?}: {text}", name.as_str()));
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key.name())?;
        for label in self.key.labels() {
            write!(f, " {}={}", label.key(), label.value())?;
        }
        Ok(())
    }
}

impl CounterFn for Series {
    fn increment(&self, by: u64) {
        self.recorded.note(format_args!("{self} +{by}"));
    }

    fn absolute(&self, value: u64) {
        self.recorded.note(format_args!("{self} is {value}"));
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        self.recorded.note(format_args!("{self} took {value}"));
    }
}

impl GaugeFn for Series {
    fn increment(&self, by: f64) {
        self.recorded.note(format_args!("{self} +{by}"));
    }

    fn decrement(&self, by: f64) {
        self.recorded.note(format_args!("{self} -{by}"));
    }

    fn set(&self, value: f64) {
        self.recorded.note(format_args!("{self} is {value}"));
    }
}

/// Processes over one store in memory, on one virtual clock.
pub(super) struct World {
    memory: MemoryStore,
    pub(super) clock: VirtualClock,
}

/// One process: a registry and its own way to the shared records.
pub(super) struct Process {
    pub(super) registry: BreakerRegistry,
    pub(super) store: Script,
}

/// The faults of reads and writes. One that times out is never answered.
#[derive(Clone)]
pub(super) struct Script {
    inner: MemoryStore,
    faults: Arc<Mutex<(Option<StoreErrorKind>, Option<StoreErrorKind>)>>,
}

impl World {
    pub(super) fn new() -> Self {
        let wall = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(1_000_000)).unwrap();
        Self { memory: MemoryStore::new(), clock: VirtualClock::following_tokio(wall) }
    }

    pub(super) fn process(&self) -> Process {
        let store = Script { inner: self.memory.clone(), faults: Arc::default() };
        let builder = BreakerRegistry::builder(store.clone()).clock(&self.clock).disabled(false);
        Process { registry: builder.spawn().unwrap(), store }
    }
}

impl Process {
    pub(super) fn breaker(&self) -> Breaker {
        self.registry.breaker("payments").unwrap()
    }
}

impl Script {
    pub(super) fn reads_meet(&self, fault: impl Into<Option<StoreErrorKind>>) {
        self.faults.lock().unwrap().0 = fault.into();
    }

    pub(super) fn writes_meet(&self, fault: impl Into<Option<StoreErrorKind>>) {
        self.faults.lock().unwrap().1 = fault.into();
    }
}

impl Store for Script {
    async fn read(
        &self,
        circuit: &CircuitName,
        consistency: Consistency,
    ) -> Result<Option<Record>, StoreError> {
        let fault = self.faults.lock().unwrap().0;
        met(fault).await?;
        Store::read(&self.inner, circuit, consistency).await
    }

    async fn write(
        &self,
        circuit: &CircuitName,
        operation: &Operation,
    ) -> Result<Written, StoreError> {
        let fault = self.faults.lock().unwrap().1;
        met(fault).await?;
        Store::write(&self.inner, circuit, operation).await
    }
}

async fn met(fault: Option<StoreErrorKind>) -> Result<(), StoreError> {
    match fault {
        None => Ok(()),
        Some(StoreErrorKind::Timeout) => pending().await,
        Some(kind) => Err(StoreError::new(kind, "the test says so")),
    }
}

/// Moves virtual time forward.
pub(super) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Runs all tasks that are due now.
pub(super) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// A call that succeeds, if it is admitted.
pub(super) async fn succeed(breaker: &Breaker) -> Result<(), CallError<&'static str>> {
    breaker.call(|| async { Ok(()) }).await
}

/// Returns `true` if a call is rejected.
pub(super) async fn is_rejected(breaker: &Breaker) -> bool {
    matches!(succeed(breaker).await, Err(CallError::Open(_)))
}

/// Fails until the circuit is open.
pub(super) async fn trip(breaker: &Breaker) {
    for _ in 0..5 {
        let failed = breaker.call(|| async { Err::<(), _>("down") }).await;
        assert_eq!(failed, Err(CallError::Inner("down")));
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
}

/// Probes until the circuit is closed, from when its recovery is due.
pub(super) async fn recover(breaker: &Breaker) {
    for _ in 0..3 {
        assert_eq!(succeed(breaker).await, Ok(()));
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
}
