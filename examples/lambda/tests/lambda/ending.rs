//! SIGTERM.

use std::time::Duration;

use crate::{environment::unix_time, partner::Mood, stage::Stage, table::state};

#[tokio::test]
async fn case_188_sigterm_gives_back_the_right_of_a_probe_under_way() {
    let stage = Stage::open().await.with("BREAKER_RECOVERY_MS", "1000");
    let stage = stage.with("BREAKER_LEASE_MS", "60000").with("CALL_TIMEOUT_MS", "60000");
    let (mut ending, mut staying) = tokio::join!(stage.environment(), stage.environment());
    stage.partner.is(Mood::Fails);
    for order in ["1", "2"] {
        assert!(ending.invoke(order).await.0.result.is_err());
    }
    stage.partner.is(Mood::Hangs);
    ending.probes(&stage.partner).await;
    assert_eq!(state(&stage.table.circuit()), Some("HALF_OPEN"));

    let begun = unix_time();
    ending.process.terminate();
    let status = ending.process.ends().await;
    let took = unix_time() - begun;
    assert!(status.success() && took < Duration::from_millis(500), "{status} after {took:?}");

    // Long before the lease would have run out.
    stage.partner.is(Mood::Works);
    staying.charges().await;
    stage.table.tells("CLOSED").await;
}

#[tokio::test]
async fn case_188_sigterm_ends_an_environment_that_waits() {
    let stage = Stage::open().await;
    let mut environment = stage.environment().await;
    environment.process.terminate();
    let status = environment.process.ends().await;
    assert!(status.success(), "{status}");
}
