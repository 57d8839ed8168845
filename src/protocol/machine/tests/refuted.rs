//! CASES.md 93 to 98: one process and the fleet.

use super::{process::*, world::*, *};

fn spread() -> Config {
    build(Config::builder().election_spread(s(1)))
}

/// What half an hour came to for those that are sound.
struct Tally {
    good: u64,
    rejected: u64,
    trips: usize,
}

/// A generator of numbers, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// The first `broken` processes fail so many per cent of their own calls; the
/// dependency is well, and so is everybody else. Calls come in no order.
fn half_an_hour(processes: usize, broken: usize, percent: usize, every: Duration) -> Tally {
    let mut world = World::new(processes, &spread());
    for number in 0..processes {
        world.draw_at_random(number);
    }
    let mut tally = Tally { good: 0, rejected: 0, trips: 0 };
    let mut random = Random(1);
    let calls = 1_800_000 / every.as_millis() * u128::try_from(processes).unwrap();
    for call in 0..calls {
        let number = random.below(processes);
        let fails = number < broken && random.below(100) < percent;
        let report = if fails { CallEnd::Failure } else { CallEnd::Success };
        let decision = world.call(number);
        if number >= broken {
            tally.good += 1;
            tally.rejected += u64::from(decision == Call::Rejected);
        }
        if let Call::Runs(pass) = decision {
            world.end(number, pass, report);
        }
        if call % u128::try_from(processes).unwrap() == 0 {
            world.pass(every);
        }
    }
    tally.trips = world.applied.iter().filter(|(_, name)| *name == "trip").count();
    tally
}

#[test]
fn case_93_one_broken_process_of_ten_costs_the_others_little() {
    for percent in [100, 60, 30] {
        let tally = half_an_hour(10, 1, percent, s(1));
        let share = tally.rejected * 100 / tally.good;
        assert!(share <= 6, "{share} % of the others' calls, {percent} % of its own fail");
        assert!(tally.trips <= 3, "{} trips, {percent} % fail", tally.trips);
    }
}

#[test]
fn case_93_two_broken_processes_of_fifty_cost_the_others_little() {
    let tally = half_an_hour(50, 2, 100, s(5));
    let share = tally.rejected * 100 / tally.good;
    assert!(share <= 12, "{share} % of the others' calls");
}

/// The first of two has tripped, and the other has closed the circuit again.
pub(super) fn contradicted() -> World {
    let mut world = World::new(2, &spread());
    world.succeed(1);
    world.fail(0, 5);
    world.pass(s(31));
    while world.stored().state != CircuitState::Closed.into() {
        if let Call::Runs(pass) = world.call(1) {
            world.end(1, pass, CallEnd::Success);
        }
        world.pass(s(1));
    }
    world.pass(s(6));
    // It hears of the closing.
    while world.state(0) != CircuitState::Closed {
        let _ = world.processes[0].call();
        world.settle(0);
        world.processes[0].forget_waiters();
        world.pass(s(1));
    }
    world.writes = 0;
    world
}

#[test]
fn case_93_a_process_that_was_contradicted_opens_for_itself_alone() {
    let mut world = contradicted();
    let before = world.record.clone();
    world.fail(0, 5);
    assert_eq!(world.state(0), CircuitState::Open);
    assert_eq!((world.record.clone(), world.writes), (before, 0), "nothing is written");
    let told = world.processes[0].transitions.last().expect("it is told");
    assert_eq!((told.cause.clone(), told.origin), (Cause::Refuted, Origin::WithoutStore));
    world.pass(s(10));
    assert_eq!(world.call(0), Call::Rejected, "what the store shows closes nothing here");
    world.succeed(1);
}

#[test]
fn case_94_open_for_itself_it_probes_itself_and_writes_nothing() {
    let mut world = contradicted();
    world.fail(0, 5);
    world.pass(s(29));
    assert_eq!(world.call(0), Call::Rejected);
    world.pass(s(1));
    let pass = world.admit(0);
    assert!(pass.probe.is_some());
    assert_eq!(world.call(0), Call::Rejected, "one at a time");
    world.end(0, pass, CallEnd::Failure);
    assert_eq!((world.state(0), world.writes), (CircuitState::Open, 0));
    world.pass(s(30));
    for _ in 0..3 {
        let pass = world.admit(0);
        assert!(pass.probe.is_some());
        world.end(0, pass, CallEnd::Success);
    }
    assert_eq!((world.state(0), world.writes), (CircuitState::Closed, 0));
    // Three good ones are not enough to be heard.
    world.fail(0, 5);
    assert_eq!((world.state(0), world.writes), (CircuitState::Open, 0));
}

#[test]
fn case_95_enough_good_calls_in_a_row_make_it_heard_again() {
    for (good, heard) in [(23, false), (24, true)] {
        let mut world = contradicted();
        world.fail(0, 4);
        for _ in 0..good {
            world.succeed(0);
        }
        world.fail(0, 5);
        assert_eq!(world.writes, u64::from(heard), "after {good} good calls");
    }
}

