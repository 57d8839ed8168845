//! CASES.md, "Closed": counting and tripping.

use super::{process::*, world::*, *};

const CLOSED_TO_OPEN: (CircuitState, CircuitState) = (CircuitState::Closed, CircuitState::Open);

#[test]
fn case_01_a_success_without_a_record_costs_one_read() {
    let mut world = World::new(1, &Config::default());
    world.succeed(0);
    assert_eq!((world.reads, world.writes, &world.record), (1, 0, &None));
    assert!(world.processes[0].transitions.is_empty());
}

#[test]
fn case_02_a_cache_is_used_until_its_age_and_read_ahead_before() {
    let mut world = World::new(1, &Config::default());
    world.succeed(0);
    world.advance(ms(4_999));
    world.succeed(0);
    assert_eq!(world.reads, 1);
    world.processes[0].refresh();
    assert!(matches!(world.processes[0].call(), Call::Runs(_)), "nobody waits for a read ahead");
    world.settle(0);
    assert_eq!(world.reads, 2);
    world.advance(s(5));
    world.succeed(0);
    assert_eq!(world.reads, 3);
}

#[test]
fn case_03_without_a_cache_every_call_reads() {
    let mut world = World::new(1, &build(Config::builder().local_cache_max_age(Duration::ZERO)));
    for calls in 1..=10 {
        world.succeed(0);
        assert_eq!(world.reads, calls);
    }
}

#[test]
fn case_04_a_success_ends_the_streak() {
    let mut world = World::new(1, &Config::default());
    for _ in 0..3 {
        world.fail(0, 4);
        world.succeed(0);
    }
    assert_eq!((world.state(0), world.writes), (CircuitState::Closed, 0));
}

#[test]
fn case_05_the_last_of_enough_failures_trips_with_one_write() {
    let mut world = World::new(1, &Config::default());
    world.fail(0, 5);
    let expected = Record {
        state: CircuitState::Open.into(),
        failure_count: 5.into(),
        opened_at: START_UNIX.into(),
        expires_at: (START_UNIX + 3_630).into(),
        down_since: START_UNIX.into(),
        cause: Field::Valid("failure_threshold".into()),
        ..Record::empty()
    };
    assert_eq!(world.record, Some(expected));
    assert_eq!(world.writes, 1);
    assert_eq!(world.local(0), [CLOSED_TO_OPEN]);
    let told = &world.processes[0].transitions;
    assert_eq!((told.len(), told[0].opened_at), (1, Some(START_UNIX)));
    assert_eq!(told[0].cause, Cause::FailureThreshold);
}

#[test]
fn case_06_no_verdict_neither_counts_nor_resets() {
    let mut world = World::new(1, &Config::default());
    for _ in 0..4 {
        world.fail(0, 1);
        let pass = world.admit(0);
        world.end(0, pass, CallEnd::Dropped);
    }
    assert_eq!(world.state(0), CircuitState::Closed);
    world.fail(0, 1);
    assert_eq!(world.state(0), CircuitState::Open);
}

#[test]
fn case_07_a_closed_record_of_an_earlier_recovery_is_tripped_over() {
    let mut world = World::new(1, &Config::default());
    world.record = Some(closed(START_UNIX + 50));
    world.fail(0, 5);
    assert_eq!(world.stored().state, CircuitState::Open.into());
    assert_eq!(world.applied, [(0, "trip")]);
}

#[test]
fn case_08_a_streak_starts_anew_after_an_opening_was_seen() {
    let mut world = World::new(1, &Config::default());
    world.fail(0, 4);
    world.record = Some(open(START_UNIX + 5));
    world.advance(s(6));
    assert_eq!(world.call(0), Call::Rejected);
    world.record = Some(closed(START_UNIX + 50));
    world.advance(s(6));
    world.fail(0, 4);
    assert_eq!((world.state(0), world.writes), (CircuitState::Closed, 0));
}

#[test]
fn case_08_a_streak_starts_anew_after_an_opening_that_was_not_seen() {
    let mut world = World::new(1, &Config::default());
    world.record = Some(closed(START_UNIX + 10));
    world.fail(0, 4);
    world.record = Some(closed(START_UNIX + 50));
    world.advance(s(6));
    world.fail(0, 4);
    assert_eq!((world.state(0), world.writes), (CircuitState::Closed, 0));
}

#[test]
fn case_11_64_calls_in_flight_that_fail_make_one_trip() {
    let mut world = World::new(1, &Config::default());
    let passes: Vec<_> = (0..64).map(|_| world.admit(0)).collect();
    for pass in passes {
        world.processes[0].end(pass, CallEnd::Failure);
    }
    world.settle(0);
    assert_eq!((world.writes, world.local(0).len()), (1, 1));
}

#[test]
fn case_12_twenty_that_trip_together_announce_one_trip() {
    let mut world = World::new(20, &Config::default());
    for number in 0..20 {
        world.fail(number, 4);
    }
    for number in 0..20 {
        let pass = world.admit(number);
        world.processes[number].end(pass, CallEnd::Failure);
        world.advance(ms(100));
    }
    for number in 0..20 {
        world.settle(number);
        assert_eq!(world.call(number), Call::Rejected);
    }
    let told: Vec<_> = (0..20).flat_map(|number| world.local(number)).collect();
    assert_eq!(told, [CLOSED_TO_OPEN]);
    assert_eq!(world.stored().opened_at, START_UNIX.into());
}

#[test]
fn case_13_failures_of_calls_from_before_a_trip_and_a_close_do_not_count() {
    let mut world = World::new(1, &quick(5, 1));
    let late: Vec<_> = (0..10).map(|_| world.admit(0)).collect();
    world.fail(0, 5);
    world.advance(s(31));
    world.succeed(0);
    assert_eq!(world.state(0), CircuitState::Closed);
    for pass in late {
        world.end(0, pass, CallEnd::Failure);
    }
    world.fail(0, 4);
    assert_eq!(world.state(0), CircuitState::Closed);
    world.fail(0, 1);
    assert_eq!(world.state(0), CircuitState::Open);
}

#[test]
fn case_52_a_straggler_of_the_closed_era_changes_no_record() {
    let now = START_UNIX + 100;
    for record in [open(now), half_open("another", now + 30), closed(now + 9)] {
        let mut world = World::new(1, &Config::default());
        world.record = Some(closed(START_UNIX + 10));
        world.fail(0, 4);
        let pass = world.admit(0);
        world.record = Some(record.clone());
        world.advance(s(100));
        world.end(0, pass, CallEnd::Failure);
        assert_eq!(world.record, Some(record));
        assert_eq!(world.local(0), []);
    }
}

/// Failures while open, of every kind of call that can still be under way.
#[test]
fn case_83_failures_while_open_do_not_move_the_recovery() {
    let mut world = World::new(1, &Config::default());
    let late: Vec<_> = (0..40).map(|_| world.admit(0)).collect();
    world.fail(0, 5);
    let record = world.record.clone();
    for pass in late {
        world.advance(ms(700));
        world.end(0, pass, CallEnd::Failure);
        assert_eq!(world.record, record);
    }
    world.advance(s(2));
    assert!(world.admit(0).probe.is_some());
}
