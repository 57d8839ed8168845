//! How long an actor lives.

use std::time::Duration;

use fuseboard::CircuitState;
use tracing::Level;

use crate::support::{
    faulty::Fault,
    fleet::{Fleet, NAME, fail, is_rejected, pass, settle, succeed, trip},
    log::Lines,
};

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_dropped_while_it_is_used_says_so() {
    let warnings = Lines::of(Level::WARN);
    let environment = Fleet::new().environment();
    let breaker = environment.breaker();
    drop(environment);
    assert_eq!(warnings.take(), 1);
    for _ in 0..20 {
        assert!(!is_rejected(&fail(&breaker).await), "nobody counts");
    }

    let environment = Fleet::new().environment();
    let breaker = environment.breaker();
    environment.registry.shutdown(Duration::from_secs(1)).await.unwrap();
    drop(environment);
    drop(breaker);
    let environment = Fleet::new().environment();
    drop(environment.breaker());
    drop(environment);
    assert_eq!(warnings.take(), 0, "shut down, or not used");
}

#[tokio::test(start_paused = true)]
async fn a_closed_circuit_without_handles_is_forgotten() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let breaker = environment.breaker();
    let clone = breaker.clone();
    let _ = succeed(&breaker).await;
    drop(breaker);
    settle().await;
    assert_eq!(environment.registry.circuits(), 1, "a clone is left");
    drop(clone);
    pass(4.9).await;
    assert_eq!(environment.registry.circuits(), 1, "what it knows is fresh");
    pass(0.1).await;
    assert_eq!(environment.registry.circuits(), 0);
    assert_eq!(succeed(&environment.breaker()).await, Ok(42), "and may come again");
}

#[tokio::test(start_paused = true)]
async fn a_handle_for_each_call_does_not_mean_a_read_for_each() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    for _ in 0..40 {
        assert_eq!(succeed(&environment.breaker()).await, Ok(42));
        pass(0.1).await;
    }
    assert_eq!(environment.store.reads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_was_never_called_is_forgotten() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    drop(environment.breaker());
    settle().await;
    assert_eq!(environment.registry.circuits(), 0);
    assert!(environment.store.log().is_empty());
}

#[tokio::test(start_paused = true)]
async fn case_78_an_open_circuit_without_handles_is_not_forgotten() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    // Nobody but this process knows of it.
    environment.store.meets(Fault::Hang);
    trip(&environment.breaker()).await;
    settle().await;
    assert_eq!(environment.registry.circuits(), 1);
    pass(2.0).await;
    assert!(is_rejected(&succeed(&environment.breaker()).await));
}

#[tokio::test(start_paused = true)]
async fn a_streak_outlives_the_handles_it_was_counted_through() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    for _ in 0..5 {
        let _ = fail(&environment.breaker()).await;
        settle().await;
    }
    assert_eq!(environment.breaker().snapshot().state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_is_taken_again_keeps_the_circuit() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let breaker = environment.breaker();
    let _ = succeed(&breaker).await;
    drop(breaker);
    // Before the actor has heard that nobody holds it.
    let again = environment.breaker();
    settle().await;
    assert_eq!(environment.registry.circuits(), 1);
    trip(&again).await;
    assert!(is_rejected(&succeed(&environment.breaker()).await), "one circuit, one state");
}

#[tokio::test(start_paused = true)]
async fn a_permit_keeps_its_circuit() {
    let fleet = Fleet::with(|config| config.failure_threshold(1));
    let environment = fleet.environment();
    let permit = environment.breaker().admit_owned().await.unwrap();
    settle().await;
    assert_eq!(environment.registry.circuits(), 1);
    permit.failure().settled().await;
    assert_eq!(environment.breaker().snapshot().state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn case_78_many_names_in_a_loop_stay_bounded() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let mut most = 0;
    for number in 0..10_000 {
        let breaker = environment.registry.breaker(format!("tenant-{number}")).unwrap();
        assert!(breaker.admit().await.is_ok());
        most = most.max(environment.registry.circuits());
        pass(0.01).await;
    }
    assert!(most <= 501, "those of the last 5 s, at 100 a second; {most} at once");
    pass(5.0).await;
    assert_eq!(environment.registry.circuits(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_disabled_registry_keeps_no_circuits() {
    let fleet = Fleet::new();
    let environment = fleet.environment_with(|builder| builder.disabled(true));
    for number in 0..1_000 {
        let breaker = environment.registry.breaker(format!("tenant-{number}")).unwrap();
        assert!(breaker.admit().await.is_ok());
    }
    assert_eq!(environment.registry.circuits(), 0);
}

#[tokio::test(start_paused = true)]
async fn case_89_a_breaker_outlives_its_registry_and_lets_calls_through() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let (cold, open) = (environment.registry.breaker("cold").unwrap(), environment.breaker());
    trip(&open).await;
    drop(environment);
    settle().await;
    assert_eq!(succeed(&cold).await, Ok(42), "nothing is known");
    assert!(is_rejected(&succeed(&open).await), "by what was last known, while it is fresh");
    pass(5.0).await;
    assert_eq!(succeed(&open).await, Ok(42), "and not after");
    assert_eq!(open.name().as_str(), NAME);
}

#[tokio::test(start_paused = true)]
async fn case_66_a_handle_for_each_call_does_not_forget_that_the_store_hangs() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    environment.store.meets(Fault::Hang);
    for _ in 0..5 {
        assert_eq!(succeed(&environment.breaker()).await, Ok(42));
        settle().await;
    }
    assert_eq!(environment.store.reads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_streak_is_forgotten_when_nobody_calls_for_as_long_as_a_trip_lasts() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    for number in 0..100 {
        let _ = fail(&environment.registry.breaker(format!("tenant-{number}")).unwrap()).await;
    }
    settle().await;
    assert_eq!(environment.registry.circuits(), 100);
    pass(30.5).await;
    assert_eq!(environment.registry.circuits(), 0);
}

#[tokio::test(start_paused = true)]
async fn case_78_an_opening_is_kept_for_as_long_as_its_record() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    trip(&environment.breaker()).await;
    pass(3_629.0).await;
    assert_eq!(environment.registry.circuits(), 1);
    pass(2.0).await;
    assert_eq!(environment.registry.circuits(), 0, "and not for ever");
}

/// A subscriber of `tracing` that panics at every event.
struct Panics;

impl tracing::Subscriber for Panics {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        panic!("as the test says");
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_circuit_whose_actor_died_is_replaced_for_the_next_handle() {
    let fleet = Fleet::with(|config| config.failure_threshold(1));
    let environment = fleet.environment();
    let breaker = environment.breaker();
    let _ = succeed(&breaker).await;
    {
        let _logs = tracing::subscriber::set_default(Panics);
        let _ = fail(&breaker).await;
        settle().await;
    }
    pass(5.0).await;
    assert_eq!(succeed(&breaker).await, Ok(42), "the old handle fails open");
    let anew = environment.breaker();
    assert!(is_rejected(&succeed(&anew).await), "and reads what was written");
    pass(30.0).await;
    assert_eq!(succeed(&anew).await, Ok(42));
}
