use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::protocol::machine::{CallEnd, ProbeId};

#[cfg(fuseboard_loom)]
mod loom;
mod ramp;

fn publication(epoch: u64, state: CircuitState) -> Published {
    Published {
        epoch,
        state,
        failure_count: 0,
        opened_at: None,
        from_ms: 1_000,
        span_ms: 5_000,
        refresh_ms: 4_000,
        retry_at_ms: 0,
        as_of_ms: 0,
        is_unread: false,
        is_ramping: false,
        is_held_closed: false,
    }
}

/// What the gate decides of a call, and whether that call sends for a read ahead.
fn checked(gate: &Gate, now_ms: u64) -> (Decision, bool) {
    let mut refreshes = false;
    let decision = gate.check(now_ms, || refreshes = true);
    (decision, refreshes)
}

/// What is decided of a call in epoch 7.
fn admit(refreshes: bool) -> (Decision, bool) {
    (Decision::Admit { epoch: 7 }, refreshes)
}

fn decided(gate: &Gate, now_ms: u64) -> Decision {
    checked(gate, now_ms).0
}

fn published(publication: &Published) -> Gate {
    let gate = Gate::new();
    gate.publish(publication, None, || ());
    gate
}

#[test]
fn a_new_gate_asks_and_a_disabled_one_never_does() {
    assert_eq!(decided(&Gate::new(), 0), Decision::ASK_ACTOR);
    assert_eq!(decided(&Gate::new(), u64::MAX), Decision::ASK_ACTOR);
    for now in [0, 1, 1_700_000_000_000] {
        assert_eq!(checked(&Gate::disabled(), now), (Decision::Admit { epoch: 1 }, false));
        assert_eq!(Gate::disabled().quiet_epoch(now), Some(1));
    }
}

#[test]
fn a_closed_gate_admits_from_the_start_of_its_window_to_just_before_its_end() {
    let gate = published(&publication(7, CircuitState::Closed));
    assert_eq!(checked(&gate, 1_000), admit(false));
    assert_eq!(checked(&gate, 4_999), admit(false));
    assert_eq!(checked(&gate, 5_000), admit(true));
    assert_eq!(checked(&gate, 5_999), admit(true));
    assert_eq!(decided(&gate, 6_000), Decision::ASK_ACTOR);
    assert_eq!(decided(&gate, u64::MAX), Decision::ASK_ACTOR);
}

#[test]
fn a_clock_set_back_shuts_the_window() {
    let gate = published(&publication(7, CircuitState::Closed));
    assert_eq!(decided(&gate, 999), Decision::ASK_ACTOR);
    assert_eq!(decided(&gate, 0), Decision::ASK_ACTOR);
}

#[test]
fn an_open_gate_rejects_until_the_retry_or_the_end_of_its_window() {
    for state in [CircuitState::Open, CircuitState::HalfOpen] {
        let gate = published(&Published { retry_at_ms: 3_000, ..publication(2, state) });
        assert_eq!(decided(&gate, 1_000), Decision::Reject { retry_after_ms: 2_000 });
        assert_eq!(decided(&gate, 2_999), Decision::Reject { retry_after_ms: 1 });
        assert_eq!(decided(&gate, 3_000), Decision::ASK_ACTOR);
        assert_eq!(decided(&gate, 999), Decision::ASK_ACTOR);
        let gate = published(&Published { retry_at_ms: 90_000, ..publication(2, state) });
        assert_eq!(decided(&gate, 5_999), Decision::Reject { retry_after_ms: 84_001 });
        assert_eq!(decided(&gate, 6_000), Decision::ASK_ACTOR);
    }
}

#[test]
fn a_shut_window_asks_in_every_state() {
    for state in [CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen] {
        let gate =
            published(&Published { span_ms: 0, retry_at_ms: u64::MAX, ..publication(2, state) });
        assert_eq!(decided(&gate, 1_000), Decision::ASK_ACTOR);
        assert_eq!(gate.epoch_and_state(), (2, state));
    }
}

#[test]
fn a_refresh_is_claimed_once_in_each_window() {
    let gate = published(&publication(7, CircuitState::Closed));
    assert!(gate.claim_refresh(|| true));
    assert!(!gate.claim_refresh(|| true));
    assert_eq!(checked(&gate, 5_999), admit(false));
    gate.publish(&publication(7, CircuitState::Closed), None, || ());
    assert!(gate.claim_refresh(|| true));
    gate.publish(
        &Published { refresh_ms: u64::MAX, ..publication(7, CircuitState::Closed) },
        None,
        || (),
    );
    assert!(!gate.claim_refresh(|| true));
}

#[test]
fn a_refresh_that_could_not_be_sent_for_is_due_as_the_newest_window_says() {
    let gate = published(&publication(7, CircuitState::Closed));
    assert!(!gate.claim_refresh(|| false));
    assert_eq!(checked(&gate, 5_000), admit(true));
    let later = Published { refresh_ms: 4_500, ..publication(7, CircuitState::Closed) };
    assert!(!gate.claim_refresh(|| {
        gate.publish(&later, None, || ());
        false
    }));
    assert_eq!(checked(&gate, 5_000), admit(false));
    assert_eq!(checked(&gate, 5_500), admit(true));
}

