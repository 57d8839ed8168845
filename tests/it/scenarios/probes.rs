//! A half-open circuit: one probe at a time, and none that is lost.

use std::{future::pending, time::Duration};

use fuseboard::{
    CircuitState,
    store::{Field, Record},
};
use tokio::{task::JoinSet, time::timeout};

use crate::support::{
    calls::{is_rejected, recover, succeed},
    world::{Call, Process, START, Shared, Way as _, World, pass, settle},
};

/// A world whose circuit was tripped 30 s ago, by its only process.
async fn due<S: Shared>() -> (World<S>, Process<S::Way>) {
    let world = World::<S>::new();
    let process = world.process();
    process.trip().await;
    pass(30.0).await;
    process.heard();
    (world, process)
}

async fn case_41_probes_need_no_read_and_the_last_closes<S: Shared>() {
    let (world, process) = due::<S>().await;
    let (reads, writes) = (process.store.reads(), process.store.writes());
    assert_eq!(process.ok().await, Call::Ok);
    assert_eq!(world.stored_state(), Some(CircuitState::HalfOpen));
    assert_eq!(process.ok().await, Call::Ok);
    assert_eq!(process.ok().await, Call::Ok);
    let mut closed = Record::empty();
    closed.state = Field::Valid(CircuitState::Closed);
    closed.failure_count = Field::Valid(0);
    closed.expires_at = Field::Valid(START + 30 + 3_630);
    assert_eq!(world.record(), closed, "no time, no owner, no lease, no count");
    assert_eq!(process.heard(), ["OPEN>HALF_OPEN local", "HALF_OPEN>CLOSED local"]);
    assert_eq!(process.store.reads() - reads, 1, "it looked before it elected itself");
    // Elect, hand over, renew, hand over, renew, close.
    assert_eq!(process.store.writes() - writes, 6);
}

async fn case_47_a_new_task_per_call_closes_the_circuit<S: Shared>() {
    let (world, process) = due::<S>().await;
    for _ in 0..3 {
        let breaker = process.breaker();
        let mut task = JoinSet::new();
        task.spawn(async move { succeed(&breaker).await });
        assert_eq!(task.join_all().await, [Ok(42)]);
    }
    assert_eq!(world.stored_state(), Some(CircuitState::Closed));
}

async fn case_53_a_dropped_probe_makes_room_at_once<S: Shared>() {
    let (_world, process) = due::<S>().await;
    let breaker = process.breaker();
    let hangs = breaker.call(pending::<Result<u32, &str>>);
    assert!(timeout(Duration::from_millis(10), hangs).await.is_err());
    settle().await;
    recover(&breaker).await;
}

async fn case_53_another_environment_probes_after_a_dropped_probe<S: Shared>() {
    let (world, process) = due::<S>().await;
    let other = world.process();
    assert!(process.circuit().admit().await.unwrap().is_probe());
    process.registry.flush(Duration::from_secs(1)).await.unwrap();
    assert_eq!(world.stored_state(), Some(CircuitState::HalfOpen));
    assert_eq!(succeed(&other.breaker()).await, Ok(42));
}

async fn case_53_a_panicking_probe_opens_the_circuit_again<S: Shared>() {
    let (world, process) = due::<S>().await;
    let breaker = process.breaker();
    let mut task = JoinSet::new();
    let panicking = breaker.clone();
    task.spawn(async move {
        let call = || async { if true { panic!("as the test says") } else { Ok::<u32, &str>(0) } };
        panicking.call(call).await
    });
    assert!(task.join_next().await.unwrap().unwrap_err().is_panic());
    settle().await;
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
    assert_eq!(world.record().opened_at, Field::Valid(START + 30));
    assert!(is_rejected(&succeed(&breaker).await));
    pass(31.0).await;
    recover(&breaker).await;
}

async fn case_55_a_call_that_outlasts_its_lease_keeps_it<S: Shared>() {
    let (world, process) = due::<S>().await;
    let other = world.process();
    // Nearly five leases: the last renewal comes just before the end of the fourth.
    let breaker = process.breaker();
    let mut long = JoinSet::new();
    long.spawn(async move {
        let call = || async {
            pass(140.0).await;
            Ok::<u32, &str>(42)
        };
        breaker.call(call).await
    });
    for second in 1..=135 {
        pass(1.0).await;
        let until = world.record().lease_until.valid().copied().unwrap();
        assert!(until > START + 30 + second, "renewed in time");
        assert!(is_rejected(&succeed(&other.breaker()).await), "never two at once");
    }
    assert_eq!(long.join_next().await.unwrap().unwrap(), Ok(42));
    assert_eq!(world.record().success_count, Field::Valid(1));
}

async fn case_81_a_leaked_permit_gives_its_slot_back_when_its_lease_ends<S: Shared>() {
    let (world, process) = due::<S>().await;
    let (breaker, other) = (process.breaker(), world.process());
    leak(breaker.admit_owned().await.unwrap());
    pass(29.0).await;
    assert!(is_rejected(&succeed(&breaker).await));
    assert!(is_rejected(&succeed(&other.breaker()).await));
    pass(1.0).await;
    assert_eq!(succeed(&breaker).await, Ok(42), "its own process, when the lease ends");

    leak(breaker.admit_owned().await.unwrap());
    pass(34.0).await;
    assert_eq!(succeed(&other.breaker()).await, Ok(42), "another, when it is past for certain");
}

async fn case_28_many_processes_at_the_due_instant_make_one_probe<S: Shared>() {
    for end in [Ok(()), Err("down")] {
        let (world, _tripper) = due::<S>().await;
        let fleet = world.processes(8);
        let calls = fleet.iter().flat_map(|process| {
            (0..16).map(|_| {
                process.call(async {
                    pass(0.5).await;
                    end
                })
            })
        });
        let ends = futures::future::join_all(calls).await;
        let ran = if end.is_ok() { Call::Ok } else { Call::Failed };
        assert_eq!(ends.iter().filter(|end| **end == ran).count(), 1, "{end:?}");
        assert_eq!(ends.iter().filter(|end| end.is_rejected()).count(), 127, "{end:?}");
        if end.is_err() {
            assert!(fleet[3].ok().await.is_rejected(), "its probe has failed");
        }
    }
}

#[expect(clippy::mem_forget, reason = "this is what the test is about")]
fn leak<T>(permit: T) {
    std::mem::forget(permit);
}

over_each_store! {
    case_41_probes_need_no_read_and_the_last_closes,
    case_47_a_new_task_per_call_closes_the_circuit,
    case_53_a_dropped_probe_makes_room_at_once,
    case_53_another_environment_probes_after_a_dropped_probe,
    case_53_a_panicking_probe_opens_the_circuit_again,
    case_55_a_call_that_outlasts_its_lease_keeps_it,
    case_81_a_leaked_permit_gives_its_slot_back_when_its_lease_ends,
    case_28_many_processes_at_the_due_instant_make_one_probe,
}
