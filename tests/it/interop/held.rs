//! An operator's hold, which only this crate can order.

use std::time::Duration;

use super::world::{World, seconds};
use crate::support::dynamodb::START;

#[tokio::test]
async fn case_34_a_hold_keeps_the_reference_out_until_it_is_released() {
    let Some(world) = World::open().await else { return };
    let (mut rust, mut python) = world.players().await;
    python.has("payments", "ok", &[]).await;
    let until = world.clock.wall() + Duration::from_secs(600);
    rust.rust().hold("payments", until).await;
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
    rust.rust().hold("payments", until).await;
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
