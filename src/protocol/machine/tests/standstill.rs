//! Processes that stand still while the store is asked: what they hear then is
//! older than it looks, and a timer that ran out blames nobody.

use super::{super::storage::PendingWrite, faults::probing, process::*, world::*, *};
use crate::protocol::machine::{Command, CommandResult, Effect};

/// The operation of the only process is answered, an hour later for the process.
fn thawed(world: &mut World, meanwhile: Record) -> Option<Record> {
    world.arrive(0);
    world.advance(s(3_600));
    world.record = Some(meanwhile);
    world.record.clone()
}

#[test]
fn case_73_a_read_from_before_the_standstill_admits_nobody_after_it() {
    for fault in [None, Some(Fault::LostAnswer), Some(Fault::LostRequest)] {
        let mut world = World::new(1, &Config::default());
        world.faults.extend(fault);
        let call = world.processes[0].call();
        thawed(&mut world, open(START_UNIX + 3_599));
        world.settle(0);
        assert_eq!(world.processes[0].decision(call), Some(Call::Rejected));
        assert!(world.of_origin(0, Origin::WithoutStore).is_empty());
    }
}

#[test]
fn a_store_that_is_slow_is_believed_for_a_second_longer_than_it_may_take() {
    for (took, reads) in [(s(2), 1), (ms(2_001), 2)] {
        let mut world = World::new(1, &Config::default());
        let call = world.processes[0].call();
        world.arrive(0);
        world.advance(took);
        world.settle(0);
        assert!(matches!(world.processes[0].decision(call), Some(Call::Runs(_))));
        assert_eq!(world.reads, reads);
    }
}

#[test]
fn case_49_a_verdict_unanswered_over_the_standstill_is_nothing_to_whoever_took_over() {
    for report in [CallEnd::Success, CallEnd::Failure, CallEnd::Dropped] {
        let (mut world, pass) = probing(&quick(5, 1), 1);
        world.faults.push_back(Fault::LostRequest);
        world.processes[0].end(pass, report);
        let before = thawed(&mut world, half_open("another", START_UNIX + 3_630));
        world.settle(0);
        assert_eq!(world.record, before);
        assert!(world.of_origin(0, Origin::WithoutStore).is_empty(), "{report:?}");
        assert_eq!(world.call(0), Call::Rejected);
    }
}

#[test]
fn a_verdict_unanswered_over_the_standstill_is_written_if_the_lease_is_still_ours() {
    for (report, state) in
        [(CallEnd::Success, CircuitState::Closed), (CallEnd::Failure, CircuitState::Open)]
    {
        let (mut world, pass) = probing(&quick(5, 1), 1);
        world.faults.push_back(Fault::LostRequest);
        world.processes[0].end(pass, report);
        let ours = world.stored().clone();
        thawed(&mut world, ours);
        world.settle(0);
        assert_eq!(world.stored().state, state.into());
        assert!(world.of_origin(0, Origin::WithoutStore).is_empty());
    }
}

#[test]
fn case_73_a_write_from_before_the_standstill_is_as_old_as_it_is() {
    let (mut world, pass) = probing(&quick(5, 1), 1);
    world.processes[0].end(pass, CallEnd::Success);
    let waits = world.processes[0].call();
    thawed(&mut world, open(START_UNIX + 3_599));
    world.settle(0);
    assert_eq!(world.processes[0].decision(waits), Some(Call::Rejected), "the close is long past");
    assert_eq!(world.call(0), Call::Rejected);
}

#[test]
fn case_73_what_was_shown_through_two_standstills_in_a_row_is_as_old_as_it_is() {
    let mut world = World::new(1, &Config::default());
    let call = world.processes[0].call();
    for reads in 1..=2 {
        assert_eq!(world.processes[0].decision(call), None, "asked {reads} times");
        world.arrive(0);
        world.advance(s(3_600));
        world.deliver(0);
    }
    // The second time is believed by whoever waited, but by nobody who comes later.
    assert!(matches!(world.processes[0].decision(call), Some(Call::Runs(_))));
    world.admit(0);
    assert_eq!(world.reads, 3);

    // That one was in time: the next standstill is the first one again.
    world.advance(s(6));
    let call = world.processes[0].call();
    thawed(&mut world, open(START_UNIX + 10_800));
    world.settle(0);
    assert_eq!(world.processes[0].decision(call), Some(Call::Rejected));
}

