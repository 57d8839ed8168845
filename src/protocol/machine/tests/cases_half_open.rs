//! CASES.md, "Half-open".

use super::{faults::probing, process::*, world::*, *};
use crate::config::OnStoreOutage;

const HALF_OPEN_TO_CLOSED: (CircuitState, CircuitState) =
    (CircuitState::HalfOpen, CircuitState::Closed);

#[test]
fn case_41_enough_good_probes_close_with_one_announcement() {
    let (mut world, pass) = probing(&Config::default(), 1);
    let reads = world.reads;
    world.end(0, pass, CallEnd::Success);
    world.succeed(0);
    let pass = world.admit(0);
    assert_eq!(world.reads, reads, "an owner knows");
    world.end(0, pass, CallEnd::Success);
    assert_eq!(world.record, Some(closed(START_UNIX + 3_630)));
    assert_eq!(world.local(0).last(), Some(&HALF_OPEN_TO_CLOSED));
    assert_eq!(world.local(0).len(), 2);
    world.succeed(0);
}

#[test]
fn case_42_a_failed_probe_reopens() {
    let (mut world, pass) = probing(&Config::default(), 1);
    world.advance(s(3));
    world.end(0, pass, CallEnd::Failure);
    let expected = Record { failure_count: 0.into(), ..open(START_UNIX + 3) };
    assert_eq!(world.record, Some(expected));
    assert_eq!(world.local(0).last(), Some(&(CircuitState::HalfOpen, CircuitState::Open)));
    assert_eq!(world.call(0), Call::Rejected);
}

#[test]
fn case_43_after_a_reopening_anyone_can_be_elected() {
    let (mut world, pass) = probing(&Config::default(), 2);
    world.end(0, pass, CallEnd::Failure);
    world.advance(s(29));
    assert_eq!(world.call(1), Call::Rejected);
    world.advance(s(1));
    assert!(world.admit(1).probe.is_some());
    assert_eq!(world.call(0), Call::Rejected);
}

#[test]
fn cases_44_and_53_a_probe_without_a_verdict_gives_its_right_back_at_once() {
    let (mut world, pass) = probing(&Config::default(), 2);
    assert_eq!(world.call(1), Call::Rejected);
    world.end(0, pass, CallEnd::Dropped);
    assert_eq!(world.state(0), CircuitState::HalfOpen);
    assert_eq!(world.stored().success_count, 0.into());
    // The other one knew the old lease: it reads again, and goes by that.
    world.advance(s(2));
    assert!(world.admit(1).probe.is_some());
    assert_eq!(world.call(0), Call::Rejected);
}

#[test]
fn case_45_a_lease_lost_takes_its_successes_along() {
    let (mut world, pass) = probing(&Config::default(), 2);
    world.end(0, pass, CallEnd::Success);
    world.succeed(0);
    let failing = {
        world.advance(s(4));
        world.admit(1)
    };
    world.end(1, failing, CallEnd::Failure);
    world.advance(s(31));
    for _ in 0..2 {
        world.succeed(0);
        assert_eq!(world.state(0), CircuitState::HalfOpen);
    }
    world.succeed(0);
    assert_eq!(world.state(0), CircuitState::Closed);
}

#[test]
fn cases_49_and_51_a_late_success_after_a_takeover_changes_nothing() {
    for report in [CallEnd::Success, CallEnd::Dropped] {
        let (mut world, late) = probing(&quick(5, 1), 2);
        world.advance(s(33));
        assert!(world.admit(1).probe.is_some());
        let record = world.record.clone();
        world.end(0, late, report);
        assert_eq!(world.record, record);
        assert_eq!(world.call(0), Call::Rejected);
        assert_eq!(world.local(0).len(), 1);
    }
}

#[test]
fn case_50_a_late_failure_after_a_close_changes_nothing() {
    let (mut world, late) = probing(&quick(5, 1), 2);
    world.advance(s(33));
    world.succeed(1);
    let record = world.record.clone();
    world.end(0, late, CallEnd::Failure);
    assert_eq!((world.record.clone(), world.local(0).len()), (record, 1));
    assert_eq!(world.state(0), CircuitState::Closed);
    world.succeed(0);
}

