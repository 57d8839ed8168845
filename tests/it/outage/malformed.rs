//! Items that cannot be read as what they should be: a defined result, one
//! warning for each change, and no read for each call.

use std::time::Duration;

use serde_json::{Value, json};
use tracing::Level;

use super::timed_ok;
use crate::support::{
    dynamodb::{CIRCUIT, Call, START, World, seconds},
    log::Lines,
};

/// Items with a defect, and whether a call runs on the first sight of them.
fn defective() -> Vec<(Value, bool)> {
    let later = START + 600;
    vec![
        (json!({"state": "PAUSED"}), true),
        (json!({"state": "open", "opened_at": START}), true),
        (json!({"state": 1}), true),
        (json!({"state": {"SS": ["OPEN"]}}), true),
        (json!({"failure_count": 5, "opened_at": START}), true),
        (json!({"state": "OPEN"}), false),
        (json!({"state": "OPEN", "opened_at": "soon"}), false),
        (json!({"state": "OPEN", "opened_at": {"N": "1.5"}}), false),
        (json!({"state": "OPEN", "opened_at": START, "failure_count": "many"}), false),
        (json!({"state": "HALF_OPEN", "opened_at": START, "half_open_owner": "x"}), false),
        (
            json!({"state": "HALF_OPEN", "opened_at": START, "half_open_owner": "x",
                "probe_lease_expiry": "later"}),
            false,
        ),
        (
            json!({"state": "HALF_OPEN", "opened_at": START, "half_open_owner": 7,
                "probe_lease_expiry": later}),
            false,
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn case_68_a_defective_item_has_a_defined_result_and_one_warning() {
    let warnings = Lines::of(Level::WARN);
    for (item, runs) in defective() {
        let world = World::new();
        let a = world.named_with("A", |config| config.refresh_ahead(false));
        world.engine.put_item(CIRCUIT, &item);
        warnings.take();
        // 20 s: the cache of 5 s expires three times.
        for _ in 0..200 {
            let (call, waited) = timed_ok(&a).await;
            assert_eq!(call == Call::Ok, runs, "{item}: {call:?}");
            assert_eq!(waited, Duration::ZERO, "{item}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Half-open is read sooner: after 2 s, until that has lasted for the age.
        let reads = if item["state"] == "HALF_OPEN" { 6 } else { 4 };
        assert!(world.engine.requests().len() <= reads, "{item}: no read for each call");
        assert_eq!(world.engine.count("UpdateItem"), 0, "{item}");
        assert_eq!(warnings.take(), 1, "{item}: said once");

        // Another defect is another change.
        let mut changed = item.clone();
        changed["expiration"] = json!("never");
        world.engine.put_item(CIRCUIT, &changed);
        for _ in 0..8 {
            a.ok().await;
            seconds(1).await;
        }
        assert_eq!(warnings.take(), 1, "{item}: said again");
    }
}

#[tokio::test(start_paused = true)]
async fn case_68_a_defective_item_is_healed_by_the_writes_of_an_incident() {
    for (item, runs) in defective() {
        let world = World::new();
        let a = world.named("A");
        world.engine.put_item(CIRCUIT, &item);
        if runs {
            a.trip().await;
            assert_eq!(world.attribute("state"), "OPEN", "{item}");
        }
        // A stamp that is far ahead is believed for four leases, 2 min.
        for _ in 0..140 {
            a.ok().await;
            seconds(1).await;
        }
        let closed = world.item().unwrap();
        assert_eq!(closed["state"], "CLOSED", "{item}");
        assert_eq!(closed["failure_count"], 0, "{item}");
        for gone in ["opened_at", "half_open_owner", "probe_lease_expiry"] {
            assert_eq!(closed[gone], Value::Null, "{item}: {gone}");
        }
    }
}
