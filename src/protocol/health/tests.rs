//! Back-offs after each kind of failure.

use super::*;

fn at(millis: u64) -> Moment {
    let since = Duration::from_millis(millis);
    Moment::new(since, since, 0)
}

fn failure(access: Access, kind: StoreErrorKind, begun: u64, ended: u64) -> Failure {
    Failure {
        access,
        kind,
        begun_at: at(begun),
        ended_at: at(ended),
        jitter: 0,
        longest_throttling: LONGEST_BACK_OFF,
    }
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
fn case_193_throttling_backs_off_and_is_no_outage() {
    let mut health = Health::default();
    let throttled = |now, jitter, seconds| Failure {
        jitter,
        longest_throttling: Duration::from_secs(seconds),
        ..failure(Access::Read, StoreErrorKind::Throttled, now, now)
    };
    let mut now = 0;
    for (jitter, millis) in [(128, 1_000), (128, 2_000), (0, 2_000), (0, 4_000), (128, 3_333)] {
        health.fail(throttled(now, jitter, 5));
        assert!(health.is_throttled(Access::Read, at(now)) && !health.is_outage());
        assert_eq!(health.wait(Access::Read, at(now)).as_millis(), u128::from(millis));
        now += millis + 1;
    }
    assert!(!health.is_throttled(Access::Write, at(now - 2)));
    health.fail(throttled(now + 60_000, 128, 5));
    let wait = health.wait(Access::Read, at(now + 60_000));
    assert_eq!(wait, Duration::from_secs(1), "that of long ago counts no more");
    health.succeed(Access::Read);
    assert!(health.is_usable(Access::Read, at(now + 60_000)));
    for (age, cap) in [(0, 1), (3_600, 30)] {
        let mut health = Health::default();
        let mut now = 0;
        for _ in 0..8 {
            health.fail(throttled(now, 255, age));
            let wait = health.wait(Access::Read, at(now));
            assert!(wait <= Duration::from_secs(cap));
            now += u64::try_from(wait.as_millis()).unwrap() + 1;
        }
        let now = now + 1;
        health.fail(throttled(now, 255, age));
        let wait = health.wait(Access::Read, at(now));
        assert!(wait <= Duration::from_secs(cap), "{wait:?}");
        assert!(wait.as_millis() > 900 * u128::from(cap), "{wait:?}");
    }
}

#[test]
fn case_194_a_failure_of_long_ago_is_not_in_a_row_with_one_of_now() {
    let day = 86_400_000;
    for (access, kind) in [
        (Access::Write, StoreErrorKind::Timeout),
        (Access::Write, StoreErrorKind::Unavailable),
        (Access::Read, StoreErrorKind::Unavailable),
    ] {
        let mut health = Health::default();
        health.fail(failure(access, kind, 0, 10));
        if access == Access::Write {
            health.succeed(Access::Read);
        }
        health.fail(failure(access, kind, day, day + 10));
        assert!(!health.is_outage(), "{access:?} {kind:?}");
    }
}

#[test]
fn health_without_failures_takes_no_memory() {
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
fn a_misconfiguration_is_an_outage_at_once() {
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
    for (jitter, wait) in [(0, 1_000), (255, 750)] {
        let mut health = Health::default();
        let timeout = failure(Access::Read, StoreErrorKind::Timeout, 0, 0);
        health.fail(Failure { jitter, ..timeout });
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
fn a_write_that_fails_after_a_good_read_backs_off_both() {
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
fn a_back_off_of_other_circuits_is_an_outage_until_an_answer() {
    let mut health = Health::default();
    let backed_off = |is_outage| BackedOff { wait: Duration::from_secs(7), is_outage };
    health.back_off(Access::Read, at(0), backed_off(false));
    assert!(!health.is_outage() && !health.is_usable(Access::Read, at(6_999)));
    assert!(health.is_usable(Access::Write, at(0)), "a write does not wait");
    health.succeed(Access::Write);
    assert!(health.is_usable(Access::Read, at(0)), "there was an answer");
    health.back_off(Access::Read, at(0), backed_off(true));
    assert!(health.is_outage() && !health.is_usable(Access::Write, at(6_999)));
    assert!(health.is_usable(Access::Read, at(7_000)));
    health.succeed(Access::Read);
    assert!(!health.is_outage());
    health.back_off(Access::Write, at(8_000), backed_off(true));
    assert!(health.is_outage() && !health.is_usable(Access::Write, at(8_000)));
    health.succeed(Access::Read);
    assert!(!health.is_outage() && health.is_usable(Access::Write, at(8_000)));
}
