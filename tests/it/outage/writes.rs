//! A store that reads well and cannot be written, for ever: it must not keep a
//! circuit open over a dependency that is well again.

use std::time::Duration;

use fuseboard::CircuitState;

use super::{AT_MOST, timed_fail, timed_ok};
use crate::support::{
    dynamodb::{Call, World},
    engine::Event,
};

/// Faults of writes that waiting may mend, but here does not.
const LASTING: [Event; 3] = [Event::LoseRequest, THROTTLED, Event::Error("InternalServerError")];

/// An answer, and no fault: the store is alive, and asks to be left alone.
const THROTTLED: Event = Event::Error("ThrottlingException");

/// Two calls a second.
const PAUSE: Duration = Duration::from_millis(500);

#[tokio::test(start_paused = true)]
async fn writes_that_fail_for_ever_do_not_keep_a_circuit_open_for_ever() {
    for fault in LASTING {
        let world = World::new();
        let a = world.named("A");
        world.engine.network("A").always_on("UpdateItem", fault.clone());
        for _ in 0..5 {
            let (call, waited) = timed_fail(&a).await;
            assert_eq!(call, Call::Failed, "{fault:?}");
            assert!(waited <= AT_MOST, "{fault:?}: {waited:?}");
        }
        let tripped = crate::support::engine::now();
        while tripped.elapsed() < Duration::from_secs(29) {
            let (call, waited) = timed_ok(&a).await;
            assert!(call.is_rejected(), "{fault:?}");
            assert_eq!(waited, Duration::ZERO, "{fault:?}");
            tokio::time::sleep(PAUSE).await;
        }
        // The recovery is due. One call in a back-off may wait for the store.
        let mut delayed = 0;
        while a.state() != CircuitState::Closed {
            let (_, waited) = timed_ok(&a).await;
            assert!(waited <= AT_MOST, "{fault:?}: {waited:?}");
            delayed += u32::from(!waited.is_zero());
            tokio::time::sleep(PAUSE).await;
            assert!(tripped.elapsed() < Duration::from_secs(40), "{fault:?}: rejected for ever");
        }
        assert!(delayed <= 2, "{fault:?}: {delayed} callers waited");
        assert_eq!(
            a.heard(),
            ["CLOSED>OPEN alone", "OPEN>HALF_OPEN alone", "HALF_OPEN>CLOSED alone"],
            "{fault:?}"
        );
        assert_eq!(world.item(), None, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn writes_may_end_at_any_step_of_a_recovery() {
    // The trip, the election, two hand overs, each with the renewal after it.
    for written in 1..=6 {
        for fault in LASTING.into_iter().filter(|fault| *fault != THROTTLED) {
            let world = World::new();
            let a = world.named("A");
            let network = world.engine.network("A");
            network.on("UpdateItem", written, Event::Pass).always_on("UpdateItem", fault.clone());
            a.trip().await;
            let tripped = crate::support::engine::now();
            while a.state() != CircuitState::Closed {
                let (_, waited) = timed_ok(&a).await;
                let context = format!("{written} writes, then {fault:?}");
                assert!(waited <= AT_MOST, "{context}: {waited:?}");
                tokio::time::sleep(PAUSE).await;
                assert!(tripped.elapsed() < Duration::from_secs(45), "{context}: stays open");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn case_193_throttled_writes_stop_a_recovery_at_any_step_and_it_goes_on_after_them() {
    for written in 1..=6 {
        let context = format!("{written} writes");
        let world = World::new();
        let a = world.named("A");
        let network = world.engine.network("A");
        network.on("UpdateItem", written, Event::Pass).always_on("UpdateItem", THROTTLED);
        a.trip().await;
        let mut delayed = 0;
        for _ in 0..200 {
            let (_, waited) = timed_ok(&a).await;
            assert!(waited <= AT_MOST * 2, "{context}: {waited:?}");
            delayed += u32::from(!waited.is_zero());
            tokio::time::sleep(PAUSE).await;
        }
        // 70 s in which it is due, and asks once in a back-off of up to 5 s.
        assert!(delayed <= 35, "{context}: {delayed} callers waited");
        assert_ne!(a.state(), CircuitState::Closed, "{context}");
        let told = a.heard();
        assert!(told.iter().all(|told| !told.ends_with("alone")), "{context}: {told:?}");
        world.engine.network("A").heal();
        let healed = crate::support::engine::now();
        while a.state() != CircuitState::Closed {
            timed_ok(&a).await;
            tokio::time::sleep(PAUSE).await;
            assert!(healed.elapsed() < Duration::from_secs(10), "{context}: stays open");
        }
        assert_eq!(world.attribute("state"), "CLOSED", "{context}");
    }
}
