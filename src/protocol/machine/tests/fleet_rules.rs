//! CASES.md, second part: a fleet that is never in step, and never alone while reads work.

use super::{faults::probing, process::*, world::*, *};

/// The defaults over a shared store.
pub(super) fn spread() -> Config {
    build(Config::builder().election_spread(s(1)))
}

/// A fleet that has seen the circuit open since `START`, tripped by the first of it.
pub(super) fn tripped(processes: usize, config: &Config) -> World {
    let mut world = World::new(processes, config);
    for number in 0..processes {
        world.succeed(number);
    }
    world.fail(0, 5);
    world.advance(s(5));
    for number in 0..processes {
        assert_eq!(world.call(number), Call::Rejected);
        assert_eq!(world.state(number), CircuitState::Open);
    }
    world.reads = 0;
    world.writes = 0;
    world
}

/// Milliseconds until a call of this process runs, in steps.
pub(super) fn waits(world: &mut World, number: usize, step: u64) -> u64 {
    let mut waited = 0;
    while world.call(number) == Call::Rejected {
        world.pass(ms(step));
        waited += step;
        assert!(waited < 300_000, "rejected for ever");
    }
    waited
}

#[test]
fn case_98_who_wrote_the_opening_is_due_after_all_others() {
    let mut world = World::new(2, &spread());
    // Nearly the longest share of the spread: 0.98 s.
    world.draws(1, 250);
    world.succeed(1);
    world.fail(0, 5);
    world.advance(s(5));
    assert_eq!(world.call(1), Call::Rejected);
    world.pass(ms(25_970));
    assert_eq!([world.call(0), world.call(1)], [Call::Rejected, Call::Rejected]);
    world.pass(ms(20));
    // The others' spread is over within R and one second; the tripper waits a `handoff`.
    assert_eq!(world.call(0), Call::Rejected);
    assert!(world.admit(1).probe.is_some());
}

#[test]
fn case_98_alone_the_tripper_probes_a_second_and_a_handoff_later() {
    for offset in [0, 1, 500, 999] {
        let mut world = World::new(1, &spread());
        world.advance(ms(offset));
        world.succeed(0);
        world.fail(0, 5);
        let waited = waits(&mut world, 0, 1);
        // The stamp was rounded up to the next second.
        let rounded = if offset == 0 { 0 } else { 1_000 - offset };
        assert_eq!(waited, 31_000 + rounded, "tripped {offset} ms after a second");
    }
}

#[test]
fn case_192_each_process_waits_a_part_of_the_spread_of_its_own() {
    for (draw, share) in [(0, 0), (64, 251), (255, 1_000)] {
        let mut world = tripped(2, &spread());
        world.draws(1, draw);
        world.record = Some(open(START_UNIX + 1));
        world.advance(s(1));
        world.advance(s(5));
        assert_eq!(world.call(1), Call::Rejected);
        let waited = waits(&mut world, 1, 1);
        // It last knew that it was otherwise five seconds after the start.
        assert_eq!(waited, 24_000 + share, "draw {draw}");
    }
}

#[test]
fn case_192_who_is_due_by_old_knowledge_looks_before_it_writes() {
    let mut world = tripped(2, &spread());
    world.pass(s(25));
    let holder = world.admit(1);
    assert!(holder.probe.is_some());
    assert_eq!((world.reads, world.writes), (1, 1), "one look, one election");
    // The tripper is due a second later, and reads what it would have written against.
    world.pass(s(2));
    assert_eq!(world.call(0), Call::Rejected);
    assert_eq!(world.writes, 1, "no write was refused");
    assert_eq!(world.state(0), CircuitState::HalfOpen);
}

#[test]
fn case_192_knowledge_that_is_young_but_of_before_the_due_instant_is_looked_at_again() {
    let mut world = tripped(2, &spread());
    world.pass(s(23));
    assert_eq!(world.call(1), Call::Rejected);
    world.pass(s(2));
    world.reads = 0;
    assert!(world.processes[1].machine.is_fresh(), "read two seconds ago, and not due then");
    assert!(world.admit(1).probe.is_some());
    assert_eq!((world.reads, world.writes), (1, 1), "a look, and an election");
}

