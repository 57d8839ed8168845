//! An older version of the crate among new ones: it neither reads nor writes the attributes that
//! came after it.

use std::time::Duration;

use fuseboard::{Backoff, ConfigBuilder, Hold};
use serde_json::{Value, json};

use super::{
    election::{ELECTED, taken_over},
    older::versions,
    player::Player,
    world::{World, seconds},
};
use crate::support::dynamodb::START;

const REOPENED: (&str, &str) = ("HALF_OPEN", "OPEN");
const CLOSED: (&str, &str) = ("HALF_OPEN", "CLOSED");

/// Doubles from 30 s, without the jitter.
fn doubling(config: ConfigBuilder) -> ConfigBuilder {
    config.open_backoff(Backoff::exponential(2.0).jitter(0.0))
}

/// A table, a process of each older version, and one of today's with a back-off.
async fn pairs() -> Vec<(World, Player, Player)> {
    let mut pairs = Vec::new();
    for folder in versions() {
        let world = World::of_this_crate(&["id"], json!({})).await;
        let (older, new) = (world.older(&folder).await, world.rust_with(doubling));
        pairs.push((world, older, new));
    }
    pairs
}

/// Closes the circuit by three good probes.
async fn closes(player: &mut Player) {
    player.has("payments", "ok", &[ELECTED]).await;
    player.has("payments", "ok", &[]).await;
    player.has("payments", "ok", &[CLOSED]).await;
}

fn hint(world: &World, name: &str) -> Value {
    world.item("payments")[name].clone()
}

#[tokio::test]
async fn cases_42_and_128_an_older_version_waits_its_own_time_and_leaves_the_count() {
    for (world, mut older, mut new) in pairs().await {
        new.trips("payments").await;
        assert_eq!(hint(&world, "failed_probes"), 0);
        older.is_rejected("payments").await;
        world.advance(30);
        new.has("payments", "fail", &[ELECTED, REOPENED]).await;
        assert_eq!(hint(&world, "failed_probes"), 1);
        world.advance(30);
        new.is_rejected("payments").await;
        older.has("payments", "fail", &[ELECTED, REOPENED]).await;
        let item = world.item("payments");
        assert_eq!((&item["opened_at"], &item["failure_count"]), (&json!(START + 60), &json!(0)));
        assert_eq!((&item["half_open_owner"], &item["failed_probes"]), (&json!(null), &json!(1)));
        world.advance(59);
        new.is_rejected("payments").await;
        world.advance(1);
        new.has("payments", "fail", &[ELECTED, REOPENED]).await;
        assert_eq!(hint(&world, "failed_probes"), 2);
        world.advance(30);
        closes(&mut older).await;
        assert_eq!(hint(&world, "failed_probes"), 2);
        world.advance(5);
        // After so many good calls its failures are believed again: another has closed what it
        // had tripped.
        for _ in 0..24 {
            new.has("payments", "ok", &[]).await;
        }
        new.trips("payments").await;
        assert_eq!(hint(&world, "failed_probes"), 3);
        world.advance(239);
        new.is_rejected("payments").await;
        world.advance(1);
        new.has("payments", "ok", &[ELECTED]).await;
    }
}

#[tokio::test]
async fn cases_121_and_128_an_older_version_probes_in_the_middle_of_an_opening_that_was_asked_for()
{
    for (world, mut older, mut new) in pairs().await {
        new.rust().is_throttled("payments", Duration::from_secs(120)).await;
        assert_eq!(hint(&world, "open_until"), START + 120);
        older.is_rejected("payments").await;
        world.advance(30);
        new.is_rejected("payments").await;
        let probed = older.call("payments", "fail").await;
        let until = if probed.result == "rejected" {
            // A version that knows the end of the opening, but none of a reopening.
            world.advance(90);
            older.has("payments", "fail", &[ELECTED, REOPENED]).await;
            assert_eq!(hint(&world, "open_until"), json!(null));
            START + 150
        } else {
            assert_eq!(hint(&world, "opened_at"), START + 30);
            assert_eq!(hint(&world, "open_until"), START + 120, "it leaves what it does not know");
            START + 120
        };
        world.advance(u64::try_from(until - seconds(&world.clock) - 1).unwrap());
        new.is_rejected("payments").await;
        world.advance(1);
        closes(&mut new).await;
        assert_eq!(hint(&world, "open_until"), json!(null));
        world.advance(5);
        older.has("payments", "ok", &[]).await;
    }
}

