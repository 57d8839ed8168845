//! Who leaves, offers, or claims something at the gate. Without a bound.

use ::loom::sync::Arc;

use super::*;

fn probe(number: u64) -> ProbeId {
    ProbeId::from_number(number).unwrap()
}

/// A window in which a refresh is due after so long.
fn due_after(refresh_ms: u64) -> Published {
    let closed = publication(1, CircuitState::Closed);
    Published { from_ms: 0, span_ms: 100, refresh_ms, ..closed }
}

fn is_due(gate: &Gate, age: u64) -> bool {
    checked(gate, age) == (Decision::Admit { epoch: 1 }, true)
}

fn running<T: Send + 'static>(
    gate: &Arc<Gate>,
    run: impl FnOnce(&Gate) -> T + Send + 'static,
) -> JoinHandle<T> {
    let gate = Arc::clone(gate);
    in_thread(move || run(&gate))
}

#[test]
fn of_two_calls_that_find_a_refresh_due_one_sends_for_it() {
    explore(None, || {
        let gate = Arc::new(published(&due_after(30)));
        let other = running(&gate, |gate| gate.claim_refresh(|| true));
        let is_first = gate.claim_refresh(|| true);
        assert_ne!(is_first, other.join().unwrap());
        assert!(!is_due(&gate, 50), "nobody sends another");
    });
}

#[test]
fn a_refresh_is_sent_for_once_in_each_window() {
    explore(None, || {
        let gate = Arc::new(published(&due_after(30)));
        let other = running(&gate, |gate| u64::from(gate.claim_refresh(|| true)));
        let actor = running(&gate, |gate| gate.publish(&due_after(40), None, || ()));
        let mut sent = u64::from(gate.claim_refresh(|| true)) + other.join().unwrap();
        actor.join().unwrap();
        assert_eq!(
            is_due(&gate, 50),
            gate.claim_refresh(|| {
                sent += 1;
                true
            })
        );
        assert!((1..=2).contains(&sent), "{sent} for two windows");
    });
}

#[test]
fn a_refresh_that_could_not_be_sent_for_is_due_again() {
    explore(None, || {
        let gate = Arc::new(published(&due_after(30)));
        let other = running(&gate, |gate| gate.claim_refresh(|| true));
        assert!(!gate.claim_refresh(|| false));
        let sent = other.join().unwrap();
        assert_ne!(is_due(&gate, 50), sent, "unless the other has");
    });
}

#[test]
fn of_two_calls_that_find_a_probe_on_offer_one_gets_it() {
    explore(None, || {
        let gate = Arc::new(Gate::new());
        let actor = running(&gate, |gate| gate.offer_probe(probe(4), 70));
        let other = running(&gate, Gate::take_offered_probe);
        let taken = [gate.take_offered_probe(), other.join().unwrap()];
        actor.join().unwrap();
        let taken: Vec<_> =
            taken.into_iter().chain([gate.take_offered_probe()]).flatten().collect();
        assert!(taken == [(probe(4), 70)] || taken.is_empty(), "{taken:?}");
    });
}

#[test]
fn a_probe_is_never_taken_for_longer_than_it_is_on_offer() {
    explore(None, || {
        let gate = Arc::new(Gate::new());
        gate.offer_probe(probe(4), 70);
        let caller = running(&gate, Gate::take_offered_probe);
        let withdrawn = gate.take_offered_probe();
        gate.offer_probe(probe(5), 90);
        match caller.join().unwrap() {
            None => assert_eq!(withdrawn, Some((probe(4), 70))),
            // Who saw the one and takes the other has the time of the one: it is
            // given back, as if it had lain there for too long.
            Some((taken, until)) if taken == probe(5) => assert!(until == 90 || until == 70),
            Some(taken) => assert_eq!((taken, withdrawn), ((probe(4), 70), None)),
        }
    });
}

/// The verdict of one probe and a straggler's of the one before are left while the
/// actor takes what is there, and once more in the end.
#[test]
fn the_verdict_of_a_probe_is_taken_once_whatever_else_is_left() {
    explore(None, || {
        let gate = Arc::new(Gate::new());
        let straggler = running(&gate, |gate| gate.note_probe(probe(4), CallEnd::Dropped));
        let actor = running(&gate, Gate::take_probe_report);
        let holder = gate.note_probe(probe(5), CallEnd::Failure);
        let straggler = straggler.join().unwrap();
        let taken: Vec<_> =
            [actor.join().unwrap(), gate.take_probe_report()].into_iter().flatten().collect();
        let verdicts = taken.iter().filter(|verdict| **verdict == (probe(5), CallEnd::Failure));
        assert_eq!(verdicts.count(), 1, "{taken:?}");
        let counted = [holder, straggler].iter().filter(|is_first| **is_first).count();
        assert_eq!(taken.len(), counted, "each that was first is taken, and no other");
    });
}

/// Several callers may find that the actor has ended.
#[test]
fn of_two_that_take_the_verdict_at_the_gate_one_gets_it() {
    explore(None, || {
        let gate = Arc::new(Gate::new());
        gate.note_probe(probe(4), CallEnd::Success);
        let take = |gate: &Gate| gate.take_probe_report().is_some();
        let other = running(&gate, take);
        assert_ne!(take(&gate), other.join().unwrap());
    });
}
