//! Each state is written by one and continued by the other, in both orders.

use serde_json::json;

use super::{
    player::Player,
    world::{World, seconds},
};
use crate::support::engine::TABLE;

const ELECTED: (&str, &str) = ("OPEN", "HALF_OPEN");

/// From a trip of the first to the first's return, by probes of the second.
async fn outage_and_recovery(world: &World, first: &mut Player, second: &mut Player, name: &str) {
    let start = seconds(&world.clock);
    second.has(name, "ok", &[]).await;
    first.trips(name).await;
    second.has(name, "ok", &[]).await;
    let mut opened = json!({
        "id": {"S": name},
        "state": {"S": "OPEN"},
        "failure_count": {"N": "5"},
        "opened_at": {"N": start.to_string()},
        "expiration": {"N": (start + 30 + 3_600).to_string()},
    });
    // The reference does not know them, and its next opening drops them.
    if first.is_rust() {
        opened["down_since"] = json!({"N": start.to_string()});
        opened["cause"] = json!({"S": "failure_threshold"});
    }
    let key = json!({"id": {"S": name}});
    let raw = || world.engine.get_raw(TABLE, &key).unwrap();
    assert_eq!(raw(), opened);
    assert_eq!(world.next_probe_at(name).await, Some(start + 30));

    world.advance(5);
    let rejected = second.call(name, "ok").await;
    assert_eq!(rejected.result, "rejected");
    assert_eq!(rejected.seen, Some(("OPEN".to_owned(), 5, Some(start))));

    world.advance(25);
    second.has(name, "fail", &[ELECTED, ("HALF_OPEN", "OPEN")]).await;
    let reopened = json!({
        "id": {"S": name},
        "state": {"S": "OPEN"},
        "failure_count": {"N": "0"},
        "opened_at": {"N": (start + 30).to_string()},
        "expiration": {"N": (start + 30 + 30 + 3_600).to_string()},
    });
    assert_eq!(raw(), reopened);
    assert_eq!(world.next_probe_at(name).await, Some(start + 60));
    first.is_rejected(name).await;

    world.advance(30);
    second.has(name, "ok", &[ELECTED]).await;
    let probing = world.item(name);
    assert_eq!(probing["state"], "HALF_OPEN");
    assert_eq!(probing["opened_at"], json!(start + 30));
    assert!(probing["half_open_owner"].is_string(), "{probing}");
    let lease = probing["probe_lease_expiry"].as_i64().unwrap();
    assert!((start + 61..=start + 90).contains(&lease), "{probing}");
    first.is_rejected(name).await;

    second.has(name, "ok", &[]).await;
    second.has(name, "ok", &[("HALF_OPEN", "CLOSED")]).await;
    let closed = json!({
        "id": {"S": name},
        "state": {"S": "CLOSED"},
        "failure_count": {"N": "0"},
        "expiration": {"N": (start + 60 + 30 + 3_600).to_string()},
    });
    // The reference puts a whole item where it is elected, so that no attribute
    // of this crate is left.
    assert_eq!(raw(), closed);
    world.advance(5);
    first.has(name, "ok", &[]).await;
}

#[tokio::test]
async fn case_34_what_one_trips_the_other_probes_and_closes() {
    let Some(world) = World::open().await else { return };
    let (mut rust, mut python) = world.players().await;
    outage_and_recovery(&world, &mut rust, &mut python, "rust-first").await;
    outage_and_recovery(&world, &mut python, &mut rust, "python-first").await;
    // And once more over the items that are there.
    outage_and_recovery(&world, &mut python, &mut rust, "rust-first").await;
    outage_and_recovery(&world, &mut rust, &mut python, "python-first").await;
}
