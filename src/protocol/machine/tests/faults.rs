//! What crosses on the way: verdicts, writes and answers that overtake each other.

use super::{process::*, world::*, *};
use crate::{
    config::OnStoreOutage,
    protocol::machine::{StoreRequest, StoreResponse},
};

/// A world whose first process runs the first probe of an opening.
pub(super) fn probing(config: &Config, processes: usize) -> (World, CallId) {
    let mut world = World::new(processes, config);
    world.record = Some(open(START_UNIX - 60));
    let pass = world.admit(0);
    assert!(pass.probe.is_some());
    (world, pass)
}

/// The same, with a renewal of the probe's lease under way.
fn renewing(config: &Config) -> (World, CallId) {
    let (mut world, pass) = probing(config, 1);
    world.advance(s(11));
    world.processes[0].keep_alive(pass);
    assert!(world.processes[0].job.is_some());
    (world, pass)
}

/// The store is down: calls come until one of them probes without it.
fn probe_alone(world: &mut World) -> CallId {
    let mut probes = (0..60).filter_map(|_| {
        world.pass(s(1));
        match world.call(0) {
            Call::Runs(pass) => Some(pass),
            Call::Rejected | Call::Waits(_) => None,
        }
    });
    probes.next().expect("a local probe")
}

#[test]
fn a_verdict_outlives_the_renewal_that_it_overtakes() {
    for (report, state) in [
        (CallEnd::Success, CircuitState::Closed),
        (CallEnd::Failure, CircuitState::Open),
        (CallEnd::Dropped, CircuitState::HalfOpen),
    ] {
        for fault in [None, Some(Fault::LostAnswer), Some(Fault::LostRequest)] {
            let (mut world, pass) = renewing(&quick(5, 1));
            world.faults.extend(fault);
            world.processes[0].end(pass, report);
            world.settle(0);
            world.pass(s(2));
            assert_eq!(world.stored().state, state.into(), "{report:?}");
            assert_eq!(world.state(0), state);
        }
        let (mut world, pass) = renewing(&quick(5, 2));
        world.end(0, pass, report);
        if report == CallEnd::Success {
            assert_eq!(world.stored().success_count, 1.into());
        }
    }
}

#[test]
fn an_election_that_is_found_late_is_told_with_the_time_of_the_opening() {
    let mut world = World::new(1, &Config::default());
    world.record = Some(open(START_UNIX - 26));
    assert_eq!(world.call(0), Call::Rejected);
    world.pass(s(4));
    let call = world.processes[0].call();
    world.arrive(0);
    world.deliver(0); // the look; now the election is under way
    world.faults.push_back(Fault::LostAnswer);
    world.settle(0);
    assert_eq!(world.processes[0].decision(call), Some(Call::Rejected), "its answer was lost");
    world.down = Some(StoreErrorKind::Timeout);
    world.pass(s(6));
    world.call(0);
    assert_eq!(world.state(0), CircuitState::Closed, "it fails open");
    world.down = None;
    for _ in 0..8 {
        world.pass(s(1));
        world.call(0);
    }
    let told = &world.processes[0].transitions;
    let elected = told.iter().find(|told| told.origin == Origin::Local).unwrap();
    assert_eq!(
        (elected.from_state, elected.to_state),
        (CircuitState::Closed, CircuitState::HalfOpen)
    );
    assert_eq!(elected.opened_at, Some(START_UNIX - 26));
}

#[test]
fn a_verdict_after_a_lease_that_was_lost_is_dropped_with_the_renewal() {
    let (mut world, pass) = renewing(&quick(5, 1));
    world.record = Some(half_open("another", START_UNIX + 60));
    let before = world.record.clone();
    world.end(0, pass, CallEnd::Success);
    assert_eq!(world.record, before);
    assert_eq!(world.call(0), Call::Rejected);
}

#[test]
fn a_close_that_lands_late_does_not_undo_a_newer_trip() {
    let (mut world, pass) = probing(&quick(1, 1), 1);
    world.faults.push_back(Fault::LostRequest);
    world.end(0, pass, CallEnd::Success);
    assert_eq!(world.state(0), CircuitState::Closed);
    let late = world.admit(0);
    world.advance(s(2));
    world.processes[0].tick();
    world.arrive(0);
    world.deliver(0); // the read after the lost answer; now the close is under way
    world.processes[0].end(late, CallEnd::Failure);
    world.settle(0);
    assert_eq!(world.state(0), CircuitState::Open);
    assert_eq!(world.stored().state, CircuitState::Open.into());
    assert_eq!(world.applied.last(), Some(&(0, "trip")));
}

