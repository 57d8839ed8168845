//! How a store has been doing, as told by its answers, and for how long it is
//! left alone: pure, for one circuit or for all circuits of a process.
//!
//! Reads and writes are counted apart: a store may answer the ones and not the
//! others, and a good read must not hide that no write ever lands.

use std::time::Duration;

use crate::{answer::StoreErrorKind, moment::Moment};

const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);
const MISCONFIGURED_BACK_OFF: Duration = Duration::from_secs(60);
/// The bounds within which a circuit's cache age limits the back-off of throttling.
const THROTTLED_AT_MOST: (Duration, Duration) = (FIRST_BACK_OFF, LONGEST_BACK_OFF);

/// What a store is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// An operation that has failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) access: Access,
    pub(crate) kind: StoreErrorKind,
    /// When it was begun, and when it was given up.
    pub(crate) begun_at: Moment,
    pub(crate) ended_at: Moment,
    /// Any number: spreads the next attempts of a fleet.
    pub(crate) spread: u8,
    /// For how long throttling keeps a circuit from asking again at the most: longer
    /// than what is known may be relied upon, a fleet would not hear of a closing.
    pub(crate) longest_throttling: Duration,
}

/// Why the store is not asked: other circuits of the process found no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Withheld {
    /// For how long it is left alone.
    pub(crate) wait: Duration,
    /// Whether it is known to be out by more than a single failure.
    pub(crate) is_outage: bool,
}

/// How a store has been doing. Boxed once there is anything to tell: of nearly
/// all circuits there never is.
#[derive(Debug, Default)]
pub(crate) struct Health(Option<Box<Trouble>>);

/// What has gone wrong with a store.
#[derive(Debug, Default, PartialEq, Eq)]
struct Trouble {
    reads: Streak,
    writes: Streak,
    /// Reads were answered while writes were failing: writes alone are out.
    reads_work: bool,
    /// Others had a single failure: until when nothing is read that can wait.
    spared: Option<(Moment, Duration)>,
}

impl Health {
    /// Whether the store may be asked now.
    pub(crate) fn is_usable(&self, access: Access, now: Moment) -> bool {
        self.wait(access, now) == Duration::ZERO
    }

    /// How long until the store may be asked. A write waits for reads as well,
    /// since it may need one first.
    pub(crate) fn wait(&self, access: Access, now: Moment) -> Duration {
        self.0.as_ref().map_or(Duration::ZERO, |trouble| trouble.wait(access, now))
    }

    /// Whether the store has failed more than once in a row, or in a way that
    /// waiting does not mend.
    pub(crate) fn is_outage(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|trouble| trouble.reads.is_outage() || trouble.writes.is_outage())
    }

    /// Whether the store asked to be left alone, and is.
    pub(crate) fn is_throttled(&self, access: Access, now: Moment) -> bool {
        self.0.as_ref().is_some_and(|trouble| {
            let streak = match access {
                Access::Read => &trouble.reads,
                Access::Write => &trouble.writes,
            };
            left(streak.throttled.back_off, now) > Duration::ZERO
        })
    }

    /// Whether the store was left alone, and has not answered since.
    pub(crate) fn is_doubtful(&self, access: Access) -> bool {
        self.0.as_ref().is_some_and(|trouble| match access {
            Access::Read => trouble.reads.back_off.is_some(),
            Access::Write => trouble.reads.back_off.is_some() || trouble.writes.back_off.is_some(),
        })
    }

    /// Whether writes have failed since one was answered.
    pub(crate) fn writes_fail(&self) -> bool {
        self.0.as_ref().is_some_and(|trouble| trouble.writes_fail())
    }

    /// Forgets failures whose back-off ended long ago: nobody has asked since.
    pub(crate) fn forget_old(&mut self, now: Moment) {
        self.get_over(|trouble| trouble.forget_old(now));
    }

    /// The store has answered.
    pub(crate) fn succeed(&mut self, access: Access) {
        self.get_over(|trouble| trouble.succeed(access));
    }

    /// The store has failed. A write without an answer, while nothing is known of
    /// reads, speaks for both: most likely the whole store is out of reach.
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.0.get_or_insert_default().fail(failure);
    }

    /// Others have found no answer, and leave the store alone for so long.
    pub(crate) fn withhold(&mut self, access: Access, now: Moment, withheld: Withheld) {
        self.0.get_or_insert_default().withhold(access, now, withheld);
    }

    /// Eases the trouble there is, if there is any; it may be the end of it.
    fn get_over(&mut self, ease: impl FnOnce(&mut Trouble)) {
        if let Some(trouble) = &mut self.0 {
            ease(trouble);
        }
        self.0.take_if(|trouble| **trouble == Trouble::default());
    }
}

