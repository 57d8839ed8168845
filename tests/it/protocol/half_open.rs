//! Probing: how a circuit closes, or opens again.

use std::time::{Duration, SystemTime};

use fuseboard::{CircuitState, Classifier};
use serde_json::{Value, json};

use crate::support::{
    dynamodb::{CIRCUIT, Call, Process, START, World, seconds},
    engine::Event,
};

/// A world whose circuit was tripped by A, 30 s ago.
async fn due() -> (World, Process) {
    let world = World::new();
    let a = world.named("A");
    a.trip().await;
    seconds(30).await;
    a.heard();
    world.engine.clear();
    (world, a)
}

#[tokio::test(start_paused = true)]
async fn case_42_a_failed_probe_opens_the_circuit_again() {
    let (world, a) = due().await;
    assert_eq!(a.fail().await, Call::Failed);
    let open = json!({"state": "OPEN", "failure_count": 0, "opened_at": START + 30,
        "expiration": START + 30 + 3_630, "down_since": START, "cause": "failure_threshold"});
    assert_eq!(world.item(), Some(open));
    assert_eq!(a.heard(), ["OPEN>HALF_OPEN local", "HALF_OPEN>OPEN local"]);
    seconds(29).await;
    assert!(a.ok().await.is_rejected());
}

#[tokio::test(start_paused = true)]
async fn case_43_after_a_failed_probe_any_environment_can_be_elected() {
    let (world, a) = due().await;
    let b = world.named("B");
    assert_eq!(a.fail().await, Call::Failed);
    seconds(30).await;
    assert_eq!(b.ok().await, Call::Ok);
    assert_eq!(world.attribute("state"), "HALF_OPEN");
    assert!(a.ok().await.is_rejected());
}

#[tokio::test(start_paused = true)]
async fn case_44_a_probe_that_does_not_count_decides_nothing() {
    let (world, a) = due().await;
    let judge = Classifier::builder()
        .ignore_if(|result: &Result<(), &str>| matches!(result, Err("not found")))
        .build()
        .unwrap();
    let judged = a.circuit().classified_by(judge);
    assert!(judged.call(|| async { Err("not found") }).await.is_err());
    assert_eq!(world.attribute("state"), "HALF_OPEN");
    assert_eq!(world.attribute("success_count"), 0);
}

#[tokio::test(start_paused = true)]
async fn case_45_a_later_window_needs_all_its_successes() {
    let (world, a) = due().await;
    let b = world.named("B");
    assert_eq!((a.ok().await, a.ok().await), (Call::Ok, Call::Ok));
    assert_eq!(world.attribute("success_count"), 2);
    seconds(4).await;
    assert_eq!(b.fail().await, Call::Failed, "B took over and failed");
    assert_eq!(world.attribute("state"), "OPEN");
    seconds(30).await;
    assert_eq!((a.ok().await, a.ok().await), (Call::Ok, Call::Ok));
    assert_eq!(world.attribute("state"), "HALF_OPEN", "the two from before do not count");
    assert_eq!(a.ok().await, Call::Ok);
    assert_eq!(world.attribute("state"), "CLOSED");
}

#[tokio::test(start_paused = true)]
async fn case_46_seldom_traffic_over_many_environments_closes_the_circuit() {
    let world = World::new();
    let fleet: Vec<_> = (0..10).map(|number| world.named(&format!("E{number}"))).collect();
    fleet[0].trip().await;
    let started = crate::support::engine::now();
    for turn in (0..10).cycle() {
        seconds(2).await;
        fleet[turn].ok().await;
        if world.attribute("state") == "CLOSED" {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(30 + 3 * 2 + 30), "{:?}", world.item());
    }
}

#[tokio::test(start_paused = true)]
async fn case_54_the_right_to_probe_moves_on_when_nobody_finds_a_verdict() {
    let (world, a) = due().await;
    let b = world.named("B");
    let mut owners: Vec<Value> = Vec::new();
    for turn in 0..6 {
        let prober = if turn % 2 == 0 { &a } else { &b };
        let permit = prober.circuit().admit().await.unwrap();
        owners.push(world.attribute("half_open_owner"));
        permit.ignore().settled().await;
        seconds(1).await;
    }
    let mut distinct = owners.clone();
    distinct.dedup();
    assert_eq!(distinct, owners, "a token ends with its probe");
}

