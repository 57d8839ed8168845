//! CASES.md, "Open" and "Election".

use super::{faults::probing, process::*, world::*, *};
use crate::{protocol::machine::StoreRequest, protocol::record::Malformed};

fn seen(record: Record) -> World {
    let mut world = World::new(1, &Config::default());
    world.record = Some(record);
    world
}

/// How many whole seconds after the first call a probe runs.
fn waits(world: &mut World) -> u64 {
    (0..200)
        .find(|_| {
            let runs = matches!(world.call(0), Call::Runs(_));
            if !runs {
                world.advance(s(1));
            }
            runs
        })
        .expect("a probe at last")
}

#[test]
fn case_16_open_rejects_without_requests_while_the_cache_is_fresh() {
    let mut world = seen(open(START_UNIX - 10));
    assert_eq!(world.call(0), Call::Rejected);
    for _ in 0..49 {
        world.advance(ms(100));
        assert_eq!(world.call(0), Call::Rejected);
    }
    assert_eq!((world.reads, world.writes), (1, 0));
    let published = world.processes[0].machine.published();
    assert_eq!((published.failure_count, published.opened_at), (5, Some(START_UNIX - 10)));
    assert_eq!(published.retry_at_ms, 1_000_020_000);
}

#[test]
fn case_17_an_opening_elsewhere_rejects_once_the_cache_is_old() {
    let mut world = World::new(2, &Config::default());
    world.succeed(1);
    world.fail(0, 5);
    world.succeed(1);
    world.advance(s(5));
    assert_eq!(world.call(1), Call::Rejected);
    assert_eq!(world.of_origin(1, Origin::Observed).len(), 1);
}

#[test]
fn case_18_opened_at_zero_counts_as_long_ago() {
    assert_eq!(waits(&mut seen(open(0))), 0);
    assert_eq!(waits(&mut seen(open(-1))), 0);
    assert_eq!(waits(&mut seen(open(i64::MIN))), 0);
}

#[test]
fn case_20_open_without_a_time_is_probed_after_the_timeout() {
    for opened_at in [Field::Absent, Field::Malformed(Malformed::new("{\"S\":\"x\"}"))] {
        let mut world = seen(Record { opened_at, ..open(START_UNIX) });
        assert_eq!(waits(&mut world), 30);
        assert_eq!(world.processes[0].defects.first(), Some(&"opened_at"));
    }
}

#[test]
fn case_22_opened_in_the_future_is_probed_after_the_timeout() {
    assert_eq!(waits(&mut seen(open(START_UNIX + 3_600))), 30);
    assert_eq!(waits(&mut seen(open(i64::MAX))), 30);
}

#[test]
fn case_23_a_stamp_from_a_slow_clock_does_not_shorten_the_wait_of_who_knows_better() {
    let mut world = World::new(2, &Config::default());
    world.succeed(0);
    world.record = Some(open(START_UNIX - 300));
    world.advance(s(5));
    // What is known is 5 s old: it may have opened right after.
    assert_eq!(waits(&mut world), 25);
    assert!(matches!(world.call(1), Call::Rejected), "the probe runs");
    assert_eq!(waits(&mut seen(open(START_UNIX - 300))), 0, "a cold one goes by the record");
}

#[test]
fn case_24_a_deleted_record_is_probed_before_traffic_flows() {
    for record in [open(START_UNIX), half_open("another", START_UNIX + 20)] {
        let mut world = seen(record);
        assert_eq!(world.call(0), Call::Rejected);
        world.record = None;
        world.advance(s(6));
        assert!(world.admit(0).probe.is_some());
        assert_eq!(world.call(0), Call::Rejected);
    }
}

#[test]
fn case_25_a_trip_late_in_a_second_waits_its_whole_timeout() {
    let config = build(Config::builder().recovery_timeout(s(1)));
    let mut world = World::new(2, &config);
    world.advance(ms(999));
    world.fail(0, 5);
    world.advance(ms(999));
    assert_eq!([world.call(0), world.call(1)], [Call::Rejected, Call::Rejected]);
    world.advance(ms(1));
    assert_eq!(world.call(1), Call::Rejected, "the stamp was rounded up");
    assert!(world.admit(0).probe.is_some());
}

