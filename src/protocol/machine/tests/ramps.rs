//! CASES.md 129 and 130: from when on a process ramps, by which clock, and for how long.

use super::{process::*, world::*, *};
use crate::protocol::machine::PublishedRamp;

const R: u64 = 30;

fn ramping() -> Config {
    build(Config::builder().ramp(s(100)))
}

/// For how long the circuit has been closed, as the gate goes by it.
fn closed_for_ms(world: &World, number: usize) -> Option<u64> {
    let PublishedRamp { from_ms, length_ms, .. } = ramp(world, number)?;
    assert_eq!(length_ms, 100_000);
    Some(world.processes[number].now.wall_ms() - from_ms)
}

fn ramp(world: &World, number: usize) -> Option<PublishedRamp> {
    world.processes[number].machine.published_ramp()
}

/// The item of a circuit that was closed so many seconds before the start, by a process whose
/// `recovery_timeout` is the one given.
fn closed_ago(seconds: i64, timeout: u64) -> Record {
    closed(START_UNIX - seconds + i64::try_from(timeout).unwrap() + 3_600)
}

/// The first of these has closed the circuit that it tripped.
fn closed_by_probes(processes: usize, config: &Config) -> World {
    let mut world = World::new(processes, config);
    world.fail(0, 5);
    world.pass(s(R));
    for _ in 0..3 {
        world.succeed(0);
    }
    assert_eq!(world.stored().state, CircuitState::Closed.into());
    world
}

#[test]
fn case_129_a_process_ramps_from_its_own_closing_on_without_a_write() {
    let mut world = closed_by_probes(1, &ramping());
    assert_eq!(closed_for_ms(&world, 0), Some(0));
    let asked = (world.reads, world.writes);
    world.pass(ms(94_999));
    assert_eq!(closed_for_ms(&world, 0), Some(94_999));
    assert_eq!(world.processes[0].machine.deadline(), Some(ms(1)), "the last step admits all");
    world.pass(ms(1));
    assert_eq!((ramp(&world, 0), (world.reads, world.writes)), (None, asked));
    let without = closed_by_probes(1, &Config::default());
    assert_eq!(ramp(&without, 0), None);
}

#[test]
fn case_129_a_process_that_reads_of_a_closing_ramps_from_then_on() {
    let mut world = World::new(2, &ramping());
    world.succeed(1);
    world.fail(0, 5);
    world.pass(s(R));
    for _ in 0..3 {
        world.succeed(0);
    }
    world.pass(ms(3_500));
    world.succeed(1);
    assert_eq!(closed_for_ms(&world, 1), Some(3_500), "by the item's stamp, and not by its read");
}

#[test]
fn case_129_no_stamp_is_older_than_the_last_sight_of_the_open_circuit() {
    for (expires_at, expected) in [
        // Of another writer, whose timeout is shorter, or whose clock is behind.
        (START_UNIX, 6_000),
        (i64::MIN, 6_000),
        // Or longer, or ahead: no longer than a ramp after first sight.
        (START_UNIX + 90_000, 0),
        (i64::MAX, 0),
    ] {
        let mut world = World::new(1, &ramping());
        world.record = Some(open(START_UNIX));
        assert_eq!(world.call(0), Call::Rejected);
        world.advance(s(5));
        assert_eq!(world.call(0), Call::Rejected);
        world.advance(s(1));
        world.record = Some(closed(expires_at));
        world.advance(s(5));
        let _ = world.call(0);
        assert_eq!(closed_for_ms(&world, 0), Some(expected), "{expires_at}");
    }
}

#[test]
fn case_129_an_item_without_a_stamp_ramps_only_where_its_opening_was_seen() {
    let stampless = Record { expires_at: Field::Absent, ..closed(0) };
    for was_open in [false, true] {
        let mut world = World::new(1, &ramping());
        if was_open {
            world.record = Some(open(START_UNIX));
            assert_eq!(world.call(0), Call::Rejected);
            world.advance(s(6));
        }
        world.record = Some(stampless.clone());
        world.succeed(0);
        assert_eq!(closed_for_ms(&world, 0), was_open.then_some(0));
    }
}

#[test]
fn case_130_a_cold_process_ramps_from_where_the_fleet_is() {
    for (ago, timeout, expected) in [
        (0, R, Some(0)),
        (40, R, Some(40_000)),
        (94, R, Some(94_000)),
        (95, R, None),
        (86_400, R, None),
        // Off by the difference of the timeouts, and never longer than a ramp.
        (40, R + 10, Some(30_000)),
        (40, R - 10, Some(50_000)),
        (40, R + 86_400, Some(0)),
    ] {
        let mut world = World::new(1, &ramping());
        world.record = Some(closed_ago(ago, timeout));
        world.succeed(0);
        assert_eq!(closed_for_ms(&world, 0), expected, "{ago} s, {timeout} s");
        assert_eq!((world.reads, world.writes), (1, 0));
        world.pass(ms(95_001));
        assert_eq!(ramp(&world, 0), None, "{ago} s, {timeout} s");
    }
}

