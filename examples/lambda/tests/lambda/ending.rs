//! SIGTERM.

use std::time::Duration;

use serde_json::json;

use crate::{
    environment::{Environment, TIMEOUT, unix_time},
    partner::Mood,
    stage::{Stage, soon},
    table::state,
};

/// Invokes until an invocation reaches the partner, as its call of this number, and hangs there.
async fn probes(environment: &mut Environment, stage: &Stage, number: usize) {
    soon("it probes", async {
        loop {
            environment.begins("p", TIMEOUT);
            tokio::select! {
                () = stage.partner.gets(number) => return,
                answered = environment.answers() => assert!(answered.result.is_ok()),
            }
            environment.asks().await;
        }
    })
    .await;
}

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
    probes(&mut ending, &stage, 3).await;
    assert_eq!(state(&stage.table.circuit()), Some("HALF_OPEN"));

    let begun = unix_time();
    ending.terminate();
    let status = ending.ends().await;
    let took = unix_time() - begun;
    assert!(status.success() && took < Duration::from_millis(500), "{status} after {took:?}");

    // Long before the lease would have run out.
    stage.partner.is(Mood::Works);
    soon("another probes", async {
        while staying.invoke("3").await.0.result != Ok(json!({"charged": {"receipt": "charged"}})) {
        }
    })
    .await;
    stage.table.tells("CLOSED").await;
}

#[tokio::test]
async fn case_188_sigterm_ends_an_environment_that_waits() {
    let stage = Stage::open().await;
    let mut environment = stage.environment().await;
    environment.terminate();
    let status = environment.ends().await;
    assert!(status.success(), "{status}");
}