#[test]
fn a_good_call_finds_what_it_has_to_do() {
    let gate = Gate::new();
    assert_eq!(gate.watch(), Watch::Nothing);
    for watch in [Watch::Count, Watch::Withdraw, Watch::Nothing] {
        gate.show_counting(watch, false);
        assert_eq!(gate.watch(), watch);
    }
}

#[test]
fn case_99_while_it_hurts_knowledge_of_a_closed_circuit_is_good_for_a_quarter_second() {
    let closed = publication(7, CircuitState::Closed);
    let gate = published(&closed);
    gate.show_counting(Watch::Count, false);
    assert_eq!(gate.quiet_epoch(1_999), Some(7), "one failure alone does not hurt");
    gate.show_counting(Watch::Count, true);
    assert_eq!(gate.quiet_epoch(1_000), None, "the first look passes nobody");
    // The window opens a tick of the clock early.
    let known = 1_000 + CLOCK_TICK_MS;
    assert_eq!(checked(&gate, known + 249), admit(false));
    assert_eq!(decided(&gate, known + 250), Decision::ASK_ACTOR);
    assert_eq!(
        gate.state_if_fresh(known + 250),
        (7, Some(CircuitState::Closed)),
        "it is fresh, and calls fail"
    );
    gate.publish(&Published { from_ms: 2_000, ..closed.clone() }, None, || ());
    assert_eq!(gate.quiet_epoch(2_000), None, "a publication does not forget that calls fail");
    assert_eq!(checked(&gate, 2_265), admit(false), "it was read");
    gate.show_counting(Watch::Nothing, false);
    assert_eq!(checked(&gate, 5_999), admit(false));
    gate.restore_quiet(&Published { from_ms: 2_000, ..closed });
    assert_eq!(gate.quiet_epoch(5_999), Some(7));
}

#[test]
fn case_99_what_hurts_asks_nothing_of_an_open_circuit() {
    let open = Published { retry_at_ms: 3_000, ..publication(2, CircuitState::Open) };
    let gate = published(&open);
    gate.show_counting(Watch::Count, true);
    assert_eq!(decided(&gate, 2_000), Decision::Reject { retry_after_ms: 1_000 });
    gate.show_counting(Watch::Nothing, false);
    gate.restore_quiet(&open);
    assert_eq!(gate.quiet_epoch(1_000), None, "an open circuit passes nobody");
}

#[test]
fn a_probe_on_offer_is_taken_once() {
    let gate = Gate::new();
    assert_eq!(gate.take_offered_probe(), None);
    gate.offer_probe(ProbeId::FIRST, 7);
    assert_eq!(gate.take_offered_probe(), Some((ProbeId::FIRST, 7)));
    assert_eq!(gate.take_offered_probe(), None);
}

#[test]
fn the_verdict_of_a_probe_is_taken_once_and_as_it_was_left() {
    let gate = Gate::new();
    assert_eq!(gate.take_probe_report(), None);
    let year = CallEnd::open_for(std::time::Duration::from_secs(365 * 86_400));
    let second = CallEnd::open_for(std::time::Duration::ZERO);
    for (number, report) in [
        (1, CallEnd::Success),
        (2, CallEnd::Failure),
        (3, CallEnd::Dropped),
        (4, CallEnd::Ignored),
        (5, second),
        ((1 << 37) - 1, year),
    ] {
        let probe = ProbeId::from_number(number).unwrap();
        assert!(gate.note_probe(probe, report), "none lay there");
        assert_eq!(gate.take_probe_report(), Some((probe, report)));
        assert_eq!(gate.take_probe_report(), None);
    }
}

#[test]
fn the_verdict_of_an_older_probe_does_not_cover_that_of_a_newer_one() {
    let gate = Gate::new();
    let [older, newer] = [4, 5].map(|number| ProbeId::from_number(number).unwrap());
    assert!(gate.note_probe(newer, CallEnd::Failure));
    assert!(!gate.note_probe(older, CallEnd::Success));
    assert_eq!(gate.take_probe_report(), Some((newer, CallEnd::Failure)));
}

/// What a first look and a closer one say of the same call.
fn looks(gate: &Gate, now: u64) -> (Option<u64>, Option<u64>) {
    let quiet = match checked(gate, now) {
        (Decision::Admit { epoch }, false) => Some(epoch),
        (Decision::Admit { .. } | Decision::Reject { .. } | Decision::AskActor { .. }, _) => None,
    };
    (gate.quiet_epoch(now), quiet)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_first_look_passes_whom_a_closer_one_admits_and_asks_nothing_of(
        state in select(vec![CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen]),
        from_ms in select(vec![0, 1_000, u64::MAX - 10]),
        span_ms in select(vec![0, 1, 5_000, u64::MAX]),
        refresh_ms in select(vec![0, 4_000, 6_000, u64::MAX]),
        retry_at_ms in select(vec![0, 3_000, 90_000]),
        nows in vec(select(vec![0, 999, 1_000, 1_001, 4_999, 5_000, 5_999, 6_000, u64::MAX]), 1..4),
    ) {
        let epoch = 7;
        let next = Published { epoch, state, from_ms, span_ms, refresh_ms, retry_at_ms,
            ..publication(epoch, state) };
        let gate = published(&publication(6, CircuitState::Closed));
        gate.publish(&next, None, || ());
        for now in nows {
            let (first, closer) = looks(&gate, now);
            prop_assert_eq!(first, closer, "at {}", now);
        }
    }
}
