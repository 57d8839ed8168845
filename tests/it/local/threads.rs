//! Many real threads on one circuit.

use std::{
    sync::Barrier,
    time::{Duration, SystemTime},
};

use fuseboard::{Breaker, BreakerRegistry, CircuitState, Config, MemoryStore, VirtualClock};
use futures::FutureExt as _;
use tokio::runtime::Runtime;

use crate::support::{faulty::FaultyStore, fleet::heard};

const THREADS: u32 = 8;
const FAILURES: u32 = 250;

/// A registry on threads of its own, whose circuit has been read.
fn registry(threshold: u32) -> (Runtime, BreakerRegistry, FaultyStore, Breaker) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let clock = VirtualClock::standing_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let store = FaultyStore::over(&MemoryStore::new());
    let config = Config::builder().failure_threshold(threshold).build().unwrap();
    let registry = runtime.block_on(async {
        let builder = BreakerRegistry::builder(store.clone()).config(config);
        builder.clock(&clock).disabled(false).spawn().unwrap()
    });
    let breaker = registry.breaker("payment-backend").unwrap();
    runtime.block_on(async { breaker.admit().await.unwrap().success() });
    (runtime, registry, store, breaker)
}

/// Each thread reports its outcomes as fast as it can, all at once.
fn storm(breaker: &Breaker, each: impl Fn(&Breaker) + Sync) {
    let start = Barrier::new(usize::try_from(THREADS).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                for _ in 0..FAILURES {
                    each(breaker);
                }
            });
        }
    });
}

fn fails(breaker: &Breaker) {
    if let Ok(permit) = breaker.try_admit() {
        permit.failure();
    }
}

#[test]
fn case_85_no_increment_is_lost_between_threads() {
    for _ in 0..5 {
        let (runtime, registry, store, breaker) = registry(THREADS * FAILURES);
        let mut transitions = registry.subscribe();
        storm(&breaker, fails);
        runtime.block_on(async {
            let tripped = transitions.recv().await.unwrap().unwrap();
            assert_eq!(tripped.to_state, CircuitState::Open);
            registry.flush(Duration::from_secs(5)).await.unwrap();
        });
        assert_eq!(store.log(), ["read", "trip"]);
        let counted = breaker.snapshot().circuit().failure_count;
        assert_eq!(counted, u64::from(THREADS * FAILURES));
        assert!(transitions.recv().now_or_never().is_none());
    }
}

#[test]
fn case_85_no_increment_is_counted_twice() {
    let (runtime, registry, store, breaker) = registry(THREADS * FAILURES + 1);
    storm(&breaker, fails);
    runtime.block_on(async {
        // One more, awaited, is counted after all of them and is the last.
        breaker.admit().await.unwrap().failure().settled().await;
    });
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
    assert_eq!(breaker.snapshot().circuit().failure_count, u64::from(THREADS * FAILURES + 1));
    assert_eq!(store.log(), ["read", "trip"]);
    drop(registry);
}

#[test]
fn case_85_a_threshold_passed_by_one_trips_exactly_once() {
    let (runtime, registry, store, breaker) = registry(THREADS * FAILURES - 1);
    let mut transitions = registry.subscribe();
    storm(&breaker, fails);
    runtime.block_on(async {
        assert!(transitions.recv().await.unwrap().is_ok());
        registry.flush(Duration::from_secs(5)).await.unwrap();
    });
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
    assert_eq!(store.log(), ["read", "trip"]);
    assert!(heard(&mut transitions).is_empty());
}

#[test]
fn case_84_a_success_of_the_same_thread_is_never_overtaken_by_its_failures() {
    // Every thread reports F and then S; at most one failure of each is ever in
    // the streak, so that a threshold above their number is never reached.
    let (runtime, registry, store, breaker) = registry(THREADS + 1);
    storm(&breaker, |breaker| {
        breaker.try_admit().unwrap().failure();
        breaker.try_admit().unwrap().success();
    });
    runtime.block_on(async { registry.flush(Duration::from_secs(5)).await.unwrap() });
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
    assert_eq!(store.writes(), 0);
}

#[test]
fn handles_and_registries_come_and_go_between_threads() {
    let (runtime, registry, store, breaker) = registry(5);
    drop(breaker);
    let names = ["a", "b", "c"];
    std::thread::scope(|scope| {
        for number in 0..4 {
            let registry = &registry;
            scope.spawn(move || {
                for turn in 0..300_usize {
                    let breaker = registry.breaker(names[(number + turn) % names.len()]).unwrap();
                    let clone = breaker.clone();
                    drop(breaker);
                    clone.try_admit().unwrap().success();
                }
            });
        }
    });
    // The three circuits may be there or not; a handle always has its actor.
    let breaker = registry.breaker("a").unwrap();
    runtime.block_on(async {
        for _ in 0..5 {
            breaker.admit().await.unwrap().failure().settled().await;
        }
    });
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
    assert_eq!(store.writes(), 1);
}
