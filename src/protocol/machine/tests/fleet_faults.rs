//! CASES.md, second part: a store that answers one thing and not the other.

use super::{
    faults::probing,
    fleet_rules::{spread, tripped},
    process::*,
    world::*,
    *,
};
use crate::protocol::machine::{Purpose, StoreRequest};

#[test]
fn case_66_a_look_that_decides_a_call_is_not_spared_for_another_circuits_failure() {
    let is_urgent = |world: &World| world.processes[0].job.as_ref().map(StoreRequest::is_urgent);
    let mut world = tripped(1, &Config::default());
    world.pass(s(25));
    let _ = world.processes[0].call();
    assert_eq!(is_urgent(&world), Some(true), "a look before an election");
    let mut world = World::new(1, &Config::default());
    let _ = world.processes[0].call();
    assert_eq!(is_urgent(&world), Some(false), "a closed circuit looks for others");
    world.settle(0);
    world.advance(s(1));
    let pass = world.admit(0);
    for _ in 0..5 {
        world.processes[0].end(pass, CallEnd::Failure);
    }
    assert_eq!(is_urgent(&world), Some(true), "a look before a trip");
}

#[test]
fn case_21_after_a_read_that_failed_no_call_is_rejected_by_old_knowledge() {
    for record in [open(START_UNIX), half_open("another", START_UNIX + 60)] {
        let mut world = World::new(1, &Config::default());
        world.record = Some(record);
        assert_eq!(world.call(0), Call::Rejected);
        world.pass(s(6));
        world.down = Some(StoreErrorKind::Misconfigured);
        // The call was rejected before the answer came, and no caller waited for the answer.
        let call = world.processes[0].call();
        assert!(world.processes[0].looks(call));
        world.processes[0].forget_waiters();
        world.settle(0);
        assert_eq!(world.processes[0].machine.published().span_ms, 0);
        assert!(matches!(world.call(0), Call::Runs(CallId { probe: None, .. })));
    }
}

#[test]
fn case_21_a_call_whose_look_fails_in_time_falls_open() {
    for record in [open(START_UNIX), half_open("another", START_UNIX + 60)] {
        let mut world = World::new(1, &Config::default());
        world.record = Some(record);
        assert_eq!(world.call(0), Call::Rejected);
        world.pass(s(6));
        world.down = Some(StoreErrorKind::Misconfigured);
        assert!(matches!(world.call(0), Call::Runs(CallId { probe: None, .. })));
    }
}

/// A process whose lease was won, or that found another's lease run out, and whose
/// writes find no answer from then on.
fn unwritable(own: bool) -> World {
    let mut world = World::new(1, &Config::default());
    let owner = half_open("gone", START_UNIX - 60);
    world.record = Some(if own { open(START_UNIX - 60) } else { owner });
    if own {
        let pass = world.admit(0);
        world.end(0, pass, CallEnd::Success);
    }
    world.deny_writes = Some(StoreErrorKind::Timeout);
    world
}

#[test]
fn case_195_a_half_open_circuit_that_cannot_be_written_recovers_alone() {
    for own in [true, false] {
        for step in [500, 2_000, 11_000] {
            let mut world = unwritable(own);
            let record = world.record.clone();
            let mut calls = 0;
            while world.state(0) != CircuitState::Closed {
                if let Call::Runs(pass) = world.call(0) {
                    world.end(0, pass, CallEnd::Success);
                }
                world.pass(ms(step));
                calls += 1;
                assert!(calls < 40, "own {own}, every {step} ms: half-open for ever");
            }
            assert_eq!(world.record, record);
            // It can be written again, and nobody else has closed it.
            world.deny_writes = None;
            world.pass(s(31));
            for _ in 0..10 {
                if let Call::Runs(pass) = world.call(0) {
                    world.end(0, pass, CallEnd::Success);
                }
                world.pass(s(2));
            }
            assert_eq!(world.stored().state, CircuitState::Closed.into(), "own {own}, {step} ms");
        }
    }
}

#[test]
fn case_209_a_look_without_an_answer_hides_no_trip_from_the_fleet() {
    let mut world = World::new(1, &spread());
    world.succeed(0);
    world.advance(s(1));
    let pass = world.admit(0);
    for _ in 0..4 {
        world.end(0, pass, CallEnd::Failure);
    }
    world.faults.push_back(Fault::LostRequest);
    world.end(0, pass, CallEnd::Failure);
    assert_eq!(world.of_origin(0, Origin::WithoutStore).len(), 1);
    // Reads go on failing, and no call comes.
    let reads = world.reads;
    world.pass(s(2));
    assert_eq!(world.stored().state, CircuitState::Open.into());
    assert_eq!(world.reads, reads);
}

#[test]
fn case_193_who_probes_alone_is_not_kept_waiting_by_throttled_writes() {
    let mut world = World::new(1, &Config::default());
    world.succeed(0);
    world.down = Some(StoreErrorKind::Throttled);
    world.fail(0, 5);
    world.pass(s(31));
    let mut probes = 0;
    while world.state(0) != CircuitState::Closed {
        let pass = world.admit(0);
        assert!(pass.probe.is_some());
        world.end(0, pass, CallEnd::Success);
        assert_eq!(world.processes[0].machine.retry_after(), Duration::ZERO);
        probes += 1;
    }
    assert_eq!(probes, 3);
}

#[test]
fn an_election_that_is_refused_against_its_own_record_is_not_repeated_at_once() {
    for record in [open(START_UNIX - 60), half_open("gone", START_UNIX - 60)] {
        for config in [spread(), Config::default()] {
            let mut world = World::new(1, &config);
            world.record = Some(record.clone());
            world.faults.extend(std::iter::repeat_n(Fault::Refused, 10_000));
            for _ in 0..600 {
                assert_eq!(world.call(0), Call::Rejected);
                world.pass(ms(100));
            }
            assert!((10..=120).contains(&world.writes), "{} writes in 60 s", world.writes);
            world.faults.clear();
            world.pass(s(2));
            assert!(world.admit(0).probe.is_some());
        }
    }
}

#[test]
fn case_208_a_read_before_a_verdict_is_as_urgent_as_the_verdict() {
    let (mut world, pass) = probing(&quick(5, 1), 1);
    world.faults.push_back(Fault::LostAnswer);
    world.processes[0].end(pass, CallEnd::Success);
    world.arrive(0);
    world.deliver(0);
    world.advance(s(2));
    world.processes[0].tick();
    // The closing may have been applied: what is true is read before it is written again.
    let purpose = match &world.processes[0].job {
        Some(StoreRequest::Read { purpose, .. }) => *purpose,
        other => panic!("a read comes first, not {other:?}"),
    };
    assert_eq!(purpose, Purpose::Lease);
}
