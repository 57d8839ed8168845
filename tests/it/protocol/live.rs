//! Settings that change while calls run, and the item.

use std::time::Duration;

use fuseboard::{CircuitState, Config, ConfigBuilder, Settings};

use crate::support::{
    dynamodb::{Call, Process, START, World, seconds},
    world::settle,
};

fn reconfigure(process: &Process, change: impl FnOnce(ConfigBuilder) -> ConfigBuilder) {
    let config = change(Config::builder().election_spread(Duration::ZERO));
    let settings = Settings::builder().defaults(config).build().unwrap();
    assert_eq!(process.registry.reconfigure(&settings).unwrap().changed.len(), 1);
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn case_140_an_opening_keeps_its_stamp_and_is_due_by_the_settings_of_each_reader() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.trip().await;
    assert!(b.ok().await.is_rejected());
    let item = world.item();
    seconds(5).await;
    reconfigure(&b, |config| config.recovery_timeout(secs(60)));
    reconfigure(&a, |config| config.recovery_timeout(secs(60)));
    seconds(26).await;
    assert!(a.ok().await.is_rejected() && b.ok().await.is_rejected(), "31 s of 60");
    assert_eq!(world.item(), item, "nothing is written for it");
    reconfigure(&b, |config| config.recovery_timeout(secs(31)));
    settle().await;
    assert_eq!(b.ok().await, Call::Ok);
    assert_eq!(world.attribute("state"), "HALF_OPEN");
    assert_eq!(world.attribute("opened_at"), START);
}

#[tokio::test(start_paused = true)]
async fn case_141_the_lease_on_the_item_is_not_taken_over_before_its_end() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.trip().await;
    seconds(30).await;
    let probe = a.circuit().admit().await.unwrap();
    assert!(probe.is_probe() && b.ok().await.is_rejected());
    let owner = world.attribute("half_open_owner");
    for process in [&a, &b] {
        reconfigure(process, |config| config.probe_lease(secs(2)));
    }
    for _ in 0..30 {
        assert!(b.ok().await.is_rejected());
        seconds(1).await;
    }
    assert_eq!(world.attribute("half_open_owner"), owner);
    seconds(2).await;
    assert_eq!(b.ok().await, Call::Ok, "its holder has said nothing for a whole lease");
    assert_ne!(world.attribute("half_open_owner"), owner);
    probe.success().settled().await;
    assert_eq!(a.state(), CircuitState::HalfOpen, "too late to count");
}

#[tokio::test(start_paused = true)]
async fn case_143_what_stands_trips_by_the_new_threshold_and_the_item_tells_how_many() {
    let world = World::new();
    let a = world.named("A");
    for _ in 0..4 {
        assert_eq!(a.fail().await, Call::Failed);
    }
    reconfigure(&a, |config| config.failure_threshold(3));
    seconds(1).await;
    assert_eq!(world.item(), None);
    assert_eq!(a.fail().await, Call::Failed);
    assert_eq!(
        (world.attribute("state"), world.attribute("failure_count")),
        ("OPEN".into(), 5.into())
    );
}

#[tokio::test(start_paused = true)]
async fn case_139_changes_write_nothing_and_the_circuit_recovers_as_ever() {
    let world = World::new();
    let a = world.named_with("A", |config| config.store_timeout(secs(1)));
    a.trip().await;
    a.heard();
    for threshold in 6..200 {
        reconfigure(&a, |config| {
            config.failure_threshold(threshold).store_timeout(Duration::from_millis(900))
        });
    }
    seconds(29).await;
    assert!(a.ok().await.is_rejected());
    assert!(a.heard().is_empty());
    seconds(1).await;
    for _ in 0..3 {
        assert_eq!(a.ok().await, Call::Ok);
    }
    assert_eq!(a.heard(), ["OPEN>HALF_OPEN local", "HALF_OPEN>CLOSED local"]);
}
