//! CASES.md 198: calls that a freeze of the process cuts off.

use std::time::Duration;

use fuseboard::{Breaker, CallError, CircuitState, Config};
use futures::future::join_all;
use tokio::sync::watch;

use crate::support::memory::{World, fail, is_rejected, pass, settle, succeed};

/// So many calls under way, which fail when the process is thawed.
async fn cut_off(world: &World, breaker: &Breaker, calls: usize) {
    let (thaw, thawed) = watch::channel(false);
    let call = || {
        let mut thawed = thawed.clone();
        async move {
            thawed.wait_for(|thawed| *thawed).await.unwrap();
            Err::<(), &str>("connection reset")
        }
    };
    let running = join_all((0..calls).map(|_| breaker.call(call)));
    let freeze = async {
        settle().await;
        world.clock.freeze(Duration::from_secs(600));
        thaw.send(true).unwrap();
    };
    let (ended, ()) = futures::join!(running, freeze);
    assert!(ended.iter().all(|ended| matches!(ended, Err(CallError::Inner(_)))));
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn case_198_calls_that_a_freeze_cut_off_open_nothing() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    assert_eq!(succeed(&breaker).await, Ok(42));
    for _ in 0..3 {
        cut_off(&world, &breaker, 20).await;
        assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
        assert_eq!(world.stored_state(), None);
        assert_eq!(succeed(&breaker).await, Ok(42));
    }
}

#[tokio::test(start_paused = true)]
async fn case_198_failures_of_before_and_after_a_freeze_are_in_a_row() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    // As a process on AWS Lambda that is frozen after each invocation.
    for _ in 0..4 {
        assert_eq!(fail(&breaker).await, Err(CallError::Inner("down")));
        cut_off(&world, &breaker, 3).await;
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
    assert_eq!(fail(&breaker).await, Err(CallError::Inner("down")));
    assert!(is_rejected(&succeed(&breaker).await));
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
}

#[tokio::test(start_paused = true)]
async fn case_198_a_good_call_between_freezes_ends_the_streak() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..3 {
        for _ in 0..4 {
            let _ = fail(&breaker).await;
        }
        world.clock.freeze(Duration::from_secs(60));
        assert_eq!(succeed(&breaker).await, Ok(42));
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn case_198_a_probe_that_a_freeze_cut_off_reopens_nothing() {
    let world = World::with(|config| config.probe_lease(Duration::from_secs(3_600)));
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..5 {
        let _ = fail(&breaker).await;
    }
    pass(32.0).await;
    cut_off(&world, &breaker, 1).await;
    assert_eq!(world.stored_state(), Some(CircuitState::HalfOpen));
    for _ in 0..Config::default().success_threshold().get() {
        assert_eq!(succeed(&breaker).await, Ok(42), "the right stayed here");
    }
    assert_eq!(world.stored_state(), Some(CircuitState::Closed));
}

/// The gate admits without the actor, since what is known is fresh for long.
#[tokio::test(start_paused = true)]
async fn case_198_a_process_that_is_frozen_between_any_two_calls_still_trips() {
    let world = World::with(|config| config.local_cache_max_age(Duration::from_secs(3_600)));
    let process = world.process();
    let breaker = process.breaker();
    assert_eq!(succeed(&breaker).await, Ok(42));
    for call in 0..12 {
        world.clock.freeze(Duration::from_secs(10));
        if is_rejected(&fail(&breaker).await) {
            return;
        }
        settle().await;
        assert!(call < 11, "no failure counts");
    }
}

/// `docs/failure-modes.md` says so: calls that a second freeze cut off cannot be told from calls of
/// after the thaw.
#[tokio::test(start_paused = true)]
async fn case_198_over_a_fresh_cache_calls_that_a_second_freeze_cut_off_count() {
    let world = World::with(|config| config.local_cache_max_age(Duration::from_secs(3_600)));
    let process = world.process();
    let breaker = process.breaker();
    assert_eq!(succeed(&breaker).await, Ok(42));
    cut_off(&world, &breaker, 20).await;
    assert_eq!(breaker.state(), CircuitState::Closed, "the first in a row");
    cut_off(&world, &breaker, 20).await;
    assert_eq!(breaker.state(), CircuitState::Open, "the second in a row");
}
