//! A process with many circuits before a store that is back.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use fuseboard::{
    Breaker, BreakerRegistry, CircuitName, CircuitState, Config, MemoryStore,
    store::{Consistency, Operation, Record, Store, StoreError, Written},
};
use tracing::Level;

use crate::support::{
    log::Lines,
    memory::{World, fail, is_rejected, pass, timed},
};

/// A store that is out, or takes its time.
#[derive(Default)]
struct Counter {
    memory: MemoryStore,
    is_out: AtomicBool,
    takes: Mutex<Duration>,
    /// Whether it serves one request after the other.
    is_serial: AtomicBool,
    serving: tokio::sync::Mutex<()>,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counter {
    async fn serve(&self) -> UnderWay<'_> {
        let now = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        let under_way = UnderWay(&self.under_way);
        if self.is_out.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
        let takes = *self.takes.lock().unwrap();
        if self.is_serial.load(Ordering::Relaxed) {
            let _turn = self.serving.lock().await;
            tokio::time::sleep(takes).await;
        } else {
            tokio::time::sleep(takes).await;
        }
        under_way
    }

    fn told(&self, circuits: usize) -> usize {
        let is_open = |number: &usize| {
            let record = self.memory.record(&format!("c{number}"));
            record.is_some_and(|record| record.state.valid() == Some(&CircuitState::Open))
        };
        (0..circuits).filter(is_open).count()
    }
}

impl Store for Counter {
    async fn read(
        &self,
        name: &CircuitName,
        consistency: Consistency,
    ) -> Result<Option<Record>, StoreError> {
        let _under_way = self.serve().await;
        Store::read(&self.memory, name, consistency).await
    }

    async fn write(
        &self,
        name: &CircuitName,
        operation: &Operation,
    ) -> Result<Written, StoreError> {
        let _under_way = self.serve().await;
        Store::write(&self.memory, name, operation).await
    }
}

/// So many circuits that were opened while the store was out, which is back.
async fn opened(world: &World, circuits: usize) -> (Arc<Counter>, BreakerRegistry, Vec<Breaker>) {
    let store = Arc::new(Counter::default());
    store.is_out.store(true, Ordering::Relaxed);
    let config = Config::builder().failure_threshold(1);
    let config = config.recovery_timeout(Duration::from_secs(3_600)).build().unwrap();
    let builder = BreakerRegistry::builder(Arc::clone(&store)).config(config);
    let registry = builder.clock(&world.clock).disabled(false).spawn().unwrap();
    let breaker = |number| registry.breaker(format!("c{number}")).unwrap();
    let breakers: Vec<_> = (0..circuits).map(breaker).collect();
    for breaker in &breakers {
        let _ = fail(breaker).await;
    }
    pass(40.0).await;
    let is_open = |breaker: &Breaker| breaker.snapshot().state() == CircuitState::Open;
    assert!(breakers.iter().all(is_open));
    store.is_out.store(false, Ordering::Relaxed);
    (store, registry, breakers)
}

#[tokio::test(start_paused = true)]
async fn case_208_ten_thousand_openings_are_told_64_at_a_time_once_the_store_is_back() {
    let circuits = 10_000;
    let world = World::new();
    let (store, _registry, _breakers) = opened(&world, circuits).await;
    let warnings = Lines::of(Level::WARN);
    *store.takes.lock().unwrap() = Duration::from_millis(1);
    store.is_serial.store(true, Ordering::Relaxed);
    let telling = async {
        while store.told(circuits) < circuits {
            pass(1.0).await;
        }
    };
    let ((), took) = timed(telling).await;
    // The longest back-off, and a read and a write of each.
    assert!(took <= Duration::from_secs(31 + 2 * 10), "{took:?}");
    assert_eq!(store.most.load(Ordering::Relaxed), 64);
    assert_eq!(warnings.take(), 0, "who waits for a turn is no fault of the store's");
}

#[tokio::test(start_paused = true)]
async fn case_208_an_operator_and_a_caller_do_not_wait_behind_what_is_told() {
    let circuits = 2_000;
    let world = World::new();
    let (store, registry, breakers) = opened(&world, circuits).await;
    let warnings = Lines::of(Level::WARN);
    *store.takes.lock().unwrap() = Duration::from_millis(500);
    // Until so many wait that their turns take many seconds.
    while store.under_way.load(Ordering::Relaxed) < 64 {
        pass(0.1).await;
    }
    pass(2.0).await;
    assert!(store.told(circuits) < circuits / 2, "they wait");
    let (released, took) = timed(breakers[0].release()).await;
    assert_eq!(released, Ok(()));
    assert!(took <= Duration::from_secs(2), "a turn and an operation, twice: {took:?}");
    let cold = registry.breaker("cold").unwrap();
    let (called, took) = timed(fail(&cold)).await;
    assert!(!is_rejected(&called));
    // It waits for a read, and then for the write of its trip: in all as for one.
    assert!(took <= Duration::from_millis(1_200), "{took:?}");
    while store.told(circuits) < circuits - 1 {
        pass(1.0).await;
    }
    assert_eq!(warnings.take(), 0);
    assert_eq!(store.most.load(Ordering::Relaxed), 64);
}
