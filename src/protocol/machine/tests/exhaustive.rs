//! Everything that may happen, within bounds: the shipped machines, over one record.
//!
//! A walk begins with processes that know nothing. From each state it takes every step that
//! the bounds allow, and each state that it reaches is judged as in a random world: by
//! [`process`](super::process) and by [`watch`](super::watch). States that print alike are one.
//!
//! The model (`tests/model`) goes further, with time and records in the abstract, but it is a
//! second machine. This one cannot differ from what is shipped.

mod state;

use std::collections::{BTreeSet, HashMap, VecDeque, hash_map::Entry};

use self::state::{Bounds, CALM, State, Step};

/// Where a state was first reached from, and by which step.
type Reached = HashMap<u64, Option<(u64, Step)>>;

/// Tells the way to a step that panics.
struct Trail<'a> {
    reached: &'a Reached,
    from: u64,
    step: &'a Step,
}

impl Drop for Trail<'_> {
    #[expect(clippy::print_stderr, reason = "a test that fails says how")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let steps = path(self.reached, self.from);
            eprintln!("after {steps:#?} and {:?}", self.step);
        }
    }
}

/// Takes every step from every state, nearest first, and returns the writes that were applied.
#[expect(clippy::print_stdout, reason = "docs/model.md lists the numbers")]
fn explore(bounds: Bounds) -> BTreeSet<&'static str> {
    let mut writes = BTreeSet::new();
    let first = State::first(bounds);
    let mut reached: Reached = HashMap::from([(first.key(), None)]);
    let mut todo = VecDeque::from([first]);
    while let Some(state) = todo.pop_front() {
        let from = state.key();
        for step in state.steps() {
            let mut next = state.clone();
            let trail = Trail { reached: &reached, from, step: &step };
            next.take(step.clone());
            drop(trail);
            if let Entry::Vacant(new) = reached.entry(next.key()) {
                new.insert(Some((from, step)));
                writes.extend(next.world.watch.writes());
                todo.push_back(next);
            }
        }
    }
    println!("{} states within {bounds:?}", reached.len());
    writes
}

/// Returns the steps by which a state was reached first.
fn path(reached: &Reached, mut state: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(Some((from, step))) = reached.get(&state) {
        steps.push(step.clone());
        state = *from;
    }
    steps.reverse();
    steps
}

/// Checks within the bounds, which are narrower in a debug build: it takes ten times as long.
/// These writes have to occur, or the bounds would be too narrow to show anything.
fn hold(narrow: Bounds, wide: Bounds, reaches: &[&str]) {
    let writes = explore(if cfg!(debug_assertions) { narrow } else { wide });
    let missing: Vec<_> = reaches.iter().filter(|name| !writes.contains(*name)).collect();
    assert!(missing.is_empty(), "no {missing:?} within the bounds");
}

const CIRCLE: [&str; 6] = ["trip", "elect", "take over", "give back", "reopen", "close"];

#[test]
fn machines_keep_the_protocol_in_every_order_of_calls() {
    hold(CALM, Bounds { calls: 5, ..CALM }, &CIRCLE);
    hold(CALM, Bounds { leaps: 2, ..CALM }, &CIRCLE);
}

#[test]
fn machines_keep_the_protocol_over_several_probes() {
    let twice = Bounds { successes: 2, ..CALM };
    hold(twice, Bounds { calls: 5, ..twice }, &["hand over", "renew", "reopen", "close"]);
}

#[test]
fn machines_keep_the_protocol_when_answers_are_late() {
    let late = Bounds { delays: 1, calls: 2, ..CALM };
    hold(late, Bounds { delays: 2, calls: 4, ..late }, &["trip", "elect", "close"]);
}

#[test]
fn machines_keep_the_protocol_when_operations_fail() {
    let faulty = Bounds { faults: 1, calls: 2, ..CALM };
    hold(faulty, Bounds { calls: 4, ..faulty }, &["trip", "elect", "close"]);
    let twice = Bounds { successes: 2, calls: 3, ..faulty };
    hold(twice, Bounds { faults: 2, ..twice }, &["trip", "elect", "hand over"]);
}

#[test]
fn machines_keep_the_protocol_when_the_item_is_deleted() {
    let deleted = Bounds { deletions: 1, calls: 2, ..CALM };
    hold(deleted, Bounds { calls: 4, ..deleted }, &["trip", "elect absent", "close"]);
}

#[test]
fn machines_keep_the_protocol_under_an_operator() {
    let operated = Bounds { commands: 1, calls: 1, ..CALM };
    hold(operated, Bounds { calls: 3, ..operated }, &["trip", "hold", "release"]);
}

#[test]
fn machines_keep_the_protocol_when_one_is_frozen() {
    let frozen = Bounds { freezes: 1, calls: 2, ..CALM };
    hold(frozen, Bounds { calls: 3, faults: 1, ..frozen }, &["trip", "elect", "close"]);
}

#[test]
fn machines_keep_the_protocol_when_one_starts_over() {
    let restarted = Bounds { restarts: 1, calls: 2, ..CALM };
    hold(restarted, Bounds { calls: 4, ..restarted }, &["trip", "elect", "close"]);
}

#[test]
fn machines_keep_the_protocol_while_openings_differ_in_length() {
    let lengths = Bounds { lengths: true, calls: 2, leaps: 2, ..CALM };
    hold(lengths, Bounds { calls: 3, ..lengths }, &["trip", "elect", "reopen", "close"]);
    let faulty = Bounds { faults: 1, leaps: 1, ..lengths };
    hold(faulty, Bounds { calls: 3, ..faulty }, &["trip", "elect", "close"]);
}
