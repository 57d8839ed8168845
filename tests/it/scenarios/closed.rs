//! A closed circuit: what counts, what trips it, and what does not.

use std::{cell::Cell, future::pending, sync::Arc, time::Duration};

use fuseboard::{
    CallError, Cause, CircuitState, Classifier, Origin,
    store::{Field, Record},
};
use futures::FutureExt as _;
use tokio::{sync::Barrier, task::JoinSet, time::timeout};

use crate::support::calls::{fail, is_rejected, recover, succeed, trip};
use crate::support::faulty::Fault;
use crate::support::world::{CIRCUIT, Call, START, Shared, Way as _, World, heard, pass, settle};

async fn case_1_a_first_call_costs_one_read_and_nothing_else<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let mut transitions = process.registry.subscribe();
    assert_eq!(succeed(&process.breaker()).await, Ok(42));
    settle().await;
    assert_eq!((process.store.reads(), process.store.writes()), (1, 0));
    assert_eq!(world.engine.record(), None);
    assert!(heard(&mut transitions).is_empty());
}

async fn case_4_a_success_ends_the_streak<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(fail(&breaker).await, Err(CallError::Inner("down")));
        }
        assert_eq!(succeed(&breaker).await, Ok(42));
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
    assert_eq!(process.store.writes(), 0);
}

async fn case_5_the_last_failure_trips_and_still_gets_its_own_error<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let mut transitions = process.registry.subscribe();
    let breaker = process.breaker();
    for failures in 1..=5 {
        assert_eq!(fail(&breaker).await, Err(CallError::Inner("down")));
        // The call that trips returns only when the circuit is open everywhere.
        let open = (failures == 5).then_some(CircuitState::Open);
        assert_eq!(world.stored_state(), open, "after {failures} failures");
    }
    let mut open = Record::empty();
    open.state = Field::Valid(CircuitState::Open);
    open.failure_count = Field::Valid(5);
    open.opened_at = Field::Valid(START);
    open.expires_at = Field::Valid(START + 30 + 3_600);
    open.down_since = Field::Valid(START);
    open.cause = Field::Valid("failure_threshold".into());
    assert_eq!(world.record(), open, "no owner, no lease, nothing else");
    assert_eq!((process.store.reads(), process.store.writes()), (1, 1));
    let heard = heard(&mut transitions);
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].circuit_name.as_str(), CIRCUIT);
    assert_eq!(heard[0].from_state, CircuitState::Closed);
    assert_eq!(heard[0].to_state, CircuitState::Open);
    assert_eq!(heard[0].opened_at, Some(START));
    assert_eq!(heard[0].cause, Cause::FailureThreshold);
    assert_eq!(heard[0].origin, Origin::Local);
}

async fn case_6_errors_that_are_not_counted_neither_count_nor_reset<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let refused = Classifier::builder()
        .ignore_if(|result: &Result<(), &str>| *result == Err("bad request"))
        .build()
        .unwrap();
    let breaker = process.breaker().classified_by(refused);
    for _ in 0..4 {
        let _ = breaker.call(|| async { Err("down") }).await;
        for _ in 0..10 {
            let result = breaker.call(|| async { Err("bad request") }).await;
            assert_eq!(result, Err(CallError::Inner("bad request")));
        }
    }
    assert_eq!(breaker.breaker().snapshot().state(), CircuitState::Closed);
    let _ = breaker.call(|| async { Err("down") }).await;
    assert_eq!(breaker.breaker().snapshot().state(), CircuitState::Open);
}

async fn case_7_a_circuit_that_recovered_before_trips_again<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let breaker = process.breaker();
    trip(&breaker).await;
    pass(31.0).await;
    recover(&breaker).await;
    assert_eq!(world.stored_state(), Some(CircuitState::Closed));
    trip(&breaker).await;
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
}

async fn case_8_a_streak_does_not_outlive_a_trip_elsewhere<S: Shared>() {
    let world = World::<S>::new();
    let (one, other) = (world.process(), world.process());
    let (mine, theirs) = (one.breaker(), other.breaker());
    for _ in 0..4 {
        let _ = fail(&mine).await;
    }
    trip(&theirs).await;
    pass(6.0).await;
    assert!(is_rejected(&succeed(&mine).await));
    pass(30.0).await;
    recover(&theirs).await;
    pass(6.0).await;
    for _ in 0..4 {
        assert_eq!(fail(&mine).await, Err(CallError::Inner("down")));
    }
    assert_eq!(mine.snapshot().state(), CircuitState::Closed, "the streak begins at 0");
}

