//! An operator's hold, which only this crate can order.

use std::time::Duration;

use fuseboard::Hold;
use serde_json::json;

use super::world::{World, seconds};
use crate::support::dynamodb::START;

#[tokio::test]
async fn case_34_a_hold_keeps_the_reference_out_until_it_is_released() {
    let Some(world) = World::open().await else { return };
    let (mut rust, mut python) = world.players().await;
    python.has("payments", "ok", &[]).await;
    let until = world.clock.wall() + Duration::from_secs(600);
    rust.rust().hold("payments", Hold::open(until)).await;
    assert_eq!(world.item("payments")["half_open_owner"], "hold#maintenance");
    world.advance(5);
    let rejected = python.call("payments", "ok").await;
    assert_eq!(rejected.seen, Some(("OPEN".to_owned(), 0, Some(START + 570))));

    world.advance(700);
    python.is_rejected("payments").await;
    assert_eq!(world.item("payments")["half_open_owner"], "hold#maintenance");
    rust.rust().release("payments").await;
    world.advance(5);
    python.has("payments", "ok", &[]).await;
}

#[tokio::test]
async fn case_34_a_hold_that_is_over_is_recovered_from_for_both() {
    let Some(world) = World::open().await else { return };
    let (mut rust, mut python) = world.players().await;
    python.trips("payments").await;
    let until = world.clock.wall() + Duration::from_secs(60);
    rust.rust().hold("payments", Hold::open(until)).await;
    world.advance(59);
    python.is_rejected("payments").await;
    rust.is_rejected("payments").await;
    world.advance(1);
    assert_eq!(seconds(&world.clock), START + 60);
    rust.has("payments", "ok", &[("OPEN", "HALF_OPEN")]).await;
    rust.has("payments", "ok", &[]).await;
    rust.has("payments", "ok", &[("HALF_OPEN", "CLOSED")]).await;
    world.advance(5);
    python.has("payments", "ok", &[]).await;
}

#[tokio::test]
async fn case_135_the_reference_trips_over_a_hold_closed_and_both_recover() {
    let Some(world) = World::open().await else { return };
    let (mut rust, mut python) = world.players().await;
    let until = world.clock.wall() + Duration::from_secs(600);
    rust.rust().hold("payments", Hold::closed(until)).await;
    python.has("payments", "ok", &[]).await;
    for _ in 0..9 {
        rust.has("payments", "fail", &[]).await;
    }
    assert_eq!(world.item("payments")["hold"], "closed");
    let tripped_at = seconds(&world.clock);
    python.trips("payments").await;
    let row = json!({
        "state": "OPEN", "failure_count": 5, "opened_at": tripped_at,
        "expiration": tripped_at + 3_630,
    });
    assert_eq!(world.item("payments"), row, "the row is the reference's");
    world.advance(6);
    rust.is_rejected("payments").await;
    world.advance(25);
    rust.has("payments", "ok", &[("OPEN", "HALF_OPEN")]).await;
    rust.has("payments", "ok", &[]).await;
    rust.has("payments", "ok", &[("HALF_OPEN", "CLOSED")]).await;
    world.advance(5);
    python.has("payments", "ok", &[]).await;
}

#[tokio::test]
async fn case_185_the_reference_goes_on_from_an_outage_and_drops_what_it_began_with() {
    let Some(world) = World::open().await else { return };
    let (mut rust, mut python) = world.players().await;
    rust.trips("payments").await;
    let item = world.item("payments");
    assert_eq!((&item["down_since"], &item["cause"]), (&json!(START), &json!("failure_threshold")));
    python.is_rejected("payments").await;
    world.advance(30);
    python.has("payments", "fail", &[("OPEN", "HALF_OPEN"), ("HALF_OPEN", "OPEN")]).await;
    let item = world.item("payments");
    assert_eq!((&item["down_since"], &item["opened_at"]), (&json!(null), &json!(START + 30)));
    world.advance(5);
    rust.is_rejected("payments").await;
}
