//! Who reads the gate while it is published.

use ::loom::sync::Arc;

use super::*;

const CLOSED: CircuitState = CircuitState::Closed;

fn window(epoch: u64, state: CircuitState, from_ms: u64, span_ms: u64) -> Published {
    let refresh_ms = u64::MAX;
    Published { from_ms, span_ms, refresh_ms, ..publication(epoch, state) }
}

fn open(epoch: u64, retry_at_ms: u64) -> Published {
    Published { retry_at_ms, ..window(epoch, CircuitState::Open, 0, 1_000) }
}

/// A gate at which the first of these was published, and a thread that publishes
/// the others.
fn publishing(publications: Vec<Published>) -> (Arc<Gate>, JoinHandle<()>) {
    let gate = Arc::new(published(&publications[0]));
    let writer = {
        let gate = Arc::clone(&gate);
        in_thread(move || {
            publications[1..].iter().for_each(|publication| gate.publish(publication, None, || ()));
        })
    };
    (gate, writer)
}

fn covers(publication: &Published, now_ms: u64) -> bool {
    publication.from_ms <= now_ms
        && now_ms < publication.from_ms.saturating_add(publication.span_ms)
}

/// What a publication alone says of a call at this time, and whether a read ahead is due,
/// if it covers it.
fn said(publication: &Published, now_ms: u64) -> Option<(Decision, bool)> {
    let refreshes = now_ms.wrapping_sub(publication.from_ms) >= publication.refresh_ms;
    covers(publication, now_ms).then_some(match publication.state {
        CLOSED => (Decision::Admit { epoch: publication.epoch }, refreshes),
        CircuitState::Open | CircuitState::HalfOpen => {
            let retry_after_ms = publication.retry_at_ms.saturating_sub(now_ms);
            (Decision::Reject { retry_after_ms }, false)
        }
    })
}

/// Looks while all of these are published, in every way: each look asks, or says
/// what one publication says, and for each there is a look that says it.
fn every_look_is_at_one_publication(
    publications: impl Fn() -> Vec<Published> + Copy + Send + Sync + 'static,
    look: impl Fn(&Gate) -> (Decision, bool) + Copy + Send + Sync + 'static,
    says: impl Fn(&Published) -> Option<(Decision, bool)>,
) {
    let seen = std::sync::Arc::new(Mutex::new(Vec::new()));
    let all_seen = std::sync::Arc::clone(&seen);
    explore(None, move || {
        let (gate, writer) = publishing(publications());
        let decision = look(&gate);
        let mut seen = all_seen.lock().unwrap();
        if !seen.contains(&decision) {
            seen.push(decision);
        }
        drop(seen);
        writer.join().unwrap();
    });
    let seen = seen.lock().unwrap();
    let said: Vec<_> = publications().iter().filter_map(says).collect();
    for decision in seen.iter().filter(|decision| decision.0 != Decision::ASK_ACTOR) {
        assert!(said.contains(decision), "{decision:?} is not of {said:?}");
    }
    assert!(said.iter().all(|decision| seen.contains(decision)), "{seen:?} is less than {said:?}");
}

/// One look, and a closer one, at each of these times.
fn looks_are_at_one_publication(
    publications: impl Fn() -> Vec<Published> + Copy + Send + Sync + 'static,
    nows: &[u64],
) {
    for now in nows.iter().copied() {
        let first = move |gate: &Gate| match gate.quiet_epoch(now) {
            Some(epoch) => (Decision::Admit { epoch }, false),
            None => (Decision::ASK_ACTOR, false),
        };
        let passes = |said: &(Decision, bool)| matches!(said, (Decision::Admit { .. }, false));
        let says = |publication: &Published| said(publication, now);
        every_look_is_at_one_publication(publications, first, |publication| {
            says(publication).filter(passes)
        });
        every_look_is_at_one_publication(publications, move |gate| checked(gate, now), says);
    }
}

#[test]
fn an_epoch_is_never_looked_up_in_the_window_of_another() {
    looks_are_at_one_publication(
        || vec![window(1, CLOSED, 0, 10), open(2, 500), window(3, CLOSED, 100, 10)],
        &[5, 50, 105],
    );
}

#[test]
fn a_window_is_never_read_half_from_the_one_before() {
    // From the second one's start for as long as the first one would reach to 140.
    looks_are_at_one_publication(
        || vec![window(1, CLOSED, 0, 100), window(1, CLOSED, 50, 10)],
        &[55, 120],
    );
    looks_are_at_one_publication(
        || {
            vec![
                Published { refresh_ms: 30, ..window(1, CLOSED, 0, 100) },
                window(1, CLOSED, 0, 100),
            ]
        },
        &[20, 50],
    );
}

#[test]
fn what_is_known_is_of_one_publication() {
    let publications = || vec![window(1, CLOSED, 0, 100), window(2, CLOSED, 50, 10)];
    for now in [5, 55, 120] {
        explore(Some(3), move || {
            let (gate, writer) = publishing(publications());
            let (epoch, fresh) = gate.state_if_fresh(now);
            let of =
                publications().into_iter().find(|publication| publication.epoch == epoch).unwrap();
            let is_one = fresh.is_none_or(|state| state == of.state && covers(&of, now));
            assert!(is_one, "epoch {epoch} at {now}");
            writer.join().unwrap();
        });
    }
}

#[test]
fn a_rejection_is_until_the_time_of_its_own_opening() {
    let half_open =
        || Published { retry_at_ms: 700, ..window(3, CircuitState::HalfOpen, 300, 1_000) };
    looks_are_at_one_publication(move || vec![open(2, 500), half_open()], &[100, 400]);
    looks_are_at_one_publication(|| vec![window(1, CLOSED, 0, 10), open(2, 500)], &[5, 400]);
}

#[test]
fn whom_an_opening_rejected_is_not_admitted_in_the_epoch_before() {
    explore(None, || {
        let (gate, writer) = publishing(vec![window(1, CLOSED, 0, 100), open(2, 500)]);
        let rejected = decided(&gate, 50) == Decision::Reject { retry_after_ms: 450 };
        let passed = gate.quiet_epoch(50);
        assert!(!rejected || passed.is_none());
        writer.join().unwrap();
        assert_eq!(gate.quiet_epoch(50), None, "after the publication nobody is admitted");
    });
}

#[test]
fn whoever_sees_an_epoch_at_the_gate_finds_a_snapshot_of_it_or_a_later_one() {
    explore(None, || {
        let snapshot = Arc::new(AtomicU64::new(1));
        let gate = Arc::new(published(&window(1, CLOSED, 0, 100)));
        let writer = {
            let (gate, snapshot) = (Arc::clone(&gate), Arc::clone(&snapshot));
            in_thread(move || {
                for publication in [open(2, 500), open(3, 600)] {
                    gate.publish(&publication, None, || snapshot.store(publication.epoch, Relaxed));
                }
            })
        };
        match decided(&gate, 50) {
            Decision::Reject { retry_after_ms: 450 } => assert!(snapshot.load(Relaxed) >= 2),
            Decision::Reject { .. } => assert_eq!(snapshot.load(Relaxed), 3),
            Decision::Admit { .. } | Decision::AskActor { .. } => {}
        }
        let epoch = gate.epoch();
        assert!(snapshot.load(Relaxed) >= epoch);
        writer.join().unwrap();
    });
}
