//! CASES.md 119: calls that run while their process is stopped.

use std::time::Duration;

use super::{words::Ended, world::World};

/// Longer than a beat and how late one may be, and than a slow call takes.
const FREEZE: Duration = Duration::from_secs(5);

/// Longer than the heartbeat takes to start.
const BEAT: Duration = Duration::from_millis(1_100);

/// Runs out while the process is stopped.
const SLOW: Duration = Duration::from_secs(3);

#[tokio::test]
async fn case_119_a_call_whose_process_was_stopped_is_not_slow() {
    let world = World::open().await;
    let mut process = world
        .environment_with("A", |mut settings| {
            settings.failure_threshold = 5;
            settings.slow_after = Some(SLOW);
            settings
        })
        .await;
    assert_eq!(process.succeeds().await, Ended::Value("fine".to_owned()));
    let mut calls = Vec::new();
    for _ in 0..20 {
        let call = process.begin().await;
        process.reaches(call).await.unwrap();
        calls.push(call);
    }
    tokio::time::sleep(BEAT).await;
    process.freeze();
    tokio::time::sleep(FREEZE).await;
    process.thaw();
    for call in &calls {
        process.answer(*call, Ok("fine")).await;
        assert_eq!(process.ended(*call).await, Ended::Value("fine".to_owned()));
    }
    assert!(process.made().is_empty());
    assert!(process.relay.applied().is_empty(), "nothing was written");
    // And those that come after it are slow.
    let mut late = Vec::new();
    for _ in 0..5 {
        let call = process.begin().await;
        process.reaches(call).await.unwrap();
        late.push(call);
    }
    tokio::time::sleep(SLOW + BEAT).await;
    assert_eq!(process.succeeds().await, Ended::Rejected("OPEN".to_owned()));
    assert_eq!(world.attribute("state"), "OPEN");
    for call in late {
        process.answer(call, Ok("fine")).await;
        assert_eq!(process.ended(call).await, Ended::Value("fine".to_owned()));
    }
}
