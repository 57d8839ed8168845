//! Calls that end in another state than the one they were admitted in.

use fuseboard::{Breaker, CallError, CircuitState, OwnedPermit, store::Record};

use crate::support::{
    calls::{fail, recover, succeed, trip},
    world::{Process, Shared, Way as _, World, pass, settle},
};

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
fn seen<S: Shared>(
    world: &World<S>,
    process: &Process<S::Way>,
) -> (Record, (usize, usize), CircuitState) {
    let here = process.breaker().snapshot().state();
    (world.record(), (process.store.reads(), process.store.writes()), here)
}

async fn case_82_an_outcome_of_an_older_epoch_changes_nothing<S: Shared>() {
    for admitted in [Closed, HalfOpen] {
        for ended in [Closed, Open, HalfOpen] {
            for end in [End::Success, End::Failure, End::Ignored, End::Dropped] {
                let world = World::<S>::new();
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

async fn case_13_a_success_of_an_older_epoch_does_not_end_the_new_streak<S: Shared>() {
    let world = World::<S>::new();
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

async fn case_13_failures_from_before_a_trip_elsewhere_do_not_count_after_the_recovery<
    S: Shared,
>() {
    let world = World::<S>::new();
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

over_each_store! {
    case_82_an_outcome_of_an_older_epoch_changes_nothing,
    case_13_a_success_of_an_older_epoch_does_not_end_the_new_streak,
    case_13_failures_from_before_a_trip_elsewhere_do_not_count_after_the_recovery,
}
