//! CASES.md 99 and 101: while it hurts, calls go by a fresh read.

use std::time::Duration;

use fuseboard::{CallError, CircuitState, store::StoreErrorKind};
use futures::future::join_all;

use super::{fleet, members};
use crate::support::{
    faulty::Fault,
    fleet::{Environment, Fleet, fail, is_rejected, pass, settle, succeed, timed, trip},
};

/// A process that has failed so often in a row, and last read 0.3 s ago.
async fn hurt(failures: usize) -> (Fleet, Environment) {
    let fleet = fleet();
    let environment = fleet.environment();
    let breaker = environment.breaker();
    assert_eq!(succeed(&breaker).await, Ok(42));
    for _ in 0..failures {
        assert_eq!(fail(&breaker).await, Err(CallError::Inner("down")));
    }
    pass(0.3).await;
    (fleet, environment)
}

#[tokio::test(start_paused = true)]
async fn case_99_after_two_failures_calls_wait_for_one_read_that_they_share() {
    let (_fleet, environment) = hurt(2).await;
    let (breaker, reads) = (environment.breaker(), environment.store.reads());
    environment.store.reads_meet(Fault::Delay(Duration::from_millis(60)));
    let (calls, waited) = timed(join_all((0..8).map(|_| succeed(&breaker)))).await;
    assert!(calls.iter().all(|call| *call == Ok(42)));
    assert_eq!((environment.store.reads() - reads, waited), (1, Duration::from_millis(60)));
    // It hurts no more, and what is known is good for as long as ever.
    pass(1.0).await;
    let (call, waited) = timed(succeed(&breaker)).await;
    assert_eq!((call, waited, environment.store.reads() - reads), (Ok(42), Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn case_99_after_one_failure_nothing_is_read() {
    let (_fleet, environment) = hurt(1).await;
    let reads = environment.store.reads();
    let (call, waited) = timed(succeed(&environment.breaker())).await;
    assert_eq!((call, waited), (Ok(42), Duration::ZERO));
    assert_eq!(environment.store.reads(), reads);
}

#[tokio::test(start_paused = true)]
async fn case_99_a_call_waits_for_a_tenth_of_a_second_and_is_then_admitted() {
    for fault in [Fault::Hang, Fault::Delay(Duration::from_millis(600))] {
        let (_fleet, environment) = hurt(2).await;
        let breaker = environment.breaker();
        environment.store.reads_meet(fault);
        let (call, waited) = timed(fail(&breaker)).await;
        assert_eq!(call, Err(CallError::Inner("down")), "{fault:?}");
        assert!(waited <= Duration::from_millis(101), "{waited:?}, {fault:?}");
        let (permit, waited) = timed(breaker.admit()).await;
        assert!(permit.is_ok(), "{fault:?}");
        assert!(waited <= Duration::from_millis(101), "{waited:?}, {fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_99_while_reads_are_left_alone_nobody_waits() {
    for kind in [StoreErrorKind::Throttled, StoreErrorKind::Misconfigured] {
        let (_fleet, environment) = hurt(2).await;
        let breaker = environment.breaker();
        environment.store.reads_meet(Fault::Fail(kind));
        assert_eq!(fail(&breaker).await, Err(CallError::Inner("down")));
        environment.store.reads_meet(Fault::Hang);
        let (call, waited) = timed(fail(&breaker)).await;
        assert_eq!((call, waited), (Err(CallError::Inner("down")), Duration::ZERO), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_99_try_admit_goes_by_what_is_known_and_the_next_by_the_read() {
    let (fleet, environment) = hurt(2).await;
    let (breaker, reads) = (environment.breaker(), environment.store.reads());
    trip(&fleet.environment().breaker()).await;
    assert!(breaker.try_admit().is_ok(), "goes by what is known");
    settle().await;
    assert_eq!(environment.store.reads(), reads + 1);
    assert!(breaker.try_admit().is_err(), "the read was made for the next");
}

#[tokio::test(start_paused = true)]
async fn case_101_a_read_that_shows_open_rejects_the_call_that_waited() {
    let fleet = fleet();
    let members = members(&fleet, 2);
    let (first, other) = (members[0].breaker(), members[1].breaker());
    assert_eq!(succeed(&first).await, Ok(42));
    for _ in 0..4 {
        assert_eq!(fail(&first).await, Err(CallError::Inner("down")));
        pass(0.01).await;
    }
    pass(0.3).await;
    trip(&other).await;
    let record = fleet.record();
    assert!(is_rejected(&fail(&first).await), "it would have been the fifth");
    assert_eq!((members[0].store.writes(), fleet.record()), (0, record));
    // The streak counts for nothing once the circuit is closed again.
    super::closes(&first, 45.0).await;
    pass(1.0).await;
    let writes = members[0].store.writes();
    for _ in 0..4 {
        assert_eq!(fail(&first).await, Err(CallError::Inner("down")));
    }
    assert_eq!(first.snapshot().state(), CircuitState::Closed);
    assert_eq!(members[0].store.writes(), writes);
}