impl Trouble {
    fn wait(&self, access: Access, now: Moment) -> Duration {
        match access {
            Access::Read => self.reads.wait(now).max(left(self.spared, now)),
            Access::Write => self.reads.wait(now).max(self.writes.wait(now)),
        }
    }

    fn writes_fail(&self) -> bool {
        self.writes.failures > 0
    }

    fn forget_old(&mut self, now: Moment) {
        for streak in [&mut self.reads, &mut self.writes] {
            if streak.back_off.is_some() && !streak.is_recent(now) {
                *streak = Streak::default();
            }
        }
    }

    fn succeed(&mut self, access: Access) {
        self.spared = None;
        match access {
            Access::Read => {
                self.reads = Streak::default();
                self.reads_work = self.writes_fail();
                if !self.writes_fail() {
                    // Nothing but what others had found, and throttling of its own.
                    let throttled = std::mem::take(&mut self.writes.throttled);
                    self.writes = Streak { throttled, ..Streak::default() };
                }
            }
            Access::Write => {
                self.writes = Streak::default();
                self.reads_work = false;
                if self.reads.failures == 0 {
                    let throttled = std::mem::take(&mut self.reads.throttled);
                    self.reads = Streak { throttled, ..Streak::default() };
                }
            }
        }
    }

    fn fail(&mut self, failure: Failure) {
        match failure.access {
            Access::Read => self.reads.fail(failure),
            Access::Write => {
                self.writes.fail(failure);
                let now = failure.ended_at;
                let unanswered =
                    matches!(failure.kind, StoreErrorKind::Timeout | StoreErrorKind::Unavailable);
                if unanswered && !self.reads_work && self.writes.wait(now) > self.reads.wait(now) {
                    self.reads.back_off = self.writes.back_off;
                }
            }
        }
    }

    fn withhold(&mut self, access: Access, now: Moment, withheld: Withheld) {
        let back_off = Some((now, withheld.wait));
        if !withheld.is_outage {
            self.spared = back_off;
            return;
        }
        let streak = match access {
            Access::Read => &mut self.reads,
            Access::Write => &mut self.writes,
        };
        streak.back_off = back_off;
        streak.is_out = true;
    }
}

/// What is left of a span that began then.
fn left(span: Option<(Moment, Duration)>, now: Moment) -> Duration {
    span.map_or(Duration::ZERO, |(since, span)| span.saturating_sub(now.since(since)))
}

/// Failures in a row.
#[derive(Debug, Default, PartialEq, Eq)]
struct Streak {
    failures: u32,
    /// It is known to be out by more than a single failure.
    is_out: bool,
    throttled: Throttled,
    /// When the last of them ended, on the monotonic clock.
    last_at: Option<Duration>,
    /// Since when the store is left alone, and for how long.
    back_off: Option<(Moment, Duration)>,
}

/// Throttling is an answer: the store is alive, and asks to be left alone. It is no
/// failure, and nothing is decided without the store for it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Throttled {
    /// In a row.
    times: u32,
    back_off: Option<(Moment, Duration)>,
}

