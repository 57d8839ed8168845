//! Who waits until an outcome is settled, and is told, or goes on.

use std::sync::Arc;

use super::{world::*, *};
use crate::runtime::sync::oneshot;

/// What the gate says now, which admits nobody.
fn refusal(world: &World) -> Decision {
    assert_eq!(world.passes(), None, "after the last failure has returned");
    let decision = decided(&world.circuit.gate, world.circuit.clock.coarse_wall_ms());
    assert!(!matches!(decision, Decision::Admit { .. }), "{decision:?}");
    decision
}

/// Fails as often as the threshold, by callers who wait, and looks at the gate once
/// all have returned, whatever the actor does after.
fn nobody_is_admitted_after(
    preemptions: Option<usize>,
    threshold: u32,
    callers: &'static [&'static str],
    world: fn(u32) -> (Arc<World>, Turns),
) {
    explore(preemptions, move || {
        let (world, actor) = world(threshold);
        let (end, ends) = oneshot::channel();
        let actor = in_thread(move || actor.serve(ends));
        world.report_all(callers, World::report);
        assert!(matches!(refusal(&world), Decision::Reject { .. }));
        end.send(()).unwrap();
        actor.join().unwrap().run();
        world.assert_tripped_once();
    });
}

#[test]
fn when_the_failures_of_one_caller_have_returned_nobody_is_admitted() {
    nobody_is_admitted_after(None, 1, &["F"], |threshold| World::new(9, threshold));
    // Without a bound this one takes more than a minute.
    nobody_is_admitted_after(Some(3), 2, &["FF"], |threshold| World::new(9, threshold));
    nobody_is_admitted_after(None, 1, &["F"], |threshold| World::without_store(9, threshold));
}

#[test]
fn when_the_failures_that_trip_have_returned_nobody_is_admitted() {
    nobody_is_admitted_after(Some(2), 2, &["F", "F"], |threshold| World::new(9, threshold));
    nobody_is_admitted_after(Some(2), 3, &["FF", "F"], |threshold| World::new(9, threshold));
    nobody_is_admitted_after(Some(2), 2, &["FF", "F"], |threshold| World::new(9, threshold));
}

/// Each failure is one that trips, whichever of them is found to be the first.
#[test]
fn a_failure_that_finds_a_trip_under_way_returns_when_nobody_is_admitted() {
    let report_and_look = |world: &World, outcomes: &str| {
        world.report(outcomes);
        // It may have to be asked, while the actor publishes what was written.
        refusal(world);
    };
    explore(Some(1), move || {
        let (world, actor) = World::new(9, 1);
        let (end, ends) = oneshot::channel();
        let actor = in_thread(move || actor.serve(ends));
        world.report_all(&["F", "F"], report_and_look);
        end.send(()).unwrap();
        actor.join().unwrap().run();
        world.assert_tripped_once();
    });
}

#[test]
fn when_they_have_returned_without_a_store_nobody_is_admitted() {
    nobody_is_admitted_after(Some(3), 2, &["FF"], |threshold| World::without_store(9, threshold));
    nobody_is_admitted_after(Some(2), 2, &["F", "F"], |threshold| {
        World::without_store(9, threshold)
    });
}

#[test]
fn when_failures_past_a_full_mailbox_have_returned_nobody_is_admitted() {
    let full = |threshold| {
        let (world, actor) = World::new(1, threshold);
        world.fill();
        (world, actor)
    };
    nobody_is_admitted_after(Some(4), 1, &["F"], full);
    nobody_is_admitted_after(Some(3), 2, &["FF"], full);
    nobody_is_admitted_after(Some(1), 2, &["F", "F"], full);
}
