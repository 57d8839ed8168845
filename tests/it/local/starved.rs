//! An actor that cannot run, or is gone: admission answers all the same.

use std::{
    sync::mpsc,
    time::{Duration, SystemTime},
};

use fuseboard::{BreakerRegistry, CircuitState, Config, MemoryStore, RegistryError, VirtualClock};
use futures::executor::block_on;
use tokio::{runtime::Runtime, task::JoinSet};

use crate::support::memory::is_rejected;

/// A registry on a runtime of one thread, and a clock that stands.
struct Starved {
    runtime: Runtime,
    registry: BreakerRegistry,
    clock: VirtualClock,
    tasks: JoinSet<()>,
}

impl Starved {
    fn with(config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let clock =
            VirtualClock::standing_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        let registry = runtime.block_on(async {
            let builder = BreakerRegistry::builder(MemoryStore::new());
            builder.config(config).clock(&clock).disabled(false).spawn().unwrap()
        });
        Self { runtime, registry, clock, tasks: JoinSet::new() }
    }

    /// Blocks the one thread that the actors run on until the sender is dropped.
    fn block(&mut self) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel::<()>();
        let (blocks, blocked) = mpsc::channel();
        let on = self.runtime.handle();
        self.tasks.spawn_on(
            async move {
                blocks.send(()).unwrap();
                let _ = released.recv();
            },
            on,
        );
        blocked.recv().unwrap();
        release
    }
}

async fn call(breaker: &fuseboard::Breaker) -> Result<u32, fuseboard::CallError<&'static str>> {
    breaker.call(|| async { Ok(42) }).await
}

#[test]
fn case_89_a_starved_actor_delays_nobody_while_what_is_known_is_fresh() {
    let mut starved = Starved::with(Config::default());
    let closed = starved.registry.breaker("closed").unwrap();
    let open = starved.registry.breaker("open").unwrap();
    starved.runtime.block_on(async {
        assert_eq!(call(&closed).await, Ok(42));
        for _ in 0..5 {
            open.admit().await.unwrap().failure().settled().await;
        }
    });
    let _block = starved.block();
    // On this thread there is no timer: an answer that had to be waited for
    // would never come.
    for _ in 0..100 {
        assert_eq!(block_on(call(&closed)), Ok(42));
        assert!(is_rejected(&block_on(call(&open))));
        assert!(closed.try_admit().is_ok());
        assert!(open.try_admit().is_err());
    }
    starved.clock.advance(Duration::from_secs(5));
    assert!(closed.try_admit().is_ok(), "stale, and still at once");
}

#[test]
fn case_89_a_starved_actor_fails_open_once_what_is_known_is_too_old() {
    let mut starved = Starved::with(Config::default());
    let open = starved.registry.breaker("open").unwrap();
    starved.runtime.block_on(async {
        for _ in 0..5 {
            open.admit().await.unwrap().failure().settled().await;
        }
        assert!(is_rejected(&call(&open).await));
    });
    let block = starved.block();
    starved.clock.advance(Duration::from_secs(6));
    let elsewhere = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    // After the store's timeout and a tenth of a second, of real time.
    assert_eq!(elsewhere.block_on(call(&open)), Ok(42));
    let soon = || async { tokio::time::timeout(Duration::from_millis(500), call(&open)).await };
    for _ in 0..100 {
        assert_eq!(elsewhere.block_on(soon()), Ok(Ok(42)), "one has waited for all");
    }
    drop(block);
    starved.runtime.block_on(starved.tasks.join_next()).unwrap().unwrap();
    // What was asked is answered now, and from then on the actor is heard again.
    assert!(is_rejected(&elsewhere.block_on(async {
        loop {
            let called = call(&open).await;
            if is_rejected(&called) {
                return called;
            }
            tokio::task::yield_now().await;
        }
    })));
    // Its read in the background is over before its thread is blocked again.
    let _block = starved.block();
    starved.clock.advance(Duration::from_secs(6));
    assert!(elsewhere.block_on(soon()).is_err(), "who was heard is waited for");
}

#[test]
fn case_89_one_call_waits_for_a_starved_actor_to_count_failures() {
    let config = Config::builder().store_timeout(Duration::from_millis(200)).build().unwrap();
    let mut starved = Starved::with(config);
    let breaker = starved.registry.breaker("closed").unwrap();
    starved.runtime.block_on(async { assert_eq!(call(&breaker).await, Ok(42)) });
    let block = starved.block();
    let elsewhere = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    elsewhere.block_on(async {
        let fail = || breaker.call(|| async { Err::<(), _>("down") });
        let soon = || async { tokio::time::timeout(Duration::from_millis(100), fail()).await };
        for _ in 0..4 {
            assert!(soon().await.is_ok(), "nothing is to be written");
        }
        let mut waits = std::pin::pin!(fail());
        assert!(futures::poll!(&mut waits).is_pending(), "the one that waits");
        assert!(waits.await.is_err());
        for _ in 0..100 {
            assert!(soon().await.is_ok(), "one has waited for all");
        }
    });
    drop(block);
    starved.runtime.block_on(async {
        starved.tasks.join_next().await.unwrap().unwrap();
        starved.registry.flush(Duration::from_secs(5)).await.unwrap();
    });
    assert!(breaker.try_admit().is_err(), "enough were counted");
}

