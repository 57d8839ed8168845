//! Switching every breaker off, by code and by the process.

use std::{env, process::Command};

use fuseboard::{BreakerRegistry, CircuitState, DISABLED_ENV, MemoryStore, SpawnError};

use crate::support::memory::{World, fail, heard, settle, succeed};

#[tokio::test(start_paused = true)]
async fn case_9_a_disabled_breaker_runs_every_call_and_asks_nobody() {
    let world = World::new();
    let process = world.process_with(|builder| builder.disabled(true));
    let mut transitions = process.registry.subscribe();
    let breaker = process.breaker();
    for _ in 0..100 {
        assert!(fail(&breaker).await.unwrap_err().inner().is_some());
        assert_eq!(succeed(&breaker).await, Ok(42));
        assert!(breaker.try_admit().is_ok());
    }
    for _ in 0..100 {
        assert!(fail(&breaker).await.unwrap_err().inner().is_some());
    }
    settle().await;
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
    assert!(process.store.log().is_empty());
    assert!(heard(&mut transitions).is_empty());
}

/// What this process is to see, when it runs as a child of the test below.
const EXPECTED: &str = "FUSEBOARD_TEST_EXPECTS";

#[tokio::test]
async fn case_9_the_environment_variable_is_read_as_the_reference_reads_it() {
    if let Ok(expected) = env::var(EXPECTED) {
        return check_as_child(&expected).await;
    }
    let on = ["1", "y", "yes", "t", "true", "on", "TRUE", "Yes", "oN"];
    let off = ["0", "n", "no", "f", "false", "off", "FALSE", "No", "oFF"];
    let malformed = ["", " true", "2", "enabled", "tru"];
    let cases = on.map(|word| (word, "disabled")).into_iter();
    let cases = cases.chain(off.map(|word| (word, "enabled")));
    let cases = cases.chain(malformed.map(|word| (word, "refused")));
    for (word, expected) in cases {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", &format!("{}::{}", own_path(), NAME_OF_TEST)])
            .env(DISABLED_ENV, word)
            .env(EXPECTED, expected)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{word:?}: {said}");
    }
}

const NAME_OF_TEST: &str = "case_9_the_environment_variable_is_read_as_the_reference_reads_it";

/// This module as the test runner names it: without the crate.
fn own_path() -> &'static str {
    module_path!().split_once("::").unwrap().1
}

async fn check_as_child(expected: &str) {
    let value = env::var(DISABLED_ENV).unwrap();
    let spawned = BreakerRegistry::builder(MemoryStore::new()).spawn();
    if expected == "refused" {
        let error = spawned.unwrap_err();
        let SpawnError::Config(refused) = &error else {
            panic!("{error:?}");
        };
        assert_eq!(refused.field(), DISABLED_ENV);
        assert_eq!(refused.value(), format!("{value:?}"));
        assert!(error.to_string().contains(DISABLED_ENV), "{error}");
        return;
    }
    let registry = spawned.unwrap();
    let breaker = registry.breaker("anything").unwrap();
    for _ in 0..10 {
        if let Ok(permit) = breaker.admit().await {
            permit.failure().settled().await;
        }
    }
    let state = if expected == "disabled" { CircuitState::Closed } else { CircuitState::Open };
    assert_eq!(breaker.snapshot().state(), state, "{value:?}");
}
