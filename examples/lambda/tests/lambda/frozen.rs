//! Environments that are frozen between invocations.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    environment::{Environment, TIMEOUT},
    partner::Mood,
    stage::{Stage, soon},
    table::state,
};

/// Longer than a cached read and a lease are here, and than a freeze has to last to be noticed.
const LONG: Duration = Duration::from_millis(3_200);

async fn is_frozen_for_long(environment: &Environment) {
    environment.process.freeze();
    tokio::time::sleep(LONG).await;
    environment.process.thaw();
}

fn is_kept(answer: &Result<Value, Value>) -> bool {
    answer.as_ref().is_ok_and(|answer| answer.get("kept_for_later").is_some())
}

#[tokio::test]
async fn case_188_a_thawed_environment_goes_by_what_others_wrote() {
    let stage = Stage::open().await;
    let (mut failing, mut frozen) = tokio::join!(stage.environment(), stage.environment());
    assert!(frozen.invoke("1").await.0.result.is_ok());
    stage.partner.is(Mood::Fails);
    let trips = async {
        for order in ["2", "3"] {
            assert!(failing.invoke(order).await.0.result.is_err());
        }
    };
    tokio::join!(is_frozen_for_long(&frozen), trips);
    stage.partner.is(Mood::Works);
    let (answered, item) = frozen.invoke("4").await;
    assert!(is_kept(&answered.result), "{answered:?}");
    assert_eq!(state(&item), Some("OPEN"));
    assert_eq!(stage.partner.calls(), 3);
    assert!(stage.table.order("4").is_some());
}

#[tokio::test]
async fn case_188_failures_before_and_after_a_freeze_trip_together() {
    let stage = Stage::open().await;
    let mut environment = stage.environment().await;
    stage.partner.is(Mood::Fails);
    assert!(environment.invoke("1").await.0.result.is_err());
    is_frozen_for_long(&environment).await;
    let (answered, item) = environment.invoke("2").await;
    assert!(answered.result.is_err(), "{answered:?}");
    assert_eq!(state(&item), Some("OPEN"));
}

#[tokio::test]
async fn case_188_a_thaw_after_recovery_and_lease_probes_and_closes() {
    let stage =
        Stage::open().await.with("BREAKER_RECOVERY_MS", "1000").with("BREAKER_LEASE_MS", "1000");
    let mut environment = stage.environment().await;
    stage.partner.is(Mood::Fails);
    for order in ["1", "2"] {
        assert!(environment.invoke(order).await.0.result.is_err());
    }
    is_frozen_for_long(&environment).await;
    stage.partner.is(Mood::Works);
    let (answered, item) = environment.invoke("3").await;
    assert_eq!(answered.result, Ok(json!({"charged": {"receipt": "charged"}})));
    assert_eq!(state(&item), Some("CLOSED"), "the probe's verdict is written");
}

#[tokio::test]
async fn case_188_a_prober_that_is_frozen_past_its_lease_changes_nothing() {
    let stage = Stage::open().await.with("BREAKER_RECOVERY_MS", "1000");
    let stage = stage.with("BREAKER_LEASE_MS", "1000").with("CALL_TIMEOUT_MS", "2000");
    let (mut frozen, mut other) = tokio::join!(stage.environment(), stage.environment());
    stage.partner.is(Mood::Fails);
    for order in ["1", "2"] {
        assert!(frozen.invoke(order).await.0.result.is_err());
    }
    stage.partner.is(Mood::Hangs);
    frozen.probes(&stage.partner).await;
    frozen.process.freeze();
    stage.partner.is(Mood::Works);
    other.charges().await;
    stage.table.tells("CLOSED").await;
    frozen.process.thaw();
    let answered = frozen.answers().await;
    assert!(answered.result.is_err(), "its time is over: {answered:?}");
    assert_eq!(state(&frozen.asks().await), Some("CLOSED"));
    frozen.charges().await;
    assert_eq!(state(&stage.table.circuit()), Some("CLOSED"));
}

#[tokio::test]
async fn cases_181_188_and_198_a_call_that_a_freeze_cut_is_no_failure() {
    let stage = Stage::open().await.with("BREAKER_FAILURES", "1").with("CALL_TIMEOUT_MS", "1000");
    let mut environment = stage.environment().await;
    stage.partner.is(Mood::Hangs);
    for (is_frozen, state_then) in [(true, None), (false, Some("OPEN"))] {
        let calls = stage.partner.calls() + 1;
        environment.begins("1", TIMEOUT);
        soon("the partner is called", stage.partner.gets(calls)).await;
        if is_frozen {
            is_frozen_for_long(&environment).await;
        }
        let answered = environment.answers().await;
        assert!(answered.result.is_err(), "{answered:?}");
        assert_eq!(state(&environment.asks().await), state_then);
    }
}
