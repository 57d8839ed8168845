//! Who may probe, when one of each wants to.

use super::{
    player::Player,
    world::{World, seconds},
};
use crate::support::dynamodb::START;

pub(super) const ELECTED: (&str, &str) = ("OPEN", "HALF_OPEN");

fn the_election() -> (String, String) {
    (ELECTED.0.to_owned(), ELECTED.1.to_owned())
}

async fn both_are_due(world: &World, first: &mut Player, second: &mut Player, name: &str) {
    first.trips(name).await;
    second.is_rejected(name).await;
    world.advance(30);
    first.park(name).await;
    let elected = world.item(name);
    second.is_rejected(name).await;
    assert_eq!(world.item(name), elected);
    assert_eq!(first.end("ok").await.made, [the_election()]);
    second.is_rejected(name).await;
}

#[tokio::test]
async fn case_34_of_two_that_are_due_one_is_elected() {
    let Some(world) = World::open().await else { return };
    let (mut rust, mut python) = world.players().await;
    both_are_due(&world, &mut rust, &mut python, "rust").await;
    both_are_due(&world, &mut python, &mut rust, "python").await;
}

async fn an_old_opening(world: &World, first: &mut Player, second: &mut Player, name: &str) {
    first.trips(name).await;
    world.advance(29);
    second.is_rejected(name).await;
    world.advance(1);
    first.has(name, "fail", &[ELECTED, ("HALF_OPEN", "OPEN")]).await;
    let reopened = world.item(name);
    second.is_rejected(name).await;
    assert_eq!(world.item(name), reopened);
}

#[tokio::test]
async fn case_34_an_opening_remembered_wins_no_election_against_a_newer_one() {
    let Some(world) = World::open().await else { return };
    let (mut rust, mut python) = world.players().await;
    an_old_opening(&world, &mut rust, &mut python, "rust").await;
    an_old_opening(&world, &mut python, &mut rust, "python").await;
}

/// Until the second has taken over the probe that the first holds. This crate
/// allows for clocks that differ.
pub(super) async fn taken_over(world: &World, first: &mut Player, second: &mut Player, name: &str) {
    first.trips(name).await;
    world.advance(30);
    first.park(name).await;
    let elected = world.item(name);
    second.is_rejected(name).await;
    world.advance(29);
    second.is_rejected(name).await;
    world.advance(1);
    if second.is_rust() {
        second.is_rejected(name).await;
        world.advance(2);
    }
    second.park(name).await;
    let taken = world.item(name);
    assert_eq!((&taken["state"], &taken["opened_at"]), (&elected["state"], &elected["opened_at"]));
    assert_ne!(taken["half_open_owner"], elected["half_open_owner"]);
    assert!(taken["probe_lease_expiry"].as_i64() > elected["probe_lease_expiry"].as_i64());
}

#[tokio::test]
async fn case_34_a_lapsed_lease_of_this_crate_is_taken_over_and_fenced() {
    let Some(world) = World::open().await else { return };
    let (mut rust, mut python) = world.players().await;
    for late in ["ok", "fail"] {
        taken_over(&world, &mut rust, &mut python, late).await;
        let taken = world.item(late);
        let made = rust.end(late).await.made;
        assert!(made.iter().all(|(_, to)| to == "HALF_OPEN"), "{made:?}");
        assert_eq!(world.item(late), taken);
        assert_eq!(python.end("ok").await.made, []);
        python.has(late, "ok", &[]).await;
        python.has(late, "ok", &[("HALF_OPEN", "CLOSED")]).await;
        world.advance(5);
        rust.has(late, "ok", &[]).await;
    }
}

/// The reference writes the verdict of a probe whether or not the lease is
/// still its own; this crate follows what it finds then.
#[tokio::test]
async fn case_34_a_lapsed_lease_of_the_reference_is_taken_over_and_not_fenced() {
    let Some(world) = World::open().await else { return };
    let world = world.success_threshold(1);
    let (mut rust, mut python) = world.players().await;

    taken_over(&world, &mut python, &mut rust, "closed late").await;
    let closed = ("HALF_OPEN".to_owned(), "CLOSED".to_owned());
    assert!(python.end("ok").await.made.contains(&closed));
    assert_eq!(rust.end("fail").await.made, []);
    assert_eq!(world.item("closed late")["state"], "CLOSED");
    rust.has("closed late", "ok", &[]).await;

    let before = seconds(&world.clock);
    taken_over(&world, &mut python, &mut rust, "reopened late").await;
    assert_eq!(before + 62, seconds(&world.clock));
    let reopened = ("HALF_OPEN".to_owned(), "OPEN".to_owned());
    assert!(python.end("fail").await.made.contains(&reopened));
    assert_eq!(rust.end("ok").await.made, []);
    let item = world.item("reopened late");
    assert_eq!((&item["state"], item["opened_at"].as_i64()), (&"OPEN".into(), Some(before + 62)));
    rust.is_rejected("reopened late").await;
    world.advance(30);
    rust.has("reopened late", "ok", &[ELECTED, ("HALF_OPEN", "CLOSED")]).await;
}

#[tokio::test]
async fn case_34_a_probe_given_back_is_the_references_at_once() {
    let Some(world) = World::open().await else { return };
    let (mut rust, mut python) = world.players().await;
    rust.trips("payments").await;
    world.advance(30);
    rust.park("payments").await;
    assert_eq!(rust.rust().drop_parked().await, [the_election()]);
    python.has("payments", "ok", &[]).await;
    assert_eq!(world.item("payments")["probe_lease_expiry"], START + 60);
    rust.is_rejected("payments").await;
}
