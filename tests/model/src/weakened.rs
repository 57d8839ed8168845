//! The protocol with one rule weakened, which the checker refutes.

use crate::{ALONE, CALM, is_refuted, shared::Rules, weak::Weak};

#[test]
fn a_trip_over_a_closed_record_must_not_land_where_it_is_gone() {
    let rules = Rules { writes: 2, deletions: 1, ..CALM };
    is_refuted(Weak::TripOrAbsent, rules, "a trip lands in the epoch that was counted");
}

#[test]
fn a_trip_that_saw_no_record_must_find_none() {
    let rules = Rules { successes: 1, ..CALM };
    is_refuted(Weak::TripUnseen, rules, "a trip lands in the epoch that was counted");
}

#[test]
fn a_trip_must_name_the_closed_record() {
    let rules = Rules { successes: 1, ..CALM };
    is_refuted(Weak::TripAnyClosed, rules, "a trip lands in the epoch that was counted");
}

#[test]
fn case_133_a_trip_must_name_the_end_of_the_hold_that_it_saw() {
    let rules = Rules { writes: 4, orders: 1, closed_holds: true, coarse: true, ..CALM };
    is_refuted(Weak::TripAnyHold, Rules { successes: 1, ..rules }, "no trip ends a hold closed");
}

#[test]
fn case_133_who_knows_of_a_hold_closed_must_not_trip() {
    let rules = Rules { writes: 2, orders: 1, closed_holds: true, ..CALM };
    is_refuted(Weak::TripOverHold, rules, "no trip ends a hold closed");
}

#[test]
fn a_trip_that_nobody_was_told_of_must_keep_to_its_epoch() {
    let rules = Rules { successes: 1, faults: 1, ..CALM };
    is_refuted(Weak::TripOwedForEver, rules, "a trip lands in the epoch that was counted");
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
fn a_renewal_must_name_its_token() {
    let rules = CALM;
    is_refuted(Weak::RenewWithoutToken, rules, "no write lands on a newer state");
}

#[test]
fn a_renewal_must_not_shorten_the_lease() {
    let rules = Rules { writes: 4, faults: 1, ..CALM };
    is_refuted(Weak::RenewShorter, rules, "at most one lease is live");
}

#[test]
fn a_renewal_must_be_later_than_every_lease_of_its_token() {
    let rules = Rules { writes: 4, faults: 1, coarse: true, ..CALM };
    is_refuted(Weak::RepeatedLease, rules, "at most one lease is live");
}

#[test]
fn a_hand_over_must_name_its_token() {
    let rules = CALM;
    is_refuted(Weak::HandOverWithoutToken, rules, "no write lands on a newer state");
}

#[test]
fn a_hand_over_must_name_the_lease() {
    let rules = Rules { writes: 4, faults: 1, ..CALM };
    is_refuted(Weak::HandOverAnyLease, rules, "at most one lease is live");
}

#[test]
fn a_give_back_must_name_its_token() {
    let rules = CALM;
    is_refuted(Weak::GiveBackWithoutToken, rules, "no write lands on a newer state");
}

#[test]
fn an_election_must_name_the_opening() {
    let rules = Rules { writes: 3, ..CALM };
    is_refuted(Weak::ElectAnyOpening, rules, "no write lands on a newer state");
}

#[test]
fn an_election_must_not_end_a_hold() {
    let rules = Rules { orders: 1, ..CALM };
    is_refuted(Weak::ElectOverHold, rules, "no write lands on a newer state");
}

#[test]
fn a_takeover_must_name_the_lease() {
    let rules = Rules { writes: 3, ..CALM };
    is_refuted(Weak::TakeOverAnyLease, rules, "no write lands on a newer state");
}

#[test]
fn a_takeover_must_name_the_owner() {
    let rules = Rules { coarse: true, ..CALM };
    is_refuted(Weak::TakeOverAnyOwner, rules, "no write lands on a newer state");
}

#[test]
fn a_takeover_must_wait_for_the_lease() {
    let rules = Rules { writes: 2, ..CALM };
    is_refuted(Weak::TakeOverAtOnce, rules, "at most one lease is live");
}

#[test]
fn a_hold_must_name_what_the_operator_saw() {
    let rules = Rules { orders: 1, ..CALM };
    is_refuted(Weak::HoldUnseen, rules, "no write lands on a newer state");
}

#[test]
fn a_release_must_name_what_the_operator_saw() {
    let rules = Rules { orders: 1, ..CALM };
    is_refuted(Weak::ReleaseUnseen, rules, "no write lands on a newer state");
}

#[test]
fn the_start_of_a_probe_must_take_the_count_off_the_item() {
    let rules = CALM;
    is_refuted(Weak::KeptCount, rules, "no count stands on the item during a probe");
}

#[test]
fn a_count_that_outlives_an_unseen_failure_closes_too_soon() {
    let rules = Rules { writes: 6, ..CALM };
    is_refuted(Weak::KeptCount, rules, "a circuit closes after K good probes");
}

#[test]
fn a_takeover_must_take_the_count_off_the_item() {
    is_refuted(Weak::TakerKeepsCount, CALM, "no count stands on the item during a probe");
}

#[test]
fn a_token_that_saw_a_failure_must_not_close() {
    let rules = Rules { processes: 1, ..CALM };
    is_refuted(Weak::FailedTokenCloses, rules, "a token that saw a failure never closes");
}

#[test]
fn a_token_left_by_a_trip_must_not_probe_again() {
    let rules = Rules { processes: 1, successes: 1, faults: 1, ..CALM };
    is_refuted(Weak::RegainAfterTrip, rules, "a token that saw a failure never closes");
}

#[test]
fn a_right_that_is_found_again_must_be_renewed() {
    let rules = Rules { writes: 3, ..ALONE };
    is_refuted(Weak::RegainUnrenewed, rules, "at most one lease is live");
}

#[test]
fn a_close_must_be_recognised_by_more_than_its_state() {
    let rules = Rules { successes: 1, writes: 4, ..CALM };
    is_refuted(Weak::AnyClosedIsOurs, rules, "what is told as ours was applied once");
}

#[test]
fn a_close_of_the_same_second_must_not_be_taken_for_ours_after_the_lease() {
    let rules = Rules { successes: 1, coarse: true, ..CALM };
    is_refuted(Weak::PastLeaseClosedIsOurs, rules, "what is told as ours was applied once");
}

#[test]
fn a_late_reopening_must_not_be_taken_for_a_newer_opening() {
    let rules = Rules { processes: 1, writes: 3, successes: 1, ..ALONE };
    is_refuted(Weak::LateReopenIsNewer, rules, "what is told as ours was applied once");
}

#[test]
fn a_lease_that_ran_out_must_be_taken_over() {
    let rules = Rules { writes: 1, ..CALM };
    is_refuted(Weak::NoTakeOver, rules, "a quiet circuit closes by any one alone");
}
