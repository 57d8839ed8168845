//! CASES.md 181: calls with a limit whose process is stopped.

use std::time::Duration;

use super::{words::Ended, world::World};

/// Longer than a beat and how late one may be, and than the limit.
const FREEZE: Duration = Duration::from_secs(5);

/// Longer than the heartbeat takes to start.
const BEAT: Duration = Duration::from_millis(1_100);

/// Runs out while the process is stopped.
const LIMIT: Duration = Duration::from_secs(3);

#[tokio::test]
async fn case_181_a_limit_that_ran_out_as_its_process_was_stopped_is_no_evidence() {
    let world = World::open().await;
    let mut process = world
        .environment_with("A", |mut settings| {
            settings.failure_threshold = 5;
            settings
        })
        .await;
    assert_eq!(process.succeeds().await, Ended::Value("fine".to_owned()));
    let mut calls = Vec::new();
    for _ in 0..30 {
        let call = process.begin_within(LIMIT).await;
        process.reaches(call).await.unwrap();
        calls.push(call);
    }
    tokio::time::sleep(BEAT).await;
    process.freeze();
    let (answered, hang) = calls.split_at(20);
    for call in answered {
        process.answer(*call, Ok("fine")).await;
    }
    tokio::time::sleep(FREEZE).await;
    process.thaw();
    for call in answered {
        assert_eq!(process.ended(*call).await, Ended::Value("fine".to_owned()));
    }
    for call in hang {
        assert_eq!(process.ended(*call).await, Ended::TimedOut);
    }
    assert!(process.made().is_empty());
    assert!(process.relay.applied().is_empty(), "nothing was written");
    // And those that come after it count.
    for _ in 0..5 {
        let call = process.begin_within(Duration::from_millis(50)).await;
        assert_eq!(process.ended(call).await, Ended::TimedOut);
    }
    assert_eq!(process.succeeds().await, Ended::Rejected("OPEN".to_owned()));
    assert_eq!(world.attribute("state"), "OPEN");
}
