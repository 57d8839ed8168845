//! An open circuit: who is rejected, and for how long.

use std::time::Duration;

use fuseboard::CircuitState;
use serde_json::json;

use crate::support::dynamodb::{CIRCUIT, Call, START, World, seconds};

fn rejection(call: Call) -> fuseboard::OpenError {
    match call {
        Call::Rejected(open) => open,
        ran @ (Call::Ok | Call::Failed) => panic!("not rejected: {ran:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn case_16_an_open_circuit_rejects_without_asking_anyone() {
    let world = World::new();
    let a = world.named("A");
    a.trip().await;
    world.engine.clear();
    seconds(4).await;
    let mut ran = false;
    let call = a.call(async {
        ran = true;
        Ok(())
    });
    let open = rejection(call.await);
    assert!(!ran);
    assert_eq!(open.circuit().name.as_str(), CIRCUIT);
    assert_eq!(open.circuit().state, CircuitState::Open);
    assert_eq!(open.circuit().failure_count, 5);
    assert_eq!(open.circuit().opened_at, Some(START));
    assert_eq!(open.retry_after(), Duration::from_secs(26));
    assert_eq!(world.engine.requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn case_17_an_opening_reaches_environments_that_never_failed() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    assert_eq!(b.ok().await, Call::Ok);
    a.trip().await;
    assert_eq!(b.ok().await, Call::Ok, "closed is still cached");
    seconds(5).await;
    let open = rejection(b.ok().await);
    assert_eq!((open.circuit().failure_count, open.circuit().opened_at), (5, Some(START)));
    assert_eq!(b.heard(), ["CLOSED>OPEN observed"]);

    let cold = world.named("C");
    assert!(cold.ok().await.is_rejected());
}

#[tokio::test(start_paused = true)]
async fn case_18_an_opening_at_the_epoch_is_long_over() {
    let world = World::new();
    world.engine.put_item(CIRCUIT, &json!({"state": "OPEN", "failure_count": 5, "opened_at": 0}));
    let a = world.named("A");
    assert_eq!(a.ok().await, Call::Ok, "elected at once");
    assert_eq!(world.attribute("state"), "HALF_OPEN");
    assert_eq!(world.attribute("opened_at"), 0);
}

#[tokio::test(start_paused = true)]
async fn case_19_the_fallback_is_given_the_input_and_the_circuit() {
    let world = World::new();
    let a = world.named("A");
    a.trip().await;
    let order = String::from("order 7");
    let answer = a
        .circuit()
        .call_or_else(
            || async { Ok(order.clone()) },
            |open| async {
                let open = open;
                Err(format!("{order} not charged: {open}"))
            },
        )
        .await;
    assert_eq!(
        answer,
        Err("order 7 not charged: circuit \"payment-backend\" is OPEN; retry in 30s".to_owned())
    );
}

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

#[tokio::test(start_paused = true)]
async fn failures_that_end_while_open_do_not_move_the_recovery() {
    let world = World::new();
    let a = world.named("A");
    a.ok().await;
    let late: Vec<_> = futures::future::join_all((0..5).map(|_| a.circuit().admit_owned())).await;
    a.trip().await;
    seconds(20).await;
    for permit in late {
        permit.unwrap().failure().settled().await;
    }
    assert_eq!(world.attribute("opened_at"), START);
    seconds(10).await;
    assert_eq!(a.ok().await, Call::Ok, "case 83");
}
