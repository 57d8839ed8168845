//! What a call awaits, what `flush` awaits, and the end of a registry.

use std::time::Duration;

use fuseboard::{Breaker, CircuitState, RegistryError};
use futures::FutureExt as _;

use crate::support::{
    faulty::Fault,
    memory::{CIRCUIT, Process, World, fail, is_rejected, pass, settle, succeed, timed, trip},
};

const BUDGET: Duration = Duration::from_millis(500);
const SLOW: Fault = Fault::Delay(Duration::from_millis(200));

#[tokio::test(start_paused = true)]
async fn the_tripping_call_returns_after_its_write_by_default() {
    for (awaits, took) in [(true, 200), (false, 0)] {
        let world = World::with(|config| config.await_trip_write(awaits));
        let process = world.process();
        let breaker = process.breaker();
        for _ in 0..4 {
            let _ = fail(&breaker).await;
        }
        process.store.writes_meet(SLOW);
        let (_, waited) = timed(fail(&breaker)).await;
        assert_eq!(waited.as_millis(), took);
        assert_eq!(world.stored_state(), awaits.then_some(CircuitState::Open));
        pass(0.3).await;
        assert_eq!(world.stored_state(), Some(CircuitState::Open));
    }
}

#[tokio::test(start_paused = true)]
async fn the_tripping_call_waits_for_a_hanging_store_no_longer_than_its_timeout() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..4 {
        let _ = fail(&breaker).await;
    }
    process.store.writes_meet(Fault::Hang);
    let (_, waited) = timed(fail(&breaker)).await;
    assert!(waited <= Duration::from_secs(1), "{waited:?}");
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn flush_returns_at_once_when_nothing_is_pending() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let _ = succeed(&breaker).await;
    let _ = fail(&breaker).await;
    let (flushed, waited) = timed(process.registry.flush(Duration::ZERO)).await;
    assert_eq!(flushed, Ok(()));
    assert_eq!(waited, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_a_trip_that_nobody_awaited() {
    let world = World::with(|config| config.await_trip_write(false));
    let process = world.process();
    let breaker = process.breaker();
    let _ = succeed(&breaker).await;
    process.store.writes_meet(SLOW);
    for _ in 0..5 {
        let _ = fail(&breaker).await;
    }
    assert_eq!(world.engine.record(CIRCUIT), None);
    assert_eq!(process.registry.flush(BUDGET).await, Ok(()));
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_what_a_dropped_probe_gives_back() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    trip(&breaker).await;
    pass(31.0).await;
    let probe = breaker.admit().await.unwrap();
    process.store.writes_meet(SLOW);
    drop(probe);
    assert_eq!(process.registry.flush(BUDGET).await, Ok(()));
    assert_eq!(process.store.log().last(), Some(&"give back"));
    assert_eq!(succeed(&world.process().breaker()).await, Ok(42));
}

#[tokio::test(start_paused = true)]
async fn flush_says_what_is_left_when_its_budget_is_spent() {
    let world = World::with(|config| config.await_trip_write(false));
    let process = world.process();
    let breaker = process.breaker();
    let _ = succeed(&breaker).await;
    process.store.writes_meet(Fault::Hang);
    for _ in 0..5 {
        let _ = fail(&breaker).await;
    }
    let (flushed, waited) = timed(process.registry.flush(BUDGET)).await;
    assert_eq!(flushed.unwrap_err().pending(), 1);
    assert_eq!(waited, BUDGET);
    assert_eq!(process.registry.flush(BUDGET * 2).await, Ok(()), "bounded by the store timeout");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_flushes_and_then_lets_every_call_through() {
    let world = World::with(|config| config.await_trip_write(false));
    let process = world.process();
    let breaker = process.breaker();
    let mut transitions = process.registry.subscribe();
    let _ = succeed(&breaker).await;
    process.store.writes_meet(SLOW);
    for _ in 0..5 {
        let _ = fail(&breaker).await;
    }
    assert_eq!(process.registry.shutdown(BUDGET).await, Ok(()));
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
    assert_eq!(process.registry.len(), 0);
    assert_eq!(process.registry.breaker(CIRCUIT).unwrap_err(), RegistryError::ShutDown);
    // Once what it last knew is too old.
    pass(5.0).await;
    let (result, waited) = timed(succeed(&breaker)).await;
    assert_eq!((result, waited), (Ok(42), Duration::ZERO));
    assert!(breaker.try_admit().is_ok());
    assert!(transitions.recv().await.unwrap().is_ok());
    drop(process);
    assert!(transitions.recv().await.is_none(), "the stream ends with the registry");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_is_bounded_though_the_store_hangs() {
    let world = World::with(|config| config.await_trip_write(false));
    let process = world.process();
    let breaker = process.breaker();
    let _ = succeed(&breaker).await;
    process.store.writes_meet(Fault::Hang);
    for _ in 0..5 {
        let _ = fail(&breaker).await;
    }
    let (flushed, waited) = timed(process.registry.shutdown(BUDGET)).await;
    assert!(flushed.is_err());
    assert!(waited <= BUDGET + Duration::from_millis(50), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn permits_that_outlive_their_registry_report_into_the_void() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    trip(&breaker).await;
    pass(31.0).await;
    let probe = breaker.admit_owned().await.unwrap();
    let ended = process.registry.shutdown(BUDGET).await;
    assert_eq!(ended.unwrap_err().pending(), 1, "the probe");
    probe.keep_alive();
    probe.failure().settled().await;
    pass(31.0).await;
    for _ in 0..10 {
        breaker.admit().await.unwrap().failure().settled().await;
        drop(breaker.admit().await.unwrap());
    }
    assert_eq!(process.registry.flush(Duration::ZERO).await, Ok(()));
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_while_its_registry_ends_goes_through_at_once() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    process.store.meets(Fault::Hang);
    let waiting = async {
        let first = succeed(&breaker);
        let ending = async {
            pass(0.1).await;
            drop(process);
        };
        tokio::join!(first, ending).0
    };
    let (result, waited) = timed(waiting).await;
    assert_eq!(result, Ok(42));
    assert_eq!(waited.as_millis(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_question_nobody_read_goes_through_at_once() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let asking = async {
        // Asks before the registry goes, in one turn of the runtime: the actor
        // finds its cancellation first, and the question behind it.
        let going = async { drop(process) };
        tokio::join!(biased; succeed(&breaker), going).0
    };
    let (result, waited) = timed(asking).await;
    assert_eq!(result, Ok(42));
    assert!(waited < Duration::from_millis(10), "{waited:?}");
}

/// How long after the first process has ended another one is admitted.
async fn waits_for_the_right(staying: &Breaker) -> f64 {
    let mut waited = 0.0;
    while is_rejected(&succeed(staying).await) {
        pass(0.1).await;
        waited += 0.1;
        assert!(waited < 60.0, "nobody probes");
    }
    waited
}

/// An open circuit that is due, and two processes that know of it.
async fn due(world: &World) -> (Process, Breaker, Breaker) {
    let (leaving, staying) = (world.process(), world.process());
    let (first, second) = (leaving.breaker(), staying.breaker());
    trip(&first).await;
    pass(6.0).await;
    assert!(is_rejected(&succeed(&second).await));
    pass(25.5).await;
    (leaving, first, second)
}

#[tokio::test(start_paused = true)]
async fn case_161_a_probe_on_offer_is_given_back_before_a_process_leaves_or_freezes() {
    for shuts_down in [true, false] {
        for delay in [Fault::None, SLOW] {
            let world = World::new();
            let (leaving, first, second) = due(&world).await;
            leaving.store.writes_meet(delay);
            assert!(first.try_admit().is_err(), "it wins the right for a later call");
            if delay == Fault::None || !shuts_down {
                settle().await;
            }
            let budget = Duration::from_secs(2);
            let (ended, took) = timed(async {
                if shuts_down {
                    leaving.registry.shutdown(budget).await
                } else {
                    leaving.registry.flush(budget).await
                }
            })
            .await;
            assert_eq!(ended, Ok(()));
            assert!(took < Duration::from_millis(500), "{took:?}");
            // A call that was not even looked for elects nobody.
            let log = leaving.store.log();
            let count = |name: &str| log.iter().filter(|told| **told == name).count();
            assert_eq!(count("elect"), count("give back"), "{log:?}");
            let waited = waits_for_the_right(&second).await;
            assert!(waited < 0.2, "{waited} s, {shuts_down}, {delay:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn case_161_the_verdict_of_a_probe_that_ends_in_the_budget_is_written() {
    for (good, written) in [(true, "hand over"), (false, "reopen")] {
        let world = World::new();
        let (leaving, first, second) = due(&world).await;
        let probe = first.admit_owned().await.unwrap();
        leaving.store.writes_meet(SLOW);
        let probing = async {
            pass(1.0).await;
            drop(if good { probe.success() } else { probe.failure() });
        };
        let ending = leaving.registry.shutdown(Duration::from_secs(2));
        let ((ended, ()), took) = timed(async { tokio::join!(ending, probing) }).await;
        assert_eq!(ended, Ok(()));
        assert!((1_200..1_300).contains(&took.as_millis()), "{took:?}");
        assert_eq!(leaving.store.log().last(), Some(&written));
        if good {
            assert!(waits_for_the_right(&second).await < 4.0);
        } else {
            assert_eq!(world.stored_state(), Some(CircuitState::Open));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn case_161_a_probe_that_outlasts_the_budget_keeps_its_right_and_is_told() {
    let world = World::new();
    let (leaving, first, _second) = due(&world).await;
    let _probe = first.admit_owned().await.unwrap();
    let (flushed, took) = timed(leaving.registry.flush(BUDGET)).await;
    assert_eq!((flushed.unwrap_err().pending(), took), (1, BUDGET));
    // A permit that leaks is waited for no longer than its lease.
    pass(31.0).await;
    assert_eq!(timed(leaving.registry.flush(BUDGET)).await, (Ok(()), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn case_205_callers_that_gave_up_are_waited_for_by_no_flush() {
    for fault in [Fault::Hang, Fault::Delay(Duration::from_secs(50))] {
        let world = World::with(|config| config.store_timeout(Duration::from_secs(60)));
        let process = world.process();
        let breaker = process.breaker();
        process.store.meets(fault);
        for _ in 0..10 {
            let mut calls: Vec<_> = (0..300).map(|_| Box::pin(breaker.admit())).collect();
            for call in &mut calls {
                assert!(call.now_or_never().is_none());
            }
            pass(0.1).await;
        }
        let (flushed, took) = timed(process.registry.flush(BUDGET)).await;
        assert_eq!((flushed, took), (Ok(()), Duration::ZERO));
        assert_eq!(process.store.reads(), 1, "it still hangs");
    }
}