#[tokio::test(start_paused = true)]
async fn case_54_nobody_probes_on_a_lease_that_has_run_out() {
    let (world, a) = due().await;
    let b = world.named("B");
    let mut probes = Vec::new();
    // As late as may be: within a lease, at its end, and after it.
    for pause in [1, 10, 28, 29, 30, 31, 32, 33, 34, 40, 75].repeat(2) {
        for prober in [&a, &b] {
            if let Ok(permit) = prober.circuit().admit().await {
                assert!(permit.is_probe());
                let until = world.attribute("probe_lease_expiry").as_i64().unwrap();
                let now = unix(&world);
                assert!(now < until, "a probe at {now}, its lease was until {until}");
                // Never ends: its lease is all that others wait for.
                probes.push(permit);
            }
        }
        seconds(pause).await;
    }
    assert!(probes.len() >= 12, "{} probes", probes.len());
}

/// The time, in seconds since the Unix epoch.
fn unix(world: &World) -> i64 {
    let since = world.clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn case_57_a_stale_read_after_our_own_close_changes_nothing() {
    let (world, a) = due().await;
    assert_eq!(a.ok().await, Call::Ok);
    world.engine.freeze_stale_reads();
    assert_eq!((a.ok().await, a.ok().await), (Call::Ok, Call::Ok));
    a.heard();
    seconds(6).await;
    for _ in 0..3 {
        assert_eq!(a.ok().await, Call::Ok);
    }
    assert_eq!(a.state(), CircuitState::Closed);
    assert_eq!(a.heard(), [""; 0]);
    assert_eq!(world.attribute("state"), "CLOSED");
}

#[tokio::test(start_paused = true)]
async fn case_58_a_half_open_item_without_a_lease_is_taken_over_in_time() {
    for lease in [json!(null), json!("later"), json!({"N": "0.5"})] {
        let world = World::new();
        let item = json!({"state": "HALF_OPEN", "half_open_owner": "x", "opened_at": START,
            "probe_lease_expiry": lease});
        world.engine.put_item(CIRCUIT, &item);
        let a = world.named("A");
        assert!(a.ok().await.is_rejected());
        seconds(29).await;
        assert!(a.ok().await.is_rejected(), "{lease}");
        seconds(1).await;
        assert_eq!(a.ok().await, Call::Ok, "{lease}");
        assert_eq!(world.attribute("state"), "HALF_OPEN");
    }
}

#[tokio::test(start_paused = true)]
async fn case_59_a_close_whose_answer_was_lost_is_announced_once() {
    let (world, a) = due().await;
    assert_eq!((a.ok().await, a.ok().await), (Call::Ok, Call::Ok));
    // The renewal passes; the first attempt to close is applied unanswered.
    world.engine.network("A").on("UpdateItem", 1, Event::Pass);
    world.engine.network("A").on("UpdateItem", 1, Event::ResetAfter);
    assert_eq!(a.ok().await, Call::Ok);
    assert_eq!(world.attribute("state"), "CLOSED");
    assert_eq!(a.heard(), ["OPEN>HALF_OPEN local", "HALF_OPEN>CLOSED local"]);
}

/// A call a second, each in a process drawn at random; returns the seconds
/// from the trip until the item is closed.
async fn time_to_close(processes: u64, seed: u64) -> u64 {
    let world = World::new();
    let fleet: Vec<_> = (0..processes).map(|number| world.named(&format!("E{number}"))).collect();
    fleet[0].trip().await;
    let mut random = seed;
    let mut second = 0;
    loop {
        second += 1;
        seconds(1).await;
        // Numerical Recipes' generator; its high bits are good enough to draw with.
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let drawn = usize::try_from((random >> 8) % processes).unwrap();
        fleet[drawn].ok().await;
        if world.attribute("state") == "CLOSED" {
            return second;
        }
        assert!(second < 600, "seed {seed}: {:?}", world.item());
    }
}

#[tokio::test(start_paused = true)]
async fn case_48_a_large_fleet_with_random_traffic_closes_in_twice_the_timeout() {
    let mut times = Vec::new();
    for seed in 1..=9 {
        times.push(time_to_close(100, seed).await);
    }
    times.sort_unstable();
    assert!(times[4] < 60, "the median of {times:?} by seeds 1 to 9");
}
