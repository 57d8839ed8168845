//! CASES.md, "Store", "Clocks" and "Limits", as far as the machine decides them.

use super::{faults::probing, process::*, world::*, *};
use crate::config::OnStoreOutage;

#[test]
fn case_21_an_open_circuit_that_cannot_be_read_leaks_at_most_the_threshold() {
    let mut world = World::new(1, &Config::default());
    world.record = Some(open(START_UNIX));
    assert_eq!(world.call(0), Call::Rejected);
    world.advance(s(5));
    world.down = Some(StoreErrorKind::Unavailable);
    let mut leaked = 0;
    for _ in 0..100 {
        if let Call::Runs(pass) = world.call(0) {
            leaked += 1;
            world.end(0, pass, CallEnd::Failure);
        }
        world.pass(ms(100));
    }
    assert_eq!(leaked, 5);
}

#[test]
fn case_21_protect_keeps_rejecting_and_then_probes_alone() {
    let config = build(Config::builder().on_store_outage(OnStoreOutage::Protect));
    let mut world = World::new(1, &config);
    world.record = Some(open(START_UNIX));
    assert_eq!(world.call(0), Call::Rejected);
    world.down = Some(StoreErrorKind::Unavailable);
    for _ in 0..30 {
        assert_eq!(world.call(0), Call::Rejected);
        world.pass(s(1));
    }
    let probe = (0..30).find_map(|_| {
        world.pass(s(1));
        match world.call(0) {
            Call::Runs(pass) => Some(pass),
            Call::Rejected | Call::Waits(_) => None,
        }
    });
    assert!(probe.expect("a local probe").probe.is_some());
    assert_eq!(world.call(0), Call::Rejected, "one at a time");
}

#[test]
fn case_63_without_knowledge_calls_flow_and_the_next_one_reads_again() {
    let mut world = World::new(1, &Config::default());
    world.faults.push_back(Fault::Fails(StoreErrorKind::Unavailable));
    world.succeed(0);
    assert_eq!(world.reads, 0);
    world.succeed(0);
    assert_eq!(world.reads, 1);
}

#[test]
fn case_65_with_both_down_few_calls_reach_the_dependency() {
    let mut world = World::new(1, &Config::default());
    world.down = Some(StoreErrorKind::Timeout);
    let mut reached = 0;
    for _ in 0..200 {
        if let Call::Runs(pass) = world.call(0) {
            reached += 1;
            world.end(0, pass, CallEnd::Failure);
        }
        world.pass(s(1));
    }
    assert!((6..=5 + 200 / 30).contains(&reached), "{reached} calls");
    assert!(world.processes[0].transitions.iter().all(|told| told.origin == Origin::WithoutStore));
}

#[test]
fn case_66_a_dead_store_is_asked_once_per_back_off() {
    let mut world = World::new(1, &Config::default());
    world.down = Some(StoreErrorKind::Timeout);
    let mut waited = 0;
    for _ in 0..1_000 {
        let call = world.processes[0].call();
        waited += usize::from(matches!(call, Call::Waits(_)));
        world.settle(0);
        let decision = world.processes[0].decision(call);
        assert!(matches!(decision, Some(Call::Runs(_))));
        world.advance(ms(100));
    }
    assert!(waited <= 8, "{waited} calls waited in 100 s");
}

#[test]
fn case_67_a_local_opening_is_published_to_a_closed_or_absent_record() {
    for record in [None, Some(closed(START_UNIX + 50))] {
        let mut world = World::new(1, &Config::default());
        world.record = record;
        world.succeed(0);
        world.down = Some(StoreErrorKind::Timeout);
        world.fail(0, 5);
        world.pass(s(3));
        world.down = None;
        world.pass(s(10));
        assert_eq!(world.stored().state, CircuitState::Open.into());
        assert_eq!(world.stored().opened_at, START_UNIX.into());
    }
}

#[test]
fn case_67_any_other_record_wins_over_a_local_opening() {
    for record in [open(START_UNIX + 1), half_open("another", START_UNIX + 60)] {
        let mut world = World::new(1, &Config::default());
        world.succeed(0);
        world.down = Some(StoreErrorKind::Timeout);
        world.fail(0, 5);
        world.record = Some(record.clone());
        world.down = None;
        world.pass(s(10));
        assert_eq!(Some(world.state(0)), record.state.valid().copied());
        assert_eq!(world.record, Some(record));
    }
}

#[test]
fn case_68_an_unknown_state_admits_warns_once_and_is_not_read_per_call() {
    let mut world = World::new(1, &Config::default());
    world.record = Some(Record { state: Field::Absent, ..closed(START_UNIX) });
    for _ in 0..10 {
        world.succeed(0);
    }
    assert_eq!((world.reads, world.processes[0].defects.as_slice()), (1, ["state"].as_slice()));
    world.advance(s(5));
    world.fail(0, 5);
    assert_eq!(world.processes[0].defects.len(), 1);
    assert_eq!(world.stored().defect(), None, "the next write mends it");
}

#[test]
fn case_72_a_wall_clock_set_back_does_not_keep_a_cache_alive() {
    let mut world = World::new(1, &Config::default());
    world.succeed(0);
    world.processes[0].now = world.processes[0].now.moved(0, -3_600_000);
    world.succeed(0);
    world.succeed(0);
    assert_eq!(world.reads, 2);
    world.advance(s(5));
    world.succeed(0);
    assert_eq!(world.reads, 3);
}

#[test]
fn case_73_after_a_freeze_the_first_call_reads() {
    let mut world = World::new(1, &Config::default());
    world.succeed(0);
    world.processes[0].now = world.processes[0].now.moved(0, 600_000); // the monotonic clock stood still
    world.succeed(0);
    assert_eq!(world.reads, 2);
}

#[test]
fn case_91_the_longest_settings_are_no_trouble() {
    let year = s(365 * 86_400);
    let config = Config::builder()
        .failure_threshold(1)
        .success_threshold(u32::MAX)
        .recovery_timeout(year)
        .probe_lease(year)
        .handoff(year)
        .local_cache_max_age(s(86_400))
        .max_clock_skew(s(3_600));
    let mut world = World::new(2, &build(config));
    world.fail(0, 1);
    assert_eq!(world.processes[0].machine.retry_after(), year);
    world.advance(year);
    let pass = world.admit(0);
    world.end(0, pass, CallEnd::Success);
    world.advance(Duration::MAX);
    assert!(world.admit(1).probe.is_some());
}

#[test]
fn a_right_without_a_caller_is_given_back_after_a_handoff() {
    let (mut world, pass) = probing(&Config::default(), 2);
    world.end(0, pass, CallEnd::Success);
    let _ = world.processes[0].call();
    world.processes[0].forget_waiters();
    world.settle(0);
    world.pass(s(1));
    assert_eq!(world.stored().success_count, 1.into(), "the count stands as before");
    world.advance(s(1));
    assert!(world.admit(1).probe.is_some());
}
