//! How long an actor lives.

use std::time::Duration;

use fuseboard::{Cause, CircuitState, Hold, OperatorError, Origin, RegistryError};
use tokio::runtime::Runtime;
use tracing::Level;

use crate::support::{
    faulty::Fault,
    log::Lines,
    memory::{
        CIRCUIT, Process, World, fail, heard, is_rejected, pass, settle, states, succeed, timed,
        trip,
    },
};

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_dropped_while_it_is_used_says_so() {
    let warnings = Lines::of(Level::WARN);
    let process = World::new().process();
    let breaker = process.breaker();
    drop(process);
    assert_eq!(warnings.take(), 0, "it may be the end of the program");
    for _ in 0..20 {
        assert!(!is_rejected(&fail(&breaker).await), "nobody counts");
    }
    assert_eq!(warnings.take(), 1, "but it is used");

    let process = World::new().process();
    let breaker = process.breaker();
    process.registry.shutdown(Duration::from_secs(1)).await.unwrap();
    drop(process);
    drop(breaker);
    let process = World::new().process();
    drop(process.breaker());
    drop(process);
    assert_eq!(warnings.take(), 0, "shut down, or not used");
}

#[tokio::test(start_paused = true)]
async fn a_closed_circuit_without_handles_is_forgotten() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let clone = breaker.clone();
    let _ = succeed(&breaker).await;
    drop(breaker);
    settle().await;
    assert_eq!(process.registry.len(), 1, "a clone is left");
    drop(clone);
    pass(4.9).await;
    assert_eq!(process.registry.len(), 1, "what it knows is fresh");
    pass(0.1).await;
    assert_eq!(process.registry.len(), 0);
    assert_eq!(succeed(&process.breaker()).await, Ok(42), "and may come again");
}

