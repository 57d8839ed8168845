//! Processes whose wall clocks are wrong, or are set, over a store whose own
//! clock is right and shows in the `Date` of its answers.

use std::time::Duration;

use fuseboard::{BreakerRegistry, Clock, Config, ConfigBuilder, VirtualClock};
use serde_json::{Value, json};

use crate::support::{
    dynamodb::{CIRCUIT, Call, Process, START, World, seconds},
    engine::Event,
};

const HOUR_MS: i64 = 3_600_000;

/// A world whose answers tell its time.
async fn timed_world() -> World {
    let world = World::new();
    let clock = world.clock.clone();
    world.engine.set_clock(move || clock.wall());
    world
}

/// A process whose wall clock is off by so much, and that clock.
fn off(world: &World, label: &str, by_ms: i64) -> (Process, VirtualClock) {
    off_with(world, label, by_ms, Config::builder())
}

fn off_with(
    world: &World,
    label: &str,
    by_ms: i64,
    config: ConfigBuilder,
) -> (Process, VirtualClock) {
    let clock = VirtualClock::following_tokio(world.clock.wall());
    clock.step_wall(by_ms);
    let builder = BreakerRegistry::builder(world.engine.store(label))
        .config(config.election_spread(Duration::ZERO).build().unwrap())
        .clock(Clock::from(&clock))
        .disabled(false);
    (Process::of(builder.spawn().unwrap(), world.engine.network(label)), clock)
}