#[test]
fn case_192_a_take_over_looks_and_is_spread_as_well() {
    let mut world = World::new(2, &spread());
    world.record = Some(half_open("gone", START_UNIX + 30));
    world.draws(1, 255);
    assert_eq!([world.call(0), world.call(1)], [Call::Rejected, Call::Rejected]);
    world.pass(s(32) - ms(1));
    assert_eq!([world.call(0), world.call(1)], [Call::Rejected, Call::Rejected]);
    world.reads = 0;
    world.pass(ms(1));
    assert!(world.admit(0).probe.is_some());
    assert_eq!((world.reads, world.writes), (1, 1));
    world.pass(s(1));
    assert_eq!(world.call(1), Call::Rejected);
    assert_eq!(world.writes, 1, "the second one looked first");
}

/// What another process's probe left at `at`, and the records that follow it within its
#[test]
fn case_193_a_throttled_election_is_an_answer_and_not_an_outage() {
    let mut world = tripped(2, &spread());
    world.pass(s(25));
    world.throttle_writes = true;
    let mut tried = 0;
    for _ in 0..400 {
        let before = world.writes + world.throttled;
        assert_eq!(world.call(1), Call::Rejected, "nobody probes alone");
        tried += world.writes + world.throttled - before;
        world.pass(ms(100));
    }
    assert!((4..=30).contains(&tried), "{tried} attempts in 40 s");
    assert!(world.of_origin(1, Origin::WithoutStore).is_empty());
    world.throttle_writes = false;
    let reads = world.reads;
    waits(&mut world, 1, 100);
    assert!(world.reads > reads, "it looks before it writes again");
    assert_eq!(world.applied.last(), Some(&(1, "elect")));
}

#[test]
fn case_193_a_closing_that_is_throttled_is_written_later_and_not_told_before() {
    let (mut world, pass) = probing(&quick(5, 1), 1);
    world.down = Some(StoreErrorKind::Throttled);
    world.end(0, pass, CallEnd::Success);
    assert_eq!(world.state(0), CircuitState::HalfOpen, "nobody closes alone");
    world.pass(s(3));
    world.down = None;
    world.pass(s(31));
    assert_eq!(world.stored().state, CircuitState::Closed.into());
    assert!(world.of_origin(0, Origin::WithoutStore).is_empty());
}

#[test]
fn case_195_with_writes_denied_what_is_due_is_decided_on_a_read() {
    for kind in [StoreErrorKind::Misconfigured, StoreErrorKind::Timeout] {
        let mut world = tripped(1, &Config::default());
        world.deny_writes = Some(kind);
        world.pass(s(25));
        assert_eq!(world.call(0), Call::Rejected, "the first to find out is rejected");
        // Another process holds a live lease: no probe beside it.
        let now = world.processes[0].now.unix_floor(Duration::ZERO);
        world.record = Some(half_open("another", now + 60));
        for _ in 0..20 {
            assert_eq!(world.call(0), Call::Rejected, "a probe beside a live lease");
            world.pass(s(1));
        }
        // Others have closed it: the next calls run.
        world.record = Some(closed(START_UNIX + 5_000));
        world.pass(s(6));
        assert!(matches!(world.call(0), Call::Runs(CallId { probe: None, .. })));
    }
}

#[test]
fn case_195_with_writes_denied_a_circuit_recovers_alone_probe_by_probe() {
    let mut world = tripped(1, &Config::default());
    world.deny_writes = Some(StoreErrorKind::Misconfigured);
    world.pass(s(25));
    let mut probes = 0;
    // Shorter than the back-off after which writing is tried again.
    for _ in 0..50 {
        if let Call::Runs(pass) = world.call(0)
            && pass.probe.is_some()
        {
            probes += 1;
            world.end(0, pass, CallEnd::Success);
        }
        world.pass(s(1));
    }
    assert_eq!((probes, world.state(0)), (3, CircuitState::Closed));
    assert_eq!(world.stored().state, CircuitState::Open.into());
}

