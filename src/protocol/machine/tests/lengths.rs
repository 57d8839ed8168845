//! How long an opening lasts here: what the record says, what this process remembers, and what
//! ends a trip that cannot be written.

use super::{super::phase::*, process::*, world::*, *};
use crate::{config::Backoff, protocol::record::Malformed};

/// Doubles from 30 s to 300 s, without the jitter.
fn doubling() -> Config {
    build(Config::builder().open_backoff(Backoff::exponential(2.0).jitter(0.0)))
}

/// A world whose record is this, seen by process 0.
fn seen(config: &Config, record: Record) -> World {
    let mut world = World::new(1, config);
    world.record = Some(record);
    assert_eq!(world.call(0), Call::Rejected);
    world
}

/// After how many seconds a call is admitted.
fn waits(world: &mut World) -> u64 {
    for seconds in 0..2_000 {
        if matches!(world.call(0), Call::Runs(_)) {
            return seconds;
        }
        world.advance(s(1));
    }
    panic!("rejected for 2,000 s");
}

fn opened(at: i64, failed_probes: u64) -> Record {
    Record { failed_probes: failed_probes.into(), ..open(at) }
}

#[test]
fn case_20_without_a_stamp_an_opening_lasts_what_the_hints_say() {
    let record = Record { opened_at: Field::Absent, ..opened(START_UNIX, 2) };
    assert_eq!(waits(&mut seen(&doubling(), record.clone())), 120);
    assert_eq!(waits(&mut seen(&Config::default(), record)), 30);
    let until = Record {
        opened_at: Field::Absent,
        open_until: (START_UNIX + 500).into(),
        ..open(START_UNIX)
    };
    assert_eq!(waits(&mut seen(&Config::default(), until)), 30);
}

#[test]
fn case_22_an_opening_in_the_future_lasts_what_the_settings_allow_from_first_sight() {
    let ahead = START_UNIX + 3_600;
    assert_eq!(waits(&mut seen(&doubling(), opened(ahead, 2))), 120);
    assert_eq!(waits(&mut seen(&doubling(), opened(ahead, 60))), 300);
    let until = |by: i64| Record { open_until: (ahead + by).into(), ..open(ahead) };
    assert_eq!(waits(&mut seen(&Config::default(), until(45))), 45);
    assert_eq!(waits(&mut seen(&Config::default(), until(86_400))), 600);
}

#[test]
fn case_127_hints_that_cannot_be_are_told_once_for_each_change() {
    let text = || Malformed::new("soon");
    let count = |count| Record { failed_probes: count, ..open(START_UNIX) };
    let until = |until| Record { open_until: until, ..open(START_UNIX) };
    for (record, name, lasts) in [
        (count(Field::Valid(1_000_000_000_000_000_000)), "failed_probes", 300),
        (count(Field::Malformed(text())), "failed_probes", 30),
        (until(Field::Valid(START_UNIX + 400 * 86_400)), "open_until", 600),
        (until(Field::Valid(START_UNIX - 1)), "open_until", 30),
        (until(Field::Malformed(text())), "open_until", 30),
    ] {
        let mut world = seen(&doubling(), record.clone());
        assert_eq!(waits(&mut world), lasts, "{record:?}");
        let told = &world.processes[0].defects;
        assert_eq!(told.as_slice(), [name], "once, however often it is read");
        assert_eq!(world.stored().defect(), None, "the election mends it");
    }
}

#[test]
fn a_trip_that_was_not_written_in_time_holds_here_for_its_whole_length() {
    let config = doubling();
    let mut world = World::new(1, &config);
    let closed = Record {
        state: CircuitState::Closed.into(),
        expires_at: (START_UNIX - 10 + 3_630).into(),
        failed_probes: 1.into(),
        ..Record::empty()
    };
    world.record = Some(closed.clone());
    let _ = world.admit(0);
    world.down = Some(StoreErrorKind::Unavailable);
    world.fail(0, 5);
    world.pass(s(35));
    world.down = None;
    assert_eq!(world.call(0), Call::Rejected, "120 s are not over");
    world.pass(s(5));
    assert_eq!(world.record, Some(closed), "failures of 40 s ago open nothing for others");
    assert!((70..=82).contains(&waits(&mut world)), "what is left of 120 s");
}

