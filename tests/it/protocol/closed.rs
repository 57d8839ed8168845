//! A closed circuit: what a healthy call costs, and what trips it.

use fuseboard::{CircuitState, Classifier};
use serde_json::json;
use std::time::Duration;

use crate::support::{
    dynamodb::{CIRCUIT, Call, START, World, seconds},
    engine::{Event, Fate},
};

#[tokio::test(start_paused = true)]
async fn case_1_the_first_call_reads_once_and_writes_nothing() {
    let world = World::new();
    let a = world.named("A");
    assert_eq!(a.ok().await, Call::Ok);
    assert_eq!(world.engine.count("GetItem"), 1);
    assert_eq!(world.engine.requests().len(), 1);
    assert_eq!(world.item(), None);
    assert_eq!(a.heard(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn case_2_a_cache_younger_than_its_age_sends_nothing() {
    let world = World::new();
    let a = world.named_with("A", |config| config.refresh_ahead(false));
    a.ok().await;
    tokio::time::sleep(Duration::from_millis(4_999)).await;
    assert_eq!(a.ok().await, Call::Ok);
    assert_eq!(world.engine.count("GetItem"), 1);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(a.ok().await, Call::Ok);
    assert_eq!(world.engine.count("GetItem"), 2);
}

#[tokio::test(start_paused = true)]
async fn case_2_traffic_after_most_of_the_age_reads_ahead_without_waiting() {
    let world = World::new();
    let a = world.named("A");
    a.ok().await;
    world.engine.network("A").on("GetItem", 1, Event::DelayBefore(Duration::from_millis(200)));
    tokio::time::sleep(Duration::from_millis(4_050)).await;
    let before = crate::support::engine::now();
    for _ in 0..10 {
        assert_eq!(a.ok().await, Call::Ok);
    }
    assert_eq!(before.elapsed(), Duration::ZERO, "nobody waits for a read ahead");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.engine.count("GetItem"), 2, "one read ahead, however many calls");
    tokio::time::sleep(Duration::from_millis(3_000)).await;
    assert_eq!(a.ok().await, Call::Ok);
    assert_eq!(world.engine.count("GetItem"), 2, "the age counts from the read ahead");
    seconds(60).await;
    assert_eq!(world.engine.count("GetItem"), 2, "without traffic nothing is read");
}

#[tokio::test(start_paused = true)]
async fn case_3_without_a_cache_every_call_reads() {
    let world = World::new();
    let a = world.named_with("A", |config| config.local_cache_max_age(Duration::ZERO));
    for _ in 0..7 {
        assert_eq!(a.ok().await, Call::Ok);
    }
    assert_eq!(world.engine.count("GetItem"), 7);
}

#[tokio::test(start_paused = true)]
async fn case_4_a_success_ends_the_streak() {
    let world = World::new();
    let a = world.named("A");
    for _ in 0..2 {
        for _ in 0..4 {
            assert_eq!(a.fail().await, Call::Failed);
        }
        assert_eq!(a.ok().await, Call::Ok);
    }
    assert_eq!(a.state(), CircuitState::Closed);
    assert_eq!(world.engine.count("UpdateItem"), 0);
}

#[tokio::test(start_paused = true)]
async fn case_5_the_last_failure_trips_with_one_write_and_one_announcement() {
    let world = World::new();
    let a = world.named("A");
    a.trip().await;
    let open = json!({
        "state": "OPEN",
        "failure_count": 5,
        "opened_at": START,
        "expiration": START + 30 + 3_600,
    });
    assert_eq!(world.item(), Some(open), "no owner, no lease, nothing else");
    assert_eq!(world.engine.count("UpdateItem"), 1);
    let heard = a.transitions();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].opened_at, Some(START));
    assert_eq!(heard[0].circuit_name.as_str(), CIRCUIT);
}

