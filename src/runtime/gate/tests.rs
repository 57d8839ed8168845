use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::protocol::machine::ProbeId;

#[cfg(fuseboard_loom)]
mod loom;

fn digest(epoch: u64, state: CircuitState) -> Published {
    Published {
        epoch,
        state,
        failure_count: 0,
        opened_at: None,
        from_ms: 1_000,
        span_ms: 5_000,
        refresh_ms: 4_000,
        retry_at_ms: 0,
    }
}

fn published(digest: &Published) -> Gate {
    let gate = Gate::new();
    gate.publish(digest, || ());
    gate
}

#[test]
fn a_new_gate_asks_and_a_disabled_one_never_does() {
    assert_eq!(Gate::new().glance(0), Decision::Ask);
    assert_eq!(Gate::new().glance(u64::MAX), Decision::Ask);
    for now in [0, 1, 1_700_000_000_000] {
        let admitted = Decision::Admit { epoch: 1, refresh: false };
        assert_eq!(Gate::disabled().glance(now), admitted);
        assert_eq!(Gate::disabled().pass(now), Some(1));
    }
}

#[test]
fn a_closed_gate_admits_from_the_start_of_its_window_to_just_before_its_end() {
    let gate = published(&digest(7, CircuitState::Closed));
    let admit = |refresh| Decision::Admit { epoch: 7, refresh };
    assert_eq!(gate.glance(1_000), admit(false));
    assert_eq!(gate.glance(4_999), admit(false));
    assert_eq!(gate.glance(5_000), admit(true));
    assert_eq!(gate.glance(5_999), admit(true));
    assert_eq!(gate.glance(6_000), Decision::Ask);
    assert_eq!(gate.glance(u64::MAX), Decision::Ask);
}

#[test]
fn a_clock_set_back_shuts_the_window() {
    let gate = published(&digest(7, CircuitState::Closed));
    assert_eq!(gate.glance(999), Decision::Ask);
    assert_eq!(gate.glance(0), Decision::Ask);
}

#[test]
fn an_open_gate_rejects_until_the_retry_or_the_end_of_its_window() {
    for state in [CircuitState::Open, CircuitState::HalfOpen] {
        let gate = published(&Published { retry_at_ms: 3_000, ..digest(2, state) });
        assert_eq!(gate.glance(1_000), Decision::Reject { retry_after_ms: 2_000 });
        assert_eq!(gate.glance(2_999), Decision::Reject { retry_after_ms: 1 });
        assert_eq!(gate.glance(3_000), Decision::Ask);
        assert_eq!(gate.glance(999), Decision::Ask);
        let gate = published(&Published { retry_at_ms: 90_000, ..digest(2, state) });
        assert_eq!(gate.glance(5_999), Decision::Reject { retry_after_ms: 84_001 });
        assert_eq!(gate.glance(6_000), Decision::Ask);
    }
}

#[test]
fn a_shut_window_asks_in_every_state() {
    for state in [CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen] {
        let gate = published(&Published { span_ms: 0, retry_at_ms: u64::MAX, ..digest(2, state) });
        assert_eq!(gate.glance(1_000), Decision::Ask);
        assert_eq!(gate.last_known(), (2, state));
    }
}

#[test]
fn a_refresh_is_claimed_once_in_each_window() {
    let gate = published(&digest(7, CircuitState::Closed));
    assert!(gate.claim_refresh(|| true));
    assert!(!gate.claim_refresh(|| true));
    assert_eq!(gate.glance(5_999), Decision::Admit { epoch: 7, refresh: false });
    gate.publish(&digest(7, CircuitState::Closed), || ());
    assert!(gate.claim_refresh(|| true));
    gate.publish(&Published { refresh_ms: u64::MAX, ..digest(7, CircuitState::Closed) }, || ());
    assert!(!gate.claim_refresh(|| true));
}

