//! The protocol of the shared record, checked exhaustively within bounds.
//!
//! Environments as in `src/machine`, in the abstract, meet in one item that the
//! crate's own [`fuseboard::store::Operation::apply`] writes. Each module says what
//! is abstracted. What is accepted, and so not held here: an opening that was told
//! without the store, or that followed the probe of a record that is gone, is
//! offered to any closed record; a trip or a reopening whose answer was lost may
//! be told by nobody. In whole seconds, two environments that close within one may
//! both tell of it; and a hand over that arrives late and twice may end the lease of
//! a probe of the same second, which is fenced then.
//!
//! `FUSEBOARD_MODEL=large` checks larger bounds, up to some million states each: minutes,
//! and with `--test-threads=1` one at a time.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a test that meets what it does not expect has failed, and says what it did"
)]

mod environment;
mod item;
mod shared;
mod weak;
mod world;

use stateright::{Checker, HasDiscoveries, Model};

use crate::{shared::Rules, weak::Weak};

/// Two environments, T = 1 and K = 2, and nothing that goes wrong.
const CALM: Rules = Rules {
    environments: 2,
    writes: 5,
    faults: 0,
    crashes: 0,
    deletions: 0,
    orders: 0,
    failures: 1,
    successes: 2,
    coarse: false,
    slow: false,
    weak: Weak::Nothing,
};

/// One of everything that may go wrong, for few writes.
const ROUGH: Rules = Rules { writes: 3, faults: 1, crashes: 1, deletions: 1, orders: 1, ..CALM };

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
    let checker = rules.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
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
    let three = Rules { environments: 3, writes: 3, ..CALM };
    holds(three, Rules { writes: 5, ..three });
}

#[test]
fn one_keeps_the_protocol_with_its_own_late_writes() {
    let alone = Rules { environments: 1, writes: 6, faults: 1, failures: 2, ..CALM };
    holds(alone, Rules { writes: 8, ..alone });
    let alone = Rules { writes: 5, failures: 1, successes: 1, ..alone };
    holds(alone, Rules { writes: 7, ..alone });
}

#[test]
fn a_fleet_keeps_the_protocol_in_whole_seconds() {
    let coarse = Rules { writes: 4, coarse: true, ..CALM };
    holds(coarse, Rules { writes: 6, ..coarse });
}

#[test]
fn a_fleet_keeps_the_protocol_in_whole_seconds_with_late_messages() {
    let coarse = Rules { writes: 3, coarse: true, faults: 1, ..CALM };
    holds(coarse, Rules { writes: 4, ..coarse });
}

#[test]
fn a_streak_that_began_in_an_older_epoch_does_not_trip() {
    let streaks = Rules { failures: 2, successes: 1, ..CALM };
    holds(streaks, Rules { writes: 6, ..streaks });
}

#[test]
fn a_fleet_keeps_the_protocol_when_environments_forget() {
    let forgetful = Rules { writes: 3, crashes: 1, ..CALM };
    holds(forgetful, Rules { writes: 5, ..forgetful });
}

#[test]
fn a_fleet_keeps_the_protocol_when_the_item_is_deleted() {
    let deleted = Rules { writes: 4, deletions: 1, ..CALM };
    holds(deleted, Rules { writes: 5, ..deleted });
}

#[test]
fn a_fleet_keeps_the_protocol_under_an_operator() {
    let operated = Rules { writes: 3, orders: 2, ..CALM };
    holds(operated, Rules { writes: 5, ..operated });
}

#[test]
fn a_fleet_keeps_the_protocol_when_everything_goes_wrong_once() {
    holds(Rules { writes: 2, ..ROUGH }, Rules { writes: 3, ..ROUGH });
}

#[test]
fn a_trip_over_a_closed_record_must_not_land_where_it_is_gone() {
    let rules = Rules { writes: 2, deletions: 1, ..CALM };
    is_refuted(Weak::TripOrAbsent, rules, "a trip lands in the epoch that was counted");
}

#[test]
fn a_close_must_name_its_token() {
    let rules = Rules { successes: 1, writes: 3, ..CALM };
    is_refuted(Weak::CloseWithoutToken, rules, "only the holder of the lease leaves half-open");
}

#[test]
fn a_reopening_must_name_its_token() {
    let rules = Rules { writes: 3, ..CALM };
    is_refuted(Weak::ReopenWithoutToken, rules, "only the holder of the lease leaves half-open");
}

#[test]
fn an_election_must_name_the_opening() {
    let rules = Rules { writes: 3, ..CALM };
    is_refuted(Weak::ElectAnyOpening, rules, "no write lands on a newer state");
}

#[test]
fn a_takeover_must_name_the_lease() {
    let rules = Rules { writes: 3, ..CALM };
    is_refuted(Weak::TakeOverAnyLease, rules, "no write lands on a newer state");
}

#[test]
fn a_takeover_must_wait_for_the_lease() {
    let rules = Rules { writes: 2, ..CALM };
    is_refuted(Weak::TakeOverAtOnce, rules, "at most one lease is live");
}

#[test]
fn the_start_of_a_probe_must_take_the_count_off_the_item() {
    let rules = Rules { writes: 6, ..CALM };
    is_refuted(Weak::KeptCount, rules, "a circuit closes after K good probes");
}

#[test]
fn a_token_that_saw_a_failure_must_not_close() {
    let rules = Rules { environments: 1, ..CALM };
    is_refuted(Weak::FailedTokenCloses, rules, "a circuit closes after K good probes");
}

#[test]
fn a_token_left_by_a_trip_must_not_probe_again() {
    let rules = Rules { environments: 1, successes: 1, faults: 1, ..CALM };
    is_refuted(Weak::RegainAfterTrip, rules, "a circuit closes after K good probes");
}

#[test]
fn a_close_must_be_recognised_by_more_than_its_state() {
    let rules = Rules { successes: 1, writes: 4, ..CALM };
    is_refuted(Weak::AnyClosedIsOurs, rules, "what is told as ours was applied once");
}

#[test]
fn a_lease_that_ran_out_must_be_taken_over() {
    let rules = Rules { writes: 1, ..CALM };
    is_refuted(Weak::NoTakeOver, rules, "a quiet circuit closes by any one alone");
}