#[test]
fn case_26_a_hold_outlasts_stragglers_and_probes() {
    let held = Record { owner: Field::Valid("hold#deploy".into()), ..open(START_UNIX + 86_400) };
    let mut world = World::new(1, &Config::default());
    world.fail(0, 4);
    let straggler = world.admit(0);
    world.record = Some(held.clone());
    world.end(0, straggler, CallEnd::Failure);
    assert_eq!(world.record, Some(held.clone()));
    assert_eq!(waits_at_most(&mut world, 120), None);
    for report in [CallEnd::Success, CallEnd::Failure, CallEnd::Dropped] {
        let (mut world, probe) = probing(&quick(5, 1), 1);
        world.record = Some(held.clone());
        world.end(0, probe, report);
        assert_eq!(world.record, Some(held.clone()));
    }
}

fn waits_at_most(world: &mut World, seconds: u64) -> Option<u64> {
    (0..seconds).find(|_| {
        world.advance(s(1));
        matches!(world.call(0), Call::Runs(_))
    })
}

#[test]
fn case_27_an_election_is_one_write_announced_before_the_probe() {
    let mut world = seen(open(START_UNIX - 30));
    assert!(world.admit(0).probe.is_some());
    let elected = Record {
        state: CircuitState::HalfOpen.into(),
        failure_count: 0.into(),
        owner: LeaseToken::new("node0-1").as_owner(),
        lease_until: (START_UNIX + 30).into(),
        expires_at: (START_UNIX + 3_630).into(),
        success_count: 0.into(),
        ..open(START_UNIX - 30)
    };
    assert_eq!(world.record, Some(elected));
    assert_eq!(world.writes, 1);
    assert_eq!(world.local(0), [(CircuitState::Open, CircuitState::HalfOpen)]);
}

#[test]
fn case_28_of_many_calls_in_many_environments_one_runs() {
    let mut world = World::new(8, &Config::default());
    world.record = Some(open(START_UNIX - 60));
    let calls: Vec<Vec<Call>> = world
        .processes
        .iter_mut()
        .map(|process| (0..16).map(|_| process.call()).collect())
        .collect();
    for _ in 0..4 {
        (0..8).for_each(|number| world.arrive(number));
        (0..8).for_each(|number| world.deliver(number));
    }
    let mut ran = 0;
    for (number, calls) in calls.into_iter().enumerate() {
        for call in calls {
            let decided = world.processes[number].decision(call).expect("decided");
            ran += usize::from(matches!(decided, Call::Runs(_)));
        }
    }
    assert_eq!(ran, 1);
}

/// A process whose call has looked at an opening that is due, and elects it.
pub(super) fn electing_after_a_look() -> (World, Call) {
    let mut world = seen(open(START_UNIX - 28));
    assert_eq!(world.call(0), Call::Rejected);
    world.advance(s(2));
    let call = world.processes[0].call();
    world.arrive(0);
    world.deliver(0);
    assert!(matches!(world.processes[0].job, Some(StoreRequest::Write { .. })), "an election");
    (world, call)
}

#[test]
fn case_29_an_election_on_an_outdated_opening_is_lost() {
    let (mut world, call) = electing_after_a_look();
    world.record = Some(open(START_UNIX + 1));
    world.settle(0);
    assert_eq!(world.processes[0].decision(call), Some(Call::Rejected));
    assert_eq!((world.record.clone(), world.writes), (Some(open(START_UNIX + 1)), 1));
}

#[test]
fn case_30_a_live_lease_of_another_rejects() {
    let mut world = seen(half_open("another", START_UNIX + 20));
    assert_eq!(world.call(0), Call::Rejected);
    assert_eq!(world.state(0), CircuitState::HalfOpen);
    assert_eq!(world.processes[0].machine.published().retry_at_ms, 1_000_001_000);
}

#[test]
fn cases_31_and_39_an_expired_lease_is_taken_over_and_named() {
    let mut world = seen(half_open("another", START_UNIX - 2));
    assert!(world.admit(0).probe.is_some());
    let record = world.stored();
    assert_eq!(record.owner, LeaseToken::new("node0-1").as_owner());
    assert_eq!(record.lease_until, (START_UNIX + 30).into());
    assert_eq!(record.opened_at, (START_UNIX - 100).into());
    let told = world.processes[0].transitions.last().expect("an event");
    let cause = Cause::TakeOver { previous_owner: Some("another".into()), owner: "node0-1".into() };
    assert_eq!((told.cause.clone(), told.origin), (cause, Origin::Local));
    assert_eq!((told.from_state, told.to_state), (CircuitState::HalfOpen, CircuitState::HalfOpen));
}

