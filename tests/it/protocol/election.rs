//! Who may probe: elections, leases and takeovers.

use std::time::Duration;

use fuseboard::{Cause, CircuitState, Origin};
use serde_json::json;

use crate::support::{
    dynamodb::{CIRCUIT, Call, START, World, seconds},
    engine::Event,
};

#[tokio::test(start_paused = true)]
async fn case_27_the_first_call_after_the_timeout_is_elected() {
    let world = World::new();
    let a = world.named("A");
    a.trip().await;
    a.heard();
    seconds(30).await;
    world.engine.clear();
    let probe = a.circuit().admit().await.unwrap();
    assert!(probe.is_probe());
    let item = world.item().unwrap();
    assert_eq!(item["state"], "HALF_OPEN");
    assert_eq!(item["failure_count"], 0);
    assert_eq!(item["opened_at"], START);
    assert_eq!(item["probe_lease_expiry"], START + 60);
    assert_eq!(item["half_open_owner"].as_str().unwrap().len(), 32);
    assert_eq!(world.engine.count("UpdateItem"), 1);
    assert_eq!(a.heard(), ["OPEN>HALF_OPEN local"], "announced before the call runs");
    probe.success();
}

#[tokio::test(start_paused = true)]
async fn case_29_an_election_on_an_outdated_opening_is_lost() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.trip().await;
    seconds(29).await;
    assert!(b.ok().await.is_rejected());
    seconds(1).await;
    assert_eq!(a.fail().await, Call::Failed, "the probe reopens");
    let before = world.item();
    assert!(b.ok().await.is_rejected());
    assert_eq!(world.item(), before);
    assert_eq!(world.attribute("opened_at"), START + 30);
}

#[tokio::test(start_paused = true)]
async fn case_30_a_live_lease_of_another_rejects() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.trip().await;
    seconds(30).await;
    let _probe = a.circuit().admit().await.unwrap();
    for _ in 0..6 {
        let Call::Rejected(open) = b.ok().await else { panic!("admitted") };
        assert_eq!(open.circuit().state, CircuitState::HalfOpen);
        seconds(5).await;
    }
}

#[tokio::test(start_paused = true)]
async fn case_31_an_expired_lease_is_taken_over() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.trip().await;
    seconds(30).await;
    let probe = a.circuit().admit().await.unwrap();
    let first = world.attribute("half_open_owner");
    // The lease, and the skew that is tolerated.
    seconds(32).await;
    assert_eq!(b.ok().await, Call::Ok);
    let item = world.item().unwrap();
    assert_eq!((&item["state"], &item["opened_at"]), (&json!("HALF_OPEN"), &json!(START)));
    assert_ne!(item["half_open_owner"], first);
    drop(probe);
}

#[tokio::test(start_paused = true)]
async fn case_32_of_two_candidates_for_a_takeover_one_wins() {
    let world = World::new();
    let (a, b, c) = (world.named("A"), world.named("B"), world.named("C"));
    a.trip().await;
    seconds(30).await;
    std::mem::forget(a.circuit().admit().await.unwrap());
    assert!(b.ok().await.is_rejected());
    assert!(c.ok().await.is_rejected());
    seconds(33).await;
    let (b, c) = futures::join!(b.circuit().admit(), c.circuit().admit());
    assert!(b.is_ok() != c.is_ok());
}

#[tokio::test(start_paused = true)]
async fn case_33_a_restarted_owner_is_a_stranger_to_its_lease() {
    let world = World::new();
    let a = world.named("A");
    a.trip().await;
    seconds(30).await;
    std::mem::forget(a.circuit().admit().await.unwrap());
    drop(a);
    let restarted = world.named("A");
    assert!(restarted.ok().await.is_rejected());
    seconds(32).await;
    assert_eq!(restarted.ok().await, Call::Ok);
}

#[tokio::test(start_paused = true)]
async fn case_35_a_lost_election_adopts_what_it_is_shown() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.trip().await;
    seconds(5).await;
    assert!(b.ok().await.is_rejected());
    seconds(25).await;
    for _ in 0..3 {
        assert_eq!(a.ok().await, Call::Ok);
    }
    assert_eq!(world.attribute("state"), "CLOSED");
    world.engine.clear();
    assert_eq!(b.ok().await, Call::Ok, "a closed circuit admits this very call");
    assert_eq!(b.ok().await, Call::Ok);
    assert_eq!(world.engine.count_of("B", "GetItem"), 1, "it looked before it wrote");
    assert_eq!(world.engine.count_of("B", "UpdateItem"), 0, "and wrote nothing");
}

#[tokio::test(start_paused = true)]
async fn case_35_an_election_that_is_lost_after_its_look_adopts_what_it_is_shown() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.trip().await;
    seconds(5).await;
    assert!(b.ok().await.is_rejected());
    seconds(25).await;
    world.engine.clear();
    // B has looked, and its election is on its way while A probes the circuit closed.
    world.engine.network("B").on("UpdateItem", 1, Event::DelayBefore(Duration::from_millis(300)));
    let recovers = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for _ in 0..3 {
            assert_eq!(a.ok().await, Call::Ok);
        }
    };
    let (call, ()) = futures::join!(b.ok(), recovers);
    assert_eq!(call, Call::Ok, "a closed circuit admits this very call");
    assert_eq!(b.ok().await, Call::Ok);
    assert_eq!(world.engine.count_of("B", "UpdateItem"), 1, "one refused write");
    assert_eq!(world.engine.count_of("B", "GetItem"), 1, "and no read but the look");
}

