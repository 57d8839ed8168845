//! CASES.md 99 and 101: while it hurts, calls go by a fresh read.

use std::time::Duration;

use fuseboard::{CallError, CircuitState, store::StoreErrorKind};
use futures::future::join_all;

use super::world;
use crate::support::{
    faulty::Fault,
    memory::{Process, World, fail, is_rejected, pass, settle, succeed, timed, trip},
};

/// A process that has failed so often in a row, and last read 0.3 s ago.
async fn hurt(failures: usize) -> (World, Process) {
    let world = world();
    let process = world.process();
    let breaker = process.breaker();
    assert_eq!(succeed(&breaker).await, Ok(42));
    for _ in 0..failures {
        assert_eq!(fail(&breaker).await, Err(CallError::Inner("down")));
    }
    pass(0.3).await;
    (world, process)
}

#[tokio::test(start_paused = true)]
async fn case_99_after_two_failures_calls_wait_for_one_read_that_they_share() {
    let (_world, process) = hurt(2).await;
    let (breaker, reads) = (process.breaker(), process.store.reads());
    process.store.reads_meet(Fault::Delay(Duration::from_millis(60)));
    let (calls, waited) = timed(join_all((0..8).map(|_| succeed(&breaker)))).await;
    assert!(calls.iter().all(|call| *call == Ok(42)));
    assert_eq!((process.store.reads() - reads, waited), (1, Duration::from_millis(60)));
    // It hurts no more, and what is known is good for as long as ever.
    pass(1.0).await;
    let (call, waited) = timed(succeed(&breaker)).await;
    assert_eq!((call, waited, process.store.reads() - reads), (Ok(42), Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn case_99_after_one_failure_nothing_is_read() {
    let (_world, process) = hurt(1).await;
    let reads = process.store.reads();
    let (call, waited) = timed(succeed(&process.breaker())).await;
    assert_eq!((call, waited), (Ok(42), Duration::ZERO));
    assert_eq!(process.store.reads(), reads);
}

#[tokio::test(start_paused = true)]
async fn case_99_a_call_waits_for_a_tenth_of_a_second_and_is_then_admitted() {
    for fault in [Fault::Hang, Fault::Delay(Duration::from_millis(600))] {
        let (_world, process) = hurt(2).await;
        let breaker = process.breaker();
        process.store.reads_meet(fault);
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
        let (_world, process) = hurt(2).await;
        let breaker = process.breaker();
        process.store.reads_meet(Fault::Fail(kind));
        assert_eq!(fail(&breaker).await, Err(CallError::Inner("down")));
        process.store.reads_meet(Fault::Hang);
        let (call, waited) = timed(fail(&breaker)).await;
        assert_eq!((call, waited), (Err(CallError::Inner("down")), Duration::ZERO), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_99_try_admit_goes_by_what_is_known_and_the_next_by_the_read() {
    let (world, process) = hurt(2).await;
    let (breaker, reads) = (process.breaker(), process.store.reads());
    trip(&world.process().breaker()).await;
    assert!(breaker.try_admit().is_ok(), "goes by what is known");
    settle().await;
    assert_eq!(process.store.reads(), reads + 1);
    assert!(breaker.try_admit().is_err(), "the read was made for the next");
}

#[tokio::test(start_paused = true)]
async fn case_101_a_read_that_shows_open_rejects_the_call_that_waited() {
    let world = world();
    let members = world.processes(2);
    let (first, other) = (members[0].breaker(), members[1].breaker());
    assert_eq!(succeed(&first).await, Ok(42));
    for _ in 0..4 {
        assert_eq!(fail(&first).await, Err(CallError::Inner("down")));
        pass(0.01).await;
    }
    pass(0.3).await;
    trip(&other).await;
    let record = world.record();
    assert!(is_rejected(&fail(&first).await), "it would have been the fifth");
    assert_eq!((members[0].store.writes(), world.record()), (0, record));
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
