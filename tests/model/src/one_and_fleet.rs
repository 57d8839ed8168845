//! One process and the fleet: who is refuted, what is owed, what is absent, throttled
//! or stale.

use crate::{CALM, ELECTED, holds, is_refuted, shared::Rules, three_hold, weak::Weak};

/// Whose trip others contradict is refuted, and K = 1.
const REFUTING: Rules = Rules { writes: 4, successes: 1, refutes: true, ..CALM };

/// A trip that is owed may grow old, and its process may freeze.
const OWING: Rules = Rules { writes: 3, faults: 1, freezes: 1, ages: 1, ..CALM };

#[test]
fn case_93_a_fleet_keeps_the_protocol_with_one_that_is_refuted() {
    holds(REFUTING, Rules { writes: 7, ..REFUTING });
    let faulty = Rules { faults: 1, ..REFUTING };
    holds(Rules { writes: 2, contradicted: true, ..faulty }, faulty);
    let streaks = Rules { failures: 2, ..REFUTING };
    holds(Rules { writes: 3, ..streaks }, Rules { writes: 6, ..streaks });
    let coarse = Rules { coarse: true, ..REFUTING };
    holds(Rules { writes: 3, ..coarse }, Rules { writes: 6, ..coarse });
}

#[test]
fn case_93_three_keep_the_protocol_with_one_that_is_refuted() {
    let three = Rules { processes: 3, writes: 3, ..REFUTING };
    three_hold(three, Rules { writes: 4, ..three }, &["one is refuted"]);
    let contradicted = Rules { writes: 2, contradicted: true, ..three };
    holds(contradicted, Rules { writes: 4, ..contradicted });
}

#[test]
fn case_94_a_refuted_environment_keeps_to_itself_while_the_store_is_out() {
    let out = Rules { writes: 3, faults: 1, alone: 1, ..REFUTING };
    let quick = Rules { writes: 2, contradicted: true, ..out };
    three_hold(quick, Rules { writes: 4, ..out }, &["one is refuted"]);
}

#[test]
fn case_96_one_alone_is_never_refuted() {
    let one = Rules { processes: 1, writes: 5, faults: 1, ..REFUTING };
    holds(one, Rules { writes: 7, ..one });
    let out = Rules { alone: 2, ..one };
    holds(Rules { writes: 3, ..out }, Rules { writes: 6, alone: 3, ..out });
}

#[test]
fn case_96_no_operator_and_no_deletion_refutes() {
    let operated = Rules { writes: 3, orders: 1, ..REFUTING };
    holds(operated, Rules { writes: 5, orders: 2, ..operated });
    let deleted = Rules { writes: 3, deletions: 1, ..REFUTING };
    holds(deleted, Rules { writes: 6, ..deleted });
}

#[test]
fn case_93_a_refuted_environment_must_not_trip() {
    is_refuted(Weak::RefutedTrips, REFUTING, "a refuted process writes no trip");
}

#[test]
fn case_94_a_refuted_environment_must_probe() {
    is_refuted(Weak::RefutedWaits, REFUTING, "a quiet circuit closes by any one alone");
}

#[test]
fn case_96_a_release_must_not_contradict() {
    let rules = Rules { orders: 1, ..REFUTING };
    is_refuted(Weak::ReleaseContradicts, rules, "closings of others alone contradict");
}

#[test]
fn case_96_a_closing_of_its_own_must_not_contradict() {
    let rules = Rules { processes: 1, faults: 1, ..REFUTING };
    is_refuted(Weak::OwnCloseContradicts, rules, "closings of others alone contradict");
}

#[test]
fn case_196_a_fleet_keeps_the_protocol_when_what_is_owed_grows_old() {
    holds(Rules { writes: 2, ..OWING }, Rules { writes: 4, ..OWING });
    let out = Rules { freezes: 0, alone: 1, ..OWING };
    holds(Rules { writes: 1, ..out }, Rules { writes: 2, freezes: 1, ..out });
    let operated = Rules { freezes: 0, orders: 1, ..OWING };
    holds(Rules { writes: 2, ..operated }, operated);
    let coarse = Rules { freezes: 0, coarse: true, ..OWING };
    holds(Rules { writes: 2, ..coarse }, Rules { writes: 4, ..coarse });
}