#[test]
fn case_54_uncounted_probes_move_the_right_on_and_none_runs_on_an_expired_lease() {
    let mut world = World::new(3, &Config::default());
    world.record = Some(open(START_UNIX - 60));
    let mut owners = std::collections::HashSet::new();
    for turn in 0..30 {
        if let Call::Runs(pass) = world.call(turn % 3) {
            owners.insert(turn % 3);
            world.end(turn % 3, pass, CallEnd::Dropped);
        }
        world.advance(s(2));
    }
    assert_eq!(owners.len(), 3);
}

#[test]
fn case_55_a_probe_longer_than_its_lease_is_renewed_while_it_runs() {
    let (mut world, pass) = probing(&Config::default(), 2);
    for _ in 0..12 {
        world.advance(s(10));
        world.processes[0].keep_alive(pass);
        world.settle(0);
        assert_eq!(world.call(1), Call::Rejected);
        assert_eq!(world.call(0), Call::Rejected);
    }
    world.end(0, pass, CallEnd::Success);
    assert_eq!(world.stored().success_count, 1.into());
}

#[test]
fn case_56_a_result_of_the_first_lease_does_not_settle_the_third() {
    for report in [CallEnd::Success, CallEnd::Failure, CallEnd::Dropped] {
        let (mut world, first) = probing(&quick(5, 1), 1);
        world.advance(s(31));
        let second = world.admit(0);
        world.end(0, second, CallEnd::Failure);
        world.advance(s(31));
        let third = world.admit(0);
        let record = world.record.clone();
        world.end(0, first, report);
        world.end(0, second, report);
        assert_eq!(world.record, record);
        assert_eq!(world.call(0), Call::Rejected);
        world.end(0, third, CallEnd::Success);
        assert_eq!(world.state(0), CircuitState::Closed);
    }
}

#[test]
fn case_57_a_stale_read_after_our_own_close_does_not_make_us_prober_again() {
    let (mut world, pass) = probing(&quick(5, 1), 1);
    let stale = world.record.clone();
    world.end(0, pass, CallEnd::Success);
    world.advance(s(5));
    world.faults.push_back(Fault::Stale(stale));
    assert_eq!(world.admit(0).probe, None);
    assert_eq!(world.state(0), CircuitState::Closed);
    assert_eq!(world.local(0).len(), 2);
}

#[test]
fn case_58_half_open_without_a_lease_is_taken_over_after_the_timeout() {
    for record in [
        Record { lease_until: Field::Absent, ..half_open("another", 0) },
        Record { lease_until: Field::Absent, owner: Field::Absent, ..half_open("another", 0) },
    ] {
        let mut world = World::new(1, &Config::default());
        world.record = Some(record);
        for _ in 0..30 {
            assert_eq!(world.call(0), Call::Rejected);
            world.advance(s(1));
        }
        assert!(world.admit(0).probe.is_some());
        assert_eq!(world.processes[0].defects.len(), 1, "said once per change");
    }
}

#[test]
fn case_59_a_close_that_fails_is_written_later_and_told_once() {
    for fault in [Fault::LostAnswer, Fault::LostRequest] {
        let (mut world, pass) = probing(&quick(5, 1), 1);
        world.faults.push_back(fault);
        world.end(0, pass, CallEnd::Success);
        assert_eq!(world.state(0), CircuitState::Closed);
        world.pass(s(2));
        assert_eq!(world.stored().state, CircuitState::Closed.into());
        let told = world.processes[0].transitions.iter();
        assert_eq!(told.filter(|told| told.to_state == CircuitState::Closed).count(), 1);
        world.succeed(0);
    }
}

#[test]
fn case_60_a_reopening_that_fails_holds_here_for_the_timeout() {
    for policy in [OnStoreOutage::FailOpen, OnStoreOutage::Protect] {
        let (mut world, pass) = probing(&build(Config::builder().on_store_outage(policy)), 1);
        world.down = Some(StoreErrorKind::Timeout);
        world.end(0, pass, CallEnd::Failure);
        for _ in 0..29 {
            assert_eq!(world.call(0), Call::Rejected);
            world.pass(s(1));
        }
        assert_eq!(world.state(0), CircuitState::Open);
        world.down = None;
        world.pass(s(32));
        assert_eq!(world.stored().state, CircuitState::Open.into(), "retried until it is applied");
    }
}

