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
fn case_195_a_dead_dependency_is_probed_once_for_each_timeout_though_the_record_stays_half_open() {
    for own in [true, false] {
        for kind in [StoreErrorKind::Misconfigured, StoreErrorKind::Timeout] {
            for step in [500, 2_000, 6_000] {
                let context = format!("own {own}, {kind:?}, every {step} ms");
                let mut world = unwritable(own);
                world.deny_writes = Some(kind);
                let mut probed_at = Vec::new();
                while world.watch.clock < s(300) {
                    if let Call::Runs(pass) = world.call(0) {
                        assert!(pass.probe.is_some(), "{context}: admitted without a probe");
                        probed_at.push(world.watch.clock);
                        world.end(0, pass, CallEnd::Failure);
                    }
                    world.pass(ms(step));
                }
                assert!(probed_at.len() >= 7, "{context}: {probed_at:?}");
                let is_early = |pair: &[Duration]| pair[1] - pair[0] < s(30);
                assert!(!probed_at.windows(2).any(is_early), "{context}: {probed_at:?}");
                let reopened = world.of_origin(0, Origin::WithoutStore);
                let reopened = reopened.iter().filter(|(_, to)| *to == CircuitState::Open);
                assert_eq!(reopened.count(), probed_at.len(), "{context}");
            }
        }
    }
}

#[test]
fn case_195_a_dead_dependency_is_probed_once_for_each_timeout_after_a_hold_that_nobody_ends() {
    // Without an end it is of an older version, and ends a timeout after its stamp.
    for (has_end, kind) in [
        (true, StoreErrorKind::Misconfigured),
        (true, StoreErrorKind::Timeout),
        (false, StoreErrorKind::Misconfigured),
        (false, StoreErrorKind::Timeout),
    ] {
        for step in [500, 2_000, 6_000] {
            let context = format!("has an end {has_end}, {kind:?}, every {step} ms");
            let mut world = World::new(1, &Config::default());
            world.processes[0].command(hold(HoldKind::Open, START_UNIX + 40));
            world.settle(0);
            if !has_end {
                let stored = world.stored().clone();
                world.record = Some(Record { hold_until: Field::Absent, ..stored });
            }
            world.deny_writes = Some(kind);
            let mut probed_at = Vec::new();
            while world.watch.clock < s(300) {
                if let Call::Runs(pass) = world.call(0) {
                    assert!(pass.probe.is_some(), "{context}: admitted without a probe");
                    probed_at.push(world.watch.clock);
                    world.end(0, pass, CallEnd::Failure);
                }
                world.pass(ms(step));
            }
            assert!(probed_at.len() >= 6 && probed_at[0] >= s(39), "{context}: {probed_at:?}");
            let is_early = |pair: &[Duration]| pair[1] - pair[0] < s(30);
            assert!(!probed_at.windows(2).any(is_early), "{context}: {probed_at:?}");
            let told = world.processes[0].transitions.iter();
            let told = told.filter(|told| told.cause == Cause::Hold || told.hold.is_some());
            assert_eq!(told.count(), 1, "{context}: a hold that is over is told again");
        }
    }
}

#[test]
fn case_195_an_opening_alone_ends_with_its_time_or_a_newer_record_and_not_beside_a_live_lease() {
    let mut world = unwritable(false);
    assert_eq!(world.call(0), Call::Rejected);
    world.pass(s(2));
    let pass = (0..9).find_map(|_| match world.call(0) {
        Call::Runs(pass) => Some(pass),
        Call::Rejected | Call::Waits(_) => {
            world.pass(s(1));
            None
        }
    });
    world.end(0, pass.expect("a probe alone"), CallEnd::Failure);
    let failed_at = world.watch.clock;
    let before = world.clone();
    world.pass(s(10));
    assert_eq!((world.call(0), world.state(0)), (Call::Rejected, CircuitState::Open));
    // It can be written again: the fleet probes by its one record, once this opening is over.
    world.deny_writes = None;
    world.pass(s(30) - (world.watch.clock - failed_at) - ms(1));
    assert_eq!((world.call(0), world.state(0)), (Call::Rejected, CircuitState::Open));
    world.pass(ms(1));
    assert!(world.admit(0).probe.is_some());
    assert_eq!(world.applied, [(0, "take over")]);

    // Another process has taken the lease over meanwhile.
    let mut world = before;
    world.pass(s(10));
    let now = world.processes[0].now.unix_floor(Duration::ZERO);
    world.record = Some(half_open("another", now + 60));
    assert_eq!((world.call(0), world.state(0)), (Call::Rejected, CircuitState::HalfOpen));
    for _ in 0..50 {
        world.pass(s(1));
        assert_eq!(world.call(0), Call::Rejected, "a probe beside a live lease");
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