#[test]
fn case_89_a_runtime_that_was_shut_down_delays_nobody() {
    let starved = Starved::with(Config::default());
    let (warm, cold) =
        (starved.registry.breaker("warm").unwrap(), starved.registry.breaker("cold").unwrap());
    starved.runtime.block_on(async { assert_eq!(call(&warm).await, Ok(42)) });
    drop(starved.runtime);
    starved.clock.advance(Duration::from_secs(6));
    assert_eq!(starved.registry.breaker("late").unwrap_err(), RegistryError::RuntimeEnded);
    for breaker in [&warm, &cold] {
        for _ in 0..10 {
            assert_eq!(block_on(call(breaker)), Ok(42));
            assert!(breaker.try_admit().is_ok());
            block_on(breaker.admit()).unwrap().failure();
        }
    }
    assert_eq!(block_on(starved.registry.flush(Duration::ZERO)), Ok(()));
}

#[test]
fn case_89_a_thread_without_a_runtime_is_served() {
    let starved = Starved::with(Config::default());
    let breaker = starved.registry.breaker("payment-backend").unwrap();
    assert_eq!(block_on(call(&breaker)), Ok(42));
    for _ in 0..5 {
        let failed = block_on(breaker.call(|| async { Err::<u32, _>("down") }));
        assert_eq!(failed.unwrap_err().inner(), Some(&"down"));
    }
    assert!(is_rejected(&block_on(call(&breaker))));
    starved.clock.advance(Duration::from_secs(31));
    for _ in 0..3 {
        assert_eq!(block_on(call(&breaker)), Ok(42));
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
    assert_eq!(block_on(starved.registry.shutdown(Duration::from_secs(1))), Ok(()));
}

/// How an outcome is reported while the mailbox is full.
fn report(breaker: &fuseboard::Breaker, outcomes: &str) {
    for outcome in outcomes.chars() {
        let permit = breaker.try_admit().unwrap();
        match outcome {
            'F' => permit.failure(),
            'S' => permit.success(),
            other => panic!("{other} is no outcome"),
        };
    }
}

/// Reports outcomes while nothing can be counted, and says what is counted.
fn counted(threshold: u32, outcomes: &[&str]) -> (CircuitState, u64) {
    let config = Config::builder().failure_threshold(threshold).build().unwrap();
    let mut starved = Starved::with(config);
    let breaker = starved.registry.breaker("payment-backend").unwrap();
    starved.runtime.block_on(async { assert_eq!(call(&breaker).await, Ok(42)) });
    let block = starved.block();
    for outcomes in outcomes {
        report(&breaker, outcomes);
    }
    drop(block);
    starved.runtime.block_on(async {
        // Answered behind everything that was reported before.
        starved.clock.advance(Duration::from_secs(6));
        let _ = call(&breaker).await;
    });
    let snapshot = breaker.snapshot();
    (snapshot.state(), snapshot.circuit().failure_count)
}

#[test]
fn case_90_failures_beyond_a_full_mailbox_are_all_counted() {
    let failures = "F".repeat(5_000);
    assert_eq!(counted(5_000, &[&failures]), (CircuitState::Open, 5_000));
    assert_eq!(counted(5_001, &[&failures]).0, CircuitState::Closed);
}

#[test]
fn case_90_a_success_beyond_a_full_mailbox_ends_the_streak() {
    let (full, rest) = ("F".repeat(2_000), "F".repeat(1_999));
    assert_eq!(counted(2_001, &[&full, "S", &rest]).0, CircuitState::Closed);
    assert_eq!(counted(2_000, &["S", &rest, "F"]).0, CircuitState::Open);
    assert_eq!(counted(2_000, &[&rest, "S", &rest, "F"]), (CircuitState::Open, 2_000));
    assert_eq!(counted(2_000, &[&rest, "SS", &rest]).0, CircuitState::Closed);
}

#[test]
fn case_90_a_straggler_of_an_older_epoch_does_not_displace_newer_failures() {
    let config = Config::builder().failure_threshold(2_000).success_threshold(1).build().unwrap();
    let mut starved = Starved::with(config);
    let breaker = starved.registry.breaker("payment-backend").unwrap();
    let straggler = starved.runtime.block_on(async {
        let straggler = breaker.admit_owned().await.unwrap();
        for _ in 0..2_000 {
            breaker.admit().await.unwrap().failure().settled().await;
        }
        starved.clock.advance(Duration::from_secs(31));
        assert_eq!(call(&breaker).await, Ok(42));
        straggler
    });
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
    let block = starved.block();
    report(&breaker, &"F".repeat(1_999));
    straggler.success();
    report(&breaker, "F");
    drop(block);
    starved.runtime.block_on(async {
        starved.clock.advance(Duration::from_secs(6));
        let _ = call(&breaker).await;
    });
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
}

#[test]
fn case_90_many_more_failures_than_the_threshold_trip_once() {
    let failures = "F".repeat(200_000);
    let (state, counted) = counted(1_500, &[&failures]);
    assert_eq!((state, counted), (CircuitState::Open, 1_500));
}