#[test]
fn a_local_opening_never_overwrites_a_record_that_is_not_closed() {
    let config = build(Config::builder().on_store_outage(OnStoreOutage::Protect));
    for record in [open(START_UNIX - 20), half_open("another", START_UNIX + 10)] {
        let mut world = World::new(1, &config);
        world.record = Some(record.clone());
        assert_eq!(world.call(0), Call::Rejected);
        world.down = Some(StoreErrorKind::Unavailable);
        let pass = probe_alone(&mut world);
        world.end(0, pass, CallEnd::Failure);
        world.down = None;
        world.pass(s(31));
        assert_eq!(world.record, Some(record));
    }
}

#[test]
fn a_token_that_saw_a_failure_without_the_store_does_not_close() {
    let (mut world, pass) = probing(&quick(5, 2), 1);
    world.end(0, pass, CallEnd::Success);
    assert_eq!(world.stored().success_count, 1.into());
    world.down = Some(StoreErrorKind::Unavailable);
    let pass = probe_alone(&mut world);
    let owner = world.stored().owner.clone();
    world.end(0, pass, CallEnd::Failure);
    world.down = None;
    world.pass(s(60));
    let pass = world.admit(0);
    assert_ne!(world.stored().owner, owner, "the token is spent");
    world.end(0, pass, CallEnd::Success);
}

/// Found by the model: the unanswered close of the token could land after a probe
/// that failed under the same token.
#[test]
fn a_token_left_by_a_trip_does_not_probe_again() {
    let (mut world, pass) = probing(&quick(1, 1), 1);
    let owner = world.stored().owner.clone();
    world.faults.push_back(Fault::LostRequest);
    world.end(0, pass, CallEnd::Success);
    let pass = world.admit(0);
    assert_eq!(pass.probe, None, "closed here, while the request may land yet");
    world.advance(s(2));
    world.processes[0].end(pass, CallEnd::Failure);
    world.settle(0);
    assert_eq!(world.stored().owner, owner);
    assert_eq!(world.call(0), Call::Rejected);
    world.pass(s(60));
    world.admit(0);
    assert_ne!(world.stored().owner, owner, "a late close would be refused");
}

/// Found by the simulation: it was told as this process's, with the newer stamp.
#[test]
fn a_reopening_that_lands_after_a_newer_trip_is_not_taken_for_it() {
    let (mut world, pass) = probing(&quick(1, 1), 1);
    world.down = Some(StoreErrorKind::Unavailable);
    world.end(0, pass, CallEnd::Failure);
    let pass = probe_alone(&mut world);
    world.end(0, pass, CallEnd::Success);
    let late = world.admit(0);
    assert_eq!((world.state(0), late.probe), (CircuitState::Closed, None), "closed alone");
    world.down = None;
    world.advance(s(60));
    world.processes[0].tick();
    world.arrive(0);
    world.deliver(0); // the read; now the reopening is under way
    world.processes[0].end(late, CallEnd::Failure);
    world.settle(0);
    assert_eq!(world.applied.last(), Some(&(0, "reopen")));
    let opened_at = world.stored().opened_at.valid().copied();
    assert_eq!(opened_at, Some(START_UNIX), "the probe failed then");
    assert_eq!(world.processes[0].machine.phase.opened_at(), opened_at);
    let told = world.processes[0].transitions.last().expect("it was told");
    assert_eq!((told.to_state, told.origin), (CircuitState::Open, Origin::Observed));
    assert_eq!(told.opened_at, opened_at);
}

