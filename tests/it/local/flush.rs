//! What a call awaits, what `flush` awaits, and the end of a registry.

use std::time::Duration;

use fuseboard::{BreakerError, CircuitState};

use crate::support::{
    faulty::Fault,
    fleet::{Fleet, NAME, fail, pass, settle, succeed, timed, trip},
};

const BUDGET: Duration = Duration::from_millis(500);
const SLOW: Fault = Fault::Delay(Duration::from_millis(200));

#[tokio::test(start_paused = true)]
async fn the_tripping_call_returns_after_its_write_by_default() {
    for (awaits, took) in [(true, 200), (false, 0)] {
        let fleet = Fleet::with(|config| config.await_trip_write(awaits));
        let environment = fleet.environment();
        let breaker = environment.breaker();
        for _ in 0..4 {
            let _ = fail(&breaker).await;
        }
        environment.store.writes_meet(SLOW);
        let (_, waited) = timed(fail(&breaker)).await;
        assert_eq!(waited.as_millis(), took);
        assert_eq!(fleet.stored_state(), awaits.then_some(CircuitState::Open));
        pass(0.3).await;
        assert_eq!(fleet.stored_state(), Some(CircuitState::Open));
    }
}

#[tokio::test(start_paused = true)]
async fn the_tripping_call_waits_for_a_hanging_store_no_longer_than_its_timeout() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let breaker = environment.breaker();
    for _ in 0..4 {
        let _ = fail(&breaker).await;
    }
    environment.store.writes_meet(Fault::Hang);
    let (_, waited) = timed(fail(&breaker)).await;
    assert!(waited <= Duration::from_secs(1), "{waited:?}");
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn flush_returns_at_once_when_nothing_is_pending() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let breaker = environment.breaker();
    let _ = succeed(&breaker).await;
    let _ = fail(&breaker).await;
    let (flushed, waited) = timed(environment.registry.flush(Duration::ZERO)).await;
    assert_eq!(flushed, Ok(()));
    assert_eq!(waited, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_a_trip_that_nobody_awaited() {
    let fleet = Fleet::with(|config| config.await_trip_write(false));
    let environment = fleet.environment();
    let breaker = environment.breaker();
    let _ = succeed(&breaker).await;
    environment.store.writes_meet(SLOW);
    for _ in 0..5 {
        let _ = fail(&breaker).await;
    }
    assert_eq!(fleet.memory.record(NAME), None);
    assert_eq!(environment.registry.flush(BUDGET).await, Ok(()));
    assert_eq!(fleet.stored_state(), Some(CircuitState::Open));
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_what_a_dropped_probe_gives_back() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let breaker = environment.breaker();
    trip(&breaker).await;
    pass(31.0).await;
    let probe = breaker.admit().await.unwrap();
    environment.store.writes_meet(SLOW);
    drop(probe);
    assert_eq!(environment.registry.flush(BUDGET).await, Ok(()));
    assert_eq!(environment.store.log().last(), Some(&"give back"));
    assert_eq!(succeed(&fleet.environment().breaker()).await, Ok(42));
}

#[tokio::test(start_paused = true)]
async fn flush_says_what_is_left_when_its_budget_is_spent() {
    let fleet = Fleet::with(|config| config.await_trip_write(false));
    let environment = fleet.environment();
    let breaker = environment.breaker();
    let _ = succeed(&breaker).await;
    environment.store.writes_meet(Fault::Hang);
    for _ in 0..5 {
        let _ = fail(&breaker).await;
    }
    let (flushed, waited) = timed(environment.registry.flush(BUDGET)).await;
    assert_eq!(flushed.unwrap_err().pending(), 1);
    assert_eq!(waited, BUDGET);
    assert_eq!(
        environment.registry.flush(BUDGET * 2).await,
        Ok(()),
        "bounded by the store timeout"
    );
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_flushes_and_then_lets_every_call_through() {
    let fleet = Fleet::with(|config| config.await_trip_write(false));
    let environment = fleet.environment();
    let breaker = environment.breaker();
    let mut transitions = environment.registry.subscribe();
    let _ = succeed(&breaker).await;
    environment.store.writes_meet(SLOW);
    for _ in 0..5 {
        let _ = fail(&breaker).await;
    }
    assert_eq!(environment.registry.shutdown(BUDGET).await, Ok(()));
    assert_eq!(fleet.stored_state(), Some(CircuitState::Open));
    assert_eq!(environment.registry.circuits(), 0);
    assert_eq!(environment.registry.breaker(NAME).unwrap_err(), BreakerError::ShutDown);
    // Once what it last knew is too old.
    pass(5.0).await;
    let (result, waited) = timed(succeed(&breaker)).await;
    assert_eq!((result, waited), (Ok(42), Duration::ZERO));
    assert!(breaker.try_admit().is_ok());
    assert!(transitions.recv().await.unwrap().is_ok());
    drop(environment);
    assert!(transitions.recv().await.is_none(), "the stream ends with the registry");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_is_bounded_though_the_store_hangs() {
    let fleet = Fleet::with(|config| config.await_trip_write(false));
    let environment = fleet.environment();
    let breaker = environment.breaker();
    let _ = succeed(&breaker).await;
    environment.store.writes_meet(Fault::Hang);
    for _ in 0..5 {
        let _ = fail(&breaker).await;
    }
    let (flushed, waited) = timed(environment.registry.shutdown(BUDGET)).await;
    assert!(flushed.is_err());
    assert!(waited <= BUDGET + Duration::from_millis(50), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn permits_that_outlive_their_registry_report_into_the_void() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let breaker = environment.breaker();
    trip(&breaker).await;
    pass(31.0).await;
    let probe = breaker.admit_owned().await.unwrap();
    assert_eq!(environment.registry.shutdown(BUDGET).await, Ok(()));
    probe.keep_alive();
    probe.failure().settled().await;
    pass(31.0).await;
    for _ in 0..10 {
        breaker.admit().await.unwrap().failure().settled().await;
        drop(breaker.admit().await.unwrap());
    }
    assert_eq!(environment.registry.flush(Duration::ZERO).await, Ok(()));
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_while_its_registry_ends_goes_through_at_once() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let breaker = environment.breaker();
    environment.store.meets(Fault::Hang);
    let waiting = async {
        let first = succeed(&breaker);
        let ending = async {
            pass(0.1).await;
            drop(environment);
        };
        tokio::join!(first, ending).0
    };
    let (result, waited) = timed(waiting).await;
    assert_eq!(result, Ok(42));
    assert_eq!(waited.as_millis(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_question_nobody_read_goes_through_at_once() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let breaker = environment.breaker();
    let asking = async {
        // Asks before the registry goes, in one turn of the runtime: the actor
        // finds its cancellation first, and the question behind it.
        let going = async { drop(environment) };
        tokio::join!(biased; succeed(&breaker), going).0
    };
    let (result, waited) = timed(asking).await;
    assert_eq!(result, Ok(42));
    assert!(waited < Duration::from_millis(10), "{waited:?}");
}
