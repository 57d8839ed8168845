//! What a change of the machine once survived: small promises, one each.

use super::{faults::probing, process::*, world::*, *};
use crate::{
    config::Rule,
    protocol::{counting::Remembered, machine::NoEntropy},
};

fn seen(record: Record) -> World {
    let mut world = World::new(1, &Config::default());
    world.record = Some(record);
    world
}

#[test]
fn a_read_that_failed_with_nobody_waiting_fails_open_for_the_next_call() {
    for record in [open(START_UNIX), half_open("another", START_UNIX + 60)] {
        let mut world = seen(record);
        assert_eq!(world.call(0), Call::Rejected);
        world.advance(s(6));
        let _ = world.processes[0].call();
        world.processes[0].forget_waiters();
        world.faults.push_back(Fault::LostRequest);
        world.settle(0);
        assert!(matches!(world.call(0), Call::Runs(CallId { probe: None, .. })));
    }
}

#[test]
fn a_lease_seen_unchanged_is_taken_over_after_the_probe_limit_or_a_hand_off_and_a_second() {
    for (successes, wait) in [(0_u64, 121), (1, 2)] {
        // The holder's clock is an hour ahead, so that its stamp says nothing.
        let mut record = half_open("another", START_UNIX + 3_600);
        record.success_count = successes.into();
        let mut world = seen(record);
        let waited = (0..200).find(|_| {
            let runs = matches!(world.call(0), Call::Runs(_));
            if !runs {
                world.advance(s(1));
            }
            runs
        });
        assert_eq!(waited, Some(wait), "after {successes} good probes");
    }
}

#[test]
fn one_call_waits_while_a_verdict_is_written_and_the_others_are_rejected() {
    let (mut world, pass) = probing(&quick(5, 2), 1);
    world.processes[0].end(pass, CallEnd::Success);
    assert!(matches!(world.processes[0].call(), Call::Waits(_)));
    assert_eq!(world.processes[0].call(), Call::Rejected);
}

#[test]
fn a_local_probe_that_outlived_its_lease_is_not_kept_alive() {
    let mut world = World::new(1, &Config::default());
    world.succeed(0);
    world.down = Some(StoreErrorKind::Misconfigured);
    world.fail(0, 5);
    world.advance(s(30));
    let late = world.admit(0);
    world.advance(s(31));
    world.processes[0].keep_alive(late);
    let next = world.admit(0);
    assert!(next.probe > late.probe);
}

#[test]
fn a_probe_that_fails_late_in_a_second_stamps_the_next_one() {
    let (mut world, pass) = probing(&Config::default(), 1);
    world.advance(ms(999));
    world.end(0, pass, CallEnd::Failure);
    assert_eq!(world.stored().opened_at, (START_UNIX + 1).into());
}

#[test]
fn a_renewal_in_the_second_of_the_handover_is_later_than_what_stands() {
    let (mut world, pass) = probing(&build(Config::builder().recovery_timeout(s(1))), 1);
    world.end(0, pass, CallEnd::Success);
    let _ = world.admit(0);
    assert_eq!(world.applied.last(), Some(&(0, "renew")));
    assert_eq!(world.stored().success_count, 0.into(), "a probe that dies leaves no streak");
}

#[test]
fn leases_are_stamped_rounded_up() {
    let mut world = seen(open(START_UNIX - 60));
    world.advance(ms(1));
    let pass = world.admit(0);
    assert_eq!(world.stored().lease_until, (START_UNIX + 31).into());
    world.end(0, pass, CallEnd::Success);
    assert_eq!(world.stored().lease_until, (START_UNIX + 2).into());
}

#[test]
fn a_late_renewal_with_the_lease_of_the_handover_is_not_taken_for_it() {
    let (mut world, pass) = probing(&quick(5, 2), 1);
    world.processes[0].end(pass, CallEnd::Success);
    // A renewal whose answer was lost lands late, with the very same end.
    world.record.as_mut().unwrap().lease_until = (START_UNIX + 1).into();
    world.settle(0);
    assert_eq!(world.stored().success_count, 1.into());
}

#[test]
fn an_opening_that_was_told_without_the_store_ends_with_a_newer_closed_record() {
    let mut world = World::new(1, &Config::default());
    world.record = Some(closed(START_UNIX + 10));
    world.succeed(0);
    world.down = Some(StoreErrorKind::Unavailable);
    world.fail(0, 5);
    assert_eq!(world.of_origin(0, Origin::WithoutStore).len(), 1);
    world.record = Some(closed(START_UNIX + 20));
    world.down = None;
    world.pass(s(2));
    assert_eq!(world.applied, []);
    assert_eq!(world.state(0), CircuitState::Closed);
}

#[test]
fn a_hold_that_keeps_the_time_of_the_opening_is_a_hold() {
    let mut world = seen(open(START_UNIX + 3_600));
    assert_eq!(world.call(0), Call::Rejected);
    world.record.as_mut().unwrap().owner = Field::Valid("hold#deploy".into());
    for wait in [6, 60] {
        world.advance(s(wait));
        assert_eq!(world.call(0), Call::Rejected);
    }
}

