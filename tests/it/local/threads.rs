//! Many real threads on one circuit.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, SystemTime},
};

use fastrand::Rng;
use fuseboard::{
    Breaker, BreakerRegistry, CallError, CircuitState, Config, MemoryStore, VirtualClock,
    store::StoreErrorKind,
};
use futures::{FutureExt as _, executor::block_on};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::support::{
    faulty::{Fault, FaultyStore},
    memory::heard,
};

const THREADS: u32 = 8;
const FAILURES: u32 = 250;

/// A registry on threads of its own, whose circuit has been read.
fn registry(threshold: u32) -> (Runtime, BreakerRegistry, FaultyStore, Breaker) {
    registry_on(2, threshold)
}

fn registry_on(workers: usize, threshold: u32) -> (Runtime, BreakerRegistry, FaultyStore, Breaker) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
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

/// Calls that fail, by twice as many threads at once as the threshold allows
/// failures, and others that look whether they are admitted once that many of
/// those have returned.
fn trip_at_once(breaker: &Breaker, threshold: u32) {
    let failed = AtomicU32::new(0);
    let start = Barrier::new(usize::try_from(2 * threshold).unwrap() + 2);
    std::thread::scope(|scope| {
        for _ in 0..2 * threshold {
            scope.spawn(|| {
                start.wait();
                match block_on(breaker.call(|| async { Err::<(), _>("down") })) {
                    Err(CallError::Inner("down")) => {
                        failed.fetch_add(1, Ordering::Release);
                    }
                    // It came too late.
                    Err(CallError::Open(_)) => {}
                    other => panic!("{other:?}"),
                }
            });
        }
        for waits in [false, true] {
            let (start, failed) = (&start, &failed);
            scope.spawn(move || {
                start.wait();
                while failed.load(Ordering::Acquire) < threshold {
                    std::hint::spin_loop();
                }
                let is_admitted = if waits {
                    block_on(breaker.admit()).is_ok()
                } else {
                    breaker.try_admit().is_ok()
                };
                assert!(!is_admitted, "after the last failure has returned");
            });
        }
    });
}

#[test]
fn nobody_is_admitted_once_the_last_of_many_failures_at_once_has_returned() {
    const THRESHOLD: u32 = 4;
    let (_runtime, registry, store, _) = registry(THRESHOLD);
    let mut transitions = registry.subscribe();
    for round in 1..=150 {
        let breaker = registry.breaker(format!("round {round}")).unwrap();
        block_on(breaker.admit()).unwrap().success();
        trip_at_once(&breaker, THRESHOLD);
        assert_eq!(breaker.snapshot().circuit().failure_count, u64::from(THRESHOLD));
        assert_eq!(heard(&mut transitions).len(), 1, "round {round}");
        assert_eq!(store.writes(), round, "one trip each");
    }
}

#[test]
fn no_outcome_of_many_threads_is_lost_before_a_success_that_comes_after_them() {
    for seed in 0..20 {
        let (runtime, _registry, store, breaker) = registry(THREADS * FAILURES);
        let numbers = AtomicU32::new(0);
        storm(&breaker, |breaker| {
            // Of each thread its own: what it does next does not hang on the others.
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            let permit = breaker.try_admit().unwrap();
            match Rng::with_seed(seed << 32 | u64::from(number)).u8(..8) {
                0 => permit.success(),
                1 => permit.ignore(),
                _ => permit.failure(),
            };
        });
        // It ends every streak that was reported before.
        breaker.try_admit().unwrap().success();
        runtime.block_on(async {
            for _ in 1..THREADS * FAILURES {
                breaker.admit().await.unwrap().failure();
            }
            breaker.admit().await.unwrap().ignore();
        });
        assert_eq!(store.writes(), 0, "seed {seed}: one is still missing");
        runtime.block_on(async { breaker.admit().await.unwrap().failure().settled().await });
        let counted = breaker.snapshot().circuit().failure_count;
        assert_eq!(counted, u64::from(THREADS * FAILURES), "seed {seed}");
        assert_eq!(store.log(), ["read", "trip"], "seed {seed}");
    }
}

