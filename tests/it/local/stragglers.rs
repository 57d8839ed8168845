//! Calls that end in another state than the one they were admitted in.

use fuseboard::{Breaker, CallError, CircuitState, OwnedPermit, store::Record};

use crate::support::memory::{Process, World, fail, pass, recover, settle, succeed, trip};

use CircuitState::{Closed, HalfOpen, Open};

/// How a straggler ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Success,
    Failure,
    Ignored,
    Dropped,
}

impl End {
    async fn put_to(self, permit: OwnedPermit) {
        match self {
            Self::Success => permit.success().settled().await,
            Self::Failure => permit.failure().settled().await,
            Self::Ignored => permit.ignore().settled().await,
            Self::Dropped => drop(permit),
        }
        settle().await;
    }
}

/// A call that was admitted in one state.
async fn admitted_while(state: CircuitState, breaker: &Breaker) -> OwnedPermit {
    if state == HalfOpen {
        trip(breaker).await;
        pass(31.0).await;
        let probe = breaker.admit_owned().await.unwrap();
        assert!(probe.is_probe());
        // Its lease runs out, so that the circuit goes on without it.
        pass(31.0).await;
        return probe;
    }
    breaker.admit_owned().await.unwrap()
}

/// Takes the circuit to a state by calls that come later. The permit that
/// comes back is a probe that holds it there.
async fn led_to(state: CircuitState, breaker: &Breaker) -> Option<OwnedPermit> {
    if breaker.snapshot().state() == Closed {
        trip(breaker).await;
        pass(31.0).await;
    }
    match state {
        Closed => recover(breaker).await,
        Open => assert_eq!(fail(breaker).await, Err(CallError::Inner("down"))),
        HalfOpen => return Some(breaker.admit_owned().await.unwrap()),
    }
    None
}

/// What must not change: the record, the requests made, the state here.
fn seen(world: &World, process: &Process) -> (Record, Vec<&'static str>, CircuitState) {
    let here = process.breaker().snapshot().state();
    (world.record(), process.store.log(), here)
}

#[tokio::test(start_paused = true)]
async fn case_82_an_outcome_of_an_older_epoch_changes_nothing() {
    for admitted in [Closed, HalfOpen] {
        for ended in [Closed, Open, HalfOpen] {
            for end in [End::Success, End::Failure, End::Ignored, End::Dropped] {
                let world = World::new();
                let process = world.process();
                let breaker = process.breaker();
                let straggler = admitted_while(admitted, &breaker).await;
                let holder = led_to(ended, &breaker).await;
                let before = seen(&world, &process);
                assert_eq!(before.2, ended);
                end.put_to(straggler).await;
                let what = format!("{end:?}: admitted while {admitted}, ended while {ended}");
                assert_eq!(seen(&world, &process), before, "{what}");
                drop(holder);
                settle().await;
                goes_on(ended, &breaker, &what).await;
            }
        }
    }
}

/// The circuit behaves as if the straggler had never been.
async fn goes_on(state: CircuitState, breaker: &Breaker, what: &str) {
    match state {
        Closed => {
            for _ in 0..4 {
                let _ = fail(breaker).await;
            }
            assert_eq!(breaker.snapshot().state(), Closed, "{what}");
            let _ = fail(breaker).await;
            assert_eq!(breaker.snapshot().state(), Open, "{what}");
        }
        Open => {
            assert!(succeed(breaker).await.is_err(), "{what}");
            pass(31.0).await;
            recover(breaker).await;
        }
        HalfOpen => recover(breaker).await,
    }
}

#[tokio::test(start_paused = true)]
async fn case_13_a_success_of_an_older_epoch_does_not_end_the_new_streak() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let straggler = breaker.admit_owned().await.unwrap();
    trip(&breaker).await;
    pass(31.0).await;
    recover(&breaker).await;
    for _ in 0..4 {
        let _ = fail(&breaker).await;
    }
    straggler.success().settled().await;
    let _ = fail(&breaker).await;
    assert_eq!(breaker.snapshot().state(), Open);
}

#[tokio::test(start_paused = true)]
async fn case_13_failures_from_before_a_trip_elsewhere_do_not_count_after_the_recovery() {
    let world = World::new();
    let (one, other) = (world.process(), world.process());
    let (mine, theirs) = (one.breaker(), other.breaker());
    let mut stragglers = Vec::new();
    for _ in 0..5 {
        stragglers.push(mine.admit_owned().await.unwrap());
    }
    trip(&theirs).await;
    pass(6.0).await;
    assert!(succeed(&mine).await.is_err());
    pass(31.0).await;
    recover(&theirs).await;
    pass(6.0).await;
    assert_eq!(succeed(&mine).await, Ok(42));
    for straggler in stragglers {
        straggler.failure().settled().await;
    }
    assert_eq!(mine.snapshot().state(), Closed);
    assert_eq!(world.stored_state(), Some(Closed));
}

#[tokio::test(start_paused = true)]
async fn case_49_a_late_success_of_a_lease_that_was_taken_over_changes_nothing() {
    let world = World::new();
    let (one, other) = (world.process(), world.process());
    trip(&one.breaker()).await;
    pass(31.0).await;
    let late = one.breaker().admit_owned().await.unwrap();
    pass(34.0).await;
    let current = other.breaker().admit_owned().await.unwrap();
    let before = world.record();
    late.success().settled().await;
    assert_eq!(world.record(), before);
    assert_eq!(one.breaker().snapshot().state(), HalfOpen);
    current.success().settled().await;
    assert_eq!(world.record().success_count, 1.into());
}

#[tokio::test(start_paused = true)]
async fn case_50_a_late_failure_after_a_close_elsewhere_changes_nothing() {
    let world = World::new();
    let (one, other) = (world.process(), world.process());
    let mut heard = one.registry.subscribe();
    trip(&one.breaker()).await;
    pass(31.0).await;
    let late = one.breaker().admit_owned().await.unwrap();
    pass(34.0).await;
    recover(&other.breaker()).await;
    late.failure().settled().await;
    assert_eq!(world.stored_state(), Some(Closed));
    let states = crate::support::memory::states(&mut heard);
    assert!(!states[1..].contains(&Open), "nothing that did not hold is announced: {states:?}");
    assert_eq!(succeed(&one.breaker()).await, Ok(42));
}
