//! What a hold closed leaves behind: ramps, epochs, reads, and what subscribers are told.

use super::{process::*, world::*, *};

fn ramping() -> Config {
    build(Config::builder().ramp(s(100)))
}

fn is_on_ramp(world: &World, number: usize) -> bool {
    world.processes[number].machine.published_ramp().is_some()
}

fn command(world: &mut World, number: usize, command: Command) {
    world.processes[number].command(command);
    world.settle(number);
}

/// Time passes in which the other processes read the item again.
fn read_again(world: &mut World, number: usize) {
    world.advance(s(6));
    let _ = world.call(number);
}

/// Two processes, of which the first has held the circuit closed and the second has read it.
fn held(config: &Config) -> World {
    let mut world = World::new(2, config);
    world.succeed(1);
    command(&mut world, 0, hold(HoldKind::Closed, START_UNIX + 600));
    read_again(&mut world, 1);
    assert!(world.processes.iter().all(|process| process.machine.is_held_closed()));
    world
}

#[test]
fn case_133_the_release_of_a_hold_closed_begins_no_ramp() {
    let mut world = held(&ramping());
    command(&mut world, 0, Command::Release);
    read_again(&mut world, 1);
    assert_eq!(world.stored().hold, Field::Absent);
    assert_eq!([is_on_ramp(&world, 0), is_on_ramp(&world, 1)], [false; 2], "it admitted all");
    // The release of an open circuit does, in each process.
    world.fail(0, 5);
    read_again(&mut world, 1);
    assert_eq!(world.state(1), CircuitState::Open);
    command(&mut world, 0, Command::Release);
    read_again(&mut world, 1);
    assert_eq!([is_on_ramp(&world, 0), is_on_ramp(&world, 1)], [true; 2]);
}

#[test]
fn case_133_who_ramps_alone_admits_all_calls_once_it_reads_a_hold_closed() {
    let mut world = World::new(1, &ramping());
    world.fail(0, 5);
    world.deny_writes = Some(StoreErrorKind::Misconfigured);
    world.pass(s(35));
    while world.state(0) != CircuitState::Closed {
        if let Call::Runs(pass) = world.call(0) {
            world.end(0, pass, CallEnd::Success);
        }
    }
    assert!(is_on_ramp(&world, 0));
    let now = world.processes[0].now.unix_floor(Duration::ZERO);
    world.record = Some(record_held_closed(now, now + 600));
    read_again(&mut world, 0);
    assert!(world.processes[0].machine.is_held_closed());
    assert!(!is_on_ramp(&world, 0));
}

#[test]
fn case_133_the_release_of_a_hold_closed_begins_an_epoch_in_every_process() {
    let mut world = held(&Config::default());
    let epochs = |world: &World| [0, 1].map(|number| world.processes[number].machine.epoch());
    let before = epochs(&world);
    world.fail(0, 4);
    world.fail(1, 4);
    command(&mut world, 0, Command::Release);
    read_again(&mut world, 1);
    assert_eq!(epochs(&world), before.map(|epoch| epoch + 1));
    assert_eq!([0, 1].map(|number| world.processes[number].streak()), [0; 2]);
    // A circuit that is closed already is released without a new one.
    world.fail(0, 4);
    command(&mut world, 0, Command::Release);
    assert_eq!((epochs(&world)[0], world.processes[0].streak()), (before[0] + 1, 4));
}

#[test]
fn case_133_a_freeze_does_not_tell_again_that_the_circuit_would_open() {
    let mut world = held(&Config::default());
    for _ in 0..3 {
        world.fail(1, 7);
        world.processes[1].thaw();
    }
    let told = &world.processes[1].transitions;
    let would_open = told.iter().filter(|told| told.cause == Cause::WouldOpen).count();
    assert_eq!(would_open, 1, "{told:?}");
}

#[test]
fn a_release_ends_a_hold_closed_whose_end_nobody_can_read() {
    let mut world = World::new(1, &Config::default());
    let held = record_held_closed(START_UNIX, START_UNIX + 600);
    world.record = Some(Record { hold_until: Field::Absent, ..held });
    command(&mut world, 0, Command::Release);
    let stored = world.stored();
    assert_eq!((&stored.hold, &stored.hold_reason), (&Field::Absent, &Field::Absent));
}

#[test]
fn case_133_while_a_circuit_is_held_closed_failing_calls_read_once_per_age() {
    let mut world = held(&Config::default());
    let before = world.reads;
    for _ in 0..100 {
        world.advance(ms(300));
        world.fail(1, 1);
    }
    assert!(world.reads - before <= 6, "{} reads in 30 s", world.reads - before);
}

#[test]
fn a_hold_closed_of_more_than_a_year_is_none() {
    let year = 365 * 86_400;
    for (until, is_held) in [(START_UNIX + year, true), (START_UNIX * 1_000, false)] {
        for released in [Field::Absent, START_UNIX.into()] {
            let mut world = World::new(1, &Config::default());
            let held = record_held_closed(START_UNIX, until);
            world.record = Some(Record { released: released.clone(), ..held });
            world.succeed(0);
            assert_eq!(world.processes[0].machine.is_held_closed(), is_held, "{until}");
            let defects: &[&str] = if is_held { &[] } else { &["hold_until"] };
            assert_eq!(world.processes[0].defects, defects, "{until}");
        }
    }
}

