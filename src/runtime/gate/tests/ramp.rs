//! The share of the calls that a closed gate admits on a ramp.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use super::*;
use crate::protocol::machine::PublishedRamp;

const FROM_MS: u64 = 1_000;

/// A ramp of 20 s: a step each second.
fn ramp(id: u64) -> Option<PublishedRamp> {
    Some(PublishedRamp { id, from_ms: FROM_MS, length_ms: 20_000, first_credit: 0 })
}

fn show(gate: &Gate, ramp: Option<PublishedRamp>) {
    let (from_ms, span_ms, refresh_ms) = (0, 90_000, u64::MAX);
    let closed = publication(7, CircuitState::Closed);
    let is_ramping = ramp.is_some();
    let closed = Published { is_ramping, from_ms, span_ms, refresh_ms, ..closed };
    gate.publish(&closed, ramp, || ());
}

fn ramping(ramp: Option<PublishedRamp>) -> Gate {
    let gate = Gate::new();
    show(&gate, ramp);
    gate
}

/// How many of so many calls are admitted.
fn admitted(gate: &Gate, now_ms: u64, calls: u64) -> u64 {
    let decisions = (0..calls).map(|_| decided(gate, now_ms));
    let admitted = decisions.filter(|decision| *decision == Decision::Admit { epoch: 7 });
    u64::try_from(admitted.count()).unwrap()
}

#[test]
fn case_129_each_step_admits_its_share_exactly() {
    for step in 0..20 {
        let (share, first_ms) = (step + 1, FROM_MS + step * 1_000);
        for now_ms in [first_ms, first_ms + 999] {
            for calls in [1, 7, 19, 20, 21, 1_000] {
                let gate = ramping(ramp(7));
                let expected = calls * share / 20;
                assert_eq!(admitted(&gate, now_ms, calls), expected, "{calls} at {now_ms}");
            }
        }
    }
    let gate = ramping(ramp(7));
    assert_eq!(admitted(&gate, FROM_MS - 500, 100), 5, "the coarse clock lags");
    assert_eq!(gate.quiet_epoch(FROM_MS), None);
}

#[test]
fn case_129_processes_of_few_calls_admit_their_share_together() {
    for step in 0..20 {
        for calls in [1, 2, 7] {
            let fleet = (0..20).map(|first_credit| {
                let gate = ramping(Some(PublishedRamp { first_credit, ..ramp(7).unwrap() }));
                let admitted = admitted(&gate, FROM_MS + step * 1_000, calls);
                let share = calls * (step + 1) / 20;
                assert!(admitted == share || admitted == share + 1, "within one call");
                admitted
            });
            assert_eq!(fleet.sum::<u64>(), calls * (step + 1), "20 processes of {calls} calls");
        }
    }
}

#[test]
fn only_a_call_that_has_its_share_waits_for_news_while_calls_fail() {
    // What the gate shows is of a second ago.
    let gate = ramping(ramp(7));
    gate.show_counting(Watch::Count, true);
    let decisions: Vec<_> = (0..40).map(|_| decided(&gate, FROM_MS)).collect();
    let asking = Decision::AskActor { share: RampShare::Taken };
    for (call, decision) in (1..).zip(&decisions) {
        let rejected = Decision::Reject { retry_after_ms: 1_000 };
        assert_eq!(*decision, if call % 20 == 0 { asking } else { rejected }, "call {call}");
    }
    // All calls, at the end of the ramp.
    assert_eq!(decided(&gate, FROM_MS + 19_000), asking);
    gate.show_counting(Watch::Count, false);
    assert_eq!(decided(&gate, FROM_MS + 19_000), admit(false).0);
}

#[test]
fn a_rejection_on_a_ramp_names_the_next_step() {
    let gate = ramping(ramp(7));
    for (now_ms, retry_after_ms) in [(1_000, 1_000), (1_999, 1), (19_000, 1_000), (19_999, 1)] {
        let mut decisions = (0..20).map(|_| decided(&gate, now_ms));
        assert!(decisions.any(|decision| decision == Decision::Reject { retry_after_ms }));
    }
    // A step that does not end at a whole millisecond has ended when the caller comes back.
    let odd = PublishedRamp { id: 7, from_ms: 0, length_ms: 1_010, first_credit: 0 };
    assert_eq!(odd.step(50).map(|step| (step.share, step.left_ms)), Some((1, 1)));
    assert_eq!(odd.step(51).map(|step| (step.share, step.left_ms)), Some((2, 50)));
}

#[test]
fn a_publication_keeps_the_credit_of_its_ramp_and_a_new_ramp_begins_with_none() {
    let gate = ramping(ramp(7));
    assert_eq!(admitted(&gate, FROM_MS, 19), 0);
    // A window later, by a clock that was corrected.
    let moved = PublishedRamp { from_ms: FROM_MS + 5, ..ramp(7).unwrap() };
    show(&gate, Some(moved));
    assert_eq!(admitted(&gate, FROM_MS, 1), 1, "the twentieth");
    assert_eq!(admitted(&gate, FROM_MS, 19), 0);
    show(&gate, None);
    assert_eq!(admitted(&gate, FROM_MS, 50), 50);
    assert_eq!(gate.quiet_epoch(FROM_MS), Some(7));
    show(&gate, ramp(9));
    assert_eq!(admitted(&gate, FROM_MS, 19), 0);
    assert_eq!(admitted(&gate, FROM_MS, 1), 1);
}

#[test]
fn a_call_that_the_gate_did_not_decide_about_takes_part_as_well() {
    let gate = ramping(ramp(7));
    assert_eq!(admitted(&gate, FROM_MS, 18), 0);
    assert_eq!(gate.reject_on_ramp(FROM_MS + 250), Some(750));
    assert_eq!(gate.reject_on_ramp(FROM_MS + 250), None);
    gate.publish(&publication(8, CircuitState::Open), None, || ());
    assert_eq!(gate.reject_on_ramp(FROM_MS), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn case_129_over_the_steps_the_shares_of_all_calls_add_up(
        spans in vec(0u64..700, 1..200),
        length_ms in 1_000u32..60_000,
        first_credit in 0u32..20,
    ) {
        let ramp = PublishedRamp { id: 7, from_ms: FROM_MS, length_ms, first_credit };
        let gate = ramping(Some(ramp));
        let (mut now_ms, mut shares, mut admitted) = (FROM_MS, u64::from(first_credit), 0);
        for span in spans {
            let step = 20 * (now_ms - FROM_MS) / u64::from(length_ms);
            shares += (step + 1).min(20);
            admitted += u64::from(matches!(decided(&gate, now_ms), Decision::Admit { .. }));
            if step < 19 {
                prop_assert_eq!(admitted, shares / 20, "at {}", now_ms);
            }
            now_ms = (now_ms + span).min(FROM_MS + 59_000);
        }
    }
}
