//! The count of good probes, the one attribute that the reference does not
//! have: what is left of it when the reference writes, and what is made of it.

use serde_json::{Value, json};

use super::stage::Stage;

const ELECTED: (&str, &str) = ("OPEN", "HALF_OPEN");
const CLOSED: (&str, &str) = ("HALF_OPEN", "CLOSED");

fn count(stage: &Stage) -> Value {
    stage.item("payments")["success_count"].clone()
}

#[tokio::test]
async fn case_34_good_probes_of_this_crate_do_not_count_for_the_reference() {
    let Some(stage) = Stage::open().await else { return };
    let (mut rust, mut python) = stage.players().await;
    rust.trips("payments").await;
    stage.advance(30);
    rust.has("payments", "ok", &[ELECTED]).await;
    rust.has("payments", "ok", &[]).await;
    assert_eq!(count(&stage), json!(2));

    // Handed over: the lease ends in a second.
    stage.advance(1);
    python.has("payments", "ok", &[]).await;
    assert_eq!(count(&stage), Value::Null, "it puts a whole item");
    rust.is_rejected("payments").await;
    python.has("payments", "ok", &[]).await;
    python.has("payments", "ok", &[CLOSED]).await;
    assert_eq!(count(&stage), Value::Null);
}

#[tokio::test]
async fn case_34_good_probes_of_the_reference_do_not_count_for_this_crate() {
    let Some(stage) = Stage::open().await else { return };
    let (mut rust, mut python) = stage.players().await;
    python.trips("payments").await;
    stage.advance(30);
    python.has("payments", "ok", &[ELECTED]).await;
    python.has("payments", "ok", &[]).await;
    // It does not come back before its lease is over.
    stage.advance(33);
    rust.has("payments", "ok", &[]).await;
    assert_eq!(count(&stage), json!(1));
    rust.has("payments", "ok", &[]).await;
    assert_eq!(count(&stage), json!(2));
    rust.has("payments", "ok", &[CLOSED]).await;
    assert_eq!(count(&stage), Value::Null);
}

#[tokio::test]
async fn case_34_a_count_left_on_an_open_circuit_is_not_counted_on() {
    let Some(stage) = Stage::open().await else { return };
    let (mut rust, mut python) = stage.players().await;
    python.trips("payments").await;
    stage.advance(30);
    python.park("payments").await;
    stage.advance(33);
    rust.has("payments", "ok", &[]).await;
    rust.has("payments", "ok", &[]).await;
    python.end("fail").await;
    assert_eq!(stage.item("payments")["state"], "OPEN");
    assert_eq!(count(&stage), json!(2), "it updates what it knows of");

    stage.advance(30);
    rust.has("payments", "ok", &[ELECTED]).await;
    assert_eq!(count(&stage), json!(1));
    rust.has("payments", "ok", &[]).await;
    rust.has("payments", "ok", &[CLOSED]).await;
}

#[tokio::test]
async fn case_34_a_count_left_on_a_closed_circuit_goes_with_the_next_trip() {
    let Some(stage) = Stage::open().await else { return };
    let (mut rust, mut python) = stage.players().await;
    python.trips("payments").await;
    stage.advance(30);
    python.has("payments", "ok", &[ELECTED]).await;
    python.has("payments", "ok", &[]).await;
    python.park("payments").await;
    stage.advance(33);
    rust.has("payments", "ok", &[]).await;
    python.end("ok").await;
    assert_eq!(stage.item("payments")["state"], "CLOSED");
    assert_eq!(count(&stage), json!(1), "it updates what it knows of");

    stage.advance(5);
    rust.has("payments", "ok", &[]).await;
    rust.trips("payments").await;
    assert_eq!(count(&stage), Value::Null);
}