#[test]
fn a_refresh_that_could_not_be_sent_for_is_due_as_the_newest_window_says() {
    let gate = published(&digest(7, CircuitState::Closed));
    assert!(!gate.claim_refresh(|| false));
    assert_eq!(gate.glance(5_000), Decision::Admit { epoch: 7, refresh: true });
    let later = Published { refresh_ms: 4_500, ..digest(7, CircuitState::Closed) };
    assert!(!gate.claim_refresh(|| {
        gate.publish(&later, || ());
        false
    }));
    assert_eq!(gate.glance(5_000), Decision::Admit { epoch: 7, refresh: false });
    assert_eq!(gate.glance(5_500), Decision::Admit { epoch: 7, refresh: true });
}

#[test]
fn a_success_is_silent_unless_something_is_watched() {
    let gate = Gate::new();
    let pass = CallId { epoch: 1, probe: None };
    let is_silent = |report| gate.is_silent(pass, report);
    assert!(is_silent(CallEnd::Success));
    assert!(!is_silent(CallEnd::Failure));
    assert!(!gate.is_silent(CallId { probe: Some(ProbeId::FIRST), ..pass }, CallEnd::Success));
    gate.show_counting(true, false);
    assert!(!is_silent(CallEnd::Success));
    gate.show_counting(false, false);
    assert!(is_silent(CallEnd::Success));
}

#[test]
fn case_99_while_it_hurts_knowledge_of_a_closed_circuit_is_good_for_a_quarter_second() {
    let closed = digest(7, CircuitState::Closed);
    let gate = published(&closed);
    gate.show_counting(true, false);
    assert_eq!(gate.pass(1_999), Some(7), "one failure alone does not hurt");
    gate.show_counting(true, true);
    assert_eq!(gate.pass(1_000), None, "the first look passes nobody");
    // The window opens a tick of the clock early.
    let known = 1_000 + CLOCK_TICK_MS;
    assert_eq!(gate.glance(known + 249), Decision::Admit { epoch: 7, refresh: false });
    assert_eq!(gate.glance(known + 250), Decision::Ask);
    assert_eq!(
        gate.known(known + 250),
        (7, CircuitState::Closed, true),
        "it is fresh, and calls fail"
    );
    gate.publish(&Published { from_ms: 2_000, ..closed.clone() }, || ());
    assert_eq!(gate.pass(2_000), None, "a publication does not forget that calls fail");
    assert_eq!(gate.glance(2_265), Decision::Admit { epoch: 7, refresh: false }, "it was read");
    gate.show_counting(false, false);
    assert_eq!(gate.glance(5_999), Decision::Admit { epoch: 7, refresh: false });
    gate.restore_quiet(&Published { from_ms: 2_000, ..closed });
    assert_eq!(gate.pass(5_999), Some(7));
}

#[test]
fn case_99_what_hurts_asks_nothing_of_an_open_circuit() {
    let open = Published { retry_at_ms: 3_000, ..digest(2, CircuitState::Open) };
    let gate = published(&open);
    gate.show_counting(true, true);
    assert_eq!(gate.glance(2_000), Decision::Reject { retry_after_ms: 1_000 });
    gate.show_counting(false, false);
    gate.restore_quiet(&open);
    assert_eq!(gate.pass(1_000), None, "an open circuit passes nobody");
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
    for (number, report) in [(1, CallEnd::Success), (2, CallEnd::Failure), (3, CallEnd::Dropped)] {
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
    let quiet = match gate.glance(now) {
        Decision::Admit { epoch, refresh: false } => Some(epoch),
        Decision::Admit { .. } | Decision::Reject { .. } | Decision::Ask => None,
    };
    (gate.pass(now), quiet)
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
            ..digest(epoch, state) };
        let gate = published(&digest(6, CircuitState::Closed));
        gate.publish(&next, || ());
        for now in nows {
            let (first, closer) = looks(&gate, now);
            prop_assert_eq!(first, closer, "at {}", now);
        }
    }
}
