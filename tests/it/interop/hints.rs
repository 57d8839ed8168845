//! What only this crate writes, and what the reference makes of it: its trips and elections put a
//! whole item, its closings and reopenings update one.

use std::time::Duration;

use fuseboard::{
    Backoff, ConfigBuilder, Rule,
    store::{Attribute, Field, Record, Value as Stored},
};
use serde_json::{Map, Value, json};

use super::{
    election::{ELECTED, taken_over},
    player::Player,
    world::{World, seconds},
};
use crate::{scenarios::opening::reopened_by_the_reference, support::dynamodb::START};

const REOPENED: (&str, &str) = ("HALF_OPEN", "OPEN");
const CLOSED: (&str, &str) = ("HALF_OPEN", "CLOSED");

/// Doubles from 30 s, without the jitter.
fn doubling(config: ConfigBuilder) -> ConfigBuilder {
    config.open_backoff(Backoff::exponential(2.0).jitter(0.0))
}

/// A table, and a process of each implementation that closes by one good probe.
async fn players(
    set: impl FnOnce(ConfigBuilder) -> ConfigBuilder,
) -> Option<(World, Player, Player)> {
    let world = World::open().await?.success_threshold(1);
    let (rust, python) = (world.rust_with(set), world.python().await);
    Some((world, rust, python))
}

/// An item as the engine shows one.
fn item(record: &Record) -> Value {
    let shown = Attribute::ALL.into_iter().filter_map(|name| match record.get(name) {
        Field::Valid(Stored::Text(text)) => Some((name.to_string(), json!(&*text))),
        Field::Valid(Stored::Number(number)) => {
            Some((name.to_string(), json!(i64::try_from(number).unwrap())))
        }
        Field::Absent | Field::Malformed(_) => None,
    });
    shown.collect::<Map<_, _>>().into()
}

/// Asserts what is on the item of `payments` among these names.
fn has(world: &World, expected: &Value) {
    let item = world.item("payments");
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&item[name], value, "{name} of {item}");
    }
}

#[tokio::test]
async fn case_126_an_election_of_the_reference_drops_every_hint_and_the_back_off_begins_anew() {
    let Some((world, mut rust, mut python)) = players(doubling).await else { return };
    rust.trips("payments").await;
    python.is_rejected("payments").await;
    world.advance(30);
    rust.has("payments", "fail", &[ELECTED, REOPENED]).await;
    let outage = json!({"failed_probes": 1, "down_since": START, "cause": "failure_threshold"});
    has(&world, &outage);
    world.advance(30);
    rust.is_rejected("payments").await;
    python.park("payments").await;
    let mut elected = world.item("payments");
    assert!(elected["half_open_owner"].take().is_string());
    let whole = json!({
        "state": "HALF_OPEN", "failure_count": 0, "opened_at": START + 30,
        "half_open_owner": null, "probe_lease_expiry": START + 90, "expiration": START + 3_690,
    });
    assert_eq!(elected, whole, "a whole item");
    python.end("fail").await;
    assert_eq!(world.item("payments"), item(&reopened_by_the_reference(START + 60)));
    world.advance(29);
    rust.is_rejected("payments").await;
    world.advance(1);
    rust.has("payments", "fail", &[ELECTED, REOPENED]).await;
    has(&world, &json!({"failed_probes": 1, "opened_at": START + 90}));
    world.advance(30);
    python.has("payments", "ok", &[ELECTED, CLOSED]).await;
    let closed = json!({"state": "CLOSED", "failure_count": 0, "expiration": START + 3_750});
    assert_eq!(world.item("payments"), closed);
    world.advance(5);
    rust.has("payments", "ok", &[]).await;
}

#[tokio::test]
async fn case_126_a_trip_of_the_reference_drops_the_count_that_a_closing_kept() {
    let Some((world, mut rust, mut python)) = players(doubling).await else { return };
    rust.trips("payments").await;
    world.advance(30);
    rust.has("payments", "fail", &[ELECTED, REOPENED]).await;
    world.advance(60);
    rust.has("payments", "ok", &[ELECTED, CLOSED]).await;
    has(&world, &json!({"state": "CLOSED", "failed_probes": 1, "down_since": null, "cause": null}));
    python.trips("payments").await;
    let tripped = json!({
        "state": "OPEN", "failure_count": 5, "opened_at": START + 90, "expiration": START + 3_720,
    });
    assert_eq!(world.item("payments"), tripped);
    world.advance(29);
    rust.is_rejected("payments").await;
    world.advance(1);
    rust.has("payments", "fail", &[ELECTED, REOPENED]).await;
    has(&world, &json!({"failed_probes": 1, "down_since": null}));
}

#[tokio::test]
async fn case_121_the_reference_probes_in_an_opening_that_was_asked_for_and_drops_its_end() {
    let Some((world, mut rust, mut python)) = players(|config| config).await else { return };
    rust.rust().is_throttled("payments", Duration::from_secs(120)).await;
    has(&world, &json!({"failure_count": 1, "open_until": START + 120, "cause": "open_for"}));
    world.advance(29);
    python.is_rejected("payments").await;
    rust.is_rejected("payments").await;
    world.advance(1);
    rust.is_rejected("payments").await;
    python.has("payments", "fail", &[ELECTED, REOPENED]).await;
    assert_eq!(world.item("payments"), item(&reopened_by_the_reference(START + 30)));
    world.advance(29);
    rust.is_rejected("payments").await;
    world.advance(1);
    rust.has("payments", "ok", &[ELECTED, CLOSED]).await;
    world.advance(5);
    python.has("payments", "ok", &[]).await;
}

