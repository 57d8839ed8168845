//! Outcomes that come too late, and leases that are lost.

use fuseboard::{
    CircuitState, OwnedPermit,
    store::{Field, Record},
};

use crate::support::world::{Call, Process, Shared, World, pass};

/// A's probe hangs until B has taken its lease over.
async fn lost_lease<S: Shared>() -> (World<S>, Process<S::Way>, Process<S::Way>, OwnedPermit) {
    let world = World::<S>::new();
    let (a, b) = (world.process(), world.process());
    a.trip().await;
    pass(30.0).await;
    let probe = a.circuit().admit_owned().await.unwrap();
    assert!(b.ok().await.is_rejected());
    pass(33.0).await;
    (world, a, b, probe)
}

async fn case_13_failures_admitted_before_a_trip_do_not_count_after_the_recovery<S: Shared>() {
    let world = World::<S>::new();
    let a = world.process();
    a.ok().await;
    let mut late = Vec::new();
    for _ in 0..10 {
        late.push(a.circuit().admit_owned().await.unwrap());
    }
    a.trip().await;
    pass(30.0).await;
    for _ in 0..3 {
        assert_eq!(a.ok().await, Call::Ok);
    }
    let before = world.engine.record();
    for permit in late {
        permit.failure().settled().await;
    }
    assert_eq!(a.state(), CircuitState::Closed);
    assert_eq!(world.engine.record(), before);
    for _ in 0..4 {
        a.fail().await;
    }
    assert_eq!(a.state(), CircuitState::Closed, "the streak begins with this epoch");
}

async fn case_49_a_late_success_changes_nothing<S: Shared>() {
    let (world, a, b, probe) = lost_lease::<S>().await;
    let second = b.circuit().admit().await.unwrap();
    let before = world.engine.record();
    probe.success().settled().await;
    assert_eq!(world.engine.record(), before);
    assert_eq!(a.state(), CircuitState::HalfOpen);
    assert!(a.ok().await.is_rejected());
    second.success().settled().await;
    assert_eq!(world.record().success_count, Field::Valid(1));
}

async fn case_50_a_late_failure_does_not_open_a_closed_circuit<S: Shared>() {
    let (world, a, b, probe) = lost_lease::<S>().await;
    for _ in 0..3 {
        assert_eq!(b.ok().await, Call::Ok);
    }
    assert_eq!(world.stored_state(), Some(CircuitState::Closed));
    let before = world.engine.record();
    a.heard();
    probe.failure().settled().await;
    assert_eq!(world.engine.record(), before);
    let heard = a.heard();
    assert!(heard.iter().all(|line| !line.ends_with("local")), "{heard:?}");
    assert!(heard.iter().all(|line| !line.contains(">OPEN")), "{heard:?}");
    assert_eq!(a.ok().await, Call::Ok);
}

async fn case_51_who_lost_the_lease_does_not_probe<S: Shared>() {
    let (_world, a, b, _probe) = lost_lease::<S>().await;
    let _second = b.circuit().admit().await.unwrap();
    for _ in 0..20 {
        assert!(a.ok().await.is_rejected());
        pass(1.0).await;
    }
}

async fn case_52_a_straggler_of_the_closed_era_changes_no_later_record<S: Shared>() {
    let mut half_open = Record::empty();
    half_open.state = Field::Valid(CircuitState::HalfOpen);
    half_open.owner = Field::Valid("x".into());
    half_open.lease_until = Field::Valid(2_000_000);
    let mut open = Record::empty();
    open.state = Field::Valid(CircuitState::Open);
    open.opened_at = Field::Valid(1_000_001);
    let mut closed = Record::empty();
    closed.state = Field::Valid(CircuitState::Closed);
    closed.expires_at = Field::Valid(1_000_001);
    for later in [half_open, open, closed] {
        let world = World::<S>::new();
        let a = world.process();
        for _ in 0..4 {
            a.fail().await;
        }
        world.write(Some(later.clone()));
        assert_eq!(a.fail().await, Call::Failed, "the fifth would have tripped it");
        assert_eq!(world.record(), later);
        assert!(a.heard().iter().all(|line| !line.ends_with("local")));
        assert_eq!(Field::Valid(a.state()), later.state, "what was shown is adopted");
    }
}

async fn case_56_a_result_of_the_first_lease_does_not_settle_the_third<S: Shared>() {
    let (world, a, b, first) = lost_lease::<S>().await;
    assert_eq!(b.fail().await, Call::Failed);
    pass(30.0).await;
    let third = a.circuit().admit().await.unwrap();
    assert!(third.is_probe());
    let before = world.engine.record();
    first.failure().settled().await;
    assert_eq!(world.engine.record(), before);
    third.success().settled().await;
    assert_eq!(world.record().success_count, Field::Valid(1));
}

async fn case_13_calls_under_way_through_a_recovery_that_nobody_here_saw_do_not_count<S: Shared>() {
    let world = World::<S>::new();
    let (a, b) = (world.process(), world.process());
    a.ok().await;
    let mut late = Vec::new();
    for _ in 0..5 {
        late.push(a.circuit().admit_owned().await.unwrap());
    }
    b.trip().await;
    pass(30.0).await;
    for _ in 0..3 {
        assert_eq!(b.ok().await, Call::Ok);
    }
    assert_eq!(a.ok().await, Call::Ok, "reads the newer closed record");
    for permit in late {
        permit.failure().settled().await;
    }
    assert_eq!(a.state(), CircuitState::Closed);
    assert_eq!(world.stored_state(), Some(CircuitState::Closed));
}

over_each_store! {
    case_13_failures_admitted_before_a_trip_do_not_count_after_the_recovery,
    case_49_a_late_success_changes_nothing,
    case_50_a_late_failure_does_not_open_a_closed_circuit,
    case_51_who_lost_the_lease_does_not_probe,
    case_52_a_straggler_of_the_closed_era_changes_no_later_record,
    case_56_a_result_of_the_first_lease_does_not_settle_the_third,
    case_13_calls_under_way_through_a_recovery_that_nobody_here_saw_do_not_count,
}
