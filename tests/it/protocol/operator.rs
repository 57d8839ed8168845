//! Operators: holding a circuit open, and releasing it.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use fuseboard::{
    CircuitName, CircuitState, Hold, HoldKind, OperatorError,
    store::{Consistency, Record, Store as _},
};
use serde_json::json;

use crate::support::{
    dynamodb::{CIRCUIT, Call, START, World, seconds},
    engine::Event,
};

fn seconds_of(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn at(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
}

#[tokio::test(start_paused = true)]
async fn a_hold_rejects_the_whole_fleet_until_it_ends() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.circuit().hold(Hold::open(at(START + 600)).reason("maintenance")).await.unwrap();
    assert_eq!(a.heard(), ["CLOSED>OPEN local"]);
    let item = world.item().unwrap();
    assert_eq!(item["state"], "OPEN");
    assert_eq!(item["half_open_owner"], "hold#maintenance");
    assert_eq!(item["opened_at"], START + 600 - 30);
    assert_eq!(item["expiration"], START + 600 + 3_600);
    for _ in 0..59 {
        assert!(a.ok().await.is_rejected());
        let Call::Rejected(open) = b.ok().await else { panic!("admitted") };
        assert!(open.retry_after() > Duration::ZERO);
        seconds(10).await;
    }
    seconds(10).await;
    for _ in 0..3 {
        assert_eq!(b.ok().await, Call::Ok, "recovers as from any opening");
    }
    assert_eq!(world.attribute("state"), "CLOSED");
}

#[tokio::test(start_paused = true)]
async fn a_release_closes_the_circuit_for_all() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.circuit().hold(Hold::open(at(START + 600)).reason("maintenance")).await.unwrap();
    assert!(b.ok().await.is_rejected());
    b.heard();
    b.circuit().release().await.unwrap();
    assert_eq!(b.heard(), ["OPEN>CLOSED local"]);
    assert_eq!(b.ok().await, Call::Ok);
    seconds(5).await;
    assert_eq!(a.ok().await, Call::Ok);
    assert_eq!(a.heard(), ["CLOSED>OPEN local", "OPEN>CLOSED observed"]);
    let closed = json!({
        "state": "CLOSED",
        "failure_count": 0,
        "expiration": START + 3_630,
        "released": START,
    });
    assert_eq!(world.item(), Some(closed), "told from a closing by probes");
}