#[test]
fn case_133_who_starts_after_the_release_of_a_hold_closed_begins_no_ramp() {
    // Held closed from the start, and over an opening.
    for failures in [0, 5] {
        let mut world = World::new(2, &ramping());
        world.fail(0, failures);
        command(&mut world, 0, hold(HoldKind::Closed, START_UNIX + 600));
        world.advance(s(50));
        command(&mut world, 0, Command::Release);
        world.succeed(1);
        assert!(!is_on_ramp(&world, 1), "it admitted all until then");
        assert!(world.stored().was_held_closed());
    }
    // After the release of an opening it does.
    let mut world = World::new(2, &ramping());
    world.fail(0, 5);
    command(&mut world, 0, Command::Release);
    let _ = world.call(1);
    assert!(is_on_ramp(&world, 1));
}

#[test]
fn who_starts_after_what_followed_a_release_is_not_told_of_the_hold_before() {
    let mut world = World::new(2, &ramping());
    command(&mut world, 0, hold(HoldKind::Closed, START_UNIX + 600));
    command(&mut world, 0, Command::Release);
    world.fail(0, 5);
    assert_eq!(world.stored().hold_until, Field::Absent);
    world.pass(s(40));
    while world.state(0) != CircuitState::Closed {
        world.succeed(0);
        world.pass(s(3));
    }
    let _ = world.call(1);
    assert!(is_on_ramp(&world, 1));
}

/// The item after so many seconds, as a version that does not note the release of a hold closed
/// leaves it.
fn released_without_a_trace(world: &World) -> Record {
    let now = world.processes[0].now.unix_floor(Duration::ZERO);
    Record { released: now.into(), ..closed(now + 30 + 3_600) }
}

#[test]
fn case_133_a_release_after_the_end_of_a_hold_closed_begins_a_ramp() {
    for (after, expected) in [(300, false), (900, true)] {
        let mut world = held(&ramping());
        world.advance(s(after));
        world.record = Some(released_without_a_trace(&world));
        let _ = world.call(1);
        assert_eq!(is_on_ramp(&world, 1), expected, "after {after} s of 600 s");
    }
}

#[test]
fn case_133_the_release_of_a_hold_closed_that_is_over_begins_no_epoch() {
    // An older version that tripped and closed the circuit meanwhile has left the hold.
    for failed_probes in [Field::Absent, 2.into()] {
        let mut world = held(&Config::default());
        world.advance(s(700));
        let before = Record { failed_probes: failed_probes.clone(), ..world.stored().clone() };
        world.record = Some(before.clone());
        world.fail(0, 4);
        world.fail(1, 4);
        let epochs = [0, 1].map(|number| world.processes[number].machine.epoch());
        command(&mut world, 0, Command::Release);
        read_again(&mut world, 1);
        let after = world.stored();
        assert_eq!(
            (&after.expires_at, &after.hold_until),
            (&before.expires_at, &before.hold_until)
        );
        assert_eq!(after.failed_probes, Field::Absent);
        assert_eq!([0, 1].map(|number| world.processes[number].streak()), [4; 2]);
        let now = [0, 1].map(|number| world.processes[number].machine.epoch());
        assert_eq!(now, epochs, "{failed_probes:?}");
    }
}

#[test]
fn case_133_the_release_of_a_closed_circuit_leaves_what_a_hold_has_left() {
    let mut world = held(&Config::default());
    command(&mut world, 0, Command::Release);
    // Of an older version, which leaves the attributes that it does not know.
    let before = Record { failed_probes: 2.into(), ..world.stored().clone() };
    world.record = Some(before.clone());
    world.advance(s(20));
    world.fail(1, 4);
    command(&mut world, 0, Command::Release);
    read_again(&mut world, 1);
    let after = world.stored();
    assert_eq!((&after.failed_probes, &after.hold_until), (&Field::Absent, &before.hold_until));
    assert_eq!(world.processes[1].streak(), 4, "another closing drops failures");
}

/// An opening of this process alone is none of the fleet, whose outage a hold may be.
#[test]
fn case_185_a_hold_of_who_is_refuted_begins_the_outage() {
    let mut world = refuted::contradicted();
    world.fail(0, 5);
    assert_eq!(
        (world.state(0), &world.stored().state),
        (CircuitState::Open, &CircuitState::Closed.into())
    );
    let alone_since = world.processes[0].now;
    world.advance(s(20));
    let now = world.processes[0].now.unix_ceil(Duration::ZERO);
    assert!(now > alone_since.unix_ceil(Duration::ZERO));
    command(&mut world, 0, hold(HoldKind::Open, now + 600));
    let stored = world.stored();
    assert_eq!(
        (&stored.down_since, stored.cause.valid().map(|text| &**text)),
        (&now.into(), Some("hold"))
    );
    // Over an opening that the fleet knows it belongs to that.
    let mut world = World::new(2, &Config::default());
    world.fail(0, 5);
    let since = world.stored().down_since.clone();
    world.advance(s(20));
    command(&mut world, 1, hold(HoldKind::Open, START_UNIX + 600));
    assert_eq!(world.stored().down_since, since);
}

#[test]
fn case_185_an_election_without_a_record_tells_what_the_outage_began_with() {
    let mut world = World::new(2, &Config::default());
    world.fail(0, 5);
    let (since, cause) = (world.stored().down_since.clone(), world.stored().cause.clone());
    world.delete();
    world.pass(s(40));
    let probe = world.admit(0);
    assert_eq!((&world.stored().down_since, &world.stored().cause), (&since, &cause));
    world.end(0, probe, CallEnd::Failure);
    let _ = world.call(1);
    let outage = world.processes[1].machine.phase.outage().cloned().expect("it is open");
    assert_eq!((Field::Valid(outage.since), outage.cause), (since, Cause::FailureThreshold));
}
