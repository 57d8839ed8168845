use super::*;

fn at(millis: u64) -> Moment {
    let since = Duration::from_millis(millis);
    Moment::new(since, since, 0)
}

fn failure(access: Access, kind: StoreErrorKind, begun: u64, ended: u64) -> Failure {
    let (begun_at, ended_at) = (at(begun), at(ended));
    Failure { access, kind, begun_at, ended_at, spread: 0, cache_age: Duration::from_secs(5) }
}

#[test]
fn a_first_fast_failure_of_a_read_is_tried_again_at_once() {
    let mut health = Health::default();
    health.fail(failure(Access::Read, StoreErrorKind::Unavailable, 0, 10));
    assert!(health.is_usable(Access::Read, at(10)) && !health.is_outage());
    health.fail(failure(Access::Read, StoreErrorKind::Unavailable, 20, 30));
    assert!(!health.is_usable(Access::Read, at(30)) && health.is_outage());
}

#[test]
fn trouble_that_is_over_takes_no_room() {
    let mut health = Health::default();
    for access in [Access::Read, Access::Write] {
        health.fail(failure(access, StoreErrorKind::Timeout, 0, 10));
        health.succeed(Access::Read);
        assert_eq!(health.0.is_some(), access == Access::Write, "nothing was written");
        health.succeed(Access::Write);
        assert!(health.0.is_none());
        health.fail(failure(access, StoreErrorKind::Timeout, 0, 10));
        health.forget_old(at(31_009));
        assert!(health.0.is_some());
        health.forget_old(at(31_010));
        assert!(health.0.is_none(), "long ago");
    }
}

#[test]
fn a_fast_failure_is_remembered_for_the_next() {
    let mut health = Health::default();
    for ended in [10, 20_000] {
        health.forget_old(at(ended));
        health.fail(failure(Access::Read, StoreErrorKind::Unavailable, ended, ended));
    }
    assert!(!health.is_usable(Access::Read, at(20_000)));
}

#[test]
fn a_write_is_not_tried_again_at_once_however_fast_it_failed() {
    let mut health = Health::default();
    health.fail(failure(Access::Write, StoreErrorKind::Unavailable, 0, 10));
    assert_eq!(health.wait(Access::Write, at(10)), FIRST_BACK_OFF);
}

#[test]
fn what_waiting_does_not_mend_is_an_outage_at_once() {
    let mut health = Health::default();
    health.fail(failure(Access::Read, StoreErrorKind::Misconfigured, 0, 10));
    assert!(health.is_outage());
    assert_eq!(health.wait(Access::Read, at(10)), MISCONFIGURED_BACK_OFF);
}

#[test]
fn a_failure_right_after_another_is_the_second() {
    let mut health = Health::default();
    health.fail(failure(Access::Read, StoreErrorKind::Timeout, 0, 1_000));
    health.fail(failure(Access::Read, StoreErrorKind::Timeout, 1_000, 2_000));
    assert!(health.is_outage());
}

#[test]
fn a_fleet_asks_again_within_the_last_quarter_of_a_back_off() {
    for (spread, wait) in [(0, 1_000), (255, 750)] {
        let mut health = Health::default();
        let timeout = failure(Access::Read, StoreErrorKind::Timeout, 0, 0);
        health.fail(Failure { spread, ..timeout });
        assert_eq!(health.wait(Access::Read, at(0)), Duration::from_millis(wait));
    }
}

#[test]
fn back_offs_double_up_to_half_a_minute_and_end_with_an_answer() {
    let mut health = Health::default();
    let mut now = 0;
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        health.fail(failure(Access::Read, StoreErrorKind::Timeout, now, now));
        assert_eq!(health.wait(Access::Read, at(now)), Duration::from_secs(seconds));
        now += seconds * 1_000;
    }
    assert!(health.is_usable(Access::Read, at(now)));
    health.forget_old(at(now + 29_999));
    assert!(health.is_doubtful(Access::Read));
    health.succeed(Access::Read);
    assert!(!health.is_doubtful(Access::Write) && !health.is_outage());
    health.fail(failure(Access::Write, StoreErrorKind::Timeout, now, now));
    health.forget_old(at(now + 31_000));
    assert!(!health.is_doubtful(Access::Write) && !health.writes_fail(), "long ago");
}

