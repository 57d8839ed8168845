//! An operator's hold, which only this crate can order.

use std::time::Duration;

use super::stage::{Stage, seconds};
use crate::support::dynamodb::START;

#[tokio::test]
async fn case_34_a_hold_keeps_the_reference_out_until_it_is_released() {
    let Some(stage) = Stage::open().await else { return };
    let (mut rust, mut python) = stage.players().await;
    python.has("payments", "ok", &[]).await;
    let until = stage.clock.wall() + Duration::from_secs(600);
    rust.rust().hold("payments", until).await;
    assert_eq!(stage.item("payments")["half_open_owner"], "hold#maintenance");
    stage.advance(5);
    let rejected = python.call("payments", "ok").await;
    assert_eq!(rejected.seen, Some(("OPEN".to_owned(), 0, Some(START + 570))));

    stage.advance(700);
    python.is_rejected("payments").await;
    assert_eq!(stage.item("payments")["half_open_owner"], "hold#maintenance");
    rust.rust().release("payments").await;
    stage.advance(5);
    python.has("payments", "ok", &[]).await;
}

#[tokio::test]
async fn case_34_a_hold_that_is_over_is_recovered_from_for_both() {
    let Some(stage) = Stage::open().await else { return };
    let (mut rust, mut python) = stage.players().await;
    python.trips("payments").await;
    let until = stage.clock.wall() + Duration::from_secs(60);
    rust.rust().hold("payments", until).await;
    stage.advance(59);
    python.is_rejected("payments").await;
    rust.is_rejected("payments").await;
    stage.advance(1);
    assert_eq!(seconds(&stage.clock), START + 60);
    rust.has("payments", "ok", &[("OPEN", "HALF_OPEN")]).await;
    rust.has("payments", "ok", &[]).await;
    rust.has("payments", "ok", &[("HALF_OPEN", "CLOSED")]).await;
    stage.advance(5);
    python.has("payments", "ok", &[]).await;
}