/// Found by the model in whole seconds: the renewal restored the lease that the hand
/// over names, so that a second copy of it put the count back during the next probe.
#[test]
fn a_hand_over_that_arrives_again_does_not_touch_a_later_probe() {
    let (mut world, mut pass) = probing(&quick(5, 5), 1);
    let mut sent = Vec::new();
    for _ in 0..4 {
        world.processes[0].end(pass, CallEnd::Success);
        let Some(StoreRequest::Write { operation, .. }) = world.processes[0].job.clone() else {
            panic!("a good probe is written down");
        };
        sent.push(operation);
        pass = world.admit(0);
        for again in &sent {
            assert_eq!(again.apply(world.record.as_ref()), None, "{again:?}");
        }
    }
}

/// Found by the model in whole seconds: both told of the one closing.
#[test]
fn a_closing_after_the_own_lease_is_not_taken_for_another_of_the_same_second() {
    let (mut world, late) = probing(&quick(5, 1), 2);
    world.advance(s(33));
    let pass = world.admit(1);
    world.end(1, pass, CallEnd::Success);
    world.end(0, late, CallEnd::Success);
    assert_eq!(world.state(0), CircuitState::Closed);
    let closing = (CircuitState::HalfOpen, CircuitState::Closed);
    assert!(world.local(1).contains(&closing));
    assert!(!world.local(0).contains(&closing), "seen, not made");
}

#[test]
fn a_closing_that_was_applied_before_its_refusal_is_told_as_own() {
    let (mut world, pass) = probing(&quick(5, 1), 1);
    world.processes[0].end(pass, CallEnd::Success);
    let Some(StoreRequest::Write { operation, .. }) = world.processes[0].job.clone() else {
        panic!("the last good probe closes");
    };
    // The store client tried twice, and only the second try was answered.
    world.record = operation.apply(world.record.as_ref());
    world.applied.push((0, operation.name()));
    world.settle(0);
    let closing = (CircuitState::HalfOpen, CircuitState::Closed);
    assert!(world.local(0).contains(&closing));
}

#[test]
fn a_lease_found_again_after_an_outage_is_renewed_before_it_is_probed() {
    let (mut world, pass) = probing(&build(Config::builder().probe_lease(s(300))), 2);
    world.end(0, pass, CallEnd::Success);
    world.down = Some(StoreErrorKind::Unavailable);
    let pass = probe_alone(&mut world);
    world.end(0, pass, CallEnd::Dropped);
    world.down = None;
    world.advance(s(31));
    // The lease was handed over and is long past: the other one takes it.
    let call = world.processes[0].call();
    world.arrive(0);
    world.admit(1);
    world.deliver(0);
    world.settle(0);
    assert_eq!(world.processes[0].decision(call), Some(Call::Rejected));
}

#[test]
fn a_right_given_back_unasked_is_not_used_again_when_the_answer_is_lost() {
    let config = quick(5, 3);
    let mut world = World::new(2, &config);
    world.record = Some(open(START_UNIX - 60));
    let _ = world.processes[0].call();
    world.arrive(0);
    world.deliver(0); // read; the election is under way
    world.processes[0].forget_waiters();
    world.arrive(0);
    world.deliver(0); // elected, nobody there: kept for one handoff
    world.advance(s(1));
    world.processes[0].tick();
    world.faults.push_back(Fault::LostAnswer);
    world.arrive(0);
    world.deliver(0);
    world.advance(s(2));
    let call = world.processes[0].call();
    world.arrive(0); // the read that finds out
    let other = world.admit(1);
    assert!(other.probe.is_some());
    world.deliver(0);
    world.settle(0);
    assert_eq!(world.processes[0].decision(call), Some(Call::Rejected));
}

#[test]
fn a_verdict_after_the_own_takeover_does_not_disturb_it() {
    for report in [CallEnd::Success, CallEnd::Failure, CallEnd::Dropped] {
        let (mut world, leaked) = probing(&quick(5, 1), 1);
        world.advance(s(31));
        let call = world.processes[0].call();
        world.arrive(0);
        world.deliver(0); // the look; now the takeover is under way
        world.processes[0].end(leaked, report);
        world.settle(0);
        let Some(Call::Runs(pass)) = world.processes[0].decision(call) else {
            panic!("the takeover was ours");
        };
        assert_eq!(world.state(0), CircuitState::HalfOpen, "{report:?}");
        world.end(0, pass, CallEnd::Success);
        assert_eq!(world.stored().state, CircuitState::Closed.into(), "{report:?}");
        assert_eq!(world.state(0), CircuitState::Closed, "{report:?}");
    }
}