#[test]
fn operations_that_fail_together_count_once() {
    let mut health = Health::default();
    for ended in [1_000, 1_001, 1_002] {
        health.fail(failure(Access::Read, StoreErrorKind::Timeout, 0, ended));
    }
    assert_eq!(health.wait(Access::Read, at(1_002)), Duration::from_millis(998));
    assert!(!health.is_outage());
}

#[test]
fn a_good_read_does_not_hide_that_no_write_lands() {
    let mut health = Health::default();
    health.fail(failure(Access::Write, StoreErrorKind::Timeout, 0, 1_000));
    assert!(!health.is_usable(Access::Read, at(1_000)), "a write speaks for both");
    health.succeed(Access::Read);
    health.fail(failure(Access::Write, StoreErrorKind::Timeout, 2_000, 3_000));
    assert!(health.is_usable(Access::Read, at(3_000)), "reads are known to work");
    assert_eq!(health.wait(Access::Write, at(3_000)), Duration::from_secs(2));
    assert!(health.is_outage());
    health.succeed(Access::Write);
    assert!(health.is_usable(Access::Write, at(3_000)) && !health.is_outage());
    health.fail(failure(Access::Write, StoreErrorKind::Timeout, 4_000, 5_000));
    assert!(!health.is_usable(Access::Read, at(5_000)), "it speaks for both again");
}

#[test]
fn a_write_that_fails_after_a_good_read_speaks_for_both() {
    let mut health = Health::default();
    health.succeed(Access::Read);
    health.fail(failure(Access::Write, StoreErrorKind::Timeout, 0, 1_000));
    assert!(!health.is_usable(Access::Read, at(1_000)));
    health.succeed(Access::Write);
    assert!(health.is_usable(Access::Read, at(1_000)), "and so does one that is answered");
}

#[test]
fn a_good_write_does_not_hide_that_reads_fail() {
    let mut health = Health::default();
    health.fail(failure(Access::Read, StoreErrorKind::Timeout, 0, 1_000));
    health.succeed(Access::Write);
    assert!(!health.is_usable(Access::Read, at(1_000)));
}

#[test]
fn a_failed_write_shortens_no_back_off_of_reads() {
    let mut health = Health::default();
    for ended in [1_000, 3_000, 6_000] {
        health.fail(failure(Access::Read, StoreErrorKind::Timeout, ended, ended));
    }
    health.fail(failure(Access::Write, StoreErrorKind::Timeout, 6_000, 7_000));
    assert_eq!(health.wait(Access::Read, at(7_000)), Duration::from_secs(3));
}

#[test]
fn what_others_found_is_an_outage_until_an_answer() {
    let mut health = Health::default();
    let withheld = |is_outage| Withheld { wait: Duration::from_secs(7), is_outage };
    health.withhold(Access::Read, at(0), withheld(false));
    assert!(!health.is_outage() && !health.is_usable(Access::Read, at(6_999)));
    assert!(health.is_usable(Access::Write, at(0)), "what is written does not wait");
    health.succeed(Access::Write);
    assert!(health.is_usable(Access::Read, at(0)), "there was an answer");
    health.withhold(Access::Read, at(0), withheld(true));
    assert!(health.is_outage() && !health.is_usable(Access::Write, at(6_999)));
    assert!(health.is_usable(Access::Read, at(7_000)));
    health.succeed(Access::Read);
    assert!(!health.is_outage());
    health.withhold(Access::Write, at(8_000), withheld(true));
    assert!(health.is_outage() && !health.is_usable(Access::Write, at(8_000)));
    health.succeed(Access::Read);
    assert!(!health.is_outage() && health.is_usable(Access::Write, at(8_000)));
}