impl Throttled {
    fn again(&mut self, failure: Failure) {
        let Failure { ended_at: now, spread, longest_throttling, .. } = failure;
        // Operations that were under way together are throttled together: once.
        if left(self.back_off, now) > Duration::ZERO {
            return;
        }
        let is_old = |(since, span): (Moment, Duration)| {
            now.since(since) >= span.saturating_add(LONGEST_BACK_OFF)
        };
        if self.back_off.is_none_or(is_old) {
            self.times = 0;
        }
        let (least, most) = THROTTLED_AT_MOST;
        let longest = longest_throttling.clamp(least, most);
        let factor = 1_u32.checked_shl(self.times.min(16)).unwrap_or(u32::MAX);
        self.times = self.times.saturating_add(1);
        // Between half of it and half as much again, so that a fleet spreads out: below
        // the longest as well.
        let share = u32::from(spread).saturating_add(128);
        let part = |span: Duration, of| span.saturating_mul(share).checked_div(of);
        let span = part(FIRST_BACK_OFF.saturating_mul(factor), 256).unwrap_or(longest);
        let span = if span <= longest { span } else { part(longest, 384).unwrap_or(longest) };
        self.back_off = Some((now, span));
    }
}

impl Streak {
    fn is_outage(&self) -> bool {
        self.failures > 1 || self.is_out
    }

    /// Whether a back-off is under way, or ended less than the longest one ago.
    fn is_recent(&self, now: Moment) -> bool {
        self.back_off
            .is_some_and(|(since, span)| now.since(since) < span.saturating_add(LONGEST_BACK_OFF))
    }

    fn wait(&self, now: Moment) -> Duration {
        left(self.back_off, now).max(left(self.throttled.back_off, now))
    }

    /// Whether the last failure is too long ago to be one of a row with the next.
    fn is_old(&self, now: Moment) -> bool {
        let span = self.back_off.map_or(Duration::ZERO, |(_, span)| span);
        self.last_at.is_some_and(|last| {
            now.mono().saturating_sub(last) >= span.saturating_add(LONGEST_BACK_OFF)
        })
    }

    /// A read that failed fast is tried again by the next call, as in the
    /// reference; anything else, or a second failure, starts a back-off.
    fn fail(&mut self, failure: Failure) {
        let Failure { access, kind, begun_at, ended_at: now, spread, .. } = failure;
        if kind == StoreErrorKind::Throttled {
            return self.throttled.again(failure);
        }
        if self.is_old(begun_at) {
            *self = Self::default();
        }
        // Operations that were under way together fail together: once.
        let again = self.last_at.is_none_or(|last| begun_at.mono() >= last);
        if again {
            self.failures = self.failures.saturating_add(1);
            self.last_at = Some(now.mono());
        }
        let doublings = self.failures.saturating_sub(1).min(16);
        self.is_out |= kind == StoreErrorKind::Misconfigured;
        let fast = match kind {
            StoreErrorKind::Unavailable | StoreErrorKind::Throttled | StoreErrorKind::BadAnswer => {
                access == Access::Read
            }
            StoreErrorKind::Timeout | StoreErrorKind::Misconfigured => false,
        };
        if (fast && self.failures == 1) || (!again && self.back_off.is_some()) {
            return;
        }
        let span = match kind {
            StoreErrorKind::Misconfigured => MISCONFIGURED_BACK_OFF,
            StoreErrorKind::Timeout
            | StoreErrorKind::Unavailable
            | StoreErrorKind::Throttled
            | StoreErrorKind::BadAnswer => {
                let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
                FIRST_BACK_OFF.saturating_mul(factor).min(LONGEST_BACK_OFF)
            }
        };
        // Between three quarters and all of it, so that a fleet spreads out.
        let less = span.saturating_mul(u32::from(spread)).checked_div(1_020).unwrap_or_default();
        self.back_off = Some((now, span.saturating_sub(less)));
    }
}

#[cfg(test)]
mod tests {
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
            spread: 0,
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
        let throttled = |now, spread, seconds| Failure {
            spread,
            longest_throttling: Duration::from_secs(seconds),
            ..failure(Access::Read, StoreErrorKind::Throttled, now, now)
        };
        let mut now = 0;
        for (spread, millis) in [(128, 1_000), (128, 2_000), (0, 2_000), (0, 4_000), (128, 3_333)] {
            health.fail(throttled(now, spread, 5));
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
}
