//! The count of good probes, the one attribute that the reference does not
//! have: what is left of it when the reference writes, and what is made of it.

use serde_json::{Value, json};

use super::world::World;

const ELECTED: (&str, &str) = ("OPEN", "HALF_OPEN");
const CLOSED: (&str, &str) = ("HALF_OPEN", "CLOSED");

fn count(world: &World) -> Value {
    world.item("payments")["success_count"].clone()
}

#[tokio::test]
async fn case_34_good_probes_of_this_crate_do_not_count_for_the_reference() {
    let Some(world) = World::open().await else { return };
    let (mut rust, mut python) = world.players().await;
    rust.trips("payments").await;
    world.advance(30);
    rust.has("payments", "ok", &[ELECTED]).await;
    rust.has("payments", "ok", &[]).await;
    assert_eq!(count(&world), json!(2));

    // Handed over: the lease ends in a second.
    world.advance(1);
    python.has("payments", "ok", &[]).await;
    assert_eq!(count(&world), Value::Null, "it puts a whole item");
    rust.is_rejected("payments").await;
    python.has("payments", "ok", &[]).await;
    python.has("payments", "ok", &[CLOSED]).await;
    assert_eq!(count(&world), Value::Null);
}

#[tokio::test]
async fn case_34_good_probes_of_the_reference_do_not_count_for_this_crate() {
    let Some(world) = World::open().await else { return };
    let (mut rust, mut python) = world.players().await;
    python.trips("payments").await;
    world.advance(30);
    python.has("payments", "ok", &[ELECTED]).await;
    python.has("payments", "ok", &[]).await;
    // It does not come back before its lease is over.
    world.advance(33);
    rust.has("payments", "ok", &[]).await;
    assert_eq!(count(&world), json!(1));
    rust.has("payments", "ok", &[]).await;
    assert_eq!(count(&world), json!(2));
    rust.has("payments", "ok", &[CLOSED]).await;
    assert_eq!(count(&world), Value::Null);
}

#[tokio::test]
async fn case_34_a_count_left_on_an_open_circuit_is_not_counted_on() {
    let Some(world) = World::open().await else { return };
    let (mut rust, mut python) = world.players().await;
    python.trips("payments").await;
    world.advance(30);
    python.park("payments").await;
    world.advance(33);
    rust.has("payments", "ok", &[]).await;
    rust.has("payments", "ok", &[]).await;
    python.end("fail").await;
    assert_eq!(world.item("payments")["state"], "OPEN");
    assert_eq!(count(&world), json!(2), "it updates what it knows of");

    world.advance(30);
    rust.has("payments", "ok", &[ELECTED]).await;
    assert_eq!(count(&world), json!(1));
    rust.has("payments", "ok", &[]).await;
    rust.has("payments", "ok", &[CLOSED]).await;
}

#[tokio::test]
async fn case_34_a_count_left_on_a_closed_circuit_goes_with_the_next_trip() {
    let Some(world) = World::open().await else { return };
    let (mut rust, mut python) = world.players().await;
    python.trips("payments").await;
    world.advance(30);
    python.has("payments", "ok", &[ELECTED]).await;
    python.has("payments", "ok", &[]).await;
    python.park("payments").await;
    world.advance(33);
    rust.has("payments", "ok", &[]).await;
    python.end("ok").await;
    assert_eq!(world.item("payments")["state"], "CLOSED");
    assert_eq!(count(&world), json!(1), "it updates what it knows of");

    world.advance(5);
    rust.has("payments", "ok", &[]).await;
    rust.trips("payments").await;
    assert_eq!(count(&world), Value::Null);
}
