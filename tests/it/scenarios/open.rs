//! An open circuit: who is rejected, by what, and until when.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use fuseboard::{CallError, CircuitInfo, CircuitState, store::Field};

use crate::support::{
    calls::{fail, is_rejected, recover, states, succeed, trip},
    world::{Call, START, Shared, Way as _, World, pass},
};

async fn case_16_an_open_circuit_rejects_without_asking<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let breaker = process.breaker();
    trip(&breaker).await;
    pass(4.0).await;
    let ran = AtomicUsize::new(0);
    let rejected = breaker
        .call(|| async {
            ran.fetch_add(1, Ordering::Relaxed);
            Ok::<u32, &str>(42)
        })
        .await;
    let Err(CallError::Open(open)) = rejected else {
        panic!("{rejected:?}");
    };
    let expected = CircuitInfo {
        name: breaker.name().clone(),
        state: CircuitState::Open,
        failure_count: 5,
        opened_at: Some(START),
    };
    assert_eq!(open.circuit(), &expected);
    assert_eq!(open.retry_after(), Duration::from_secs(26));
    assert_eq!(ran.load(Ordering::Relaxed), 0);
    assert_eq!((process.store.reads(), process.store.writes()), (1, 1));
}

async fn case_17_what_one_environment_learns_the_others_know<S: Shared>() {
    let world = World::<S>::new();
    let (tripper, warm) = (world.process(), world.process());
    assert_eq!(warm.ok().await, Call::Ok);
    trip(&tripper.breaker()).await;
    let cold = world.process();
    assert!(is_rejected(&succeed(&cold.breaker()).await), "on its first call");
    assert_eq!(warm.ok().await, Call::Ok, "by what it knows");
    pass(5.0).await;
    let open = warm.ok().await.rejection();
    assert_eq!((open.circuit().failure_count, open.circuit().opened_at), (5, Some(START)));
    assert_eq!(warm.heard(), ["CLOSED>OPEN observed"]);
    assert_eq!(warm.store.writes() + cold.store.writes(), 0);
}

async fn case_18_an_opening_at_zero_counts_as_long_past<S: Shared>() {
    let world = World::<S>::new();
    trip(&world.process().breaker()).await;
    let mut record = world.record();
    record.opened_at = Field::Valid(0);
    world.write(Some(record));
    let cold = world.process();
    assert_eq!(succeed(&cold.breaker()).await, Ok(42), "elected at once");
    assert_eq!(world.record().opened_at, Field::Valid(0));
    assert_eq!(world.stored_state(), Some(CircuitState::HalfOpen));
}

async fn case_83_failures_that_arrive_while_open_do_not_move_the_recovery<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let breaker = process.breaker();
    let mut stragglers = Vec::new();
    for _ in 0..25 {
        stragglers.push(breaker.admit().await.unwrap());
    }
    trip(&breaker).await;
    for straggler in stragglers {
        pass(1.0).await;
        straggler.failure().settled().await;
        assert!(is_rejected(&succeed(&breaker).await));
    }
    pass(5.0).await;
    assert_eq!(world.record().opened_at, Field::Valid(START));
    assert_eq!(succeed(&breaker).await, Ok(42), "30 s after it opened");
}

async fn case_88_a_fallback_may_call_the_same_breaker<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let breaker = process.breaker();
    trip(&breaker).await;
    let again = |_| async {
        let rejected = succeed(&breaker).await;
        assert!(is_rejected(&rejected));
        breaker.call_or_else(|| async { Ok(42) }, |_| async { Err("rejected again") }).await
    };
    let answer = breaker.call_or_else(|| async { Ok::<u32, &str>(42) }, again).await;
    assert_eq!(answer, Err("rejected again"));
}

async fn case_88_a_probe_may_call_the_same_breaker<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let breaker = process.breaker();
    trip(&breaker).await;
    pass(31.0).await;
    let nested = breaker.call(|| async { succeed(&breaker).await }).await;
    assert!(matches!(nested, Err(CallError::Inner(CallError::Open(_)))));
    assert_eq!(breaker.snapshot().state(), CircuitState::Open, "the probe failed");
}

async fn a_circuit_goes_through_all_its_states_and_says_so<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let mut transitions = process.registry.subscribe();
    let breaker = process.breaker();
    trip(&breaker).await;
    pass(31.0).await;
    assert_eq!(fail(&breaker).await, Err(CallError::Inner("down")));
    assert!(is_rejected(&succeed(&breaker).await));
    assert_eq!(world.record().failure_count, Field::Valid(0));
    pass(31.0).await;
    recover(&breaker).await;
    let record = world.record();
    assert_eq!(record.state, Field::Valid(CircuitState::Closed));
    assert_eq!((record.opened_at, record.lease_until), (Field::Absent, Field::Absent));
    let through = ["OPEN", "HALF_OPEN", "OPEN", "HALF_OPEN", "CLOSED"];
    assert_eq!(
        states(&mut transitions).iter().map(ToString::to_string).collect::<Vec<_>>(),
        through
    );
}

over_each_store! {
    case_16_an_open_circuit_rejects_without_asking,
    case_17_what_one_environment_learns_the_others_know,
    case_18_an_opening_at_zero_counts_as_long_past,
    case_83_failures_that_arrive_while_open_do_not_move_the_recovery,
    case_88_a_fallback_may_call_the_same_breaker,
    case_88_a_probe_may_call_the_same_breaker,
    a_circuit_goes_through_all_its_states_and_says_so,
}
