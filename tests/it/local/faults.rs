//! A store that fails: what a caller sees of it is nothing.

use std::time::Duration;

use fuseboard::{
    Breaker, CallError, CircuitState, OnStoreOutage, Origin, Outcome,
    store::{Field, StoreErrorKind},
};

use crate::support::{
    faulty::Fault,
    memory::{START, World, fail, heard, is_rejected, pass, recover, settle, succeed, timed, trip},
};

const UNAVAILABLE: Fault = Fault::Fail(StoreErrorKind::Unavailable);

#[tokio::test(start_paused = true)]
async fn case_65_a_dependency_that_is_down_with_its_store_is_protected() {
    for policy in [OnStoreOutage::FailOpen, OnStoreOutage::Protect] {
        let world = World::with(|config| config.on_store_outage(policy));
        let process = world.process();
        let mut transitions = process.registry.subscribe();
        let breaker = process.breaker();
        process.store.meets(UNAVAILABLE);
        let mut ran = 0;
        // 200 calls in 25 s: no recovery is due yet.
        for _ in 0..200 {
            ran += usize::from(fail(&breaker).await == Err(CallError::Inner("down")));
            pass(0.125).await;
        }
        assert!(ran <= 5, "{policy:?}: {ran} calls reached the dependency");
        let heard = heard(&mut transitions);
        assert!(heard.iter().all(|transition| transition.origin == Origin::WithoutStore));
        assert_eq!(heard.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn case_66_a_hanging_store_delays_one_caller_and_then_nobody_for_the_back_off() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    process.store.meets(Fault::Hang);
    let mut delayed = 0;
    for _ in 0..600 {
        let (result, waited) = timed(succeed(&breaker)).await;
        assert_eq!(result, Ok(42));
        assert!(waited <= Duration::from_millis(1_000), "{waited:?}");
        delayed += usize::from(waited > Duration::ZERO);
        pass(0.1).await;
    }
    // A minute: back-offs of about 1, 2, 4, 8, 16 and 30 s, and the first call.
    assert!(delayed <= 8, "{delayed} callers were delayed");
}

#[tokio::test(start_paused = true)]
async fn case_67_a_store_that_returns_is_told_of_a_local_opening() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    process.store.meets(UNAVAILABLE);
    trip(&breaker).await;
    assert_eq!(world.engine.record("payment-backend"), None);
    process.store.meets(Fault::None);
    pass(5.0).await;
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
    let other = world.process();
    assert!(is_rejected(&succeed(&other.breaker()).await));
}

#[tokio::test(start_paused = true)]
async fn a_misconfigured_store_is_asked_once_a_minute() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    process.store.meets(Fault::Fail(StoreErrorKind::Misconfigured));
    for _ in 0..600 {
        assert_eq!(succeed(&breaker).await, Ok(42));
        pass(1.0).await;
    }
    let reads = process.store.reads();
    assert!((9..=14).contains(&reads), "{reads} reads in 10 minutes");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_takes_nobody_with_it() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    process.store.meets(Fault::Panic);
    assert_eq!(succeed(&breaker).await, Ok(42));
    trip(&breaker).await;
    process.store.meets(Fault::None);
    pass(60.0).await;
    recover(&breaker).await;
    settle().await;
    assert_eq!(process.registry.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_what_its_record_permits_is_not_asked_without_end() {
    for successes in [1, 3] {
        for report in [Outcome::Success, Outcome::Failure, Outcome::Ignored] {
            let world = World::with(|config| config.success_threshold(successes));
            let process = world.process();
            let breaker = process.breaker();
            trip(&breaker).await;
            pass(31.0).await;
            let probe = breaker.admit().await.unwrap();
            process.store.writes_meet(Fault::Refuse);
            let before = process.store.log().len();
            probe.report(report);
            pass(60.0).await;
            let log = process.store.log().split_off(before);
            assert!((1..=5).contains(&log.len()), "{successes} {report:?}: {log:?}");
            process.store.writes_meet(Fault::None);
            pass(31.0).await;
            for _ in 0..3 {
                let _ = succeed(&breaker).await;
                pass(2.0).await;
            }
            assert_eq!(breaker.snapshot().state(), CircuitState::Closed, "{successes} {report:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_elections_that_its_record_permits_is_not_asked_without_end() {
    for by_try_admit in [false, true] {
        let world = World::new();
        let process = world.process();
        let breaker = process.breaker();
        trip(&breaker).await;
        pass(31.0).await;
        process.store.writes_meet(Fault::Refuse);
        let before = process.store.writes();
        for _ in 0..600 {
            let is_in = match by_try_admit {
                true => breaker.try_admit().is_ok(),
                false => breaker.admit().await.is_ok(),
            };
            assert!(!is_in);
            pass(0.1).await;
        }
        let writes = process.store.writes() - before;
        assert!((10..=120).contains(&writes), "{writes} in a minute");
        process.store.writes_meet(Fault::None);
        pass(2.0).await;
        for _ in 0..3 {
            assert_eq!(succeed(&breaker).await, Ok(42));
        }
        assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_delays_a_cold_call_by_no_more_than_it_takes() {
    let world = World::new();
    let process = world.process();
    process.store.meets(Fault::Delay(Duration::from_millis(300)));
    let (result, waited) = timed(succeed(&process.breaker())).await;
    assert_eq!(result, Ok(42));
    assert_eq!(waited.as_millis(), 300);
}

/// The process stood still, and its timers with it; then a call comes.
async fn thaw(world: &World, breaker: &Breaker) {
    world.clock.advance(Duration::from_secs(10));
    assert!(breaker.try_admit().is_err());
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_owed_is_made_at_the_next_event_after_a_freeze() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    trip(&breaker).await;
    pass(31.0).await;
    let probe = breaker.admit().await.unwrap();
    process.store.writes_meet(UNAVAILABLE);
    probe.failure().settled().await;
    assert_eq!(world.stored_state(), Some(CircuitState::HalfOpen));
    process.store.writes_meet(Fault::None);
    thaw(&world, &breaker).await;
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
    assert_eq!(world.record().opened_at, Field::Valid(START + 31), "when the probe failed");
}

#[tokio::test(start_paused = true)]
async fn case_196_a_trip_that_is_owed_is_not_made_after_a_freeze() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    process.store.writes_meet(UNAVAILABLE);
    trip(&breaker).await;
    process.store.writes_meet(Fault::None);
    thaw(&world, &breaker).await;
    assert_eq!(world.stored_state(), None, "the dependency was not asked since");
    let probe = breaker.admit().await.unwrap();
    assert!(probe.is_probe());
    assert!(is_rejected(&succeed(&breaker).await), "one at a time");
    probe.failure().settled().await;
    assert_eq!(world.stored_state(), Some(CircuitState::Open), "what it found now");
}