#[test]
fn case_95_a_sound_process_is_heard_each_time() {
    // A dependency that fails for 20 s every five minutes, called every five seconds.
    let mut world = World::new(3, &spread());
    let mut tripped = 0;
    for incident in 0..6_u64 {
        for second in 0..300_u64 {
            let report = if second < 25 { CallEnd::Failure } else { CallEnd::Success };
            for number in 0..3 {
                if second % 5 == 0
                    && let Call::Runs(pass) = world.call(number)
                {
                    world.end(number, pass, report);
                }
            }
            world.pass(s(1));
        }
        let trips = world.applied.iter().filter(|(_, name)| *name == "trip").count();
        assert!(trips > tripped, "incident {incident} was not heard");
        tripped = trips;
    }
    let refuted =
        |process: &Process| process.transitions.iter().any(|told| told.cause == Cause::Refuted);
    assert!(!world.processes.iter().any(refuted));
}

#[test]
fn case_96_alone_nobody_is_refuted() {
    let mut world = World::new(1, &spread());
    for _ in 0..3 {
        world.fail(0, 5);
        assert_eq!(world.stored().state, CircuitState::Open.into());
        world.pass(s(33));
        for _ in 0..3 {
            world.succeed(0);
        }
        assert_eq!(world.stored().state, CircuitState::Closed.into());
    }
}

#[test]
fn case_96_a_release_or_a_deletion_refutes_nobody() {
    let released = Record { released: START_UNIX.into(), ..closed(START_UNIX + 4_000) };
    for record in [Some(released), None] {
        let mut world = World::new(1, &spread());
        world.succeed(0);
        world.fail(0, 5);
        world.record = record;
        world.pass(s(6));
        for _ in 0..10 {
            if let Call::Runs(pass) = world.call(0) {
                world.end(0, pass, CallEnd::Success);
            }
            world.pass(s(1));
        }
        assert_eq!(world.state(0), CircuitState::Closed);
        world.writes = 0;
        world.fail(0, 5);
        assert_eq!((world.writes, world.applied.last()), (1, Some(&(0, "trip"))));
    }
}

#[test]
fn case_96_a_closing_by_a_python_function_refutes_as_any_other() {
    let mut world = World::new(1, &spread());
    world.succeed(0);
    world.fail(0, 5);
    // Python closes with the attributes that it has.
    world.record = Some(closed(START_UNIX + 3_640));
    world.pass(s(6));
    world.writes = 0;
    world.fail(0, 5);
    assert_eq!(world.writes, 0);
    assert_eq!(world.state(0), CircuitState::Open);
}

#[test]
fn case_97_an_opening_of_another_is_adopted_by_who_is_open_for_itself() {
    let mut world = contradicted();
    world.fail(0, 5);
    let now = world.processes[0].now.unix_floor(Duration::ZERO);
    world.record = Some(open(now));
    world.pass(s(6));
    assert_eq!(world.call(0), Call::Rejected);
    assert_eq!(world.processes[0].machine.published().opened_at, Some(now));
    // Refuted or not, it is the last to probe.
    world.pass(s(24));
    assert_eq!(world.call(0), Call::Rejected);
    world.record = Some(closed(now + 5_000));
    world.pass(s(6));
    assert!(matches!(world.call(0), Call::Runs(_)), "that closing is adopted as well");
    world.writes = 0;
    world.fail(0, 4);
    world.fail(0, 1);
    assert_eq!((world.state(0), world.writes), (CircuitState::Open, 0), "as in case 93");
}

/// A process that was contradicted, and has had so many good calls since, probes alone
/// what another has opened: writes are denied. The probe fails, and somebody deletes the
/// item before the store may be written again.
fn fails_a_lone_probe(good: u64) -> World {
    let mut world = contradicted();
    (0..good).for_each(|_| world.succeed(0));
    world.fail(1, 5);
    world.pass(s(6));
    while world.state(0) != CircuitState::Open {
        let _ = world.call(0);
    }
    world.deny_writes = Some(StoreErrorKind::Unavailable);
    let pass = loop {
        if let Call::Runs(pass) = world.call(0) {
            break pass;
        }
        world.pass(s(1));
    };
    assert_eq!(world.of_origin(0, Origin::WithoutStore).len(), 1, "it probes alone");
    world.end(0, pass, CallEnd::Failure);
    world.deny_writes = None;
    world.record = None;
    world
}

#[test]
fn case_94_who_was_contradicted_and_fails_a_lone_probe_opens_for_itself_alone() {
    let mut world = fails_a_lone_probe(0);
    assert_eq!(world.state(0), CircuitState::Open);
    world.writes = 0;
    world.pass(s(31));
    assert_eq!((world.record.clone(), world.writes), (None, 0), "it trips for nobody else");
    for _ in 0..3 {
        let pass = world.admit(0);
        assert!(pass.probe.is_some());
        world.end(0, pass, CallEnd::Success);
    }
    assert_eq!((world.state(0), world.writes), (CircuitState::Closed, 0));
}

#[test]
fn case_95_a_lone_probe_that_fails_is_told_once_enough_good_calls_have_made_it_heard() {
    let mut world = fails_a_lone_probe(24);
    world.pass(s(29));
    assert_eq!(world.applied.iter().filter(|made| **made == (0, "trip")).count(), 2);
}

#[test]
fn case_199_who_is_open_for_itself_alone_waits_for_no_look() {
    let mut world = contradicted();
    world.fail(0, 5);
    world.advance(s(6));
    let reads = world.reads;
    assert_eq!(world.processes[0].call(), Call::Rejected, "no read closes it");
    world.settle(0);
    assert_eq!(world.reads - reads, 1, "read all the same: another may have opened it");
}