#[test]
fn case_195_a_closing_elsewhere_ends_an_opening_that_was_decided_alone() {
    let mut world = World::new(1, &Config::default());
    world.record = Some(closed(START_UNIX + 3_600));
    world.succeed(0);
    world.deny_writes = Some(StoreErrorKind::Misconfigured);
    world.fail(0, 5);
    assert_eq!(world.state(0), CircuitState::Open);
    world.pass(s(6));
    world.record = Some(closed(START_UNIX + 3_700));
    assert!(matches!(world.call(0), Call::Runs(CallId { probe: None, .. })));
    world.deny_writes = None;
    world.pass(s(120));
    assert_eq!(world.record, Some(closed(START_UNIX + 3_700)), "the trip is of an epoch before");
}

/// A process that tripped while it could not reach the store.
fn owing() -> World {
    let mut world = World::new(1, &Config::default());
    world.record = Some(closed(START_UNIX + 3_600));
    world.succeed(0);
    world.down = Some(StoreErrorKind::Timeout);
    world.fail(0, 5);
    world.pass(s(3));
    world
}

#[test]
fn case_196_a_trip_that_is_older_than_the_timeout_is_not_written() {
    let mut world = owing();
    world.pass(s(60));
    world.down = None;
    world.pass(s(60));
    assert_eq!(world.record, Some(closed(START_UNIX + 3_600)));
    let probe = world.admit(0);
    assert!(probe.probe.is_some(), "it probes first");
    assert_eq!(world.call(0), Call::Rejected, "one at a time");
    world.end(0, probe, CallEnd::Failure);
    assert_eq!(world.stored().state, CircuitState::Open.into(), "what it finds now is written");
}

#[test]
fn case_196_a_trip_from_before_a_freeze_is_not_written() {
    let mut world = owing();
    world.down = None;
    // Nothing ran for a while that is shorter than the timeout.
    world.advance(s(20));
    world.processes[0].tick();
    world.settle(0);
    assert_eq!(world.record, Some(closed(START_UNIX + 3_600)));
    assert!(world.admit(0).probe.is_some(), "it probes first");
}

#[test]
fn case_196_a_release_is_not_undone_by_a_trip_of_the_epoch_before() {
    let mut world = owing();
    let released = closed(START_UNIX + 3_650);
    world.record = Some(released.clone());
    world.down = None;
    world.pass(s(10));
    assert_eq!(world.record, Some(released));
    assert_eq!(world.state(0), CircuitState::Closed);
}

#[test]
fn case_209_a_throttled_look_before_a_trip_is_repeated_until_the_timeout() {
    let mut world = World::new(1, &spread());
    world.record = Some(closed(START_UNIX + 3_600));
    world.succeed(0);
    world.advance(s(1));
    let pass = world.admit(0);
    for _ in 0..4 {
        world.end(0, pass, CallEnd::Failure);
    }
    world.down = Some(StoreErrorKind::Throttled);
    world.end(0, pass, CallEnd::Failure);
    assert_eq!(world.state(0), CircuitState::Open);
    assert!(world.of_origin(0, Origin::WithoutStore).is_empty(), "it is not without the store");
    world.pass(s(10));
    world.down = None;
    // No call comes: the timer alone looks, and trips.
    world.pass(s(6));
    assert_eq!(world.stored().state, CircuitState::Open.into());
}

#[test]
fn case_209_a_trip_that_is_throttled_for_too_long_ends_in_a_probe() {
    let mut world = World::new(1, &spread());
    world.record = Some(closed(START_UNIX + 3_600));
    world.succeed(0);
    world.down = Some(StoreErrorKind::Throttled);
    world.fail(0, 5);
    world.pass(s(31));
    world.down = None;
    let waited = waits(&mut world, 0, 100);
    assert!(waited <= 8_000, "{waited} ms");
    assert_eq!(world.record, Some(closed(START_UNIX + 3_600)));
}