/// Its late verdict is an update without a condition: what it does not name stays.
#[tokio::test]
async fn case_126_a_late_verdict_of_the_reference_leaves_the_hints_of_the_opening_it_writes_over() {
    let Some((world, mut rust, mut python)) = players(doubling).await else { return };
    for late in ["fail", "ok"] {
        taken_over(&world, &mut python, &mut rust, late).await;
        assert_eq!(rust.end("fail").await.made, [(REOPENED.0.into(), REOPENED.1.into())]);
        let at = seconds(&world.clock);
        assert_eq!(world.item(late)["failed_probes"], 1);
        world.advance(10);
        python.end(late).await;
        let left = world.item(late);
        assert_eq!(left["failed_probes"], 1, "{left}");
        if late == "fail" {
            assert_eq!((&left["state"], &left["opened_at"]), (&json!("OPEN"), &json!(at + 10)));
            world.advance(59);
            rust.is_rejected(late).await;
            world.advance(1);
            rust.has(late, "ok", &[ELECTED, CLOSED]).await;
        } else {
            assert_eq!((&left["state"], &left["opened_at"]), (&json!("CLOSED"), &json!(null)));
            world.advance(5);
            rust.has(late, "ok", &[]).await;
        }
        // Closed a short time before, the circuit goes on with the back-off.
        rust.trips(late).await;
        assert_eq!(world.item(late)["failed_probes"], 2);
        world.advance(119);
        rust.is_rejected(late).await;
        world.advance(1);
        rust.has(late, "ok", &[ELECTED, CLOSED]).await;
        world.advance(5);
        python.has(late, "ok", &[]).await;
    }
}

#[tokio::test]
async fn case_130_a_closing_of_the_reference_begins_a_ramp_of_this_crate_alone() {
    let ramping = |config: ConfigBuilder| config.ramp(Duration::from_secs(20));
    let Some((world, mut rust, mut python)) = players(ramping).await else { return };
    python.trips("payments").await;
    rust.is_rejected("payments").await;
    world.advance(30);
    python.has("payments", "ok", &[ELECTED, CLOSED]).await;
    let closed = world.item("payments");
    // The last of its own reads has to be too old.
    world.advance(6);
    let mut ran = 0;
    for _ in 0..40 {
        python.has("payments", "ok", &[]).await;
        ran += usize::from(rust.call("payments", "ok").await.result == "ok");
    }
    assert_eq!(ran, 14, "7 of 20");
    world.advance(13);
    for _ in 0..40 {
        rust.has("payments", "ok", &[]).await;
    }
    assert_eq!(world.item("payments"), closed, "nothing is written for a ramp");
}

#[tokio::test]
async fn case_110_a_trip_by_a_rule_is_an_opening_as_any_to_the_reference() {
    let rule = |config: ConfigBuilder| config.also_trip(Rule::of_last(3, 10));
    let Some((world, mut rust, mut python)) = players(rule).await else { return };
    for _ in 0..2 {
        rust.has("payments", "fail", &[]).await;
        rust.has("payments", "ok", &[]).await;
    }
    rust.has("payments", "fail", &[("CLOSED", "OPEN")]).await;
    has(&world, &json!({"failure_count": 3, "cause": "of_last(3,10)", "down_since": START}));
    let rejected = python.call("payments", "ok").await;
    assert_eq!(rejected.seen, Some(("OPEN".to_owned(), 3, Some(START))));
    world.advance(30);
    python.has("payments", "ok", &[ELECTED, CLOSED]).await;
    has(&world, &json!({"state": "CLOSED", "cause": null, "down_since": null}));
    world.advance(5);
    rust.has("payments", "ok", &[]).await;
}

#[tokio::test]
async fn case_152_the_reference_heeds_a_trip_by_votes_and_leaves_the_votes_alone() {
    let votes =
        |config: ConfigBuilder| config.also_trip(Rule::votes(2, 1).within(Duration::from_secs(60)));
    let Some((world, mut rust, mut python)) = players(votes).await else { return };
    let mut other = world.rust_with(votes);
    python.has("payments", "fail", &[]).await;
    rust.has("payments", "fail", &[]).await;
    assert_eq!(world.engine.get_item("payments"), None, "one vote of this crate's");
    other.has("payments", "fail", &[("CLOSED", "OPEN")]).await;
    let cast = world.item("payments#votes");
    assert_eq!(world.item("payments")["state"], "OPEN");
    world.advance(5);
    python.is_rejected("payments").await;
    world.advance(25);
    python.has("payments", "fail", &[ELECTED, REOPENED]).await;
    world.advance(30);
    python.has("payments", "ok", &[ELECTED, CLOSED]).await;
    assert_eq!(world.item("payments#votes"), cast);
    world.advance(5);
    rust.has("payments", "ok", &[]).await;
    python.trips("payments").await;
    assert_eq!(world.item("payments#votes"), cast);
}