#[tokio::test(start_paused = true)]
async fn releasing_a_closed_circuit_writes_nothing() {
    let world = World::new();
    let a = world.named("A");
    a.circuit().release().await.unwrap();
    assert_eq!(world.engine.count("UpdateItem"), 0);
    assert_eq!(a.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn case_26_a_hold_outlives_stragglers_and_probes_under_way() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    b.ok().await;
    let stragglers = futures::future::join_all((0..5).map(|_| b.circuit().admit_owned())).await;
    a.trip().await;
    seconds(30).await;
    let probe = a.circuit().admit().await.unwrap();
    b.circuit().hold(Hold::open(at(START + 9_000)).reason("incident 12")).await.unwrap();
    let held = world.item();
    probe.success().settled().await;
    for straggler in stragglers {
        straggler.unwrap().failure().settled().await;
    }
    assert_eq!(world.item(), held);
    for _ in 0..100 {
        assert!(a.ok().await.is_rejected());
        assert!(b.ok().await.is_rejected());
        seconds(60).await;
    }
    assert_eq!(world.item(), held);
}

#[tokio::test(start_paused = true)]
async fn an_order_names_what_is_wrong_with_it() {
    let world = World::new();
    let a = world.named("A");
    let past = a.circuit().hold(Hold::open(at(START)).reason("late")).await.unwrap_err();
    let told = "until must lie in the future (given is how long ago it was), got 0ns";
    assert_eq!(past.to_string(), told);
    let long =
        a.circuit().hold(Hold::open(at(START + 9)).reason("x".repeat(1_025))).await.unwrap_err();
    assert_eq!(long.to_string(), "reason must have at most 1,024 bytes, got 1025");
    world.engine.network("A").on("UpdateItem", 1, Event::Error("AccessDeniedException"));
    let denied = a.circuit().hold(Hold::open(at(START + 9)).reason("x")).await.unwrap_err();
    assert!(matches!(denied, OperatorError::Store(_)), "{denied}");
    a.registry.shutdown(Duration::from_secs(1)).await.unwrap();
    assert_eq!(a.circuit().release().await, Err(OperatorError::Gone));
}

#[tokio::test(start_paused = true)]
async fn an_order_gives_up_when_others_never_stop_changing_the_item() {
    let world = World::new();
    let a = world.named("A");
    let writes = AtomicU32::new(0);
    world
        .engine
        .network("A")
        .always_on("UpdateItem", Event::DelayBefore(Duration::from_millis(100)));
    let meddle = async {
        loop {
            let number = writes.fetch_add(1, Ordering::Relaxed);
            let item = json!({"state": "CLOSED", "expiration": number});
            world.engine.put_item(CIRCUIT, &item);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let order = a.circuit().hold(Hold::open(at(START + 600)).reason("x"));
    tokio::select! {
        () = meddle => {}
        refused = order => assert_eq!(refused, Err(OperatorError::Contended)),
    }
    assert_eq!(world.engine.count("UpdateItem"), 5);
}

#[tokio::test(start_paused = true)]
async fn of_two_holds_at_once_the_later_one_stands_in_the_table() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    world.engine.network("A").on("UpdateItem", 1, Event::DelayBefore(Duration::from_millis(100)));
    let (first, second) = futures::join!(
        a.circuit().hold(Hold::open(at(START + 3_600)).reason("maintenance")),
        b.circuit().hold(Hold::open(at(START + 7_200)).reason("maintenance")),
    );
    assert_eq!((first, second), (Ok(()), Ok(())));
    assert_eq!(world.attribute("opened_at"), START + 3_600 - 30, "A wrote last");
    assert_eq!(a.circuit().snapshot().circuit().opened_at, Some(START + 3_600 - 30));
}

/// The record as an operator sees it.
async fn look(world: &World) -> Option<Record> {
    let circuit = CircuitName::new(CIRCUIT).unwrap();
    world.engine.store("look").read(&circuit, Consistency::Strong).await.unwrap()
}

/// Who is told to hold the circuit, which way and why.
fn told(refused: Result<Option<Record>, OperatorError>) -> (HoldKind, String) {
    match refused {
        Err(OperatorError::Held(hold)) => (hold.kind, hold.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn case_134_of_two_holds_at_once_that_end_what_they_saw_the_second_is_told_of_the_first() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    world.engine.network("A").on("UpdateItem", 1, Event::DelayBefore(Duration::from_millis(100)));
    let hold = |by: &str| Hold::open(at(START + 3_600)).reason("incident 12").by(by);
    let (late, first) = futures::join!(
        a.circuit().hold_seen(hold("anna"), None),
        b.circuit().hold_seen(hold("bela"), None),
    );
    assert_eq!(first, Ok(None), "it replaced nothing");
    let by_bela = "held open by bela: incident 12".to_owned();
    assert_eq!(told(late), (HoldKind::Open, by_bela.clone()));
    assert_eq!(world.attribute("hold_by"), "bela");
    assert_eq!(world.engine.count_of("A", "UpdateItem"), 1, "it was not tried again");

    // Who has seen it may end it, and gets what the write replaced.
    let seen = look(&world).await;
    let replaced = a.circuit().hold_seen(hold("anna"), seen.as_ref()).await.unwrap();
    assert_eq!(replaced, seen);
    assert_eq!(world.attribute("hold_by"), "anna");
    let stale = b.circuit().hold_seen(Hold::closed_for(seconds_of(60)), seen.as_ref()).await;
    assert_eq!(told(stale), (HoldKind::Open, "held open by anna: incident 12".to_owned()));
    // A hold without that condition ends any, as ever.
    b.circuit().hold(hold("bela")).await.unwrap();
    assert_eq!(world.attribute("hold_by"), "bela");
}

#[tokio::test(start_paused = true)]
async fn case_134_a_release_of_what_was_seen_ends_no_hold_that_came_after_it() {
    for kind in [HoldKind::Open, HoldKind::Closed] {
        let world = World::new();
        let (a, b) = (world.named("A"), world.named("B"));
        a.trip().await;
        let open = look(&world).await.unwrap();
        let hold = match kind {
            HoldKind::Open => Hold::open(at(START + 3_600)),
            HoldKind::Closed => Hold::closed(at(START + 3_600)),
        };
        let network = world.engine.network("B");
        network.on("UpdateItem", 1, Event::DelayBefore(Duration::from_millis(100)));
        let release = b.circuit().release_seen(&open);
        let (refused, held) = futures::join!(release, a.circuit().hold(hold.by("anna")));
        held.unwrap();
        assert_eq!(told(refused), (kind, format!("held {kind} by anna")));
        let held = look(&world).await.unwrap();
        assert_eq!(b.circuit().release_seen(&held).await, Ok(Some(held)));
        assert_eq!(world.attribute("state"), "CLOSED");
        assert_eq!(b.circuit().release_seen(&open).await, Ok(None), "it is closed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_is_over_is_ended_unseen() {
    let world = World::new();
    let a = world.named("A");
    a.circuit().hold(Hold::open(at(START + 60))).await.unwrap();
    let again = || Hold::open_for(seconds_of(60));
    assert!(a.circuit().hold_seen(again(), None).await.is_err());
    seconds(120).await;
    let replaced = a.circuit().hold_seen(again(), None).await.unwrap();
    assert!(replaced.is_some_and(|record| record.is_held()));
}

#[tokio::test(start_paused = true)]
async fn case_91_a_hold_until_now_or_before_is_refused() {
    let world = World::new();
    let a = world.named("A");
    let before_the_epoch = SystemTime::UNIX_EPOCH - Duration::from_secs(1 << 40);
    for until in [at(START), at(START - 1), SystemTime::UNIX_EPOCH, before_the_epoch] {
        let refused = a.circuit().hold(Hold::open(until).reason("too late")).await.unwrap_err();
        assert!(matches!(&refused, OperatorError::Invalid(error) if error.field() == "until"));
    }
    assert_eq!(world.engine.requests().len(), 0);
    assert_eq!(a.ok().await, Call::Ok);
}

#[tokio::test(start_paused = true)]
async fn case_91_a_hold_until_the_end_of_time_is_a_hold() {
    for until in [at(i64::MAX), at(1 << 50)] {
        let world = World::new();
        let (a, b) = (world.named("A"), world.named("B"));
        a.circuit().hold(Hold::open(until).reason("for good")).await.unwrap();
        let item = world.item().unwrap();
        assert!(item["opened_at"].as_i64().unwrap() > START, "{item}");
        assert!(item["expiration"].as_i64() > item["opened_at"].as_i64(), "{item}");
        for _ in 0..10 {
            assert!(a.ok().await.is_rejected());
            let Call::Rejected(open) = b.ok().await else { panic!("admitted") };
            assert!(open.retry_after() > Duration::from_secs(1));
            seconds(3_600).await;
        }
        // One read for each look at it, and no election.
        assert!(world.engine.requests().len() < 50, "{}", world.engine.requests().len());
        b.circuit().release().await.unwrap();
        assert_eq!(b.ok().await, Call::Ok);
    }
}

#[tokio::test(start_paused = true)]
async fn case_91_a_hold_of_a_nanosecond_is_a_hold() {
    let world = World::new();
    let a = world.named("A");
    a.circuit()
        .hold(Hold::open(at(START) + Duration::from_nanos(1)).reason("short"))
        .await
        .unwrap();
    assert_eq!(world.attribute("half_open_owner"), "hold#short");
    assert!(a.ok().await.is_rejected());
    seconds(1).await;
    assert_eq!(a.ok().await, Call::Ok, "and recovers as from any");
}
