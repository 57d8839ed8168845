use super::*;
use crate::protocol::machine::NoEntropy;

const LIMIT: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Moment {
    let since = Duration::from_millis(millis);
    Moment::new(since, since, 0)
}

fn ask(store: &Reachability, circuit: &str, access: Access, now: Moment) -> Result<(), BackedOff> {
    store.ask(&CircuitName::new(circuit).unwrap(), access, access == Access::Write, now, LIMIT)
}

/// Asks for a read that is not urgent, with a limit in seconds.
fn ask_within(
    store: &Reachability,
    circuit: &str,
    now: Moment,
    limit: u64,
) -> Result<(), BackedOff> {
    let circuit = CircuitName::new(circuit).unwrap();
    store.ask(&circuit, Access::Read, false, now, Duration::from_secs(limit))
}

fn fail(store: &Reachability, circuit: &str, access: Access, begun: Moment, ended: Moment) {
    let circuit = CircuitName::new(circuit).unwrap();
    store.failed(&circuit, access, StoreErrorKind::Timeout, begun, ended);
}

fn later(millis: u64) -> Result<(), BackedOff> {
    Err(BackedOff { wait: Duration::from_millis(millis), is_outage: true })
}

/// A store that did not answer two circuits.
fn out_at_one_second() -> Reachability {
    let store = Reachability::new(Box::new(NoEntropy));
    for circuit in ["a", "b"] {
        assert_eq!(ask(&store, circuit, Access::Read, at(0)), Ok(()));
    }
    fail(&store, "a", Access::Read, at(0), at(1_000));
    fail(&store, "b", Access::Read, at(0), at(1_000));
    store
}

#[test]
fn all_operations_wait_for_a_back_off_and_one_tries() {
    let store = out_at_one_second();
    assert_eq!(ask(&store, "a", Access::Write, at(1_001)), later(999));
    assert_eq!(ask(&store, "a", Access::Read, at(2_000)), Ok(()));
    assert_eq!(ask(&store, "b", Access::Read, at(2_300)), later(100));
    assert_eq!(ask(&store, "b", Access::Write, at(2_950)), later(50));
    store.answered(Access::Read);
    assert_eq!(ask(&store, "b", Access::Read, at(2_951)), Ok(()));
    assert_eq!(ask(&store, "b", Access::Write, at(2_951)), Ok(()));
}

#[test]
fn after_a_single_failure_no_urgent_operation_is_kept_from_the_store() {
    let store = Reachability::new(Box::new(NoEntropy));
    fail(&store, "a", Access::Write, at(0), at(1_000));
    let wait = Duration::from_millis(500);
    let backed_off = Err(BackedOff { wait, is_outage: false });
    assert_eq!(ask(&store, "b", Access::Read, at(1_500)), backed_off);
    for circuit in ["a", "b"] {
        assert_eq!(ask(&store, circuit, Access::Write, at(1_500)), Ok(()));
    }
    let read = |circuit, is_urgent| {
        let circuit = CircuitName::new(circuit).unwrap();
        store.ask(&circuit, Access::Read, is_urgent, at(2_000), LIMIT)
    };
    assert_eq!(read("a", false), Ok(()));
    assert!(read("b", false).is_err(), "one tries, where nothing depends on it");
    assert_eq!(read("b", true), Ok(()));
}

#[test]
fn an_attempt_that_never_ends_does_not_keep_others_for_ever() {
    let store = out_at_one_second();
    assert_eq!(ask(&store, "a", Access::Read, at(2_000)), Ok(()));
    assert_eq!(ask(&store, "b", Access::Read, at(3_000)), Ok(()));
}

#[test]
fn an_attempt_keeps_others_for_its_limit_and_for_no_longer_than_theirs() {
    for (its, others) in [(1, 5), (5, 1)] {
        let store = out_at_one_second();
        assert_eq!(ask_within(&store, "a", at(2_000), its), Ok(()));
        assert_eq!(ask_within(&store, "b", at(2_950), others), later(50));
        assert_eq!(ask_within(&store, "b", at(3_000), others), Ok(()));
    }
}

#[test]
fn an_attempt_that_fails_leaves_the_store_alone_for_longer() {
    let store = out_at_one_second();
    assert_eq!(ask(&store, "a", Access::Read, at(2_000)), Ok(()));
    fail(&store, "a", Access::Read, at(2_000), at(3_000));
    assert_eq!(ask(&store, "b", Access::Read, at(3_000)), later(2_000));
}

#[test]
fn an_attempt_that_fails_early_keeps_no_other_for_the_rest_of_its_limit() {
    let store = out_at_one_second();
    assert_eq!(ask_within(&store, "a", at(2_000), 5), Ok(()));
    fail(&store, "a", Access::Read, at(2_000), at(2_010));
    assert_eq!(ask_within(&store, "b", at(4_009), 5), later(1));
    assert_eq!(ask_within(&store, "b", at(4_010), 5), Ok(()));
}

