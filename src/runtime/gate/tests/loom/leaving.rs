//! Who leaves the verdict of a probe past a full mailbox, or trips the circuit there:
//! both are pending until they were taken.

use std::sync::Arc;

use super::{world::*, *};

/// Reports these outcomes while the mailbox is full and the actor runs.
fn nothing_stays_pending_of(callers: &'static [&'static str]) {
    explore(Some(2), move || {
        let (world, mut actor) = World::new(1, 6);
        world.fill();
        let actor = in_thread(move || {
            actor.run();
            actor
        });
        world.report_all(callers, World::send);
        actor.join().unwrap().run();
        assert_eq!(world.circuit.pending.count(), 0, "all was taken");
    });
}

#[test]
fn what_lies_at_the_gate_is_pending_until_it_is_taken() {
    nothing_stays_pending_of(&["F", "P"]);
    nothing_stays_pending_of(&["P", "P"]);
}

#[test]
fn what_one_caller_leaves_at_the_gate_is_never_counted_as_more_or_less() {
    // The verdict of a probe counts on its way as well.
    for (outcome, most, preemptions) in [("F", 1, Some(2)), ("P", 2, Some(3))] {
        explore(preemptions, move || {
            let (world, mut actor) = World::new(1, 1);
            world.fill();
            let actor = in_thread(move || {
                actor.run();
                actor
            });
            let caller = Arc::clone(&world);
            let caller = in_thread(move || caller.send(outcome));
            assert!(world.circuit.pending.count() <= most);
            caller.join().unwrap();
            actor.join().unwrap().run();
            assert_eq!(world.circuit.pending.count(), 0, "all was taken");
        });
    }
}

/// An actor that is dropped counts nothing any more, and nobody waits for it.
fn nothing_is_pending_after(preemptions: Option<usize>, callers: &'static [&'static str]) {
    explore(preemptions, move || {
        let (world, actor) = World::new(1, 1);
        world.fill();
        let actor = in_thread(move || drop(actor));
        world.report_all(callers, World::send);
        actor.join().unwrap();
        assert_eq!(world.circuit.pending.count(), 0, "nobody will take it");
    });
}

#[test]
fn once_the_actor_has_ended_nothing_is_pending_at_the_gate() {
    nothing_is_pending_after(Some(3), &["F", "F"]);
    nothing_is_pending_after(None, &["F"]);
}