#[tokio::test(start_paused = true)]
async fn case_35_one_look_for_each_change_of_the_item() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.trip().await;
    seconds(5).await;
    assert!(b.ok().await.is_rejected());
    seconds(25).await;
    let _probe = a.circuit().admit().await.unwrap();
    world.engine.clear();
    for _ in 0..100 {
        assert!(b.ok().await.is_rejected());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.engine.count_of("B", "UpdateItem"), 0, "it looked first");
    assert_eq!(world.engine.count_of("B", "GetItem"), 1);
}

#[tokio::test(start_paused = true)]
async fn case_36_an_election_that_cannot_be_written_rejects() {
    let world = World::new();
    let a = world.named("A");
    a.trip().await;
    seconds(30).await;
    world.engine.network("A").on("UpdateItem", 1, Event::Error("AccessDeniedException"));
    let Call::Rejected(open) = a.ok().await else { panic!("admitted") };
    assert_eq!(open.circuit().state, CircuitState::Open);
    world.engine.clear();
    for _ in 0..3 {
        assert_eq!(a.ok().await, Call::Ok, "misconfigured: this process probes alone");
    }
    assert_eq!(a.state(), CircuitState::Closed);
    assert_eq!(world.engine.count("UpdateItem"), 0, "writes are left alone for a while");
    assert_eq!(world.engine.count("GetItem"), 3, "each probe goes by a read");
}

#[tokio::test(start_paused = true)]
async fn case_37_an_election_whose_answer_was_lost_is_recognised() {
    let world = World::new();
    let a = world.named("A");
    a.trip().await;
    a.heard();
    seconds(30).await;
    world.engine.network("A").on("UpdateItem", 1, Event::ResetAfter);
    let probe = a.circuit().admit().await.unwrap();
    assert!(probe.is_probe(), "the retry was refused by our own first attempt");
    assert_eq!(world.engine.count("UpdateItem"), 3, "the trip, and two attempts to be elected");
    assert_eq!(a.heard(), ["OPEN>HALF_OPEN local"]);
    probe.success();
}

#[tokio::test(start_paused = true)]
async fn case_39_a_takeover_is_named() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.trip().await;
    seconds(30).await;
    std::mem::forget(a.circuit().admit().await.unwrap());
    let old = world.attribute("half_open_owner");
    assert!(b.ok().await.is_rejected());
    b.heard();
    seconds(33).await;
    let _probe = b.circuit().admit().await.unwrap();
    let new = world.attribute("half_open_owner");
    let heard = b.transitions();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].origin, Origin::Local);
    let Cause::TakeOver { previous_owner, owner } = &heard[0].cause else {
        panic!("{:?}", heard[0]);
    };
    assert_eq!(previous_owner.as_deref(), old.as_str());
    assert_eq!(Some(&**owner), new.as_str());
}

#[tokio::test(start_paused = true)]
async fn case_34_rows_as_python_writes_them_are_continued() {
    // Shapes written by Powertools for AWS Lambda (Python) 3.37.
    let open = json!({"state": "OPEN", "failure_count": 5, "opened_at": START,
        "expiration": START + 3_630});
    let half_open = json!({"state": "HALF_OPEN", "failure_count": 0, "opened_at": START,
        "half_open_owner": "17#0123456789abcdef0123456789abcdef",
        "probe_lease_expiry": START + 60, "expiration": START + 3_660});
    let closed = json!({"state": "CLOSED", "failure_count": 0, "expiration": START + 3_660});

    let world = World::new();
    let a = world.named("A");
    seconds(10).await;
    world.engine.put_item(CIRCUIT, &open);
    assert!(a.ok().await.is_rejected());
    seconds(20).await;
    assert_eq!(a.ok().await, Call::Ok, "elected, {:?}", world.item());

    let b = world.named("B");
    world.engine.put_item(CIRCUIT, &half_open);
    assert!(b.ok().await.is_rejected(), "a live lease");
    seconds(32).await;
    assert_eq!(b.ok().await, Call::Ok, "an expired one is taken over");
    assert_eq!(world.attribute("opened_at"), START);
    seconds(1).await;
    assert_eq!((b.ok().await, b.ok().await), (Call::Ok, Call::Ok));
    assert_eq!(world.attribute("state"), "CLOSED");

    let c = world.named("C");
    world.engine.put_item(CIRCUIT, &closed);
    assert_eq!(c.ok().await, Call::Ok);
    c.trip().await;
    assert_eq!(world.attribute("state"), "OPEN");
}

#[tokio::test(start_paused = true)]
async fn case_36_a_store_too_slow_for_an_election_admits_nobody_past_it() {
    let world = World::new();
    let a = world.named("A");
    a.trip().await;
    seconds(30).await;
    let cold = world.named("B");
    // One attempt passes after 390 ms; the election then hangs.
    world.engine.network("B").on("GetItem", 1, Event::DelayBefore(Duration::from_millis(390)));
    world.engine.network("B").always_on("UpdateItem", Event::LoseRequest);
    let before = crate::support::engine::now();
    let Call::Rejected(open) = cold.ok().await else { panic!("admitted") };
    assert_eq!(before.elapsed(), Duration::from_millis(1_100));
    assert_eq!(open.circuit().state, CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_an_election_that_nobody_waits_for_any_more() {
    let world = World::new();
    let a = world.named("A");
    a.trip().await;
    seconds(30).await;
    world.engine.network("A").on("UpdateItem", 1, Event::DelayAfter(Duration::from_millis(300)));
    let hasty = tokio::time::timeout(Duration::from_millis(100), a.ok());
    assert!(hasty.await.is_err());
    a.registry.flush(Duration::from_secs(5)).await.unwrap();
    assert_eq!(world.attribute("state"), "HALF_OPEN");
    seconds(2).await;
    assert_eq!(world.attribute("success_count"), 0);
    let lease = world.attribute("probe_lease_expiry").as_i64().unwrap();
    assert!(lease < START + 33, "given back, so that the fleet need not wait: {lease}");
}
