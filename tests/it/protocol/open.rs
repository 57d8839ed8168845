//! An open circuit: who is rejected, and for how long.

use std::time::Duration;

use fuseboard::CircuitState;
use serde_json::json;

use crate::support::dynamodb::{CIRCUIT, Call, START, World, seconds};

#[tokio::test(start_paused = true)]
async fn case_20_an_opening_without_a_time_is_probed_after_the_recovery_timeout() {
    for opened_at in [json!(null), json!("soon"), json!({"N": "1.5"}), json!({"M": {}})] {
        let world = World::new();
        world.engine.put_item(CIRCUIT, &json!({"state": "OPEN", "opened_at": opened_at}));
        let a = world.named("A");
        assert!(a.ok().await.is_rejected());
        seconds(29).await;
        assert!(a.ok().await.is_rejected(), "{opened_at}");
        seconds(1).await;
        assert_eq!(a.ok().await, Call::Ok, "{opened_at}");
        assert_eq!(world.attribute("state"), "HALF_OPEN");
    }
}

#[tokio::test(start_paused = true)]
async fn case_20_an_opening_that_lacks_its_time_is_probed_as_well() {
    let world = World::new();
    world.engine.put_item(CIRCUIT, &json!({"state": "OPEN"}));
    let a = world.named("A");
    assert!(a.ok().await.is_rejected());
    seconds(30).await;
    assert_eq!(a.ok().await, Call::Ok);
}

#[tokio::test(start_paused = true)]
async fn case_24_a_deleted_opening_is_probed_before_traffic_flows() {
    let world = World::new();
    let a = world.named("A");
    a.trip().await;
    a.heard();
    world.engine.delete_item(CIRCUIT);
    seconds(5).await;
    let probe = a.circuit().admit().await.unwrap();
    assert!(probe.is_probe());
    assert!(a.ok().await.is_rejected(), "one probe at a time");
    probe.success().settled().await;
    assert_eq!((a.ok().await, a.ok().await), (Call::Ok, Call::Ok));
    assert_eq!(a.state(), CircuitState::Closed);
    assert_eq!(a.heard(), ["OPEN>HALF_OPEN observed", "HALF_OPEN>CLOSED local"]);
}

#[tokio::test(start_paused = true)]
async fn case_24_a_failed_probe_of_a_deleted_opening_opens_it_for_all() {
    let world = World::new();
    let a = world.named("A");
    a.trip().await;
    world.engine.delete_item(CIRCUIT);
    seconds(5).await;
    assert_eq!(a.fail().await, Call::Failed);
    assert_eq!(world.attribute("state"), "OPEN");
    assert_eq!(world.attribute("opened_at"), START + 5);
    assert!(a.ok().await.is_rejected());
}

#[tokio::test(start_paused = true)]
async fn case_25_whole_seconds_do_not_shorten_the_recovery_timeout() {
    let world = World::new();
    let second = Duration::from_secs(1);
    let change = |config: fuseboard::ConfigBuilder| {
        config.recovery_timeout(second).local_cache_max_age(Duration::from_millis(100))
    };
    let (a, b) = (world.named_with("A", change), world.named_with("B", change));
    tokio::time::sleep(Duration::from_millis(999)).await;
    a.trip().await;
    for _ in 0..99 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(a.ok().await.is_rejected());
        assert!(b.ok().await.is_rejected(), "the stamp is rounded up");
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(a.ok().await, Call::Ok, "the tripper knows exactly");
}
