use super::*;
use crate::protocol::record::LeaseToken;

const LIMIT: Duration = Duration::from_secs(1);

struct NoEntropy;

impl Entropy for NoEntropy {
    fn token(&mut self) -> LeaseToken {
        LeaseToken::new("token")
    }

    fn jitter(&mut self) -> u8 {
        0
    }
}

fn at(millis: u64) -> Moment {
    let since = Duration::from_millis(millis);
    Moment::new(since, since, 0)
}

fn ask(reach: &Reachability, circuit: &str, access: Access, now: Moment) -> Result<(), BackedOff> {
    reach.ask(&CircuitName::new(circuit).unwrap(), access, access == Access::Write, now, LIMIT)
}

/// Asks for a read that nothing depends on, with a limit in seconds.
fn ask_within(
    reach: &Reachability,
    circuit: &str,
    now: Moment,
    limit: u64,
) -> Result<(), BackedOff> {
    let circuit = CircuitName::new(circuit).unwrap();
    reach.ask(&circuit, Access::Read, false, now, Duration::from_secs(limit))
}

fn fail(reach: &Reachability, circuit: &str, access: Access, begun: Moment, ended: Moment) {
    let circuit = CircuitName::new(circuit).unwrap();
    reach.failed(&circuit, access, StoreErrorKind::Timeout, begun, ended);
}

fn later(millis: u64) -> Result<(), BackedOff> {
    Err(BackedOff { wait: Duration::from_millis(millis), is_outage: true })
}

/// Two circuits were not answered.
fn out_at_one_second() -> Reachability {
    let reach = Reachability::new(Box::new(NoEntropy));
    for circuit in ["a", "b"] {
        assert_eq!(ask(&reach, circuit, Access::Read, at(0)), Ok(()));
    }
    fail(&reach, "a", Access::Read, at(0), at(1_000));
    fail(&reach, "b", Access::Read, at(0), at(1_000));
    reach
}

#[test]
fn all_operations_wait_for_a_back_off_and_one_tries() {
    let reach = out_at_one_second();
    assert_eq!(ask(&reach, "a", Access::Write, at(1_001)), later(999));
    assert_eq!(ask(&reach, "a", Access::Read, at(2_000)), Ok(()));
    assert_eq!(ask(&reach, "b", Access::Read, at(2_300)), later(100));
    assert_eq!(ask(&reach, "b", Access::Write, at(2_950)), later(50));
    reach.answered(Access::Read);
    assert_eq!(ask(&reach, "b", Access::Read, at(2_951)), Ok(()));
    assert_eq!(ask(&reach, "b", Access::Write, at(2_951)), Ok(()));
}

#[test]
fn after_a_single_failure_nothing_that_matters_is_kept_from_the_store() {
    let reach = Reachability::new(Box::new(NoEntropy));
    fail(&reach, "a", Access::Write, at(0), at(1_000));
    let wait = Duration::from_millis(500);
    let backed_off = Err(BackedOff { wait, is_outage: false });
    assert_eq!(ask(&reach, "b", Access::Read, at(1_500)), backed_off);
    for circuit in ["a", "b"] {
        assert_eq!(ask(&reach, circuit, Access::Write, at(1_500)), Ok(()));
    }
    let read = |circuit, is_urgent| {
        let circuit = CircuitName::new(circuit).unwrap();
        reach.ask(&circuit, Access::Read, is_urgent, at(2_000), LIMIT)
    };
    assert_eq!(read("a", false), Ok(()));
    assert!(read("b", false).is_err(), "one tries, where nothing depends on it");
    assert_eq!(read("b", true), Ok(()));
}

#[test]
fn an_attempt_that_never_ends_does_not_keep_others_for_ever() {
    let reach = out_at_one_second();
    assert_eq!(ask(&reach, "a", Access::Read, at(2_000)), Ok(()));
    assert_eq!(ask(&reach, "b", Access::Read, at(3_000)), Ok(()));
}

#[test]
fn an_attempt_keeps_others_for_its_limit_and_for_no_longer_than_theirs() {
    for (its, others) in [(1, 5), (5, 1)] {
        let reach = out_at_one_second();
        assert_eq!(ask_within(&reach, "a", at(2_000), its), Ok(()));
        assert_eq!(ask_within(&reach, "b", at(2_950), others), later(50));
        assert_eq!(ask_within(&reach, "b", at(3_000), others), Ok(()));
    }
}

#[test]
fn an_attempt_that_fails_leaves_the_store_alone_for_longer() {
    let reach = out_at_one_second();
    assert_eq!(ask(&reach, "a", Access::Read, at(2_000)), Ok(()));
    fail(&reach, "a", Access::Read, at(2_000), at(3_000));
    assert_eq!(ask(&reach, "b", Access::Read, at(3_000)), later(2_000));
}

#[test]
fn an_attempt_that_fails_early_keeps_nobody_for_the_rest_of_its_limit() {
    let reach = out_at_one_second();
    assert_eq!(ask_within(&reach, "a", at(2_000), 5), Ok(()));
    fail(&reach, "a", Access::Read, at(2_000), at(2_010));
    assert_eq!(ask_within(&reach, "b", at(4_009), 5), later(1));
    assert_eq!(ask_within(&reach, "b", at(4_010), 5), Ok(()));
}

