//! CASES.md 156 to 160 and 204: rights to probe, kept, given back and bounded.

use super::{faults::probing, fleet_rules::tripped, process::*, world::*, *};

#[test]
fn case_156_a_right_that_was_won_for_a_caller_who_left_is_kept_for_the_next() {
    let mut world = tripped(1, &Config::default());
    world.pass(s(25));
    let _ = world.processes[0].call();
    world.processes[0].forget_waiters();
    world.settle(0);
    // It waited for the look only: the next one is elected, and has left as well.
    let _ = world.processes[0].call();
    world.processes[0].forget_waiters();
    world.settle(0);
    assert_eq!((world.writes, world.stored().state.valid()), (1, Some(&CircuitState::HalfOpen)));
    world.pass(ms(999));
    assert!(world.admit(0).probe.is_some());
    assert_eq!(world.writes, 1, "nothing was given back");
}

#[test]
fn case_157_ignored_probes_write_twice_a_handoff_at_most() {
    let mut world = tripped(1, &Config::default());
    world.pass(s(25));
    for _ in 0..1_000 {
        if let Call::Runs(pass) = world.call(0) {
            world.end(0, pass, CallEnd::Ignored);
        }
        world.pass(ms(10));
    }
    assert!((10..=20).contains(&world.writes), "{} writes in 10 s", world.writes);
}

#[test]
fn case_157_a_second_dropped_probe_within_a_handoff_keeps_the_right() {
    let mut world = tripped(1, &Config::default());
    world.pass(s(25));
    let mut writes = Vec::new();
    for _ in 0..3 {
        let pass = world.admit(0);
        world.end(0, pass, CallEnd::Dropped);
        writes.push(world.writes);
    }
    // Elected and given back; taken over, and kept; kept.
    assert_eq!(writes, [2, 3, 3]);
    world.pass(s(1));
    assert_eq!(world.writes, 4, "given back after one handoff");
}

#[test]
fn case_159_a_probe_that_hangs_keeps_its_lease_for_four_of_them() {
    let (mut world, pass) = probing(&Config::default(), 2);
    let mut held = 0;
    while world.call(1) == Call::Rejected {
        for _ in 0..10 {
            world.pass(ms(100));
            world.processes[0].keep_alive(pass);
            world.settle(0);
        }
        held += 1;
        assert!(held < 1_000, "rejected for ever");
    }
    assert!((120..=155).contains(&held), "taken over after {held} s");
    let record = world.record.clone();
    world.end(0, pass, CallEnd::Success);
    assert_eq!(world.record, record, "its late end changes nothing");
}

#[test]
fn case_159_a_hanging_probe_without_the_store_ends_as_well() {
    let mut world = World::new(1, &Config::default());
    world.down = Some(StoreErrorKind::Misconfigured);
    world.fail(0, 5);
    world.pass(s(31));
    let pass = world.admit(0);
    let held = (0..1_000).find(|_| {
        world.pass(s(1));
        world.processes[0].keep_alive(pass);
        matches!(world.call(0), Call::Runs(_))
    });
    assert!(held.is_some_and(|held| (120..=155).contains(&held)), "{held:?}");
}

#[test]
fn case_160_while_a_probe_runs_a_rejection_names_a_handoff() {
    let (mut world, pass) = probing(&Config::default(), 2);
    assert_eq!(world.call(1), Call::Rejected);
    assert_eq!(world.call(0), Call::Rejected);
    for process in &world.processes {
        assert_eq!(process.machine.retry_after(), s(1));
    }
    world.end(0, pass, CallEnd::Dropped);
    assert_eq!(world.processes[0].machine.retry_after(), Duration::ZERO, "not the lease");
    let (mut world, _) = probing(&Config::default(), 1);
    world.advance(ms(29_900));
    assert_eq!(world.processes[0].call(), Call::Rejected);
    assert_eq!(world.processes[0].machine.retry_after(), ms(100), "what is left of the lease");
}

#[test]
fn case_204_a_record_outlives_its_lease_by_an_hour() {
    let config = build(Config::builder().recovery_timeout(s(1)).probe_lease(s(86_400)));
    let (mut world, pass) = probing(&config, 1);
    let outlives = |world: &World| {
        let record = world.stored();
        record.expires_at.valid().copied() >= record.lease_until.valid().map(|at| at + 3_600)
    };
    assert!(outlives(&world));
    world.advance(s(40_000));
    world.processes[0].keep_alive(pass);
    world.settle(0);
    assert_eq!(world.writes, 2);
    assert!(outlives(&world));
}

#[test]
fn case_204_a_right_on_its_way_to_others_outlives_its_handoff_by_an_hour() {
    for handoff in [s(1), s(7_200)] {
        let config = Config::builder().recovery_timeout(s(1)).probe_lease(s(86_400));
        let (mut world, pass) = probing(&build(config.handoff(handoff)), 1);
        world.advance(ms(1_500));
        world.end(0, pass, CallEnd::Success);
        let record = world.stored();
        assert_eq!(record.success_count, 1.into());
        let least = record.lease_until.valid().map(|at| at + 3_600);
        assert!(record.expires_at.valid().copied() >= least, "{handoff:?}: {record:?}");
    }
}

#[test]
fn case_157_a_handoff_below_a_second_makes_no_more_writes() {
    for handoff in [s(0), ms(100)] {
        let config = Config::builder().election_spread(s(0)).handoff(handoff);
        for report in [CallEnd::Ignored, CallEnd::Dropped] {
            let mut world = tripped(1, &build(config.clone()));
            world.pass(s(25));
            for _ in 0..1_000 {
                if let Call::Runs(pass) = world.call(0) {
                    world.end(0, pass, report);
                }
                world.pass(ms(10));
            }
            // The first probe that was dropped gave the right back at once.
            assert!((10..=24).contains(&world.writes), "{} writes in 10 s", world.writes);
        }
    }
}