#[tokio::test]
async fn cases_46_and_128_called_in_turn_old_and_new_close_the_circuit() {
    for (world, mut older, new) in pairs().await {
        older.trips("payments").await;
        let tripped_at = seconds(&world.clock);
        let mut fleet = [new, older, world.rust_with(doubling)];
        let mut turn = 0;
        while world.item("payments")["state"] != "CLOSED" {
            world.advance(2);
            let called = fleet[turn % 3].call("payments", "ok").await;
            assert_ne!(called.result, "fail");
            turn += 1;
            let took = seconds(&world.clock) - tripped_at;
            assert!(took <= 30 + 3 * 2 + 30, "{took} s: more than R, K calls and a lease");
        }
        world.advance(5);
        for process in &mut fleet {
            process.has("payments", "ok", &[]).await;
        }
    }
}

#[tokio::test]
async fn cases_54_and_128_a_probe_without_a_verdict_hands_the_right_to_the_other() {
    for (world, mut older, mut new) in pairs().await {
        older.trips("payments").await;
        world.advance(30);
        let mut owners = Vec::new();
        for turn in 0..4 {
            // A right that was given back is past on every clock that is tolerated.
            world.advance(3);
            let prober = if turn % 2 == 0 { &mut older } else { &mut new };
            prober.park("payments").await;
            let item = world.item("payments");
            assert_eq!(item["state"], "HALF_OPEN");
            assert!(item["probe_lease_expiry"].as_i64() > Some(seconds(&world.clock)));
            owners.push(item["half_open_owner"].clone());
            if turn % 2 == 0 {
                older.end("ignored").await;
            } else {
                new.rust().drop_parked().await;
            }
        }
        assert!(owners.windows(2).all(|two| two[0] != two[1]), "{owners:?}");
        assert_eq!(world.item("payments")["state"], "HALF_OPEN", "no verdict");
    }
}

#[tokio::test]
async fn cases_79_and_128_of_old_and_new_one_probes_and_a_late_verdict_is_fenced() {
    for (world, mut older, mut new) in pairs().await {
        for late in ["ok", "fail"] {
            for is_older_first in [true, false] {
                let name = format!("{late} {is_older_first}");
                let (first, second) =
                    if is_older_first { (&mut older, &mut new) } else { (&mut new, &mut older) };
                taken_over(&world, first, second, &name).await;
                let taken = world.item(&name);
                let made = first.end(late).await.made;
                assert!(made.iter().all(|(_, to)| to == "HALF_OPEN"), "{made:?}");
                assert_eq!(world.item(&name), taken);
                assert_eq!(second.end("ok").await.made, []);
                second.has(&name, "ok", &[]).await;
                second.has(&name, "ok", &[CLOSED]).await;
                world.advance(5);
                first.has(&name, "ok", &[]).await;
            }
        }
    }
}

#[tokio::test]
async fn case_128_an_older_hold_replaces_a_newer_one_and_either_version_ends_it() {
    for (world, mut older, mut new) in pairs().await {
        let until = world.clock.wall() + Duration::from_secs(600);
        new.rust().hold("payments", Hold::open(until)).await;
        older.is_rejected("payments").await;
        older.orders("payments", &["hold", "300"]).await;
        assert_eq!(hint(&world, "half_open_owner"), "hold#older");
        assert_eq!(hint(&world, "opened_at"), START + 270);
        world.advance(299);
        older.is_rejected("payments").await;
        new.is_rejected("payments").await;
        world.advance(1);
        closes(&mut older).await;
        world.advance(5);
        new.has("payments", "ok", &[]).await;

        let until = world.clock.wall() + Duration::from_secs(600);
        new.rust().hold("payments", Hold::open(until)).await;
        older.orders("payments", &["release"]).await;
        assert_eq!(hint(&world, "state"), "CLOSED");
        world.advance(5);
        new.has("payments", "ok", &[]).await;
        older.has("payments", "ok", &[]).await;

        older.orders("payments", &["hold", "300"]).await;
        world.advance(5);
        new.is_rejected("payments").await;
        new.rust().release("payments").await;
        world.advance(5);
        older.has("payments", "ok", &[]).await;
        new.has("payments", "ok", &[]).await;
    }
}