#[test]
fn case_207_a_record_that_vanished_is_elected_on_by_one_of_fifty() {
    for config in [spread(), Config::default()] {
        let mut world = World::new(50, &config);
        world.record = Some(open(START_UNIX));
        for number in 0..50 {
            assert_eq!(world.call(number), Call::Rejected);
        }
        world.record = None;
        world.pass(s(6));
        let probes: Vec<_> =
            (0..50).filter(|number| matches!(world.call(*number), Call::Runs(_))).collect();
        assert_eq!(probes.len(), 1, "{probes:?}");
        assert_eq!(world.stored().state, CircuitState::HalfOpen.into());
        assert_eq!(world.stored().opened_at, START_UNIX.into());
    }
}

#[test]
fn case_211_half_open_elsewhere_is_read_again_after_two_seconds() {
    let mut world = World::new(1, &Config::default());
    world.record = Some(half_open("another", START_UNIX + 30));
    assert_eq!(world.call(0), Call::Rejected);
    world.record = Some(closed(START_UNIX + 4_000));
    world.pass(ms(1_999));
    assert_eq!(world.call(0), Call::Rejected);
    world.pass(ms(1));
    assert!(matches!(world.call(0), Call::Runs(_)));
    // A probe that takes long is looked at as rarely as anything else.
    let mut world = World::new(1, &Config::default());
    world.record = Some(half_open("another", START_UNIX + 300));
    for _ in 0..200 {
        world.call(0);
        world.pass(ms(100));
    }
    assert!((5..=7).contains(&world.reads), "{} reads in 20 s", world.reads);
}

#[test]
fn case_206_ages_are_cut_by_a_random_tenth() {
    for (draw, age) in [(0, 5_000), (255, 4_502)] {
        let mut world = World::new(1, &spread());
        world.draws(0, draw);
        world.succeed(0);
        world.advance(ms(age - 1));
        world.succeed(0);
        assert_eq!(world.reads, 1);
        world.advance(ms(1));
        world.succeed(0);
        assert_eq!(world.reads, 2, "draw {draw}");
    }
}

#[test]
fn case_100_a_trip_looks_first_and_finds_that_others_were_faster() {
    let mut world = World::new(2, &spread());
    world.succeed(0);
    world.succeed(1);
    world.advance(s(1));
    let late = world.admit(1);
    world.fail(0, 5);
    for _ in 0..5 {
        world.end(1, late, CallEnd::Failure);
    }
    assert_eq!(world.state(1), CircuitState::Open);
    assert_eq!(world.writes, 1, "no trip was refused");
    assert_eq!(world.processes[1].transitions.len(), 1);
    assert_eq!(world.processes[1].transitions[0].origin, Origin::Observed);
}

#[test]
fn case_99_while_calls_fail_the_next_one_goes_by_a_fresh_read() {
    let mut world = World::new(1, &Config::default());
    world.fail(0, 2);
    world.record = Some(open(START_UNIX));
    world.advance(ms(251));
    let calls: Vec<_> = (0..3).map(|_| world.processes[0].call()).collect();
    world.settle(0);
    for call in calls {
        assert!(matches!(call, Call::Waits(_)));
        // Case 101: what was counted here is of an epoch that is over.
        assert_eq!(world.processes[0].decision(call), Some(Call::Rejected));
    }
    assert_eq!((world.reads, world.writes), (2, 0), "one read for all of them");
}

#[test]
fn case_99_knowledge_of_a_quarter_of_a_second_is_young_enough() {
    let mut world = World::new(1, &Config::default());
    world.fail(0, 2);
    world.advance(ms(250));
    assert!(matches!(world.processes[0].call(), Call::Runs(_)));
    world.advance(ms(1));
    // Without an answer the call is admitted, and while reads are left alone none waits.
    world.down = Some(StoreErrorKind::Timeout);
    assert!(matches!(world.call(0), Call::Runs(_)));
    assert!(matches!(world.processes[0].call(), Call::Runs(_)));
}