#[test]
fn an_event_that_was_overtaken_is_no_clock_set_back() {
    let mut world = World::new(1, &Config::default());
    world.succeed(0);
    world.advance(ms(10));
    world.processes[0].tick();
    world.advance(s(6));
    let overtaken = world.processes[0].now;
    world.advance(ms(1));
    world.succeed(0);
    assert_eq!(world.reads, 2);
    world.processes[0].now = overtaken;
    world.succeed(0);
    assert_eq!(world.reads, 2, "what was just read is fresh for whoever asked before");
}

#[test]
fn a_misconfigured_store_does_not_delay_recovery() {
    let mut world = World::new(1, &Config::default());
    world.succeed(0);
    world.down = Some(StoreErrorKind::Misconfigured);
    world.fail(0, 5);
    assert_eq!(world.call(0), Call::Rejected);
    world.advance(s(30));
    let pass = world.admit(0);
    assert!(pass.probe.is_some(), "this process protects itself alone");
}

#[test]
fn a_read_under_way_that_shows_a_newer_closed_record_ends_the_streak() {
    let mut world = World::new(1, &Config::default());
    world.record = Some(closed(START_UNIX + 10));
    world.fail(0, 4);
    let pass = world.admit(0);
    world.advance(s(4));
    world.processes[0].refresh();
    // Tripped and closed again by others.
    world.record = Some(closed(START_UNIX + 20));
    world.processes[0].end(pass, CallEnd::Failure);
    world.settle(0);
    assert_eq!(world.record, Some(closed(START_UNIX + 20)));
    assert_eq!(world.state(0), CircuitState::Closed);
}

#[test]
fn a_wrong_answer_teaches_nothing() {
    let mut process = Process::new(0, Config::default());
    let call = process.call();
    process.answer(StoreResponse::Written(Written::Refused(Some(open(START_UNIX)))));
    assert_eq!(process.state(), CircuitState::Closed);
    assert_eq!(process.decision(call), None);
    process.answer(StoreResponse::Read(None));
    assert!(matches!(process.decision(call), Some(Call::Runs(_))));
}

#[test]
fn a_verdict_holds_here_when_the_store_cannot_even_be_read() {
    for (report, state) in
        [(CallEnd::Success, CircuitState::Closed), (CallEnd::Failure, CircuitState::Open)]
    {
        let (mut world, pass) = renewing(&quick(5, 1));
        world.down = Some(StoreErrorKind::Timeout);
        world.settle(0);
        world.advance(s(2)); // the back-off is over
        world.end(0, pass, report);
        assert_eq!(world.state(0), state);
        let told = world.of_origin(0, Origin::WithoutStore);
        assert_eq!(told, [(CircuitState::HalfOpen, state)]);
    }
}

#[test]
fn a_trip_is_told_when_the_store_cannot_even_be_read() {
    let mut world = World::new(1, &quick(1, 1));
    world.record = Some(open(START_UNIX));
    assert_eq!(world.call(0), Call::Rejected);
    world.advance(s(6));
    world.down = Some(StoreErrorKind::Unavailable);
    world.fail(0, 1);
    assert_eq!(world.state(0), CircuitState::Open);
    let told = world.of_origin(0, Origin::WithoutStore);
    let [open, closed] = [CircuitState::Open, CircuitState::Closed];
    assert_eq!(told, [(open, closed), (closed, open)]);
}

#[test]
fn a_takeover_whose_answer_was_lost_is_told_as_one() {
    let mut world = World::new(1, &quick(5, 3));
    let mut record = half_open("another", START_UNIX - 10);
    record.success_count = 2.into();
    world.record = Some(record);
    let _ = world.processes[0].call();
    world.arrive(0);
    world.faults.push_back(Fault::LostAnswer);
    world.deliver(0); // seen, and past: the takeover is under way
    world.settle(0);
    world.advance(s(2));
    let pass = world.admit(0);
    let cause = world.processes[0].transitions.last().map(|told| told.cause.clone());
    assert!(matches!(cause, Some(Cause::TakeOver { .. })), "{cause:?}");
    world.end(0, pass, CallEnd::Success);
    assert_eq!(world.stored().state, CircuitState::Closed.into(), "counted on from 2");
}