#[test]
fn case_121_a_freeze_does_not_cut_short_what_a_call_has_asked_for() {
    for (end, is_probed) in [(CallEnd::open_for(s(100)), false), (CallEnd::Failure, true)] {
        let mut world = World::new(1, &quick(1, 1));
        let pass = world.admit(0);
        world.down = Some(StoreErrorKind::Unavailable);
        world.end(0, pass, end);
        world.advance(s(10));
        world.processes[0].thaw();
        world.down = None;
        world.pass(s(6));
        assert_eq!(matches!(world.call(0), Call::Runs(_)), is_probed, "{end:?}");
    }
}

#[test]
fn case_121_a_refuted_process_is_open_alone_for_the_time_that_it_was_told() {
    let mut world = World::new(2, &quick(1, 1));
    world.fail(0, 1);
    world.advance(s(32));
    let probe = world.admit(1);
    world.end(1, probe, CallEnd::Success);
    world.advance(s(6));
    let before = world.stored().clone();
    let pass = world.admit(0);
    world.end(0, pass, CallEnd::open_for(s(100)));
    assert_eq!(world.state(0), CircuitState::Open);
    assert_eq!(world.stored(), &before, "nothing is written");
    world.advance(s(98));
    assert_eq!(world.call(0), Call::Rejected);
    world.advance(s(3));
    assert!(matches!(world.call(0), Call::Runs(_)));
}

#[test]
fn case_126_a_process_that_takes_over_goes_on_from_what_the_record_says() {
    let config = doubling();
    for (failed_probes, then) in [(Field::Valid(3), 4), (Field::Absent, 1)] {
        let leased = half_open("another", START_UNIX - 60);
        let mut world = World::new(1, &config);
        world.record = Some(Record { failed_probes, ..leased });
        assert!((0..40).contains(&waits(&mut world)));
        let pass = CallId { epoch: world.processes[0].machine.epoch(), probe: None };
        let probe = world.processes[0].last_probe;
        world.end(0, CallId { probe, ..pass }, CallEnd::Failure);
        assert_eq!(world.stored().failed_probes, Field::Valid(then));
    }
}

#[test]
fn case_125_a_release_of_a_circuit_that_has_just_closed_begins_the_back_off_again() {
    let doubles = Backoff::exponential(2.0).jitter(0.0);
    let config = build(Config::builder().open_backoff(doubles).ramp(s(60)));
    let mut world = World::new(2, &config);
    // Closed 100 s ago, after three failed probes, and on no ramp any more.
    let record = Record { failed_probes: 3.into(), ..closed(START_UNIX - 100 + 3_630) };
    world.record = Some(record.clone());
    world.fail(1, 4);
    world.processes[0].command(Command::Release);
    world.settle(0);
    let released = world.stored().clone();
    assert_eq!((&released.failed_probes, &released.released), (&Field::Absent, &START_UNIX.into()));
    // Other processes take it for the same closing: their counts stand, and none begins a ramp.
    world.advance(s(6));
    assert_eq!(Record { failed_probes: 3.into(), released: Field::Absent, ..released }, record);
    world.fail(1, 1);
    assert_eq!(world.applied, [(0, "release"), (1, "trip")]);
    assert!(world.processes.iter().all(|process| process.machine.published_ramp().is_none()));
    let (stored, first) = (world.stored(), Term { length: s(30), failed_probes: 0, until: None });
    assert_eq!(stored.failed_probes, 0.into());
    let Phase::Open(opening) = &world.processes[1].machine.phase else { panic!("it has tripped") };
    assert_eq!(opening.term, first);
    // Released already, and closed without a failed probe: there is nothing to write.
    for failed_probes in [Field::Absent, 0.into()] {
        let mut world = World::new(1, &config);
        world.record = Some(Record { failed_probes, ..record.clone() });
        world.processes[0].command(Command::Release);
        world.settle(0);
        assert_eq!((world.reads, world.writes), (1, 0));
    }
}
