//! The figures of runs that are made up.

use CircuitState::{Closed, HalfOpen, Open};

use super::*;

const PLAN: Plan = Plan::new(2, 20, Duration::from_secs(5));

fn call(environment: usize, ms: u64, ending: Ending) -> Call {
    let offered_at = Duration::from_millis(ms);
    let ended_at = offered_at.saturating_add(Duration::from_millis(40));
    Call { environment, offered_at, ended_at, ending }
}

fn announced(
    environment: usize,
    ms: u64,
    from: CircuitState,
    to: CircuitState,
    origin: Origin,
) -> Announced {
    Announced { environment, at: Duration::from_millis(ms), from, to, cause: "", origin }
}

fn good_run() -> History {
    let mut calls = vec![call(0, 1_900, Ending::Answered), call(1, 2_100, Ending::Failed)];
    calls.extend((2_200..2_204).map(|at| call(0, at, Ending::Failed)));
    calls.extend((3_000..3_050).map(|at| call(1, at, Ending::Rejected)));
    calls.push(call(0, 4_500, Ending::ProbeFailed));
    calls.extend((8_000..8_003).map(|at| call(1, at, Ending::ProbeAnswered)));
    History {
        calls,
        announced: vec![
            announced(0, 2_240, Closed, Open, Origin::Local),
            announced(1, 2_640, Closed, Open, Origin::Observed),
            announced(0, 4_500, Open, HalfOpen, Origin::Local),
            announced(0, 4_540, HalfOpen, Open, Origin::Local),
            announced(1, 8_000, Open, HalfOpen, Origin::Local),
            announced(1, 8_100, HalfOpen, Closed, Origin::Local),
            announced(0, 8_400, Open, Closed, Origin::Observed),
        ],
        reached: vec![
            Reached { in_outage: 5, most_in_flight: 1 },
            Reached { in_outage: 1, most_in_flight: 1 },
        ],
        store: Counts::default(),
        end: Duration::from_secs(10),
    }
}

#[test]
fn figures_come_from_what_happened() {
    let report = Report::of(&PLAN, &good_run());
    assert_eq!((report.offered, report.reached, report.allowed), (56, 6, 13));
    assert_eq!(report.protected_after, Some(Duration::from_millis(500)));
    assert_eq!((report.probes_failed, report.probes_answered), (1, 3));
    assert_eq!(report.closed_after, Some(Duration::from_millis(1_100)));
    assert_eq!(report.known_after, Some(Duration::from_millis(1_400)));
    assert_eq!((report.made, report.observed), (5, 2));
    assert!(report.faults.is_empty(), "{:?}", report.faults);
}

#[test]
fn a_circuit_that_lets_calls_through_is_a_failure() {
    let mut history = good_run();
    history.reached[1].in_outage = 50;
    let report = Report::of(&PLAN, &history);
    assert_eq!(report.faults.len(), 1);
    assert!(report.faults[0].starts_with("not protected: 55 calls"), "{:?}", report.faults);
}

#[test]
fn a_circuit_that_never_opens_is_a_failure() {
    let mut history = good_run();
    history.announced.retain(|announced| announced.environment == 0);
    let report = Report::of(&PLAN, &history);
    assert_eq!(report.protected_after, None);
    assert_eq!(report.faults, ["not protected: the circuit never opened in env-2"]);
}

#[test]
fn a_circuit_that_stays_open_is_a_failure() {
    let mut history = good_run();
    history.announced.pop();
    let report = Report::of(&PLAN, &history);
    assert_eq!(report.known_after, None);
    assert_eq!(
        report.faults,
        ["not recovered: the circuit was not closed in env-1, 3.0 s after the dependency's return"]
    );
}
