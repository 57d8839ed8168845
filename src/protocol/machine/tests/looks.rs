//! CASES.md 199 and 210: who looks, who waits for that, and what is read twice.

use super::{
    fleet_rules::{spread, waits},
    process::*,
    world::*,
    *,
};

#[test]
fn case_199_a_burst_that_is_due_by_stale_knowledge_goes_by_one_look() {
    for config in [spread(), Config::default()] {
        let mut world = World::new(1, &config);
        world.record = Some(open(START_UNIX));
        assert_eq!(world.call(0), Call::Rejected);
        world.record = Some(closed(START_UNIX + 4_000));
        world.advance(s(3_000));
        world.reads = 0;
        let calls: Vec<_> = (0..64).map(|_| world.processes[0].call()).collect();
        world.settle(0);
        for call in calls {
            assert!(matches!(world.processes[0].decision(call), Some(Call::Runs(_))), "rejected");
        }
        assert_eq!((world.reads, world.writes), (1, 0));
    }
}

#[test]
fn case_199_where_nobody_is_due_one_call_looks_and_the_others_are_rejected() {
    for record in [open(START_UNIX), half_open("another", START_UNIX + 60)] {
        let mut world = World::new(1, &Config::default());
        world.record = Some(record);
        assert_eq!(world.call(0), Call::Rejected);
        world.advance(s(6));
        world.record = Some(closed(START_UNIX + 4_000));
        let brief_waiter = world.processes[0].call();
        assert!(world.processes[0].looks(brief_waiter), "it waits a moment only");
        for _ in 0..63 {
            assert_eq!(world.processes[0].call(), Call::Rejected, "nobody else waits");
        }
        world.settle(0);
        assert!(matches!(world.processes[0].decision(brief_waiter), Some(Call::Runs(_))));
        assert_eq!((world.reads, world.writes), (2, 0));
        assert!(matches!(world.call(0), Call::Runs(_)));
    }
}

#[test]
fn case_199_the_call_that_looks_goes_by_what_confirms_its_look() {
    let mut world = World::new(1, &Config::default());
    world.succeed(0);
    world.fail(0, 5);
    world.advance(s(6));
    // Closed by others since: read twice, for this process wrote the opening.
    world.record = Some(closed(START_UNIX + 4_000));
    let brief_waiter = world.processes[0].call();
    let reads = world.reads;
    world.arrive(0);
    world.deliver(0);
    assert_eq!(world.processes[0].decision(brief_waiter), None, "it waits for what is left");
    world.settle(0);
    assert!(matches!(world.processes[0].decision(brief_waiter), Some(Call::Runs(_))));
    assert_eq!(world.reads - reads, 2);
}

/// first second, each of which expires sooner.
fn probed(at: i64) -> (Record, [Record; 2]) {
    let opened_at = at - 30;
    let mut known = half_open("another", at + 31);
    known.opened_at = opened_at.into();
    let reopened = Record { failure_count: 0.into(), ..open(at) };
    (known, [closed(at + 3_630), reopened])
}

#[test]
fn case_199_what_followed_the_opening_that_is_known_is_read_once() {
    let (known, after) = probed(START_UNIX);
    for shown in after {
        let mut world = World::new(1, &spread());
        world.record = Some(known.clone());
        assert_eq!(world.call(0), Call::Rejected);
        world.advance(s(6));
        world.reads = 0;
        world.record = Some(shown.clone());
        let call = world.call(0);
        assert_eq!(world.reads, 1, "{shown:?}");
        assert_eq!(matches!(call, Call::Runs(_)), shown == closed(START_UNIX + 3_630));
        assert_eq!(world.processes[0].machine.cache.record(), Some(&shown));
    }
}

#[test]
fn case_199_what_may_be_older_than_what_is_known_is_read_twice() {
    let (known, _) = probed(START_UNIX);
    // As it was when the circuit opened, half a minute ago, and before; and nothing.
    let same_second = closed(START_UNIX - 30 + 3_630);
    let older = [Some(open(START_UNIX - 30)), Some(same_second), Some(closed(START_UNIX)), None];
    for shown in older {
        let mut world = World::new(1, &spread());
        world.record = Some(known.clone());
        assert_eq!(world.call(0), Call::Rejected);
        world.advance(s(6));
        world.reads = 0;
        world.faults.push_back(Fault::Stale(shown.clone()));
        assert_eq!(world.call(0), Call::Rejected, "{shown:?}");
        assert_eq!((world.reads, world.state(0)), (2, CircuitState::HalfOpen), "{shown:?}");
    }
}

#[test]
fn case_210_a_call_that_would_be_rejected_looks_once_for_each_back_off() {
    let mut world = World::new(1, &spread());
    world.record = Some(open(START_UNIX));
    assert_eq!(world.call(0), Call::Rejected);
    world.pass(s(6));
    world.down = Some(StoreErrorKind::Throttled);
    let mut looked = 0;
    for _ in 0..200 {
        let call = world.processes[0].call();
        looked += usize::from(world.processes[0].looks(call));
        world.settle(0);
        assert_eq!(world.processes[0].decision(call), Some(Call::Rejected));
        world.pass(ms(1));
    }
    assert_eq!(looked, 1, "reads are left alone, and nobody waits for them");
}

#[test]
fn case_210_throttled_reads_let_no_call_through_and_keep_none_waiting() {
    for record in [open(START_UNIX), half_open("another", START_UNIX + 10)] {
        let mut world = World::new(1, &spread());
        world.record = Some(record);
        assert_eq!(world.call(0), Call::Rejected);
        world.down = Some(StoreErrorKind::Throttled);
        let mut waited = 0;
        for _ in 0..600 {
            world.pass(ms(100));
            let call = world.processes[0].call();
            waited += usize::from(matches!(call, Call::Waits(_)));
            world.settle(0);
            assert_eq!(world.processes[0].decision(call), Some(Call::Rejected));
        }
        assert!(waited <= 40, "{waited} of 600 calls waited for a look");
        world.down = None;
        waits(&mut world, 0, 100);
    }
}