#[tokio::test(start_paused = true)]
async fn a_handle_for_each_call_does_not_mean_a_read_for_each() {
    let world = World::new();
    let process = world.process();
    for _ in 0..40 {
        assert_eq!(succeed(&process.breaker()).await, Ok(42));
        pass(0.1).await;
    }
    assert_eq!(process.store.reads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_was_never_called_is_forgotten() {
    let world = World::new();
    let process = world.process();
    drop(process.breaker());
    settle().await;
    assert_eq!(process.registry.len(), 0);
    assert!(process.store.log().is_empty());
}

#[tokio::test(start_paused = true)]
async fn case_78_an_open_circuit_without_handles_is_not_forgotten() {
    let world = World::new();
    let process = world.process();
    // Nobody but this process knows of it.
    process.store.meets(Fault::Hang);
    trip(&process.breaker()).await;
    settle().await;
    assert_eq!(process.registry.len(), 1);
    pass(2.0).await;
    assert!(is_rejected(&succeed(&process.breaker()).await));
}

#[tokio::test(start_paused = true)]
async fn a_streak_outlives_the_handles_it_was_counted_through() {
    let world = World::new();
    let process = world.process();
    for _ in 0..5 {
        let _ = fail(&process.breaker()).await;
        settle().await;
    }
    assert_eq!(process.breaker().snapshot().state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_is_taken_again_keeps_the_circuit() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let _ = succeed(&breaker).await;
    drop(breaker);
    // Before the actor has heard that nobody holds it.
    let again = process.breaker();
    settle().await;
    assert_eq!(process.registry.len(), 1);
    trip(&again).await;
    assert!(is_rejected(&succeed(&process.breaker()).await), "one circuit, one state");
}

#[tokio::test(start_paused = true)]
async fn a_permit_keeps_its_circuit() {
    let world = World::with(|config| config.failure_threshold(1));
    let process = world.process();
    let permit = process.breaker().admit_owned().await.unwrap();
    settle().await;
    assert_eq!(process.registry.len(), 1);
    permit.failure().settled().await;
    assert_eq!(process.breaker().snapshot().state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn case_78_many_names_in_a_loop_stay_bounded() {
    let world = World::new();
    let process = world.process();
    let mut most = 0;
    for number in 0..10_000 {
        let breaker = process.registry.breaker(format!("tenant-{number}")).unwrap();
        assert!(breaker.admit().await.is_ok());
        most = most.max(process.registry.len());
        pass(0.01).await;
    }
    assert!(most <= 501, "those of the last 5 s, at 100 a second; {most} at once");
    pass(5.0).await;
    assert_eq!(process.registry.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_disabled_registry_keeps_no_circuits() {
    let world = World::new();
    let process = world.process_with(|builder| builder.disabled(true));
    for number in 0..1_000 {
        let breaker = process.registry.breaker(format!("tenant-{number}")).unwrap();
        assert!(breaker.admit().await.is_ok());
    }
    assert_eq!(process.registry.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn case_89_a_breaker_outlives_its_registry_and_lets_calls_through() {
    let world = World::new();
    let process = world.process();
    let (cold, open) = (process.registry.breaker("cold").unwrap(), process.breaker());
    trip(&open).await;
    drop(process);
    settle().await;
    assert_eq!(succeed(&cold).await, Ok(42), "nothing is known");
    assert!(is_rejected(&succeed(&open).await), "by what was last known, while it is fresh");
    pass(5.0).await;
    assert_eq!(succeed(&open).await, Ok(42), "and not after");
    assert_eq!(open.name().as_str(), CIRCUIT);
}

#[tokio::test(start_paused = true)]
async fn case_66_a_handle_for_each_call_does_not_forget_that_the_store_hangs() {
    let world = World::new();
    let process = world.process();
    process.store.meets(Fault::Hang);
    for _ in 0..5 {
        assert_eq!(succeed(&process.breaker()).await, Ok(42));
        settle().await;
    }
    assert_eq!(process.store.reads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_streak_is_forgotten_when_nobody_calls_for_as_long_as_a_trip_lasts() {
    let world = World::new();
    let process = world.process();
    for number in 0..100 {
        let _ = fail(&process.registry.breaker(format!("tenant-{number}")).unwrap()).await;
    }
    settle().await;
    assert_eq!(process.registry.len(), 100);
    pass(30.5).await;
    assert_eq!(process.registry.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn case_78_an_opening_is_kept_for_as_long_as_its_record() {
    let world = World::new();
    let process = world.process();
    trip(&process.breaker()).await;
    pass(3_629.0).await;
    assert_eq!(process.registry.len(), 1);
    pass(2.0).await;
    assert_eq!(process.registry.len(), 0, "and not for ever");
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

#[test]
fn case_165_a_registry_whose_runtime_has_ended_says_so_and_keeps_nothing() {
    let warnings = Lines::of(Level::WARN);
    let world = runtime().block_on(async { World::new() });
    let (registry, kept, other) = runtime().block_on(async {
        let registry = world.process().registry;
        let (kept, other) =
            (registry.breaker(CIRCUIT).unwrap(), registry.breaker("other").unwrap());
        let _ = fail(&kept).await;
        (registry, kept, other)
    });
    assert_eq!(warnings.take(), 0, "nobody has used it since");
    // A test of its own, say, with the registry in a static.
    runtime().block_on(async {
        for number in 0..1_000 {
            let refused = registry.breaker(format!("tenant-{number}")).unwrap_err();
            assert_eq!(refused, RegistryError::RuntimeEnded);
        }
        assert_eq!(registry.breaker(CIRCUIT).unwrap_err(), RegistryError::RuntimeEnded);
        assert_eq!(registry.len(), 0);
        for breaker in [&kept, &other] {
            for _ in 0..2_000 {
                let _ = fail(breaker).await;
                let _ = breaker.try_admit();
            }
        }
        assert_eq!(warnings.take(), 1, "once, for all its breakers");
        let order = kept.release().await;
        assert_eq!(order, Err(OperatorError::Gone));
        let (flushed, took) = timed(registry.flush(Duration::from_secs(60))).await;
        assert_eq!((flushed, took), (Ok(()), Duration::ZERO), "nothing is pending");
        let (ended, took) = timed(registry.shutdown(Duration::from_secs(60))).await;
        assert_eq!((ended, took), (Ok(()), Duration::ZERO));
    });
}

#[test]
fn case_165_a_call_that_waits_when_the_runtime_of_its_registry_ends_is_answered() {
    let registrys =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (process, breaker) = registrys.block_on(async {
        let process = World::new().process();
        process.store.meets(Fault::Hang);
        let breaker = process.breaker();
        (process, breaker)
    });
    let answered = runtime().block_on(async {
        let ending = async {
            tokio::task::yield_now().await;
            registrys.shutdown_background();
        };
        // By the end of its actor, and not by a limit: on this runtime no time passes.
        tokio::join!(succeed(&breaker), ending).0
    });
    assert_eq!(answered, Ok(42));
    drop(process);
}

#[test]
fn case_169_a_breaker_in_a_static_is_no_warning_when_main_returns() {
    let warnings = Lines::of(Level::WARN);
    for keeps_registry in [false, true] {
        let main = runtime();
        let statics = main.block_on(async {
            let process = World::new().process();
            let breaker = process.breaker();
            let _ = succeed(&breaker).await;
            (breaker, keeps_registry.then_some(process))
        });
        drop(main);
        drop(statics);
        assert_eq!(warnings.take(), 0, "{keeps_registry}");
    }
}

/// Nobody calls for so long that a circuit is forgotten though it is open.
async fn forgotten(process: &Process) {
    pass(3_632.0).await;
    assert_eq!(process.registry.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn case_167_who_heard_of_an_opening_hears_that_it_is_followed_no_longer() {
    let world = World::new();
    let process = world.process();
    let mut transitions = process.registry.subscribe();
    trip(&process.breaker()).await;
    forgotten(&process).await;
    let told = heard(&mut transitions);
    assert_eq!(told.len(), 2);
    let last = &told[1];
    assert_eq!((last.from_state, last.to_state), (CircuitState::Open, CircuitState::Open));
    assert_eq!((&last.cause, last.origin), (&Cause::Forgotten, Origin::Observed));
    assert_eq!(last.opened_at, told[0].opened_at);
    // The item has been deleted by its time-to-live: nothing has to be told.
    world.write(None);
    assert_eq!(succeed(&process.breaker()).await, Ok(42));
    pass(10.0).await;
    assert!(heard(&mut transitions).is_empty());
}

#[tokio::test(start_paused = true)]
async fn case_167_a_closed_circuit_that_is_forgotten_is_no_news() {
    let process = World::new().process();
    let mut transitions = process.registry.subscribe();
    let _ = succeed(&process.breaker()).await;
    forgotten(&process).await;
    assert!(heard(&mut transitions).is_empty());
}

#[tokio::test(start_paused = true)]
async fn case_167_an_opening_is_not_told_twice_and_a_later_one_is() {
    for is_same in [true, false] {
        let world = World::new();
        let process = world.process();
        let mut transitions = process.registry.subscribe();
        let breaker = process.breaker();
        breaker
            .hold(Hold::open(world.clock.wall() + Duration::from_secs(90_000)).reason("long"))
            .await
            .unwrap();
        drop(breaker);
        forgotten(&process).await;
        assert_eq!(states(&mut transitions), [CircuitState::Open; 2]);
        let elsewhere = world.process();
        let other = elsewhere.breaker();
        if !is_same {
            other.release().await.unwrap();
            other
                .hold(Hold::open(world.clock.wall() + Duration::from_secs(99_000)).reason("new"))
                .await
                .unwrap();
        }
        let breaker = process.breaker();
        assert!(is_rejected(&succeed(&breaker).await));
        let again: &[CircuitState] = if is_same { &[] } else { &[CircuitState::Open] };
        assert_eq!(states(&mut transitions), again);
        // What comes next is told, from the state that was told.
        breaker.release().await.unwrap();
        let closed = heard(&mut transitions).remove(0);
        assert_eq!(
            (closed.from_state, closed.to_state),
            (CircuitState::Open, CircuitState::Closed)
        );
    }
}
