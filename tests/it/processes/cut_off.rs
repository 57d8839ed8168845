//! CASES.md 198: calls that are under way when their process is stopped.

use std::time::Duration;

use super::{words::Ended, world::World};

/// Longer than a beat and how late one may be.
const FREEZE: Duration = Duration::from_secs(5);

/// Longer than the heartbeat takes to start.
const BEAT: Duration = Duration::from_millis(1_100);

#[tokio::test]
async fn case_198_calls_that_a_stopped_process_left_open_nothing_when_it_goes_on() {
    let world = World::open().await;
    let mut process = world
        .environment_with("A", |mut settings| {
            settings.failure_threshold = 5;
            settings
        })
        .await;
    assert_eq!(process.succeeds().await, Ended::Value("fine".to_owned()));
    let mut calls = Vec::new();
    for _ in 0..5 {
        let call = process.begin().await;
        process.reaches(call).await.unwrap();
        calls.push(call);
    }
    tokio::time::sleep(BEAT).await;
    process.freeze();
    tokio::time::sleep(FREEZE).await;
    for call in &calls {
        process.answer(*call, Err("connection reset")).await;
    }
    process.thaw();
    for call in calls {
        assert_eq!(process.ended(call).await, Ended::Error("connection reset".to_owned()));
    }
    assert_eq!(process.succeeds().await, Ended::Value("fine".to_owned()));
    assert!(process.made().is_empty());
    assert!(process.relay.applied().is_empty(), "nothing was written");
    // And those that come after it count.
    for _ in 0..5 {
        assert_eq!(process.fails().await, Ended::Error("down".to_owned()));
    }
    assert_eq!(process.succeeds().await, Ended::Rejected("OPEN".to_owned()));
    assert_eq!(world.attribute("state"), "OPEN");
}
