//! Failures beside a freeze of the process: those of calls from before it count if they
//! were reported before it, and for nothing after.

use std::sync::Arc;

use super::{world::*, *};

#[test]
fn case_198_failures_beside_a_freeze_are_counted_whole_or_not_at_all() {
    for reported in ["F", "FF"] {
        explore(Some(2), move || {
            let (world, mut actor) = World::new(3, 2);
            let caller = Arc::clone(&world);
            let caller = in_thread(move || caller.send(reported));
            world.freeze();
            world.poke();
            actor.run();
            caller.join().unwrap();
            // A failure that came after the freeze woke it.
            actor.run();
            assert_eq!(world.circuit.pending.count(), 0, "whoever waited for a trip is answered");
            if world.circuit.gate.state() == CircuitState::Closed {
                world.fail_now(2);
                actor.run();
            }
            assert_eq!(world.circuit.gate.state(), CircuitState::Open);
            assert_eq!(world.circuit.pending.count(), 0);
        });
    }
}

#[test]
fn case_198_a_call_that_was_cut_off_counts_in_no_epoch_after_the_freeze() {
    explore(Some(2), || {
        let (world, mut actor) = World::new(3, 2);
        world.freeze();
        let caller = Arc::clone(&world);
        let caller = in_thread(move || caller.send("F"));
        world.poke();
        actor.run();
        world.fail_now(1);
        caller.join().unwrap();
        actor.run();
        assert_eq!(world.circuit.gate.state(), CircuitState::Closed, "one counts");
        world.fail_now(1);
        actor.run();
        assert_eq!(world.circuit.gate.state(), CircuitState::Open);
    });
}
