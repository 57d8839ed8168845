//! A cold start, and a trip.

use serde_json::json;

use crate::{environment::TIMEOUT, partner::Mood, stage::Stage, table::state};

#[tokio::test]
async fn case_188_a_cold_start_reads_the_circuit_once_and_calls() {
    let stage = Stage::open().await;
    let mut environment = stage.environment().await;
    assert_eq!(stage.table.take_applied(), Vec::<&str>::new(), "the start asks nobody");
    let (answered, item) = environment.invoke("1").await;
    assert_eq!(answered.result, Ok(json!({"charged": {"receipt": "charged"}})));
    assert_eq!((stage.table.take_applied(), item), (vec!["GetItem"], None));
    assert_eq!(stage.partner.calls(), 1);
}

#[tokio::test]
async fn case_188_a_trip_is_in_the_table_before_the_next_invocation_is_asked_for() {
    let stage = Stage::open().await;
    let mut environment = stage.environment().await;
    stage.partner.is(Mood::Fails);
    let (answered, item) = environment.invoke("1").await;
    assert!(answered.result.is_err() && item.is_none(), "{answered:?} {item:?}");

    stage.table.holds_writes(true);
    environment.begins("2", TIMEOUT);
    let answered = environment.answers().await;
    assert!(answered.result.is_err(), "{answered:?}");
    assert_eq!(answered.item, None, "no caller waits for the write");
    stage.table.holds_writes(false);
    assert_eq!(state(&environment.asks().await), Some("OPEN"));

    let (answered, _) = environment.invoke("3").await;
    let kept = &answered.result.unwrap()["kept_for_later"]["retry_after_ms"];
    assert!((1..=32_000).contains(&kept.as_u64().unwrap()), "{kept}");
    assert_eq!(stage.table.order("3").unwrap()["cents"]["N"], "995");
    assert_eq!(stage.partner.calls(), 2, "what is rejected does not reach the partner");
}

#[tokio::test]
async fn case_188_a_restored_environment_goes_on() {
    let stage = Stage::open().await.with("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start");
    let mut environment = stage.environment().await;
    assert_eq!(environment.restores(), 1);
    let (answered, _) = environment.invoke("1").await;
    assert_eq!(answered.result, Ok(json!({"charged": {"receipt": "charged"}})));
}