#[test]
fn case_130_a_circuit_without_an_item_or_with_one_that_nobody_can_read_does_not_ramp() {
    let unreadable = Record { state: Field::Absent, ..closed_ago(1, R) };
    for record in [None, Some(unreadable)] {
        let mut world = World::new(1, &ramping());
        world.record = record;
        world.succeed(0);
        assert_eq!(ramp(&world, 0), None);
    }
}

#[test]
fn a_release_and_a_closing_without_the_store_ramp_too() {
    let mut world = World::new(1, &ramping());
    world.fail(0, 5);
    let now = world.processes[0].now;
    world.processes[0].machine.command(now, Command::Release);
    world.processes[0].tick();
    world.settle(0);
    assert_eq!((world.state(0), closed_for_ms(&world, 0)), (CircuitState::Closed, Some(0)));

    let mut world = World::new(1, &ramping());
    world.down = Some(StoreErrorKind::Misconfigured);
    world.fail(0, 5);
    world.pass(s(R));
    for _ in 0..3 {
        world.succeed(0);
    }
    assert_eq!((world.state(0), closed_for_ms(&world, 0)), (CircuitState::Closed, Some(0)));
}

#[test]
fn a_process_that_has_served_alone_goes_on_with_its_ramp_when_others_close() {
    for (served_ms, expected) in [(60_000, Some(66_000)), (90_000, None)] {
        let mut world = World::new(1, &ramping());
        world.fail(0, 5);
        world.deny_writes = Some(StoreErrorKind::Misconfigured);
        world.pass(s(R + 5));
        while world.state(0) != CircuitState::Closed {
            if let Call::Runs(pass) = world.call(0) {
                world.end(0, pass, CallEnd::Success);
            }
        }
        assert_eq!(closed_for_ms(&world, 0), Some(0));
        assert_eq!(world.stored().state, CircuitState::Open.into(), "by offline probes");
        world.advance(ms(served_ms));
        // Others close it now, and this process reads of it 6 s later.
        let now = world.processes[0].now.unix_floor(Duration::ZERO);
        world.record = Some(closed(now + i64::try_from(R).unwrap() + 3_600));
        world.advance(s(6));
        world.succeed(0);
        assert_eq!(closed_for_ms(&world, 0), expected, "after {served_ms} ms");
    }
}

#[test]
fn a_circuit_that_is_closed_as_the_store_cannot_be_read_does_not_ramp() {
    let mut world = World::new(1, &ramping());
    world.record = Some(open(START_UNIX));
    assert_eq!(world.call(0), Call::Rejected);
    world.down = Some(StoreErrorKind::Unavailable);
    world.advance(s(6));
    assert!(matches!(world.call(0), Call::Runs(_)));
    assert_eq!((world.state(0), ramp(&world, 0)), (CircuitState::Closed, None));
}

#[test]
fn a_freeze_is_time_of_the_ramp_and_begins_no_new_one() {
    let mut world = closed_by_probes(1, &ramping());
    let before = ramp(&world, 0).unwrap();
    world.stop(0, Stop::Frozen);
    world.advance(s(40));
    world.go_on(0);
    let now = world.processes[0].now;
    world.processes[0].machine.thawed(now);
    assert_eq!(closed_for_ms(&world, 0), Some(40_000));
    assert_eq!(ramp(&world, 0).unwrap().id, before.id, "whose calls keep their shares");
    assert!(world.processes[0].machine.epoch() > before.id, "a freeze begins an epoch");
}

#[test]
fn a_wall_clock_that_is_set_back_does_not_lengthen_a_ramp() {
    let mut world = closed_by_probes(1, &ramping());
    world.pass(s(40));
    world.processes[0].now = world.processes[0].now.moved(0, -3_600_000);
    world.processes[0].tick();
    assert_eq!(closed_for_ms(&world, 0), Some(40_000), "the gate counts by the clock as it is");
    world.pass(s(55));
    assert_eq!(ramp(&world, 0), None);
}

#[test]
fn case_131_a_circuit_that_opens_again_is_on_no_ramp() {
    let mut world = closed_by_probes(1, &ramping());
    world.pass(s(10));
    world.fail(0, 5);
    assert_eq!((world.state(0), ramp(&world, 0)), (CircuitState::Open, None));
    world.pass(s(R));
    for _ in 0..3 {
        world.succeed(0);
    }
    assert_eq!(closed_for_ms(&world, 0), Some(0), "from the beginning");
}
