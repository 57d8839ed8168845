//! Who reports outcomes while they are counted, and while the actor has a turn in which
//! it forgets what good calls have ended.

use std::sync::Arc;

use super::{world::*, *};

/// More failures than any world has, so that none is the last.
const THRESHOLD: u32 = 6;

/// Reports these outcomes, those of each caller one after the other and all callers
/// at once, beside one turn of the actor, or none; says what is counted in the end.
fn counted(callers: &[&'static str], has_turn: bool) -> u64 {
    let (world, mut actor) = World::new(9, THRESHOLD);
    if has_turn {
        // So that there is something to forget.
        world.send("F");
        world.poke();
    }
    let beside = in_thread(move || {
        if has_turn {
            actor.run();
        }
        actor
    });
    world.report_all(callers, World::report);
    let mut actor = beside.join().unwrap();
    actor.run();
    world.streak(&mut actor)
}

#[test]
fn no_good_call_is_lost() {
    for (has_turn, preemptions) in [(false, 2), (true, 1)] {
        explore(Some(preemptions), move || {
            assert_eq!(counted(&["FS", "FS"], has_turn), 0, "all ended with a success");
        });
    }
    explore(Some(2), || assert_eq!(counted(&["FSFS"], true), 0));
}

#[test]
fn no_failure_is_lost() {
    explore(Some(2), || assert_eq!(counted(&["FF", "F"], false), 3));
    explore(Some(2), || assert_eq!(counted(&["FF", "F"], true), 4, "with the one before"));
    explore(Some(2), || {
        let streak = counted(&["SFF", "F"], false);
        assert!(streak == 2 || streak == 3, "{streak}");
    });
}

#[test]
fn of_three_threads_nothing_is_lost() {
    explore(Some(1), || assert_eq!(counted(&["F", "F", "F"], true), 4));
    explore(Some(1), || assert_eq!(counted(&["FS", "FS", "FS"], false), 0));
    // One preemption more takes minutes.
    explore(Some(0), || assert_eq!(counted(&["FS", "FS", "FS"], true), 0));
}

#[test]
fn in_small_worlds_nothing_is_lost_in_any_interleaving() {
    explore(None, || assert_eq!(counted(&["FS"], false), 0));
    explore(None, || assert_eq!(counted(&["FF"], false), 2));
    explore(None, || assert_eq!(counted(&["F", "F"], false), 2));
    explore(None, || assert!(counted(&["F", "S"], false) <= 1));
}

/// Nobody has a handle, so that the actor forgets the circuit, while somebody makes one,
/// fails as often as it takes to trip, and drops it.
#[test]
fn case_197_a_circuit_that_is_forgotten_while_a_handle_comes_and_goes_loses_no_failure() {
    explore(Some(3), || {
        let (world, mut actor) = World::uncalled(1);
        let caller = Arc::clone(&world);
        let caller = in_thread(move || {
            // A new circuit would be made for the name.
            let Some(handle) = caller.handle() else { return false };
            caller.send("F");
            drop(handle);
            true
        });
        world.poke();
        let waits = actor.run_on();
        let has_failed = caller.join().unwrap();
        if has_failed {
            assert!(waits && actor.run_on(), "it has something to count");
            let (_, state) = world.circuit.gate.epoch_and_state();
            assert_eq!(state, CircuitState::Open, "the failure is lost");
        }
    });
}
