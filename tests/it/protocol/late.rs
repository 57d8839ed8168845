//! Outcomes that come too late, and leases that are lost.

use fuseboard::CircuitState;
use serde_json::json;

use crate::support::dynamodb::{CIRCUIT, Call, Process, World, seconds};

/// A's probe hangs until B has taken its lease over.
async fn lost_lease() -> (World, Process, Process, fuseboard::OwnedPermit) {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.trip().await;
    seconds(30).await;
    let probe = a.circuit().admit_owned().await.unwrap();
    assert!(b.ok().await.is_rejected());
    seconds(33).await;
    (world, a, b, probe)
}

#[tokio::test(start_paused = true)]
async fn case_13_failures_admitted_before_a_trip_do_not_count_after_the_recovery() {
    let world = World::new();
    let a = world.named("A");
    a.ok().await;
    let mut late = Vec::new();
    for _ in 0..10 {
        late.push(a.circuit().admit_owned().await.unwrap());
    }
    a.trip().await;
    seconds(30).await;
    for _ in 0..3 {
        assert_eq!(a.ok().await, Call::Ok);
    }
    let before = world.item();
    for permit in late {
        permit.failure().settled().await;
    }
    assert_eq!(a.state(), CircuitState::Closed);
    assert_eq!(world.item(), before);
    for _ in 0..4 {
        a.fail().await;
    }
    assert_eq!(a.state(), CircuitState::Closed, "the streak begins with this epoch");
}

#[tokio::test(start_paused = true)]
async fn case_49_a_late_success_changes_nothing() {
    let (world, a, b, probe) = lost_lease().await;
    let second = b.circuit().admit().await.unwrap();
    let before = world.item();
    probe.success().settled().await;
    assert_eq!(world.item(), before);
    assert!(a.ok().await.is_rejected());
    second.success().settled().await;
    assert_eq!(world.attribute("success_count"), 1);
}

#[tokio::test(start_paused = true)]
async fn case_50_a_late_failure_does_not_open_a_closed_circuit() {
    let (world, a, b, probe) = lost_lease().await;
    for _ in 0..3 {
        assert_eq!(b.ok().await, Call::Ok);
    }
    assert_eq!(world.attribute("state"), "CLOSED");
    let before = world.item();
    a.heard();
    probe.failure().settled().await;
    assert_eq!(world.item(), before);
    let heard = a.heard();
    assert!(heard.iter().all(|line| !line.ends_with("local")), "{heard:?}");
    seconds(5).await;
    assert_eq!(a.ok().await, Call::Ok);
}

#[tokio::test(start_paused = true)]
async fn case_51_who_lost_the_lease_does_not_probe() {
    let (_world, a, b, _probe) = lost_lease().await;
    let _second = b.circuit().admit().await.unwrap();
    for _ in 0..20 {
        assert!(a.ok().await.is_rejected());
        seconds(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn case_52_a_straggler_of_the_closed_era_changes_no_later_record() {
    for later in [
        json!({"state": "HALF_OPEN", "half_open_owner": "x", "probe_lease_expiry": 2_000_000}),
        json!({"state": "OPEN", "opened_at": 1_000_001}),
        json!({"state": "CLOSED", "expiration": 1_000_001}),
    ] {
        let world = World::new();
        let a = world.named("A");
        for _ in 0..4 {
            a.fail().await;
        }
        world.engine.put_item(CIRCUIT, &later);
        let before = world.item();
        assert_eq!(a.fail().await, Call::Failed, "the fifth would have tripped it");
        assert_eq!(world.item(), before);
        assert!(a.heard().iter().all(|line| !line.ends_with("local")));
        let state = later["state"].as_str().unwrap();
        assert_eq!(a.state().to_string(), state, "what was shown is adopted");
    }
}

#[tokio::test(start_paused = true)]
async fn case_56_a_result_of_the_first_lease_does_not_settle_the_third() {
    let (world, a, b, first) = lost_lease().await;
    assert_eq!(b.fail().await, Call::Failed);
    seconds(30).await;
    let third = a.circuit().admit().await.unwrap();
    assert!(third.is_probe());
    let before = world.item();
    first.failure().settled().await;
    assert_eq!(world.item(), before);
    third.success().settled().await;
    assert_eq!(world.attribute("success_count"), 1);
}

#[tokio::test(start_paused = true)]
async fn case_81_a_leaked_probe_comes_back_when_its_lease_ends() {
    let world = World::new();
    let a = world.named("A");
    a.trip().await;
    seconds(30).await;
    std::mem::forget(a.circuit().admit().await.unwrap());
    seconds(29).await;
    assert!(a.ok().await.is_rejected());
    seconds(1).await;
    assert_eq!(a.ok().await, Call::Ok, "its own process knows when it ended");
}

#[tokio::test(start_paused = true)]
async fn case_13_calls_under_way_through_a_recovery_that_nobody_here_saw_do_not_count() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.ok().await;
    let mut late = Vec::new();
    for _ in 0..5 {
        late.push(a.circuit().admit_owned().await.unwrap());
    }
    b.trip().await;
    seconds(30).await;
    for _ in 0..3 {
        assert_eq!(b.ok().await, Call::Ok);
    }
    assert_eq!(a.ok().await, Call::Ok, "reads the newer closed record");
    for permit in late {
        permit.failure().settled().await;
    }
    assert_eq!(a.state(), CircuitState::Closed);
    assert_eq!(world.attribute("state"), "CLOSED");
}