#[test]
fn nobody_is_told_to_come_back_early() {
    let mut world = seen(open(START_UNIX));
    assert_eq!(world.call(0), Call::Rejected);
    world.advance(Duration::from_micros(500));
    world.processes[0].pass_time();
    assert_eq!(world.processes[0].machine.published().retry_at_ms, 1_000_030_000);
}

#[test]
fn while_the_store_is_left_alone_the_gate_decides_alone() {
    let mut world = World::new(1, &Config::default());
    world.down = Some(StoreErrorKind::Timeout);
    assert!(matches!(world.call(0), Call::Runs(_)));
    let published = world.processes[0].machine.published();
    assert_eq!((published.from_ms, published.span_ms), (1_000_000_000 - 16, 1_016));
}

#[test]
fn the_back_off_doubles_up_to_half_a_minute() {
    let mut world = World::new(1, &Config::default());
    world.down = Some(StoreErrorKind::Timeout);
    let mut asked_at = Vec::new();
    for _ in 0..2_000 {
        let before = world.processes[0].machine.cache.reads;
        assert!(matches!(world.call(0), Call::Runs(_)));
        if world.processes[0].machine.cache.reads > before {
            asked_at.push(world.processes[0].now);
        }
        world.advance(ms(100));
    }
    let gaps: Vec<_> = asked_at.windows(2).map(|two| two[1].since(two[0]).as_secs()).collect();
    assert!(gaps.iter().all(|gap| *gap <= 30), "{gaps:?}");
    assert!(gaps.windows(2).all(|two| two[0] <= two[1]), "{gaps:?}");
    assert!(gaps.first().is_some_and(|gap| *gap <= 1) && gaps.contains(&30), "{gaps:?}");
}

#[test]
fn a_release_in_the_second_of_a_closing_is_not_told_as_that_closing() {
    let (mut world, pass) = probing(&quick(5, 1), 1);
    world.processes[0].end(pass, CallEnd::Success);
    // An operator is first, and both writes would leave the same `expiration`.
    let expires_at = world.processes[0].machine.expires_at();
    world.record = Some(Record { released: START_UNIX.into(), ..closed(expires_at) });
    world.settle(0);
    assert_eq!(world.state(0), CircuitState::Closed);
    assert_eq!(world.local(0).last(), Some(&(CircuitState::Open, CircuitState::HalfOpen)));
}

#[test]
fn a_stale_look_at_what_stood_in_the_second_of_a_trip_is_confirmed() {
    let mut world = World::new(1, &quick(1, 1));
    world.succeed(0);
    world.fail(0, 1);
    world.pass(s(6));
    assert_eq!(world.call(0), Call::Rejected, "it reads its own trip");
    world.pass(s(6));
    // Closed and tripped in one second: both have the same `expiration`.
    let before = closed(world.stored().expires_at.valid().copied().unwrap());
    world.faults.push_back(Fault::Stale(Some(before)));
    assert_eq!(world.call(0), Call::Rejected);
    assert_eq!(world.state(0), CircuitState::Open);
}

/// A machine without calls, which knows of nothing but what its owner tells it.
fn idle(config: Config) -> Machine {
    let name = CircuitName::new("payments").unwrap();
    let mut machine = Machine::new(name, Arc::new(config), Box::new(NoEntropy));
    machine.tick(START);
    machine
}

fn remembered(newest_failure: Option<Moment>) -> Remembered {
    Remembered { any: newest_failure.is_some(), contradiction: false, newest_failure }
}

/// A failing call that the gate admitted sends no message.
#[test]
fn a_circuit_is_kept_from_its_newest_failure_for_as_long_as_that_counts() {
    let window = s(600);
    let rules = Config::builder().also_trip(Rule::within(10, window));
    for (config, kept_for) in [(Config::default(), s(30)), (build(rules), window)] {
        let mut machine = idle(config);
        let failed_at = START.later(s(100));
        machine.learn_what_stands(remembered(Some(failed_at)));
        machine.tick(failed_at.later(kept_for - ms(1)));
        assert!(!machine.is_forgettable(), "{kept_for:?}");
        machine.tick(failed_at.later(kept_for));
        assert!(machine.is_forgettable(), "{kept_for:?}");
    }
}

#[test]
fn case_95_a_contradiction_ends_while_a_failure_still_stands_in_a_window() {
    let mut machine = idle(Config::default());
    machine.reputation.trip();
    machine.reputation.close_elsewhere(true, machine.epoch());
    machine.learn_what_stands(Remembered { contradiction: true, ..remembered(Some(START)) });
    assert!(machine.is_contradicted());
    machine.learn_what_stands(remembered(Some(START)));
    assert!(!machine.is_contradicted());
}
