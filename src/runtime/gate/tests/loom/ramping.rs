//! Who calls on a ramp, at once and beside publications.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use ::loom::sync::Arc;

use super::*;
use crate::protocol::machine::PublishedRamp;

/// Publishes a closed circuit that is on a ramp.
fn show(gate: &Gate, epoch: u64, ramp: PublishedRamp) {
    let (from_ms, span_ms, refresh_ms, is_ramping) = (0, 10_000, u64::MAX, true);
    let closed = publication(epoch, CircuitState::Closed);
    let closed = Published { from_ms, span_ms, refresh_ms, is_ramping, ..closed };
    gate.publish(&closed, Some(ramp), || ());
}

/// One that admits so many twentieths of the calls at 100 ms.
fn ramp(id: u64, share: u64) -> PublishedRamp {
    PublishedRamp { id, from_ms: 100 - (share - 1) * 5, length_ms: 100, first_credit: 0 }
}

/// A gate at which that was published.
fn ramping(share: u64) -> Arc<Gate> {
    let gate = Gate::new();
    show(&gate, 1, ramp(1, share));
    Arc::new(gate)
}

/// Calls so often; returns the epochs of the calls that were admitted, and how many were not.
fn calls(gate: &Gate, calls: usize) -> (Vec<u64>, usize) {
    let (mut admitted, mut rejected) = (Vec::new(), 0);
    for _ in 0..calls {
        match decided(gate, 100) {
            Decision::Admit { epoch } => admitted.push(epoch),
            Decision::Reject { .. } => rejected += 1,
            Decision::AskActor { .. } => {}
        }
    }
    (admitted, rejected)
}

#[test]
fn case_129_calls_of_several_threads_share_one_ramp_exactly() {
    for (share, each, expected) in [(10, 1, 1), (15, 1, 1), (7, 2, 1), (15, 2, 3)] {
        explore((each > 1).then_some(2), move || {
            let gate = ramping(share);
            let other = Arc::clone(&gate);
            let other = in_thread(move || calls(&other, each));
            let (mine, _) = calls(&gate, each);
            let (others, _) = other.join().unwrap();
            assert_eq!(mine.len() + others.len(), expected, "share {share}");
        });
    }
}

#[test]
fn a_publication_beside_calls_takes_nothing_from_their_ramp() {
    // Each that is decided counts, before the publication or after it.
    explore(Some(2), || {
        let gate = ramping(10);
        let writer = {
            let gate = Arc::clone(&gate);
            // A freeze began an epoch, but no ramp.
            in_thread(move || show(&gate, 2, ramp(1, 10)))
        };
        let (admitted, rejected) = calls(&gate, 3);
        writer.join().unwrap();
        assert_eq!(admitted.len(), (admitted.len() + rejected) / 2, "of those decided");
    });
}

#[test]
fn a_late_call_of_one_ramp_takes_nothing_from_the_next() {
    explore(Some(2), || {
        let gate = ramping(10);
        let late = Arc::clone(&gate);
        let late = in_thread(move || calls(&late, 1));
        let open = Published { span_ms: 1_000, ..publication(2, CircuitState::Open) };
        gate.publish(&Published { from_ms: 0, retry_at_ms: 50, ..open }, None, || ());
        show(&gate, 3, ramp(3, 7));
        let (admitted, _) = calls(&gate, 2);
        let (late_admitted, late_rejected) = late.join().unwrap();
        // Of the second ramp, if it was decided about there: a third call of 7 twentieths.
        let (more, _) = calls(&gate, 1);
        let of_second = admitted.len() + more.len() + late_admitted.len();
        assert!(late_admitted.iter().all(|epoch| *epoch == 3), "half a call of the first");
        let took_part = late_admitted.len() + late_rejected;
        // Its rejection may be of either ramp: 3 or 4 calls of 7 twentieths are one whole call.
        assert_eq!(of_second, 1, "{took_part} late");
    });
}

#[test]
fn a_ramp_is_never_read_half_from_another() {
    // At 5,010 ms either is in its first step. By the start of the first and the length of the second
    // it would be over, and all calls admitted.
    let first = PublishedRamp { id: 1, from_ms: 1_000, length_ms: 100_000, first_credit: 0 };
    let second = PublishedRamp { id: 2, from_ms: 5_000, length_ms: 1_000, first_credit: 0 };
    for is_known in [true, false] {
        explore(None, move || {
            let gate = Arc::new(Gate::new());
            show(&gate, 1, first);
            let writer = {
                let gate = Arc::clone(&gate);
                in_thread(move || show(&gate, 2, second))
            };
            if is_known {
                assert!(!matches!(decided(&gate, 5_010), Decision::Admit { .. }));
            } else {
                assert!(gate.reject_on_ramp(5_010).is_some(), "by one of them");
            }
            writer.join().unwrap();
        });
    }
}
