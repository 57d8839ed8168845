//! Items that are not as this crate writes them.

use std::time::Duration;

use fuseboard::Config;
use serde_json::json;

use crate::support::dynamodb::{CIRCUIT, Call, START, World, seconds};

fn unspread() -> Config {
    Config::builder().election_spread(Duration::ZERO).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn case_68_an_unknown_state_fails_open_and_is_healed_by_the_next_trip() {
    for item in [
        json!({"state": "PAUSED", "expiration": 7}),
        json!({"state": 7}),
        json!({"state": null}),
        json!({}),
        json!({"state": "CLOSED", "expiration": "never"}),
        json!({"state": "CLOSED", "expiration": {"N": "-12.5"}, "failure_count": "x"}),
    ] {
        let world = World::new();
        world.engine.put_item(CIRCUIT, &item);
        let a = world.named("A");
        for _ in 0..10 {
            assert_eq!(a.ok().await, Call::Ok, "{item}");
        }
        assert_eq!(world.engine.count("GetItem"), 1, "{item}");
        a.trip().await;
        assert_eq!(world.attribute("state"), "OPEN", "{item}");
        assert_eq!(world.attribute("failure_count"), 5, "{item}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_item_with_an_owner_that_is_no_hold_is_healed() {
    for owner in [json!(null), json!("stray"), json!(9)] {
        let world = World::new();
        let item = json!({"state": "OPEN", "opened_at": START, "half_open_owner": owner});
        world.engine.put_item(CIRCUIT, &item);
        let a = world.named("A");
        assert!(a.ok().await.is_rejected());
        seconds(30).await;
        for _ in 0..3 {
            assert_eq!(a.ok().await, Call::Ok, "{owner}");
        }
        assert_eq!(world.attribute("state"), "CLOSED", "{owner}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_69_reading_and_updating_is_all_that_is_needed() {
    let world = World::new();
    world.engine.allow_only(&["GetItem", "UpdateItem"]);
    let a = world.named("A");
    a.trip().await;
    seconds(30).await;
    assert_eq!(a.fail().await, Call::Failed);
    seconds(30).await;
    for _ in 0..3 {
        assert_eq!(a.ok().await, Call::Ok);
    }
    world.engine.allow_only(&[
        "GetItem",
        "UpdateItem",
        "PutItem",
        "DeleteItem",
        "Scan",
        "ListTables",
    ]);
    assert_eq!(world.attribute("state"), "CLOSED");
}

#[tokio::test(start_paused = true)]
async fn case_70_unknown_attributes_survive_a_whole_incident() {
    let world = World::new();
    let unknown =
        json!({"state": "CLOSED", "expiration": START, "note": "keep", "tags": {"L": []}});
    world.engine.put_item(CIRCUIT, &unknown);
    let a = world.named("A");
    let kept = || {
        assert_eq!(world.attribute("note"), "keep");
        assert_ne!(world.attribute("tags"), json!(null));
    };
    a.trip().await;
    kept();
    seconds(30).await;
    assert_eq!(a.fail().await, Call::Failed);
    kept();
    seconds(30).await;
    let probe = a.circuit().admit().await.unwrap();
    kept();
    probe.ignore().settled().await;
    kept();
    for _ in 0..3 {
        assert_eq!(a.ok().await, Call::Ok);
        kept();
    }
    assert_eq!(world.attribute("state"), "CLOSED");
}

#[tokio::test(start_paused = true)]
async fn case_71_other_names_and_a_composite_key_work_through_a_whole_incident() {
    let world = World::new();
    world.engine.create_table("shared", &["pk", "sk"]);
    let store = |label: &str| {
        world
            .engine
            .store_builder(label, "shared")
            .key_attr("pk")
            .sort_key_attr("sk")
            .static_pk_value("circuit_breaker#checkout")
            .state_attr("st")
            .opened_at_attr("since")
            .build()
            .unwrap()
    };
    let a = world.named_over("A", store("A"), unspread());
    let b = world.named_over("B", store("B"), unspread());
    a.trip().await;
    let key = json!({"pk": {"S": "circuit_breaker#checkout"}, "sk": {"S": CIRCUIT}});
    let item = world.engine.get_raw("shared", &key).unwrap();
    assert_eq!(item["st"], json!({"S": "OPEN"}));
    assert_eq!(item["since"], json!({"N": START.to_string()}));
    seconds(30).await;
    for _ in 0..3 {
        assert_eq!(b.ok().await, Call::Ok);
    }
    let item = world.engine.get_raw("shared", &key).unwrap();
    assert_eq!(item["st"], json!({"S": "CLOSED"}));
    assert_eq!(item.get("since"), None);
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_ours_that_somebody_made_unreadable_does_not_block_recovery() {
    for lease in [json!("never"), json!(null), json!(9_000_000_000_i64)] {
        let world = World::new();
        let a = world.named("A");
        a.trip().await;
        seconds(30).await;
        assert_eq!(a.ok().await, Call::Ok);
        let mut item = world.item().unwrap();
        item["probe_lease_expiry"] = lease.clone();
        world.engine.put_item(CIRCUIT, &item);
        let mut calls = 0;
        while world.attribute("state") != "CLOSED" {
            a.ok().await;
            calls += 1;
            assert!(calls < 10, "{lease}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn absurd_numbers_in_an_item_neither_panic_nor_block_recovery() {
    for number in ["-5", "0.5", "1E+30", "9223372036854775807", "-9223372036854775808", "1E-100"] {
        for item in [
            json!({"state": "OPEN", "opened_at": {"N": number}, "failure_count": {"N": number},
                "expiration": {"N": number}}),
            json!({"state": "HALF_OPEN", "half_open_owner": "x", "opened_at": {"N": number},
                "probe_lease_expiry": {"N": number}, "success_count": {"N": number}}),
            json!({"state": "OPEN", "half_open_owner": "hold#x", "opened_at": {"N": "-5"}}),
        ] {
            let world = World::new();
            world.engine.put_item(CIRCUIT, &item);
            let a = world.named("A");
            let mut calls = 0;
            while world.attribute("state") != "CLOSED" {
                a.ok().await;
                seconds(1).await;
                calls += 1;
                assert!(calls < 45, "{item}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_missing_or_has_another_key_leaves_callers_their_results() {
    let world = World::new();
    world.engine.create_table("other", &["key"]);
    for table in ["nowhere", "other"] {
        let store = world.engine.store_builder("A", table).build().unwrap();
        let a = world.named_over("A", store, unspread());
        world.engine.clear();
        for _ in 0..10 {
            assert_eq!(a.ok().await, Call::Ok, "{table}");
        }
        assert_eq!(world.engine.requests().len(), 1, "one try, then a long back-off");
        a.trip().await;
        assert!(a.ok().await.is_rejected(), "this process protects itself");
        seconds(30).await;
        for _ in 0..3 {
            assert_eq!(a.ok().await, Call::Ok, "{table}");
        }
        assert_eq!(
            a.heard(),
            ["CLOSED>OPEN alone", "OPEN>HALF_OPEN alone", "HALF_OPEN>CLOSED alone"]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_edited_by_hand_under_our_lease_is_adopted_not_fought() {
    for (state, then) in [("CLOSED", Call::Ok), ("PAUSED", Call::Ok)] {
        let world = World::new();
        let a = world.named("A");
        a.trip().await;
        seconds(30).await;
        let probe = a.circuit().admit().await.unwrap();
        let mut item = world.item().unwrap();
        item["state"] = json!(state);
        world.engine.put_item(CIRCUIT, &item);
        world.engine.clear();
        probe.success().settled().await;
        seconds(10).await;
        assert_eq!(world.engine.count("UpdateItem"), 1, "refused once, and adopted");
        assert_eq!(a.ok().await, then, "{state}");
    }
}
