//! Other attribute names, and the key in two attributes.

use serde_json::json;

use super::world::World;
use crate::support::{engine::TABLE, world::START};

#[tokio::test]
async fn case_71_renamed_attributes_and_a_composite_key_are_shared() {
    let names = json!({
        "key_attr": "pk",
        "sort_key_attr": "sk",
        "static_pk_value": "circuit_breaker#checkout",
        "state_attr": "status",
        "failure_count_attr": "failures",
        "opened_at_attr": "since",
        "half_open_owner_attr": "prober",
        "probe_lease_expiry_attr": "lease",
        "expiry_attr": "ttl",
    });
    let Some(world) = World::with_key(&["pk", "sk"], names).await else { return };
    let (mut rust, mut python) = world.players().await;
    let key = |name: &str| json!({"pk": {"S": "circuit_breaker#checkout"}, "sk": {"S": name}});
    let raw = |name: &str| world.engine.get_raw(TABLE, &key(name)).unwrap();

    rust.trips("by-rust").await;
    python.trips("by-python").await;
    for name in ["by-rust", "by-python"] {
        let mut opened = json!({
            "pk": {"S": "circuit_breaker#checkout"},
            "sk": {"S": name},
            "status": {"S": "OPEN"},
            "failures": {"N": "5"},
            "since": {"N": START.to_string()},
            "ttl": {"N": (START + 3_630).to_string()},
        });
        if name == "by-rust" {
            opened["down_since"] = json!({"N": START.to_string()});
            opened["cause"] = json!({"S": "failure_threshold"});
        }
        assert_eq!(raw(name), opened);
    }
    rust.is_rejected("by-python").await;
    python.is_rejected("by-rust").await;

    world.advance(30);
    let elected = [("OPEN", "HALF_OPEN")];
    python.has("by-rust", "ok", &elected).await;
    rust.has("by-python", "ok", &elected).await;
    assert_eq!(raw("by-rust")["lease"]["N"], (START + 60).to_string());
    assert!(raw("by-rust")["prober"]["S"].is_string());
    rust.is_rejected("by-rust").await;
    python.is_rejected("by-python").await;
    for (player, name) in [(&mut python, "by-rust"), (&mut rust, "by-python")] {
        player.has(name, "ok", &[]).await;
        player.has(name, "ok", &[("HALF_OPEN", "CLOSED")]).await;
        assert_eq!(raw(name)["status"]["S"], "CLOSED");
    }
}

#[tokio::test]
async fn case_71_the_partition_of_a_composite_key_is_the_same_by_default() {
    let names = json!({"sort_key_attr": "name"});
    let Some(world) = World::with_key(&["id", "name"], names).await else { return };
    let (mut rust, mut python) = world.players().await;
    rust.trips("by-rust").await;
    python.trips("by-python").await;
    python.is_rejected("by-rust").await;
    rust.is_rejected("by-python").await;
}