#[test]
fn a_write_that_is_answered_lets_others_read() {
    let store = out_at_one_second();
    assert_eq!(ask(&store, "a", Access::Write, at(2_000)), Ok(()));
    store.answered(Access::Write);
    assert_eq!(ask(&store, "b", Access::Read, at(2_001)), Ok(()));
    // What several found before is past: nothing that matters is kept.
    for circuit in ["c", "d"] {
        let circuit = CircuitName::new(circuit).unwrap();
        assert_eq!(store.ask(&circuit, Access::Read, true, at(2_002), LIMIT), Ok(()));
    }
}

#[test]
fn writes_of_one_circuit_that_fail_keep_no_other_from_writing() {
    let store = Reachability::new(Box::new(NoEntropy));
    fail(&store, "a", Access::Write, at(0), at(1_000));
    store.answered(Access::Read);
    fail(&store, "a", Access::Write, at(2_000), at(3_000));
    store.answered(Access::Read);
    assert!(ask(&store, "a", Access::Write, at(3_100)).is_err());
    assert_eq!(ask(&store, "b", Access::Write, at(3_100)), Ok(()));
    assert!(ask(&store, "c", Access::Write, at(3_200)).is_err(), "one at a time");
    assert_eq!(ask(&store, "c", Access::Read, at(3_200)), Ok(()));
}

#[test]
fn a_failure_today_is_no_outage_for_those_of_yesterday() {
    let store = out_at_one_second();
    let today = 86_400_000;
    fail(&store, "a", Access::Write, at(today), at(today + 1_000));
    assert_eq!(ask(&store, "b", Access::Write, at(today + 1_001)), Ok(()));
}

#[test]
fn an_outage_of_long_ago_backs_no_circuit_off() {
    let store = out_at_one_second();
    assert_eq!(ask(&store, "a", Access::Read, at(40_000)), Ok(()));
    assert_eq!(ask(&store, "b", Access::Read, at(40_000)), Ok(()));
}

#[test]
fn a_misconfiguration_is_logged_once() {
    let store = Reachability::new(Box::new(NoEntropy));
    assert!(store.should_log(Access::Read) && !store.should_log(Access::Read));
    store.works(Access::Read);
    assert!(store.should_log(Access::Read));
}

#[test]
fn reads_that_work_do_not_have_refused_writes_logged_again() {
    let store = Reachability::new(Box::new(NoEntropy));
    assert!(store.should_log(Access::Write));
    store.works(Access::Read);
    assert!(!store.should_log(Access::Write));
    store.works(Access::Write);
    assert!(store.should_log(Access::Write));
}

#[test]
fn a_circuit_may_check_for_itself_what_one_other_found_twice() {
    let store = Reachability::new(Box::new(NoEntropy));
    fail(&store, "a", Access::Read, at(0), at(1_000));
    assert!(ask(&store, "b", Access::Read, at(1_500)).is_err(), "once is enough for a while");
    assert_eq!(ask(&store, "a", Access::Read, at(2_000)), Ok(()));
    fail(&store, "a", Access::Read, at(2_000), at(3_000));
    assert!(ask(&store, "a", Access::Read, at(3_100)).is_err());
    assert_eq!(ask(&store, "b", Access::Read, at(3_100)), Ok(()));
    assert!(ask(&store, "c", Access::Read, at(3_200)).is_err(), "one at a time");
    fail(&store, "b", Access::Read, at(3_100), at(4_100));
    assert!(ask(&store, "c", Access::Read, at(4_200)).is_err(), "it is the store");
    assert_eq!(ask(&store, "c", Access::Read, at(9_000)), Ok(()));
    store.answered(Access::Read);
    assert_eq!(ask(&store, "b", Access::Read, at(9_000)), Ok(()));
}

#[test]
fn case_200_reads_that_can_wait_are_spared_after_a_slow_refusal() {
    let store = Reachability::new(Box::new(NoEntropy));
    let deferred = |wait| Err(BackedOff { wait: Duration::from_millis(wait), is_outage: false });
    store.refused(Access::Read, at(0), at(100));
    assert_eq!(ask(&store, "b", Access::Read, at(100)), Ok(()), "it was quick");
    let mut now = 1_000;
    for wait in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        store.refused(Access::Read, at(now - 900), at(now));
        store.refused(Access::Read, at(now - 900), at(now + 1));
        assert_eq!(ask(&store, "b", Access::Read, at(now)), deferred(wait), "once for both");
        assert_eq!(
            ask(&store, "b", Access::Write, at(now)),
            Ok(()),
            "an urgent operation is not deferred"
        );
        now += wait;
        assert_eq!(ask(&store, "b", Access::Read, at(now)), Ok(()));
        now += 900;
    }
    store.refused(Access::Read, at(now - 900), at(now));
    store.works(Access::Write);
    assert!(ask(&store, "b", Access::Read, at(now)).is_err(), "no read was done");
    store.works(Access::Read);
    assert_eq!(ask(&store, "b", Access::Read, at(now)), Ok(()));
    store.refused(Access::Write, at(now), at(now + 900));
    assert_eq!(ask(&store, "b", Access::Read, at(now + 900)), Ok(()), "of a write");
    store.refused(Access::Read, at(now + 100_000), at(now + 100_900));
    assert_eq!(ask(&store, "b", Access::Read, at(now + 100_900)), deferred(1_000), "long ago");
}