#[test]
fn case_194_evidence_of_trouble_ages() {
    const DAY: u64 = 86_400_000;
    for (kind, beside_answers) in [
        (StoreErrorKind::Timeout, true),
        (StoreErrorKind::Timeout, false),
        (StoreErrorKind::Unavailable, true),
        (StoreErrorKind::BadAnswer, false),
        (StoreErrorKind::Misconfigured, false),
    ] {
        for access in [Access::Read, Access::Write] {
            let mut health = Health::default();
            health.fail(failure(access, kind, 0, 10));
            health.fail(failure(access, kind, 10, 20));
            assert!(health.is_outage());
            let other = if access == Access::Read { Access::Write } else { Access::Read };
            if beside_answers {
                health.succeed(other);
            }
            let longest = if beside_answers { 600_000 } else { 3_600_000 };
            health.age(at(longest));
            assert!(health.is_outage(), "the back-off comes before");
            health.age(at(longest + 60_020));
            assert!(health.0.is_none(), "{kind:?} {access:?}");
            // Nobody has asked meanwhile, so that nothing was aged.
            health.fail(failure(access, kind, 0, 10));
            health.fail(failure(access, kind, DAY, DAY + 10));
            assert_eq!(health.is_outage(), kind == StoreErrorKind::Misconfigured, "{kind:?}");
        }
    }
}

#[test]
fn case_194_what_others_found_ages_too() {
    for is_outage in [false, true] {
        let mut health = Health::default();
        let wait = Duration::from_secs(7);
        health.withhold(Access::Read, at(0), Withheld { wait, is_outage });
        health.age(at(7_000 + 3_600_000));
        assert!(health.0.is_none());
    }
}

#[test]
fn case_194_a_write_that_failed_yesterday_leaves_nothing_that_reads_once_worked() {
    let mut health = Health::default();
    health.fail(failure(Access::Write, StoreErrorKind::Timeout, 0, 10));
    health.succeed(Access::Read);
    let tomorrow = 86_400_000;
    health.fail(failure(Access::Write, StoreErrorKind::Timeout, tomorrow, tomorrow + 10));
    assert!(!health.is_usable(Access::Read, at(tomorrow + 10)), "it speaks for both again");
    assert!(!health.is_outage());
}

#[test]
fn case_193_throttling_is_an_answer_however_often_it_comes() {
    for access in [Access::Read, Access::Write] {
        let other = if access == Access::Read { Access::Write } else { Access::Read };
        let mut health = Health::default();
        let mut now = 0;
        for _ in 0..100 {
            health.fail(failure(access, StoreErrorKind::Throttled, now, now + 1));
            now += 1;
            assert!(!health.is_outage() && !health.writes_fail());
            assert!(!health.is_doubtful(Access::Read) && !health.is_doubtful(Access::Write));
            assert!(health.is_throttled(access, at(now)) && !health.is_usable(access, at(now)));
            assert!(!health.is_throttled(other, at(now)) && health.is_usable(other, at(now)));
            now += 7_000;
            assert!(health.is_usable(access, at(now)) && !health.is_throttled(access, at(now)));
        }
        health.succeed(access);
        assert!(health.0.is_none());
    }
}

#[test]
fn case_193_throttled_operations_come_back_spread_and_within_the_cache_age() {
    let waits = |spread, cache_age| {
        let mut health = Health::default();
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..7 {
            let throttled = failure(Access::Read, StoreErrorKind::Throttled, now, now);
            let cache_age = Duration::from_secs_f64(cache_age);
            health.fail(Failure { spread, cache_age, ..throttled });
            let wait = health.wait(Access::Read, at(now));
            waits.push(wait.as_secs_f64());
            now += u64::try_from(wait.as_millis()).unwrap();
        }
        waits
    };
    assert_eq!(waits(0, 100.0), [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0]);
    assert_eq!(waits(255, 100.0), [1.5, 3.0, 6.0, 12.0, 24.0, 30.0, 30.0]);
    assert_eq!(waits(0, 5.0), [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]);
    assert_eq!(waits(255, 0.0), [1.0; 7], "at most a second");
}

#[test]
fn case_193_throttling_ends_a_streak_of_failures_and_ages() {
    let mut health = Health::default();
    health.fail(failure(Access::Write, StoreErrorKind::Timeout, 0, 10));
    health.fail(failure(Access::Write, StoreErrorKind::Throttled, 2_000, 2_010));
    health.fail(failure(Access::Write, StoreErrorKind::Timeout, 4_000, 4_010));
    assert!(!health.is_outage(), "there was an answer between");
    health.succeed(Access::Write);
    for _ in 0..5 {
        health.fail(failure(Access::Read, StoreErrorKind::Throttled, 5_000, 5_000));
    }
    health.age(at(41_000));
    assert!(health.0.is_none());
}
