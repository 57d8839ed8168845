//! A store that fails: what a caller sees of it is nothing.

use std::time::Duration;

use fuseboard::{
    CallError, CircuitState,
    store::{Field, StoreErrorKind},
};

use crate::support::{
    calls::{fail, is_rejected, succeed, trip},
    faulty::Fault,
    world::{Call, START, Shared, Way as _, World, pass, settle},
};

const UNAVAILABLE: Fault = Fault::Fail(StoreErrorKind::Unavailable);

async fn case_63_a_failing_read_fails_open_and_the_next_call_reads_again<S: Shared>() {
    let world = World::<S>::new();
    trip(&world.process().breaker()).await;
    let process = world.process();
    process.store.reads_meet(UNAVAILABLE);
    assert_eq!(process.ok().await, Call::Ok, "whatever the record shows");
    let reads = process.store.reads();
    assert_eq!(reads, S::ATTEMPTS);
    world.write(None);
    process.store.reads_meet(Fault::None);
    assert_eq!(process.ok().await, Call::Ok);
    assert_eq!(process.store.reads(), reads + 1, "nothing was cached");
    assert_eq!(process.ok().await, Call::Ok);
    assert_eq!(process.store.reads(), reads + 1, "an answer is cached");
}

async fn case_63_failures_before_the_first_answer_of_the_store_are_counted<S: Shared>() {
    for fault in [UNAVAILABLE, Fault::Hang] {
        let world = World::<S>::new();
        let process = world.process();
        let breaker = process.breaker();
        process.store.reads_meet(fault);
        for _ in 0..4 {
            assert_eq!(fail(&breaker).await, Err(CallError::Inner("down")), "{fault:?}");
        }
        process.store.reads_meet(Fault::None);
        pass(2.0).await;
        assert_eq!(fail(&breaker).await, Err(CallError::Inner("down")), "{fault:?}");
        assert!(is_rejected(&succeed(&breaker).await), "{fault:?}");
    }
}

async fn case_64_a_failing_trip_leaves_the_error_and_protects_all_the_same<S: Shared>() {
    for fault in S::FAULTS {
        let world = World::<S>::new();
        let process = world.process();
        process.store.writes_meet(*fault);
        process.trip().await;
        assert!(process.ok().await.is_rejected(), "{fault:?}");
        settle().await;
        assert_eq!(process.heard(), ["CLOSED>OPEN alone"], "{fault:?}");
        assert_eq!(world.stored_state().is_some(), *fault == Fault::LoseAnswer, "{fault:?}");
    }
}

async fn cases_59_and_64_a_failing_close_leaves_the_value_and_is_made_good<S: Shared>() {
    for fault in S::FAULTS {
        let world = World::<S>::new();
        let process = world.process();
        process.trip().await;
        pass(30.0).await;
        assert_eq!(process.ok().await, Call::Ok);
        assert_eq!(process.ok().await, Call::Ok);
        process.heard();
        let probe = process.circuit().admit().await.unwrap();
        process.store.writes_meet(*fault);
        probe.success().settled().await;
        assert_eq!(process.ok().await, Call::Ok, "closed here, {fault:?}");
        let is_written = *fault == Fault::LoseAnswer;
        let stored = if is_written { CircuitState::Closed } else { CircuitState::HalfOpen };
        assert_eq!(world.stored_state(), Some(stored), "{fault:?}");
        process.store.writes_meet(Fault::None);
        pass(2.0).await;
        assert_eq!(world.stored_state(), Some(CircuitState::Closed), "{fault:?}");
        assert_eq!(process.heard(), ["HALF_OPEN>CLOSED alone"], "{fault:?}");
        pass(58.0).await;
        assert_eq!(process.ok().await, Call::Ok, "{fault:?}");
    }
}

async fn case_60_a_failing_reopening_leaves_the_error_and_acts_open<S: Shared>() {
    for fault in S::FAULTS {
        let world = World::<S>::new();
        let process = world.process();
        process.trip().await;
        pass(30.0).await;
        let probe = process.circuit().admit().await.unwrap();
        process.store.writes_meet(*fault);
        probe.failure().settled().await;
        for _ in 0..29 {
            assert!(process.ok().await.is_rejected(), "{fault:?}");
            pass(1.0).await;
        }
        process.store.writes_meet(Fault::None);
        pass(31.0).await;
        assert_eq!(world.stored_state(), Some(CircuitState::Open), "made good, {fault:?}");
        assert_eq!(world.record().opened_at, Field::Valid(START + 30), "when it failed, {fault:?}");
    }
}

async fn case_36_a_failing_election_rejects_and_is_tried_again<S: Shared>() {
    // Throttled: from half a second to one and a half.
    for (kind, back_off) in
        [(StoreErrorKind::Unavailable, [0.7, 0.3]), (StoreErrorKind::Throttled, [0.4, 1.2])]
    {
        let world = World::<S>::new();
        let process = world.process();
        process.trip().await;
        pass(30.0).await;
        process.store.writes_meet(Fault::Fail(kind));
        let open = process.ok().await.rejection();
        assert_eq!(open.circuit().state, CircuitState::Open, "{kind:?}");
        process.store.writes_meet(Fault::None);
        let asked = (process.store.reads(), process.store.writes());
        pass(back_off[0]).await;
        let open = process.ok().await.rejection();
        let rest = Duration::from_secs_f64(back_off[1]);
        assert!(open.retry_after() <= rest, "{kind:?}: {:?}", open.retry_after());
        assert_eq!((process.store.reads(), process.store.writes()), asked, "{kind:?}");
        pass(back_off[1]).await;
        assert_eq!(process.ok().await, Call::Ok, "{kind:?}");
        assert_eq!(world.stored_state(), Some(CircuitState::HalfOpen), "{kind:?}");
        assert_eq!((process.ok().await, process.ok().await), (Call::Ok, Call::Ok), "{kind:?}");
        assert_eq!(process.state(), CircuitState::Closed, "{kind:?}");
    }
}

async fn case_37_an_election_whose_answer_was_lost_is_recognised<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    process.trip().await;
    process.heard();
    pass(30.0).await;
    process.store.writes_meet(Fault::LoseAnswer);
    assert!(process.ok().await.is_rejected(), "nobody knows whether it was applied");
    assert_eq!(world.stored_state(), Some(CircuitState::HalfOpen));
    process.store.writes_meet(Fault::None);
    let writes = process.store.writes();
    pass(1.1).await;
    let probe = process.circuit().admit().await.unwrap();
    assert!(probe.is_probe(), "at once, and not when the lease ends");
    assert_eq!(process.store.writes(), writes, "a consistent read shows our token");
    assert_eq!(process.heard(), ["OPEN>HALF_OPEN local"]);
}

over_each_store! {
    case_63_a_failing_read_fails_open_and_the_next_call_reads_again,
    case_63_failures_before_the_first_answer_of_the_store_are_counted,
    case_64_a_failing_trip_leaves_the_error_and_protects_all_the_same,
    cases_59_and_64_a_failing_close_leaves_the_value_and_is_made_good,
    case_60_a_failing_reopening_leaves_the_error_and_acts_open,
    case_36_a_failing_election_rejects_and_is_tried_again,
    case_37_an_election_whose_answer_was_lost_is_recognised,
}
