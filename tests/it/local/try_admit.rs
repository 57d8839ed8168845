//! Admission that never waits.

use std::time::Duration;

use fuseboard::{Breaker, CircuitState, Hold};
use futures::FutureExt as _;

use crate::support::{
    faulty::Fault,
    memory::{Process, World, is_rejected, pass, settle, succeed, trip},
};

/// Asks until a call is admitted, so many seconds apart; says how often.
async fn asked_until_admitted(breaker: &Breaker, apart: f64) -> usize {
    for asked in 1..=100 {
        if let Ok(permit) = breaker.try_admit() {
            permit.success();
            settle().await;
            return asked;
        }
        pass(apart).await;
    }
    panic!("100 calls, {apart} s apart, and none was admitted");
}

async fn due() -> (World, Process) {
    let world = World::new();
    let process = world.process();
    trip(&process.breaker()).await;
    pass(31.0).await;
    (world, process)
}

#[tokio::test(start_paused = true)]
async fn a_cold_circuit_admits_and_is_read_in_the_background() {
    let world = World::new();
    trip(&world.process().breaker()).await;
    let process = world.process();
    let breaker = process.breaker();
    assert!(breaker.try_admit().is_ok());
    assert!(process.store.log().is_empty(), "not before the caller is answered");
    settle().await;
    assert_eq!(process.store.log(), ["read"]);
    let rejection = breaker.try_admit().unwrap_err();
    assert_eq!(rejection.circuit().state, CircuitState::Open);
    assert_eq!(rejection.retry_after().as_secs(), 29);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_store_is_no_reason_to_wait() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    process.store.meets(Fault::Hang);
    for _ in 0..100 {
        assert!(breaker.try_admit().is_ok());
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_circuit_used_through_try_admit_alone_recovers() {
    for apart in [0.01, 0.4, 2.0, 7.0] {
        let (world, process) = due().await;
        let breaker = process.breaker();
        for _ in 0..3 {
            let asked = asked_until_admitted(&breaker, apart).await;
            assert!(asked <= 3, "{apart} s apart, {asked} calls");
        }
        assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
        assert_eq!(world.stored_state(), Some(CircuitState::Closed));
    }
}

#[tokio::test(start_paused = true)]
async fn case_26_a_hold_withdraws_the_probe_on_offer() {
    let (world, process) = due().await;
    let breaker = process.breaker();
    assert!(breaker.try_admit().is_err());
    settle().await;
    assert_eq!(process.store.log().last(), Some(&"elect"));
    breaker
        .hold(Hold::open(world.clock.wall() + Duration::from_secs(3_600)).reason("maintenance"))
        .await
        .unwrap();
    assert!(breaker.try_admit().is_err(), "it is held");
    assert!(is_rejected(&succeed(&breaker).await));
}

#[tokio::test(start_paused = true)]
async fn a_probe_on_offer_ends_with_the_opening_that_it_was_for() {
    let (_world, process) = due().await;
    let breaker = process.breaker();
    assert!(breaker.try_admit().is_err());
    settle().await;
    assert_eq!(process.store.log().last(), Some(&"elect"));
    breaker.release().await.unwrap();
    assert!(!breaker.try_admit().unwrap().is_probe());
    trip(&breaker).await;
    assert!(is_rejected(&succeed(&breaker).await), "it has just opened");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_was_won_in_the_background_is_handed_out_once() {
    let (_world, process) = due().await;
    let breaker = process.breaker();
    assert!(breaker.try_admit().is_err());
    settle().await;
    let probe = breaker.try_admit().unwrap();
    assert!(probe.is_probe());
    assert!(breaker.try_admit().is_err());
    assert!(is_rejected(&succeed(&breaker).await));
    drop(probe);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_was_won_in_the_background_serves_a_call_that_could_wait() {
    let (_world, process) = due().await;
    let breaker = process.breaker();
    assert!(breaker.try_admit().is_err());
    settle().await;
    assert_eq!(succeed(&breaker).await, Ok(42));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_nobody_takes_is_given_back() {
    let (world, process) = due().await;
    let breaker = process.breaker();
    assert!(breaker.try_admit().is_err());
    settle().await;
    assert_eq!(process.store.log().last(), Some(&"elect"));
    let other = world.process();
    assert!(is_rejected(&succeed(&other.breaker()).await));
    pass(25.0).await;
    assert_eq!(process.store.log().last(), Some(&"give back"));
    assert_eq!(succeed(&other.breaker()).await, Ok(42), "before the lease would have ended");
}

#[tokio::test(start_paused = true)]
async fn try_admit_never_yields() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let asked = async { breaker.try_admit().map(|permit| permit.success()).is_ok() };
    assert_eq!(asked.now_or_never(), Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_probe_on_offer_does_not_outlast_a_freeze() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    trip(&breaker).await;
    pass(30.0).await;
    assert!(breaker.try_admit().is_err(), "won in the background");
    settle().await;
    // Frozen: the clocks move, and no timer runs.
    world.clock.advance(Duration::from_secs(600));
    assert!(breaker.try_admit().is_err(), "its lease is long over");
    settle().await;
    let late = breaker.admit().await;
    assert!(late.is_ok_and(|permit| permit.is_probe()), "a lease of its own");
}