/// The true time, in seconds since the Unix epoch.
fn now(world: &World) -> i64 {
    let since = world.clock.wall().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// For how many seconds a process rejects calls from now on.
async fn rejects_for(process: &Process) -> u64 {
    for passed in 0..200 {
        if !process.ok().await.is_rejected() {
            return passed;
        }
        seconds(1).await;
    }
    panic!("rejected for 200 s");
}

#[tokio::test(start_paused = true)]
async fn case_38_a_clock_that_is_off_skips_no_recovery_timeout() {
    for by_ms in [60_000, 5 * HOUR_MS, -60_000, -5 * HOUR_MS] {
        let world = timed_world().await;
        let a = world.named("A");
        a.trip().await;
        seconds(5).await;
        let (b, _) = off(&world, "B", by_ms);
        let waited = rejects_for(&b).await;
        // `Date` is a whole second, rounded down.
        assert!((24..=26).contains(&waited), "off by {by_ms} ms: {waited} s of 25 s");
    }
}

#[tokio::test(start_paused = true)]
async fn case_38_a_clock_that_is_off_takes_over_no_live_lease() {
    for by_ms in [60_000, 5 * HOUR_MS, -60_000, -5 * HOUR_MS] {
        let world = timed_world().await;
        let a = world.named("A");
        a.trip().await;
        seconds(31).await;
        let _probe = a.circuit().admit().await.unwrap();
        let until = world.attribute("probe_lease_expiry").as_i64().unwrap();
        let (b, _) = off(&world, "B", by_ms);
        let _ = rejects_for(&b).await;
        assert_eq!(world.attribute("state"), "HALF_OPEN");
        // Past by the tolerated skew, or seen unchanged for a whole lease.
        let late = now(&world) - until;
        assert!((1..=3).contains(&late), "off by {by_ms} ms: {late} s after its end");
    }
}

#[tokio::test(start_paused = true)]
async fn stamps_of_a_clock_that_is_hours_off_are_true() {
    for by_ms in [7 * HOUR_MS, -7 * HOUR_MS] {
        let world = timed_world().await;
        let (a, _) = off(&world, "A", by_ms);
        a.trip().await;
        let near = |name: &str, expected: i64| {
            let stamp = world.attribute(name).as_i64().unwrap();
            assert!((stamp - expected).abs() <= 1, "{name}: {stamp}, not {expected}");
        };
        near("opened_at", now(&world));
        near("expiration", now(&world) + 3_630);
        seconds(31).await;
        let _probe = a.circuit().admit().await.unwrap();
        near("probe_lease_expiry", now(&world) + 30);
    }
}

#[tokio::test(start_paused = true)]
async fn case_72_a_wall_clock_that_is_set_moves_no_recovery() {
    for by_ms in [HOUR_MS, -HOUR_MS] {
        let world = timed_world().await;
        let (a, clock) = off(&world, "A", 0);
        a.trip().await;
        seconds(10).await;
        clock.step_wall(by_ms);
        let waited = rejects_for(&a).await;
        assert!((19..=21).contains(&waited), "set by {by_ms} ms: {waited} s of 20 s");
        assert_eq!(world.attribute("state"), "HALF_OPEN");
    }
}

#[tokio::test(start_paused = true)]
async fn case_72_a_wall_clock_that_is_set_takes_over_no_live_lease() {
    for by_ms in [HOUR_MS, -HOUR_MS] {
        let world = timed_world().await;
        let a = world.named("A");
        let (b, clock) = off(&world, "B", 0);
        a.trip().await;
        seconds(31).await;
        let _probe = a.circuit().admit().await.unwrap();
        let owner = world.attribute("half_open_owner");
        assert!(b.ok().await.is_rejected());
        seconds(10).await;
        clock.step_wall(by_ms);
        for _ in 0..19 {
            assert!(b.ok().await.is_rejected(), "set by {by_ms} ms");
            seconds(1).await;
        }
        assert_eq!(world.attribute("half_open_owner"), owner);
    }
}

#[tokio::test(start_paused = true)]
async fn case_72_a_prober_whose_wall_clock_is_set_keeps_its_own_lease() {
    for by_ms in [HOUR_MS, -HOUR_MS, 31_000, -20_000] {
        let world = timed_world().await;
        let (a, clock) = off(&world, "A", 0);
        a.trip().await;
        seconds(31).await;
        let probe = a.circuit().admit().await.unwrap();
        let owner = world.attribute("half_open_owner");
        seconds(10).await;
        clock.step_wall(by_ms);
        for _ in 0..19 {
            assert!(a.ok().await.is_rejected(), "set by {by_ms} ms");
            seconds(1).await;
        }
        assert_eq!(world.attribute("half_open_owner"), owner);
        probe.success().settled().await;
        assert_eq!(world.attribute("success_count"), 1, "its verdict counts");
    }
}

#[tokio::test(start_paused = true)]
async fn case_72_a_wall_clock_that_is_set_ends_what_is_known_and_nothing_else() {
    for by_ms in [HOUR_MS, -HOUR_MS] {
        let world = timed_world().await;
        let (a, clock) = off(&world, "A", 0);
        assert_eq!(a.ok().await, Call::Ok);
        world.engine.clear();
        clock.step_wall(by_ms);
        assert_eq!(a.ok().await, Call::Ok);
        assert_eq!(world.engine.count("GetItem"), 1, "what was known cannot be dated");
        for _ in 0..3 {
            assert_eq!(a.ok().await, Call::Ok);
        }
        assert_eq!(world.engine.count("GetItem"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn case_23_a_tripper_whose_clock_is_behind_writes_a_true_stamp() {
    let world = timed_world().await;
    let (a, _) = off(&world, "A", -5 * 60_000);
    a.trip().await;
    let cold = world.named("B");
    let waited = rejects_for(&cold).await;
    assert!((29..=31).contains(&waited), "{waited} s of 30 s");
}

/// An opening that claims to be 5 min old.
fn put_old_opening(world: &World) {
    let opened_at = now(world) - 300;
    world.engine.put_item(
        CIRCUIT,
        &json!({"state": "OPEN", "failure_count": 5, "opened_at": opened_at, "expiration": opened_at + 3_630}),
    );
}

#[tokio::test(start_paused = true)]
async fn case_23_an_opening_older_than_our_knowledge_waits_from_when_it_was_closed() {
    for world in [timed_world().await, World::new()] {
        world.engine.put_item(CIRCUIT, &json!({"state": "CLOSED", "expiration": START}));
        let warm = world.named("A");
        seconds(400).await;
        assert_eq!(warm.ok().await, Call::Ok, "read, and closed");
        put_old_opening(&world);
        seconds(6).await;
        // R from when it was last known closed, or from first sight.
        let waited = rejects_for(&warm).await;
        assert!((24..=30).contains(&waited), "{waited} s");
        assert_eq!(warm.heard(), ["CLOSED>OPEN observed", "OPEN>HALF_OPEN local"]);
    }
}

#[tokio::test(start_paused = true)]
async fn case_23_a_cold_environment_goes_by_the_stamp() {
    for world in [timed_world().await, World::new()] {
        put_old_opening(&world);
        let cold = world.named("A");
        assert_eq!(rejects_for(&cold).await, 0, "it cannot know better");
        assert_eq!(cold.heard(), ["CLOSED>OPEN observed", "OPEN>HALF_OPEN local"]);
    }
}

/// As from a store whose answers tell no time.
#[tokio::test(start_paused = true)]
async fn case_38_without_a_date_who_saw_the_opening_skips_nothing_whatever_its_clock() {
    for by_ms in [2_000, 60_000, 5 * HOUR_MS, -2_000, -60_000, -5 * HOUR_MS] {
        let world = World::new();
        let a = world.named("A");
        let (b, _) = off(&world, "B", by_ms);
        assert_eq!(b.ok().await, Call::Ok);
        a.trip().await;
        seconds(6).await;
        let waited = rejects_for(&b).await;
        assert!((24..=30).contains(&waited), "off by {by_ms} ms: {waited} s of 24 s");
    }
}

#[tokio::test(start_paused = true)]
async fn case_38_without_a_date_a_cold_clock_skips_no_more_than_it_is_ahead() {
    for (by_ms, least) in [(0, 25), (2_000, 23), (-2_000, 25), (-60_000, 25)] {
        let world = World::new();
        let a = world.named("A");
        a.trip().await;
        seconds(5).await;
        let (b, _) = off(&world, "B", by_ms);
        let waited = rejects_for(&b).await;
        assert!((least..=30).contains(&waited), "off by {by_ms} ms: {waited} s");
    }
}

#[tokio::test(start_paused = true)]
async fn case_38_without_a_date_a_clock_within_the_skew_takes_over_no_live_lease() {
    for by_ms in [1_000, 2_000, -2_000] {
        let world = World::new();
        let a = world.named("A");
        a.trip().await;
        seconds(31).await;
        let _probe = a.circuit().admit().await.unwrap();
        let until = world.attribute("probe_lease_expiry").as_i64().unwrap();
        let (b, _) = off(&world, "B", by_ms);
        let _ = rejects_for(&b).await;
        assert!(now(&world) >= until, "off by {by_ms} ms: {} of {until}", now(&world));
    }
}

#[tokio::test(start_paused = true)]
async fn case_38_without_a_date_a_lease_seen_unchanged_for_its_whole_length_is_over() {
    // By the stamp, or where that is further ahead, for four leases.
    for (by_ms, most) in [(-60_000, 93), (-5 * HOUR_MS, 121)] {
        let world = World::new();
        let a = world.named("A");
        a.trip().await;
        seconds(31).await;
        let _probe = a.circuit().admit().await.unwrap();
        // Its own clock calls the lease live for a long time to come.
        let (b, _) = off(&world, "B", by_ms);
        let waited = rejects_for(&b).await;
        let range = most - 1..=most;
        assert!(range.contains(&waited), "off by {by_ms} ms: {waited} s of a lease of 30 s");
    }
}

#[tokio::test(start_paused = true)]
async fn case_22_a_stamp_an_hour_ahead_is_waited_for_no_longer_than_the_timeout() {
    let world = timed_world().await;
    let opened_at = START + 3_600;
    world.engine.put_item(
        "payment-backend",
        &json!({"state": "OPEN", "failure_count": 5, "opened_at": opened_at, "expiration": opened_at + 3_630}),
    );
    let (a, _) = off(&world, "A", 60_000);
    assert_eq!(rejects_for(&a).await, 30);
}

#[tokio::test(start_paused = true)]
async fn case_25_a_short_timeout_passes_whole_though_the_clock_is_off() {
    for by_ms in [0, 999, 60_001, -60_001] {
        let world = timed_world().await;
        let config = Config::builder().recovery_timeout(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(999)).await;
        let (a, _) = off_with(&world, "A", by_ms, config);
        a.trip().await;
        tokio::time::sleep(Duration::from_millis(999)).await;
        assert!(a.ok().await.is_rejected(), "off by {by_ms} ms");
        seconds(1).await;
        assert_eq!(a.ok().await, Call::Ok, "off by {by_ms} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn case_73_a_due_recovery_is_read_again_after_a_freeze() {
    let world = timed_world().await;
    let a = world.named("A");
    // A process whose monotonic clock stands still while it is frozen.
    let (b, clock) = off(&world, "B", 0);
    a.trip().await;
    assert!(b.ok().await.is_rejected());
    seconds(31).await;
    for _ in 0..3 {
        assert_eq!(a.ok().await, Call::Ok);
    }
    assert_ne!(world.item(), Some(Value::Null));
    world.engine.clear();
    clock.step_wall(10 * 60_000);
    assert_eq!(b.ok().await, Call::Ok);
    assert_eq!(world.engine.count_of("B", "GetItem"), 1);
    assert_eq!(world.engine.count_of("B", "UpdateItem"), 0, "nothing is elected on old knowledge");
}

#[tokio::test(start_paused = true)]
async fn case_72_a_step_within_the_age_of_what_is_known_is_noticed() {
    let world = timed_world().await;
    let config = Config::builder().local_cache_max_age(Duration::from_secs(3_600));
    let (a, clock) = off_with(&world, "A", 0, config);
    a.trip().await;
    seconds(10).await;
    clock.step_wall(50 * 60_000);
    let waited = rejects_for(&a).await;
    assert!((19..=21).contains(&waited), "{waited} s of 20 s");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_found_to_be_behind_skips_no_wait_that_is_under_way() {
    let world = timed_world().await;
    let (a, _) = off(&world, "A", -60_000);
    world.engine.network("A").always(Event::LoseRequest);
    a.trip().await;
    world.engine.network("A").heal();
    let waited = rejects_for(&a).await;
    assert!((24..=31).contains(&waited), "{waited} s of 30 s, less what the trip waited");
}