#[test]
fn case_196_a_trip_whose_failures_are_old_must_not_be_sent() {
    is_refuted(Weak::AgedTripIsSent, OWING, "no trip is sent for old failures");
}

#[test]
fn case_196_a_trip_must_not_be_sent_after_a_freeze() {
    is_refuted(Weak::FrozenTripIsSent, OWING, "no trip is sent for old failures");
}

#[test]
fn case_196_a_late_trip_must_not_be_taken_for_a_newer_opening() {
    is_refuted(Weak::LateTripIsNewer, OWING, "what is told as ours was applied once");
}

#[test]
fn case_196_an_opening_that_was_told_must_keep_to_its_epoch() {
    let rules = Rules { successes: 1, faults: 1, orders: 1, ..CALM };
    is_refuted(Weak::ToldTripIsOffered, rules, "a trip lands in the epoch that was counted");
}

#[test]
fn case_207_a_fleet_keeps_the_protocol_when_somebody_deletes_the_item() {
    let deleted = Rules { writes: 3, deletions: 1, abrupt: true, ..CALM };
    holds(deleted, Rules { writes: 5, deletions: 2, ..deleted });
    let faulty = Rules { writes: 2, faults: 1, ..deleted };
    holds(faulty, Rules { writes: 4, deletions: 2, ..faulty });
}

#[test]
fn case_207_three_keep_the_protocol_when_somebody_deletes_the_item() {
    let deleted = Rules { deletions: 1, abrupt: true, ..ELECTED };
    let reaches = &["one is elected on an absent item"];
    three_hold(deleted, Rules { writes: 5, ..deleted }, reaches);
}

#[test]
fn case_207_an_election_of_what_is_absent_must_find_no_item() {
    let rules = Rules { writes: 3, deletions: 1, ..CALM };
    is_refuted(Weak::ElectAbsentAnyway, rules, "at most one lease is live");
}

#[test]
fn case_193_a_fleet_keeps_the_protocol_when_operations_are_throttled() {
    let throttled = Rules { writes: 3, throttles: 2, ..CALM };
    holds(throttled, Rules { writes: 5, ..throttled });
    // The first attempt of an operation is lost, and the second is throttled.
    let lost = Rules { writes: 2, throttles: 1, faults: 1, ..CALM };
    holds(lost, Rules { writes: 4, throttles: 2, ..lost });
    let out = Rules { writes: 1, alone: 1, ..lost };
    holds(out, Rules { writes: 3, ..out });
    let owing = Rules { writes: 2, throttles: 1, faults: 0, ..OWING };
    holds(owing, Rules { writes: 4, throttles: 2, ..owing });
}

#[test]
fn case_193_a_throttled_write_must_not_be_taken_for_applied() {
    let rules = Rules { throttles: 1, ..CALM };
    is_refuted(Weak::ThrottledIsApplied, rules, "what is told as ours was applied once");
}

#[test]
fn case_193_a_throttled_environment_must_not_act_alone() {
    let rules = Rules { throttles: 1, ..CALM };
    is_refuted(Weak::ThrottledIsOut, rules, "nothing is done alone while the store answers");
}

#[test]
fn case_192_a_fleet_keeps_the_protocol_whatever_its_looks_show() {
    let stale = Rules { writes: 3, stale: 1, ..CALM };
    holds(stale, Rules { writes: 5, ..stale });
    let faulty = Rules { writes: 2, faults: 1, ..stale };
    holds(faulty, Rules { writes: 4, ..faulty });
    let refuting = Rules { writes: 3, stale: 1, ..REFUTING };
    holds(refuting, Rules { writes: 5, ..refuting });
    let deleted = Rules { writes: 2, deletions: 1, abrupt: true, ..stale };
    holds(deleted, Rules { writes: 4, ..deleted });
    let operated = Rules { writes: 2, orders: 1, ..stale };
    holds(operated, Rules { writes: 4, ..operated });
}

#[test]
fn case_192_a_look_behind_the_own_last_write_must_not_be_believed() {
    let rules = Rules { stale: 1, ..REFUTING };
    is_refuted(Weak::BehindOwnWrite, rules, "closings of others alone contradict");
}
