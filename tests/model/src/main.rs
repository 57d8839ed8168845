//! The protocol of the shared record, checked exhaustively within bounds.
//!
//! Processes as in `src/protocol/machine`, in the abstract, meet in one item that the
//! crate's own [`fuseboard::store::Operation::apply`] writes. Each module says what
//! is abstracted.
//!
//! What is accepted, and so not held here:
//! - An opening whose failures were counted before the record was ever seen is
//!   offered to any closed record; an opening is written where the record was deleted
//!   since its failures were counted, whatever became of the circuit until then.
//! - A trip that was sent before its failures were old may arrive when they are.
//! - A trip or a reopening whose answer was lost may be told by nobody, and so may a
//!   closing, if the lease was past when it was sent or it was sent anew.
//! - A renewal that arrives late may lengthen a lease that was handed over (a delay),
//!   and take the count off the item (further probes).
//! - A probe without the store is one of its process only, and holds no lease: so is
//!   one of a process that is refuted, or that dropped a trip.
//! - An item that is deleted under a live lease loses it: its holder may still probe
//!   when another is elected.
//! - A closing in the very second of an operator's release may be told by both.
//!
//! `FUSEBOARD_MODEL=large` checks larger bounds, up to 13 million states each: minutes
//! in release, and with `--test-threads=1` one at a time. `docs/model.md` lists them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a test that meets what it does not expect has failed, and says what it did"
)]

mod item;
mod one_and_fleet;
mod process;
mod shared;
mod votes;
mod weak;
mod weakened;
mod world;

use std::collections::{BTreeSet, HashSet};

use stateright::{Checker, HasDiscoveries, Model};

use crate::{
    shared::Rules,
    weak::Weak,
    world::{World, past::Remembered},
};

/// Two processes, T = 1 and K = 2, and nothing that goes wrong.
const CALM: Rules = Rules {
    processes: 2,
    writes: 5,
    faults: 0,
    alone: 0,
    crashes: 0,
    deletions: 0,
    orders: 0,
    throttles: 0,
    freezes: 0,
    ages: 0,
    stale: 0,
    failures: 1,
    successes: 2,
    coarse: false,
    slow: false,
    refutes: false,
    closed_holds: false,
    abrupt: false,
    contradicted: false,
    elected: false,
    apart: false,
    weak: Weak::Nothing,
};

/// One of everything that may go wrong, for few writes.
const ROUGH: Rules = Rules { writes: 3, faults: 1, crashes: 1, deletions: 1, orders: 1, ..CALM };

/// The store is out for a process, which probes and falls open without it.
const ALONE: Rules = Rules { writes: 3, faults: 1, alone: 1, ..CALM };

/// Three, of whom one was elected: by the first of the writes.
const ELECTED: Rules = Rules { processes: 3, writes: 3, successes: 1, elected: true, ..CALM };

fn is_large() -> bool {
    std::env::var("FUSEBOARD_MODEL").is_ok_and(|size| size == "large")
}

/// Checks every property within the bounds.
fn holds(quick: Rules, large: Rules) {
    let rules = if is_large() { large } else { quick };
    let checker = rules.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "{} states, {} steps, depth {}: {rules:?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
    );
    assert!(checker.is_done());
    checker.assert_properties();
}

/// The checker refutes a weakened protocol, by this property.
fn is_refuted(weak: Weak, rules: Rules, property: &'static str) {
    let rules = Rules { weak, ..rules };
    let enough = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checker = rules.checker().finish_when(enough).spawn_bfs().join();
    let path = checker.discovery(property);
    let found: Vec<_> = checker.discoveries().into_keys().collect();
    let path = path.unwrap_or_else(|| panic!("{weak:?} is refuted by {found:?}"));
    let steps: Vec<_> = path.into_actions();
    println!("{weak:?} is refuted in {} steps: {property}: {steps:?}", steps.len());
}

#[test]
fn a_fleet_keeps_the_protocol() {
    holds(Rules { writes: 4, ..CALM }, Rules { writes: 6, ..CALM });
}

#[test]
fn a_fleet_keeps_the_protocol_with_late_lost_and_doubled_messages() {
    let faulty = Rules { writes: 3, faults: 1, ..CALM };
    holds(faulty, Rules { writes: 4, ..faulty });
}

#[test]
fn a_fleet_keeps_the_protocol_with_answers_that_linger() {
    let slow = Rules { writes: 3, slow: true, ..CALM };
    holds(slow, Rules { writes: 5, ..slow });
}

#[test]
fn three_keep_the_protocol() {
    let three = Rules { processes: 3, writes: 3, ..CALM };
    holds(three, Rules { writes: 5, ..three });
}

/// Three keep the protocol within the bounds, and get as far as that with all spent
/// that may go wrong.
fn three_hold(quick: Rules, large: Rules, reaches: &'static [&'static str]) {
    let remembered = Remembered::new(quick).checker();
    let reached = HasDiscoveries::AllOf(reaches.iter().copied().collect());
    let checker = remembered.finish_when(reached).spawn_bfs().join();
    for what in reaches {
        let steps = checker.assert_any_discovery(what).into_actions();
        println!("{what} within {} steps: {steps:?}", steps.len());
    }
    holds(quick, large);
}

#[test]
fn three_keep_the_protocol_with_a_message_lost_late_or_doubled() {
    let faulty = Rules { faults: 1, ..ELECTED };
    let reaches = &["two are elected", "a taker closes"];
    three_hold(faulty, Rules { writes: 4, ..faulty }, reaches);
}