#[test]
fn case_90_no_failure_of_many_threads_is_lost_past_a_full_mailbox() {
    for missing in [0, 1] {
        let (runtime, registry, store, breaker) = registry_on(1, THREADS * FAILURES + missing);
        let (release, released) = mpsc::channel::<()>();
        let (blocks, blocked) = mpsc::channel();
        let mut tasks = JoinSet::new();
        let block = async move {
            blocks.send(()).unwrap();
            let _ = released.recv();
        };
        tasks.spawn_on(block, runtime.handle());
        blocked.recv().unwrap();
        storm(&breaker, fails);
        drop(release);
        runtime.block_on(async {
            tasks.join_all().await;
            registry.flush(Duration::from_secs(5)).await.unwrap();
            if missing == 1 {
                assert_eq!(store.writes(), 0, "one is still missing");
                breaker.admit().await.unwrap().failure().settled().await;
            }
        });
        assert_eq!(store.log(), ["read", "trip"]);
        let counted = breaker.snapshot().circuit().failure_count;
        assert_eq!(counted, u64::from(THREADS * FAILURES + missing));
    }
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

/// Somebody looks a circuit up and lets go of it, so that its actor forgets it; at that
/// moment another comes, fails as often as it takes, and lets go of it as well.
#[test]
fn case_197_no_failure_is_lost_while_circuits_without_handles_are_forgotten() {
    const CIRCUITS: usize = 20_000;
    let (runtime, registry, store, breaker) = registry(1);
    drop(breaker);
    let stops = AtomicBool::new(false);
    let failed = std::thread::scope(|scope| {
        // Others keep the registry's lock busy, which widens the moment.
        for _ in 0..4 {
            scope.spawn(|| {
                while !stops.load(Ordering::Relaxed) {
                    drop(registry.breaker("others"));
                }
            });
        }
        let failed = (0..CIRCUITS).filter(|number| {
            let name = format!("circuit {number}");
            drop(registry.breaker(&name).unwrap());
            for _ in 0..(number % 64) * 8 {
                std::hint::spin_loop();
            }
            registry
                .breaker(&name)
                .unwrap()
                .try_admit()
                .map(|permit| drop(permit.failure()))
                .is_ok()
        });
        let failed = failed.count();
        stops.store(true, Ordering::Relaxed);
        failed
    });
    runtime.block_on(async { registry.flush(Duration::from_secs(20)).await.unwrap() });
    assert_eq!(failed, CIRCUITS, "each is new to its process");
    let trips = store.log().iter().filter(|write| **write == "trip").count();
    assert_eq!(trips, failed, "of as many failures, each enough to trip its circuit");
}

/// Far more calls ask than the mailbox has room for, so that it never runs empty.
#[test]
fn case_201_a_mailbox_that_never_runs_empty_keeps_no_other_task_waiting() {
    const CALLS: usize = 30_000;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let store = FaultyStore::over(&MemoryStore::new());
    store.meets(Fault::Fail(StoreErrorKind::Unavailable));
    runtime.block_on(async {
        let builder = BreakerRegistry::builder(store.clone()).disabled(false);
        let registry = builder.spawn().unwrap();
        let breaker = registry.breaker("payment-backend").unwrap();
        // None of them is answered before the actor runs.
        let mut calls: Vec<_> = (0..CALLS).map(|_| Box::pin(breaker.admit())).collect();
        for call in &mut calls {
            assert!(futures::poll!(call).is_pending());
        }
        let mut last = calls.pop().unwrap();
        tokio::task::yield_now().await;
        assert!(futures::poll!(&mut last).is_pending(), "others run before all are answered");
        last.await.unwrap().ignore();
    });
}