#[test]
fn case_32_of_two_takeovers_one_wins() {
    let mut world = World::new(2, &Config::default());
    world.record = Some(half_open("another", START_UNIX - 2));
    let calls = [world.processes[0].call(), world.processes[1].call()];
    for _ in 0..3 {
        (0..2).for_each(|number| world.arrive(number));
        (0..2).for_each(|number| world.deliver(number));
    }
    let decided = [0, 1].map(|number| world.processes[number].decision(calls[number]).unwrap());
    assert!(matches!(decided, [Call::Runs(_), Call::Rejected]), "{decided:?}");
}

#[test]
fn case_33_a_restarted_owner_is_a_stranger_to_its_lease() {
    let (mut world, _) = probing(&Config::default(), 1);
    world.restart(0, &Config::default());
    assert_eq!(world.call(0), Call::Rejected);
    world.advance(s(33));
    assert!(world.admit(0).probe.is_some());
    assert_eq!(world.applied.last(), Some(&(0, "take over")));
}

#[test]
fn case_35_a_lost_election_adopts_what_it_was_shown() {
    let (mut world, call) = electing_after_a_look();
    world.record = Some(closed(START_UNIX + 50));
    let reads = world.reads;
    world.settle(0);
    let decision = world.processes[0].decision(call);
    assert!(matches!(decision, Some(Call::Runs(CallId { probe: None, .. }))), "it flows");
    assert_eq!(world.admit(0).probe, None, "and so does the very next call");
    assert_eq!((world.reads, world.writes), (reads, 1));
}

#[test]
fn case_36_an_election_that_errors_rejects_and_is_tried_again_after_a_back_off() {
    for kind in [StoreErrorKind::Throttled, StoreErrorKind::Unavailable, StoreErrorKind::Timeout] {
        let mut world = seen(open(START_UNIX - 28));
        assert_eq!(world.call(0), Call::Rejected);
        world.advance(s(2));
        world.deny_writes = Some(kind);
        assert_eq!(world.call(0), Call::Rejected);
        let retry = world.processes[0].machine.retry_after();
        let throttled = kind == StoreErrorKind::Throttled;
        assert_eq!(retry, if throttled { ms(500) } else { s(1) });
        world.deny_writes = None;
        assert_eq!(world.call(0), Call::Rejected);
        assert_eq!(world.writes, 0);
        world.advance(retry);
        assert!(world.admit(0).probe.is_some());
    }
}

#[test]
fn case_37_an_election_applied_but_unanswered_is_recognised() {
    let (mut world, call) = electing_after_a_look();
    world.faults.push_back(Fault::LostAnswer);
    world.settle(0);
    assert_eq!(world.processes[0].decision(call), Some(Call::Rejected));
    world.advance(s(1));
    assert!(world.admit(0).probe.is_some());
    assert_eq!(world.applied, [(0, "elect")]);
    assert_eq!(world.local(0).len(), 1);
}

/// A retry inside the store's own client is refused by its first attempt.
#[test]
fn case_37_an_election_refused_by_its_own_first_attempt_is_won() {
    let (mut world, call) = electing_after_a_look();
    let Some(StoreRequest::Write { operation, .. }) = world.processes[0].job.clone() else {
        panic!("an election");
    };
    world.record = operation.apply(world.record.as_ref());
    world.applied.push((0, operation.name()));
    world.settle(0);
    assert!(matches!(world.processes[0].decision(call), Some(Call::Runs(_))));
}

/// Beyond the tolerated skew it is the corrected wall clock that has to help.
#[test]
fn case_38_a_clock_ahead_within_the_skew_takes_no_live_lease() {
    let mut world = seen(half_open("another", START_UNIX + 30));
    world.processes[0].now = world.processes[0].now.moved(0, 1_999);
    for _ in 0..30 {
        assert_eq!(world.call(0), Call::Rejected);
        world.advance(s(1));
    }
    world.advance(ms(1));
    assert!(world.admit(0).probe.is_some());
}

#[test]
fn case_38_a_clock_ahead_that_saw_the_circuit_closed_does_not_skip_the_timeout() {
    let mut world = World::new(1, &Config::default());
    world.processes[0].now = world.processes[0].now.moved(0, 60_000);
    world.succeed(0);
    world.advance(s(5));
    world.record = Some(open(START_UNIX + 5));
    assert_eq!(waits(&mut world), 25);
}

#[test]
fn case_40_64_calls_on_an_old_cache_share_one_read() {
    let mut world = World::new(1, &Config::default());
    let calls: Vec<_> = (0..64).map(|_| world.processes[0].call()).collect();
    world.settle(0);
    assert_eq!(world.reads, 1);
    for call in calls {
        assert!(matches!(world.processes[0].decision(call), Some(Call::Runs(_))));
    }
}
