//! Who reports outcomes while they are counted.

use std::sync::Arc;

use super::{world::*, *};

/// More failures than any world has, so that none is the last.
const THRESHOLD: u32 = 6;

/// Reports these outcomes, those of each caller one after the other and all callers
/// at once, while the actor runs until it waits, so often; says what is counted in
/// the end.
fn counted(room: usize, callers: &[&'static str], runs: usize) -> u64 {
    let (world, mut actor) = World::new(room, THRESHOLD);
    let actor = in_thread(move || {
        (0..runs).for_each(|_| actor.run());
        actor
    });
    world.report_all(callers, World::report);
    let mut actor = actor.join().unwrap();
    actor.run();
    world.streak(&mut actor)
}

#[test]
fn no_reset_is_lost() {
    for room in [1, 2, 9] {
        explore(Some(2), move || {
            assert_eq!(counted(room, &["FS", "FS"], 1), 0, "all ended with a success");
        });
    }
}

#[test]
fn no_reset_of_one_caller_is_lost_past_a_full_mailbox() {
    for room in [1, 2] {
        explore(Some(3), move || assert_eq!(counted(room, &["FFSFS"], 2), 0));
    }
}

#[test]
fn no_failure_is_lost() {
    for room in [1, 2, 9] {
        explore(Some(2), move || assert_eq!(counted(room, &["FF", "F"], 1), 3));
        explore(Some(2), move || {
            let streak = counted(room, &["SFF", "F"], 1);
            assert!(streak == 2 || streak == 3, "{streak}");
        });
    }
}

#[test]
fn in_small_worlds_no_failure_and_no_reset_is_lost_in_any_interleaving() {
    for room in [1, 9] {
        explore(None, move || assert_eq!(counted(room, &["FS"], 1), 0));
        explore(None, move || assert_eq!(counted(room, &["FF"], 1), 2));
    }
    explore(None, || assert_eq!(counted(9, &["F", "F"], 1), 2));
    explore(None, || assert!(counted(9, &["F", "S"], 1) <= 1));
    explore(Some(3), || assert!(counted(1, &["F", "S"], 1) <= 1));
}

#[test]
fn no_failure_is_settled_before_it_is_marked() {
    explore(Some(2), || {
        let (world, mut actor) = World::new(9, THRESHOLD);
        let its = Arc::clone(&world);
        let actor = in_thread(move || {
            actor.run();
            assert!(its.circuit.gate.unsettled() <= 2, "more than was marked");
            actor
        });
        world.report_all(&["FS", "FS"], World::report);
        actor.join().unwrap();
    });
}

#[test]
fn a_success_that_was_noted_already_is_noted_again() {
    explore(Some(3), || {
        let (world, mut actor) = World::new(1, THRESHOLD);
        let failed = Arc::new(AtomicU64::new(0));
        world.fill();
        let actor = in_thread(move || {
            actor.run();
            actor
        });
        let other = {
            let (world, failed) = (Arc::clone(&world), Arc::clone(&failed));
            in_thread(move || {
                world.report("F");
                failed.store(1, Release);
            })
        };
        world.report("S");
        let is_after = failed.load(Acquire) == 1;
        world.report("S");
        other.join().unwrap();
        let mut actor = actor.join().unwrap();
        actor.run();
        let streak = world.streak(&mut actor);
        assert!(!is_after || streak == 0, "the failure was reported before");
    });
}