#[test]
fn a_write_that_is_answered_lets_others_read() {
    let reach = out_at_one_second();
    assert_eq!(ask(&reach, "a", Access::Write, at(2_000)), Ok(()));
    reach.answered(Access::Write);
    assert_eq!(ask(&reach, "b", Access::Read, at(2_001)), Ok(()));
    // What several found before is past: nothing that matters is kept.
    for circuit in ["c", "d"] {
        let circuit = CircuitName::new(circuit).unwrap();
        assert_eq!(reach.ask(&circuit, Access::Read, true, at(2_002), LIMIT), Ok(()));
    }
}

#[test]
fn writes_of_one_circuit_that_fail_keep_no_other_from_writing() {
    let reach = Reachability::new(Box::new(NoEntropy));
    fail(&reach, "a", Access::Write, at(0), at(1_000));
    reach.answered(Access::Read);
    fail(&reach, "a", Access::Write, at(2_000), at(3_000));
    reach.answered(Access::Read);
    assert!(ask(&reach, "a", Access::Write, at(3_100)).is_err());
    assert_eq!(ask(&reach, "b", Access::Write, at(3_100)), Ok(()));
    assert!(ask(&reach, "c", Access::Write, at(3_200)).is_err(), "one at a time");
    assert_eq!(ask(&reach, "c", Access::Read, at(3_200)), Ok(()));
}

#[test]
fn a_failure_today_is_no_outage_for_those_of_yesterday() {
    let reach = out_at_one_second();
    let today = 86_400_000;
    fail(&reach, "a", Access::Write, at(today), at(today + 1_000));
    assert_eq!(ask(&reach, "b", Access::Write, at(today + 1_001)), Ok(()));
}

#[test]
fn an_outage_of_long_ago_keeps_nobody() {
    let reach = out_at_one_second();
    assert_eq!(ask(&reach, "a", Access::Read, at(40_000)), Ok(()));
    assert_eq!(ask(&reach, "b", Access::Read, at(40_000)), Ok(()));
}

#[test]
fn a_misconfiguration_is_told_once() {
    let reach = Reachability::new(Box::new(NoEntropy));
    assert!(reach.should_log(Access::Read) && !reach.should_log(Access::Read));
    reach.works(Access::Read);
    assert!(reach.should_log(Access::Read));
}

#[test]
fn reads_that_work_do_not_make_refused_writes_news_again() {
    let reach = Reachability::new(Box::new(NoEntropy));
    assert!(reach.should_log(Access::Write));
    reach.works(Access::Read);
    assert!(!reach.should_log(Access::Write));
    reach.works(Access::Write);
    assert!(reach.should_log(Access::Write));
}

#[test]
fn what_one_circuit_found_twice_another_may_see_for_itself() {
    let reach = Reachability::new(Box::new(NoEntropy));
    fail(&reach, "a", Access::Read, at(0), at(1_000));
    assert!(ask(&reach, "b", Access::Read, at(1_500)).is_err(), "once is enough for a while");
    assert_eq!(ask(&reach, "a", Access::Read, at(2_000)), Ok(()));
    fail(&reach, "a", Access::Read, at(2_000), at(3_000));
    assert!(ask(&reach, "a", Access::Read, at(3_100)).is_err());
    assert_eq!(ask(&reach, "b", Access::Read, at(3_100)), Ok(()));
    assert!(ask(&reach, "c", Access::Read, at(3_200)).is_err(), "one at a time");
    fail(&reach, "b", Access::Read, at(3_100), at(4_100));
    assert!(ask(&reach, "c", Access::Read, at(4_200)).is_err(), "it is the store");
    assert_eq!(ask(&reach, "c", Access::Read, at(9_000)), Ok(()));
    reach.answered(Access::Read);
    assert_eq!(ask(&reach, "b", Access::Read, at(9_000)), Ok(()));
}

#[test]
fn case_200_reads_that_can_wait_are_spared_after_a_slow_refusal() {
    let reach = Reachability::new(Box::new(NoEntropy));
    let spared = |wait| Err(BackedOff { wait: Duration::from_millis(wait), is_outage: false });
    reach.refused(Access::Read, at(0), at(100));
    assert_eq!(ask(&reach, "b", Access::Read, at(100)), Ok(()), "it was quick");
    let mut now = 1_000;
    for wait in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        reach.refused(Access::Read, at(now - 900), at(now));
        reach.refused(Access::Read, at(now - 900), at(now + 1));
        assert_eq!(ask(&reach, "b", Access::Read, at(now)), spared(wait), "once for both");
        assert_eq!(ask(&reach, "b", Access::Write, at(now)), Ok(()), "what matters is not spared");
        now += wait;
        assert_eq!(ask(&reach, "b", Access::Read, at(now)), Ok(()));
        now += 900;
    }
    reach.refused(Access::Read, at(now - 900), at(now));
    reach.works(Access::Write);
    assert!(ask(&reach, "b", Access::Read, at(now)).is_err(), "no read was done");
    reach.works(Access::Read);
    assert_eq!(ask(&reach, "b", Access::Read, at(now)), Ok(()));
    reach.refused(Access::Write, at(now), at(now + 900));
    assert_eq!(ask(&reach, "b", Access::Read, at(now + 900)), Ok(()), "of a write");
    reach.refused(Access::Read, at(now + 100_000), at(now + 100_900));
    assert_eq!(ask(&reach, "b", Access::Read, at(now + 100_900)), spared(1_000), "long ago");
}