#[test]
fn three_keep_the_protocol_when_one_forgets() {
    let forgetful = Rules { crashes: 1, ..ELECTED };
    let reaches = &["two are elected", "a taker closes"];
    three_hold(forgetful, Rules { writes: 4, successes: 2, ..forgetful }, reaches);
}

#[test]
fn three_keep_the_protocol_when_the_item_is_deleted() {
    let deleted = Rules { deletions: 1, ..ELECTED };
    let reaches = &["two are elected", "a taker closes"];
    three_hold(deleted, Rules { writes: 4, successes: 2, ..deleted }, reaches);
}

#[test]
fn three_keep_the_protocol_under_an_operator() {
    let operated = Rules { orders: 1, ..ELECTED };
    // The order is one of the writes.
    let reaches = &["two are elected", "one takes over", "one closes"];
    three_hold(operated, Rules { writes: 4, successes: 2, ..operated }, reaches);
}

#[test]
fn three_keep_the_protocol_while_the_store_is_out_for_one() {
    let out = Rules { writes: 2, faults: 1, alone: 1, ..ELECTED };
    let reaches = &["one takes over", "one closes"];
    three_hold(out, Rules { writes: 3, ..out }, reaches);
}

#[test]
fn which_environment_is_which_does_not_matter() {
    for rules in [
        Rules { processes: 3, writes: 2, successes: 1, ..CALM },
        Rules { writes: 1, ..ROUGH },
        Rules { writes: 1, ..ALONE },
        Rules { writes: 2, faults: 1, ..ELECTED },
        Rules { writes: 2, faults: 1, coarse: true, ..CALM },
    ] {
        let apart = world::reached(Rules { apart: true, ..rules });
        let sorted = world::reached(rules);
        println!("{} states for {}: {rules:?}", sorted.len(), apart.len());
        assert!(apart.len() > sorted.len());
        let apart: HashSet<_> = apart.into_iter().map(World::sorted).collect();
        assert!(apart == sorted, "{rules:?}");
    }
}

#[test]
fn one_keeps_the_protocol_with_its_own_late_writes() {
    let alone = Rules { processes: 1, writes: 6, faults: 1, failures: 2, ..CALM };
    holds(alone, Rules { writes: 8, ..alone });
    let alone = Rules { writes: 5, failures: 1, successes: 1, ..alone };
    holds(alone, Rules { writes: 7, ..alone });
}

#[test]
fn a_fleet_keeps_the_protocol_in_whole_seconds() {
    let coarse = Rules { writes: 4, coarse: true, ..CALM };
    holds(coarse, Rules { writes: 6, ..coarse });
    let once = Rules { successes: 1, ..coarse };
    holds(once, Rules { writes: 6, ..once });
}

#[test]
fn a_fleet_keeps_the_protocol_in_whole_seconds_with_late_messages() {
    let coarse = Rules { writes: 3, coarse: true, faults: 1, ..CALM };
    holds(coarse, Rules { writes: 5, ..coarse });
}

#[test]
fn a_fleet_keeps_the_protocol_while_the_store_is_out_for_some() {
    holds(Rules { writes: 2, ..ALONE }, Rules { writes: 4, ..ALONE });
    let once = Rules { writes: 2, failures: 2, successes: 1, ..ALONE };
    holds(once, Rules { writes: 4, ..once });
    let coarse = Rules { writes: 2, coarse: true, ..ALONE };
    holds(coarse, Rules { writes: 4, ..coarse });
}

#[test]
fn one_keeps_the_protocol_while_the_store_is_out() {
    let alone = Rules { processes: 1, writes: 4, alone: 2, ..ALONE };
    holds(alone, Rules { writes: 6, alone: 3, ..alone });
}

#[test]
fn a_streak_that_began_in_an_older_epoch_does_not_trip() {
    let streaks = Rules { writes: 4, failures: 2, successes: 1, ..CALM };
    holds(streaks, Rules { writes: 6, ..streaks });
}

#[test]
fn a_fleet_keeps_the_protocol_when_environments_forget() {
    let forgetful = Rules { writes: 3, crashes: 1, ..CALM };
    holds(forgetful, Rules { writes: 5, ..forgetful });
}

#[test]
fn a_fleet_keeps_the_protocol_when_the_item_is_deleted() {
    let deleted = Rules { writes: 3, deletions: 1, ..CALM };
    holds(deleted, Rules { writes: 5, ..deleted });
}

#[test]
fn a_fleet_keeps_the_protocol_under_an_operator() {
    let operated = Rules { writes: 3, orders: 2, ..CALM };
    holds(operated, Rules { writes: 5, ..operated });
    let coarse = Rules { orders: 1, coarse: true, successes: 1, ..operated };
    holds(coarse, Rules { writes: 4, orders: 2, ..coarse });
}

#[test]
fn case_133_a_fleet_keeps_the_protocol_when_a_circuit_is_held_closed() {
    let held = Rules { writes: 3, orders: 1, closed_holds: true, ..CALM };
    holds(held, Rules { writes: 5, orders: 2, ..held });
    let coarse = Rules { coarse: true, successes: 1, ..held };
    holds(coarse, Rules { writes: 4, orders: 2, ..coarse });
    let faulty = Rules { writes: 2, faults: 1, ..coarse };
    holds(faulty, Rules { writes: 3, ..faulty });
}

#[test]
fn a_fleet_keeps_the_protocol_when_everything_goes_wrong_once() {
    holds(Rules { writes: 1, ..ROUGH }, Rules { writes: 3, ..ROUGH });
    let kept = Rules { writes: 2, deletions: 0, ..ROUGH };
    holds(kept, Rules { writes: 3, ..kept });
}