async fn case_10_a_returned_503_counts_and_is_still_returned<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let by_status = Classifier::builder()
        .count_if(|result: &Result<u16, &str>| matches!(result, Ok(500..) | Err(_)))
        .build()
        .unwrap();
    let breaker = process.breaker().classified_by(by_status);
    for _ in 0..5 {
        assert_eq!(breaker.call(|| async { Ok(503) }).await, Ok(503));
    }
    assert!(is_rejected(&breaker.call(|| async { Ok(200) }).await));
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
}

async fn case_11_many_calls_in_flight_trip_once<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let mut transitions = process.registry.subscribe();
    let breaker = process.breaker();
    let dies = Arc::new(Barrier::new(64));
    let mut calls = JoinSet::new();
    for _ in 0..64 {
        let (breaker, dies) = (breaker.clone(), Arc::clone(&dies));
        calls.spawn(async move {
            let call = || async {
                dies.wait().await;
                Err::<u32, _>("down")
            };
            breaker.call(call).await
        });
    }
    for result in calls.join_all().await {
        assert_eq!(result, Err(CallError::Inner("down")));
    }
    settle().await;
    assert_eq!((process.store.reads(), process.store.writes()), (1, 1));
    let heard = heard(&mut transitions);
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].origin, Origin::Local);
    assert_eq!(world.record().failure_count, Field::Valid(5));
}

async fn case_14_two_stores_know_nothing_of_each_other<S: Shared>() {
    let (one, other) = (World::<S>::new(), World::<S>::new());
    let (here, there) = (one.process(), other.process());
    for _ in 0..4 {
        let _ = fail(&here.breaker()).await;
        let _ = fail(&there.breaker()).await;
    }
    assert_eq!(here.breaker().snapshot().state(), CircuitState::Closed);
    let _ = fail(&here.breaker()).await;
    assert_eq!(here.breaker().snapshot().state(), CircuitState::Open);
    assert_eq!(there.breaker().snapshot().state(), CircuitState::Closed);
    assert_eq!(other.engine.record(), None);
}

async fn two_circuits_of_one_registry_are_independent<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    trip(&process.breaker()).await;
    let other = process.registry.breaker("address-check").unwrap();
    assert_eq!(succeed(&other).await, Ok(42));
    assert_eq!(other.snapshot().state(), CircuitState::Closed);
    assert!(is_rejected(&succeed(&process.breaker()).await));
}

async fn case_19_the_fallback_borrows_the_input_and_its_result_is_the_result<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let breaker = process.breaker();
    let order = String::from("order 7");
    let charge = || async { Ok::<_, String>(format!("charged {order}")) };
    let answer = breaker
        .call_or_else(charge, |_| async { Err(String::from("a closed circuit needs no fallback")) })
        .await;
    assert_eq!(answer, Ok(String::from("charged order 7")));

    trip(&breaker).await;
    let seen = Cell::new(None);
    let queue = |open: fuseboard::OpenError| {
        seen.set(Some(open));
        async { Ok(format!("queued {order}")) }
    };
    assert_eq!(breaker.call_or_else(charge, queue).await, Ok(String::from("queued order 7")));
    let open = seen.take().unwrap();
    assert_eq!(open.retry_after(), Duration::from_secs(30));
    let text = format!("circuit \"{CIRCUIT}\" is OPEN; retry in 30s");
    assert_eq!(open.to_string(), text);
    let circuit = open.into_circuit();
    assert_eq!(circuit.name.as_str(), CIRCUIT);
    assert_eq!(circuit.state, CircuitState::Open);
    assert_eq!(circuit.failure_count, 5);
    assert_eq!(circuit.opened_at, Some(START));

    let refuse = |_| async { Err(format!("{order} was refused")) };
    let refused = breaker.call_or_else(charge, refuse).await;
    assert_eq!(refused, Err(String::from("order 7 was refused")));
    assert_eq!((process.store.reads(), process.store.writes()), (1, 1));
}

async fn case_74_a_cancelled_call_counts_only_if_it_is_told_to<S: Shared>() {
    for counts in [false, true] {
        let world = World::<S>::with(|config| config.count_cancelled(counts));
        let process = world.process();
        let breaker = process.breaker();
        for _ in 0..5 {
            let hangs = breaker.call(pending::<Result<u32, &str>>);
            assert!(timeout(Duration::from_millis(10), hangs).await.is_err());
        }
        settle().await;
        let expected = if counts { CircuitState::Open } else { CircuitState::Closed };
        assert_eq!(breaker.snapshot().state(), expected);
    }
}

/// A million calls in 300 s, all of them good: how many reads and writes they cost.
async fn cost_of_a_million_calls<S: Shared>(refresh_ahead: bool) -> (usize, usize) {
    let world = World::<S>::with(|config| config.refresh_ahead(refresh_ahead));
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..1_000 {
        for _ in 0..10 {
            assert_eq!(succeed(&breaker).await, Ok(42));
        }
        for _ in 10..1_000 {
            breaker.try_admit().unwrap().success();
        }
        pass(0.3).await;
    }
    assert_eq!(world.engine.record(), None);
    (process.store.reads(), process.store.writes())
}