#[test]
fn cases_81_and_86_a_thousand_calls_when_recovery_is_due_make_one_probe() {
    let mut world = World::new(1, &Config::default());
    world.record = Some(open(START_UNIX - 60));
    let calls: Vec<_> = (0..1_000).map(|_| world.processes[0].call()).collect();
    world.settle(0);
    let decided: Vec<_> =
        calls.into_iter().map(|call| world.processes[0].decision(call).expect("decided")).collect();
    assert_eq!(decided.iter().filter(|call| matches!(call, Call::Runs(_))).count(), 1);
    // The permit is leaked: the slot is back when its lease ends.
    world.advance(s(29));
    assert_eq!(world.call(0), Call::Rejected);
    world.advance(s(1));
    assert!(world.admit(0).probe.is_some());
}

/// The states that a circuit goes through, twice; one failure trips it, and one
/// good probe closes it.
const ROUND: [CircuitState; 6] = [
    CircuitState::Closed,
    CircuitState::Open,
    CircuitState::HalfOpen,
    CircuitState::Closed,
    CircuitState::Open,
    CircuitState::HalfOpen,
];

/// Goes on to the next state of the round. A probe that has not ended, because
/// it is to end late, makes room by its lease.
fn go_on(world: &mut World, to: CircuitState, probe: Option<CallId>) {
    match (to, probe) {
        (CircuitState::Open, _) => world.fail(0, 1),
        (CircuitState::HalfOpen, _) => world.advance(s(31)),
        (CircuitState::Closed, Some(probe)) => world.end(0, probe, CallEnd::Success),
        (CircuitState::Closed, None) => {
            world.advance(s(31));
            world.succeed(0);
        }
    }
}

/// Calls admitted in each state of the circuit that end in each later one. An
/// open circuit admits none.
#[test]
fn case_82_an_outcome_of_an_older_epoch_changes_nothing() {
    let mut pairs = 0;
    for (admitted, state) in ROUND.iter().enumerate() {
        for ended in admitted + 1..ROUND.len() {
            for report in [CallEnd::Success, CallEnd::Failure, CallEnd::Dropped] {
                if *state == CircuitState::Open {
                    continue;
                }
                let mut world = World::new(1, &quick(1, 1));
                let (mut late, mut probe) = (None, None);
                for (at, state) in ROUND.iter().enumerate().take(ended + 1) {
                    if at > 0 {
                        go_on(&mut world, *state, probe.take());
                    }
                    if at == admitted {
                        late = Some(world.admit(0));
                    } else if *state == CircuitState::HalfOpen {
                        probe = Some(world.admit(0));
                    }
                    assert_eq!(world.state(0), *state);
                }
                let before = (world.record.clone(), world.processes[0].machine.epoch());
                world.end(0, late.expect("admitted"), report);
                let after = (world.record.clone(), world.processes[0].machine.epoch());
                assert_eq!(before, after, "admitted in {admitted}, ended in {ended}");
                pairs += 1;
            }
        }
    }
    assert_eq!(pairs, 3 * (5 + 3 + 2));
}

#[test]
fn case_55_a_short_lease_covers_its_probe_and_does_not_run_ahead_of_it() {
    for lease in [ms(1_000), ms(1_500), s(2), s(3), s(30)] {
        for start in [0, 1, 50, 350, 999] {
            let config = Config::builder().probe_lease(lease).max_clock_skew(s(0));
            let config = config.success_threshold(2).probe_limit(s(86_400));
            let mut world = World::new(2, &build(config));
            world.advance(ms(start));
            world.record = Some(open(START_UNIX - 60));
            // The second probe renews a lease that was set in the same second.
            world.succeed(0);
            let pass = world.admit(0);
            assert_eq!(world.call(1), Call::Rejected);
            for _ in 0..300 {
                world.advance(lease / 3 + ms(5));
                assert_eq!(world.call(1), Call::Rejected, "{lease:?} after {start} ms");
                world.processes[0].keep_alive(pass);
                world.settle(0);
                assert_eq!([world.call(0), world.call(1)], [Call::Rejected; 2]);
                let until = world.stored().lease_until.valid().copied().expect("a lease");
                let ahead = until - world.processes[0].now.unix_ceil(lease);
                assert!(ahead <= 1, "{lease:?} after {start} ms: {ahead} s ahead");
            }
        }
    }
}