#[tokio::test(start_paused = true)]
async fn case_6_what_does_not_count_neither_counts_nor_resets() {
    let world = World::new();
    let a = world.named("A");
    let judge = Classifier::builder()
        .ignore_if(|result: &Result<(), &str>| matches!(result, Err("not found")))
        .build()
        .unwrap();
    let judged = a.circuit().with_classifier(judge);
    for _ in 0..4 {
        let _ = judged.call(|| async { Err("down") }).await;
        let _ = judged.call(|| async { Err("not found") }).await;
    }
    assert_eq!(a.state(), CircuitState::Closed);
    let _ = judged.call(|| async { Err("down") }).await;
    assert_eq!(a.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn case_7_a_closed_item_of_an_earlier_recovery_does_not_stand_in_the_way() {
    let world = World::new();
    let closed = json!({"state": "CLOSED", "failure_count": 0, "expiration": START + 9});
    world.engine.put_item(CIRCUIT, &closed);
    let a = world.named("A");
    a.trip().await;
    assert_eq!(world.attribute("state"), "OPEN");
}

#[tokio::test(start_paused = true)]
async fn case_8_a_streak_does_not_survive_a_recovery_made_elsewhere() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    for _ in 0..4 {
        a.fail().await;
    }
    b.trip().await;
    seconds(5).await;
    assert!(a.ok().await.is_rejected());
    seconds(25).await;
    for _ in 0..3 {
        assert_eq!(b.ok().await, Call::Ok);
    }
    seconds(5).await;
    for _ in 0..4 {
        assert_eq!(a.fail().await, Call::Failed);
    }
    assert_eq!(a.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn case_8_a_recovery_that_nobody_here_saw_ends_the_streak_as_well() {
    let world = World::new();
    let a = world.named("A");
    for _ in 0..4 {
        a.fail().await;
    }
    let closed = json!({"state": "CLOSED", "failure_count": 0, "expiration": START + 99});
    world.engine.put_item(CIRCUIT, &closed);
    seconds(5).await;
    assert_eq!(a.fail().await, Call::Failed);
    assert_eq!(a.state(), CircuitState::Closed, "the streak was of another epoch");
}

#[tokio::test(start_paused = true)]
async fn case_11_many_calls_in_flight_trip_once() {
    let world = World::new();
    let a = world.named("A");
    a.ok().await;
    let calls = (0..64).map(|_| {
        a.call(async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Err("down")
        })
    });
    let ends = futures::future::join_all(calls).await;
    assert!(ends.iter().all(|end| *end == Call::Failed));
    assert_eq!(world.engine.count("UpdateItem"), 1);
    assert_eq!(a.heard(), ["CLOSED>OPEN local"]);
}

#[tokio::test(start_paused = true)]
async fn case_12_a_fleet_that_trips_at_once_announces_one_trip() {
    let world = World::new();
    let fleet: Vec<_> = (0..20).map(|number| world.named(&format!("E{number}"))).collect();
    for process in &fleet {
        process.ok().await;
    }
    for process in &fleet {
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Later ones look after two failures, and find the circuit open (case 99).
        while process.fail().await == Call::Failed {}
        assert_eq!(process.state(), CircuitState::Open);
    }
    let heard: Vec<_> = fleet.iter().flat_map(|process| process.heard()).collect();
    assert_eq!(heard.iter().filter(|line| line.ends_with("local")).count(), 1, "{heard:?}");
    assert_eq!(world.attribute("opened_at"), START + 1, "the first one's, rounded up");
    let applied = |request: &&crate::support::engine::Request| {
        request.operation == "UpdateItem" && request.fate == Fate::Applied
    };
    assert_eq!(world.engine.requests().iter().filter(applied).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn case_12_a_fleet_that_trips_in_one_instant_announces_one_trip() {
    let world = World::new();
    let fleet: Vec<_> = (0..20).map(|number| world.named(&format!("E{number}"))).collect();
    for process in &fleet {
        process.ok().await;
    }
    world.engine.clear();
    futures::future::join_all(fleet.iter().map(|process| process.trip())).await;
    let heard: Vec<_> = fleet.iter().flat_map(|process| process.heard()).collect();
    assert_eq!(heard.iter().filter(|line| line.ends_with("local")).count(), 1, "{heard:?}");
    assert_eq!(heard.len(), 20, "each tells its own subscribers, {heard:?}");
    let requests = world.engine.requests();
    assert_eq!(requests.len(), 20, "all were under way at once");
    assert_eq!(requests.iter().filter(|request| request.fate == Fate::Applied).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn case_14_two_stores_do_not_share_a_streak() {
    let (here, there) = (World::new(), World::new());
    let (a, b) = (here.named("A"), there.named("B"));
    for _ in 0..4 {
        a.fail().await;
        b.fail().await;
    }
    assert_eq!((a.state(), b.state()), (CircuitState::Closed, CircuitState::Closed));
    a.fail().await;
    assert_eq!((a.state(), b.state()), (CircuitState::Open, CircuitState::Closed));
    assert_eq!(there.item(), None);
}

#[tokio::test(start_paused = true)]
async fn case_40_many_calls_on_a_stale_cache_share_one_read() {
    let world = World::new();
    let a = world.named("A");
    world.engine.network("A").on("GetItem", 1, Event::DelayBefore(Duration::from_millis(50)));
    let ends = futures::future::join_all((0..64).map(|_| a.ok())).await;
    assert!(ends.iter().all(|end| *end == Call::Ok));
    assert_eq!(world.engine.count("GetItem"), 1);
}

#[tokio::test(start_paused = true)]
async fn case_63_a_failing_read_fails_open_and_is_not_cached() {
    let world = World::new();
    let a = world.named("A");
    world.engine.network("A").on("GetItem", 3, Event::Error("InternalServerError"));
    assert_eq!(a.ok().await, Call::Ok, "three attempts, then open");
    assert_eq!(world.engine.count("GetItem"), 3);
    assert_eq!(a.ok().await, Call::Ok);
    assert_eq!(world.engine.count("GetItem"), 4, "the next call reads again");
    assert_eq!(a.ok().await, Call::Ok);
    assert_eq!(world.engine.count("GetItem"), 4, "an answer is cached");
}

#[tokio::test(start_paused = true)]
async fn case_64_a_trip_that_cannot_be_written_leaves_the_callers_error() {
    let world = World::new();
    let a = world.named("A");
    a.ok().await;
    world.engine.network("A").always_on("UpdateItem", Event::Error("InternalServerError"));
    a.trip().await;
    assert!(a.ok().await.is_rejected(), "tripped here all the same");
    assert_eq!(a.heard(), ["CLOSED>OPEN alone"]);
    assert_eq!(world.item(), None);
}

#[tokio::test(start_paused = true)]
async fn case_80_a_healthy_circuit_writes_nothing_and_reads_seldom() {
    let world = World::new();
    let a = world.named("A");
    let minutes = 10;
    for _ in 0..minutes * 60 * 10 {
        for _ in 0..10 {
            a.circuit().admit().await.unwrap().success();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(world.engine.count("UpdateItem"), 0);
    let reads = world.engine.count("GetItem");
    assert!(reads <= minutes * 60 / 4 + 1, "at most one read per 4 s, got {reads}");
}