async fn case_80_a_healthy_circuit_writes_nothing_and_reads_rarely<S: Shared>() {
    let (reads, writes) = cost_of_a_million_calls::<S>(true).await;
    // One read in 0.8 C = 4 s, and the first.
    assert!(reads <= 76, "{reads} reads");
    assert_eq!(writes, 0);
}

async fn case_80_without_refresh_ahead_a_healthy_circuit_reads_once_in_c<S: Shared>() {
    let (reads, writes) = cost_of_a_million_calls::<S>(false).await;
    assert!(reads <= 61, "{reads} reads");
    assert_eq!(writes, 0);
}

async fn case_84_failures_that_alternate_with_successes_never_trip<S: Shared>() {
    let world = World::<S>::with(|config| config.failure_threshold(2));
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..500 {
        let _ = fail(&breaker).await;
        assert_eq!(succeed(&breaker).await, Ok(42));
    }
    assert_eq!(process.store.writes(), 0);
    let _ = fail(&breaker).await;
    let _ = fail(&breaker).await;
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
}

async fn a_threshold_of_one_trips_on_the_first_failure<S: Shared>() {
    let world = World::<S>::with(|config| config.failure_threshold(1).success_threshold(1));
    let process = world.process();
    let breaker = process.breaker();
    let _ = fail(&breaker).await;
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
    pass(31.0).await;
    assert_eq!(succeed(&breaker).await, Ok(42));
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
    assert_eq!(world.record().opened_at, Field::Absent);
}

async fn case_74_a_call_that_was_cancelled_before_it_began_is_no_failure<S: Shared>() {
    let world = World::<S>::with(|config| config.count_cancelled(true).failure_threshold(1));
    let process = world.process();
    let breaker = process.breaker();
    process.store.reads_meet(Fault::Delay(Duration::from_millis(10)));
    // Answered and cancelled at one instant: the answer lies there, unread.
    let mut asking = Box::pin(breaker.admit());
    assert!((&mut asking).now_or_never().is_none());
    pass(0.02).await;
    drop(asking);
    settle().await;
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
    assert_eq!((process.store.reads(), process.store.writes()), (1, 0));
}

/// The record of a circuit that closed before.
fn closed_until(expires_at: i64) -> Record {
    let mut record = Record::empty();
    record.state = Field::Valid(CircuitState::Closed);
    record.failure_count = Field::Valid(0);
    record.expires_at = Field::Valid(expires_at);
    record
}

async fn case_7_a_closed_record_of_an_earlier_recovery_does_not_stand_in_the_way<S: Shared>() {
    let world = World::<S>::new();
    world.write(Some(closed_until(START + 9)));
    let a = world.process();
    a.trip().await;
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
}

async fn case_8_a_recovery_that_nobody_here_saw_ends_the_streak_as_well<S: Shared>() {
    let world = World::<S>::new();
    let a = world.process();
    for _ in 0..4 {
        a.fail().await;
    }
    world.write(Some(closed_until(START + 99)));
    pass(5.0).await;
    assert_eq!(a.fail().await, Call::Failed);
    assert_eq!(a.state(), CircuitState::Closed, "the streak was of another epoch");
}

over_each_store! {
    case_1_a_first_call_costs_one_read_and_nothing_else,
    case_4_a_success_ends_the_streak,
    case_5_the_last_failure_trips_and_still_gets_its_own_error,
    case_6_errors_that_are_not_counted_neither_count_nor_reset,
    case_7_a_circuit_that_recovered_before_trips_again,
    case_8_a_streak_does_not_outlive_a_trip_elsewhere,
    case_10_a_returned_503_counts_and_is_still_returned,
    case_11_many_calls_in_flight_trip_once,
    case_14_two_stores_know_nothing_of_each_other,
    two_circuits_of_one_registry_are_independent,
    case_19_the_fallback_borrows_the_input_and_its_result_is_the_result,
    case_74_a_cancelled_call_counts_only_if_it_is_told_to,
    case_80_a_healthy_circuit_writes_nothing_and_reads_rarely,
    case_80_without_refresh_ahead_a_healthy_circuit_reads_once_in_c,
    case_84_failures_that_alternate_with_successes_never_trip,
    a_threshold_of_one_trips_on_the_first_failure,
    case_74_a_call_that_was_cancelled_before_it_began_is_no_failure,
    case_7_a_closed_record_of_an_earlier_recovery_does_not_stand_in_the_way,
    case_8_a_recovery_that_nobody_here_saw_ends_the_streak_as_well,
}
