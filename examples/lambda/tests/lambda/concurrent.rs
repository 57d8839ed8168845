//! Managed Instances: several invocations share a process, and nothing is frozen.

use crate::{environment::TIMEOUT, partner::Mood, stage::Stage};

#[tokio::test]
async fn case_188_invocations_that_share_a_process_trip_once_together() {
    let stage = Stage::open().await.with("AWS_LAMBDA_MAX_CONCURRENCY", "4");
    let stage = stage.with("CALL_TIMEOUT_MS", "1000");
    let mut environment = stage.environment().await;
    for _ in 1..4 {
        environment.asks().await;
    }
    stage.partner.is(Mood::Hangs);
    for order in ["1", "2", "3", "4"] {
        environment.begins(order, TIMEOUT);
    }
    // All four are with the partner at once: each is cut only after a second.
    stage.partner.gets(4).await;
    for _ in 0..4 {
        let answered = environment.answers().await;
        assert!(answered.result.is_err(), "{answered:?}");
        environment.asks().await;
    }
    stage.table.tells("OPEN").await;
    let writes = stage.table.take_applied();
    assert_eq!(writes.iter().filter(|operation| **operation == "UpdateItem").count(), 1);

    for order in ["5", "6", "7", "8"] {
        environment.begins(order, TIMEOUT);
    }
    for _ in 0..4 {
        let answered = environment.answers().await.result.unwrap();
        assert!(answered.get("kept_for_later").is_some(), "{answered}");
    }
    assert_eq!(stage.partner.calls(), 4);
}