#[test]
fn case_73_a_write_through_the_second_standstill_in_a_row_is_as_old_as_it_is() {
    let mut world = World::new(1, &quick(5, 1));
    world.record = Some(open(START_UNIX - 60));
    let call = world.processes[0].call();
    world.arrive(0);
    world.deliver(0);
    // The election, within its lease.
    world.arrive(0);
    world.advance(s(3));
    world.deliver(0);
    let Some(Call::Runs(pass)) = world.processes[0].decision(call) else {
        panic!("elected");
    };
    world.processes[0].end(pass, CallEnd::Success);
    thawed(&mut world, open(START_UNIX + 3_599));
    world.deliver(0);
    assert_eq!(world.state(0), CircuitState::Closed, "it was applied");
    assert_eq!(world.call(0), Call::Rejected, "long ago");
}

#[test]
fn case_51_an_election_unanswered_over_the_standstill_gives_no_probe() {
    for fault in [None, Some(Fault::LostAnswer), Some(Fault::LostRequest)] {
        let mut world = World::new(1, &Config::default());
        world.record = Some(open(START_UNIX - 60));
        let call = world.processes[0].call();
        world.arrive(0);
        world.deliver(0);
        world.faults.extend(fault);
        let before = thawed(&mut world, half_open("another", START_UNIX + 3_630));
        world.settle(0);
        assert_eq!(world.processes[0].decision(call), Some(Call::Rejected));
        assert_eq!(world.record, before);
    }
}

#[test]
fn case_37_an_election_won_over_a_standstill_within_the_lease_is_ours() {
    let mut world = World::new(1, &Config::default());
    world.record = Some(open(START_UNIX - 60));
    let call = world.processes[0].call();
    world.arrive(0);
    world.deliver(0);
    world.faults.push_back(Fault::LostAnswer);
    world.arrive(0);
    world.advance(s(3));
    world.settle(0);
    assert!(
        matches!(world.processes[0].decision(call), Some(Call::Runs(pass)) if pass.probe.is_some())
    );
    assert_eq!(world.writes, 1);
}

#[test]
fn an_order_unanswered_over_the_standstill_is_told_to_have_failed() {
    let failed = Effect::CommandResult(CommandResult::Failed(StoreErrorKind::Timeout));
    for answered in [0, 1] {
        let mut world = World::new(1, &Config::default());
        let record = open(START_UNIX);
        world.record = Some(record.clone());
        world.processes[0].command(Command::Release);
        for _ in 0..answered {
            world.arrive(0);
            world.deliver(0);
        }
        world.faults.push_back(Fault::LostRequest);
        thawed(&mut world, record);
        world.deliver(0);
        assert!(world.processes[0].effects.contains(&failed), "{answered} answers");
    }
}

#[test]
fn case_198_a_probe_that_a_freeze_cut_off_does_not_reopen_the_circuit() {
    let (mut world, cut_off) = probing(&quick(5, 2), 1);
    let now = world.processes[0].now;
    world.processes[0].machine.thawed(now);
    world.processes[0].end(cut_off, CallEnd::Failure);
    world.settle(0);
    assert_eq!(world.processes[0].machine.published().state, CircuitState::HalfOpen);
    let Call::Runs(next) = world.call(0) else { panic!("the right stays for the next call") };
    world.processes[0].end(next, CallEnd::Failure);
    world.settle(0);
    assert_eq!(world.processes[0].machine.published().state, CircuitState::Open);
}

#[test]
fn case_198_a_good_probe_counts_whatever_came_between() {
    let (mut world, probe) = probing(&quick(5, 1), 1);
    let now = world.processes[0].now;
    world.processes[0].machine.thawed(now);
    world.processes[0].end(probe, CallEnd::Success);
    world.settle(0);
    assert_eq!(world.processes[0].machine.published().state, CircuitState::Closed);
}

/// A process whose trip could not be written, and whose next attempt is further away than this.
fn owes_a_trip(away: Duration) -> World {
    let mut world = World::new(1, &Config::default());
    world.succeed(0);
    world.deny_writes = Some(StoreErrorKind::Unavailable);
    world.fail(0, 5);
    world.pass(s(7));
    world.deny_writes = None;
    assert_eq!(world.processes[0].machine.pending, Some(PendingWrite::Trip));
    assert!(world.processes[0].machine.deadline() > Some(away));
    world
}

/// Its next attempt is later than the end of the freeze: only the heartbeat can tell of it.
#[test]
fn case_198_a_trip_that_waits_through_a_freeze_is_not_written() {
    let frozen_for = s(4);
    for is_noticed in [false, true] {
        let mut world = owes_a_trip(frozen_for);
        world.advance(frozen_for);
        if is_noticed {
            world.processes[0].thaw();
        } else {
            world.processes[0].tick();
        }
        world.pass(s(20));
        let (opens, written) = ([(CircuitState::Closed, CircuitState::Open)], [(0, "trip")]);
        assert_eq!(world.state(0), CircuitState::Open);
        assert_eq!(world.of_origin(0, Origin::WithoutStore), opens);
        assert_eq!(world.applied, written[usize::from(is_noticed)..], "noticed: {is_noticed}");
    }
}
