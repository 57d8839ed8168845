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

/// When failures of one kind of operation are evidence no more, counted from the end of
/// their back-off, though the store has answered the other kind since.
const EVIDENCE_BESIDE_ANSWERS: Duration = Duration::from_secs(600);
/// When they are evidence no more while the store was not asked, or answered nothing.
/// Longer: where calls are rare, each would otherwise be the first to find a store out.
const EVIDENCE_IN_SILENCE: Duration = Duration::from_secs(3_600);

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
    /// How old what was read may become: where operations are throttled, they are not
    /// held back for longer.
    pub(crate) cache_age: Duration,
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
    throttled_reads: Throttled,
    throttled_writes: Throttled,
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

    /// Whether the store was left alone, and has not answered since.
    pub(crate) fn is_doubtful(&self, access: Access) -> bool {
        self.0.as_ref().is_some_and(|trouble| match access {
            Access::Read => trouble.reads.back_off.is_some(),
            Access::Write => trouble.reads.back_off.is_some() || trouble.writes.back_off.is_some(),
        })
    }

    /// Whether the store has asked that such operations on this circuit be made less
    /// often, and the time it was given is not over. That is an answer: it says nothing of
    /// whether the store is out, so no state follows from it, nor leave for any call.
    pub(crate) fn is_throttled(&self, access: Access, now: Moment) -> bool {
        self.0.as_ref().is_some_and(|trouble| trouble.throttled(access).wait(now) > Duration::ZERO)
    }

    /// Whether writes have failed since one was answered.
    pub(crate) fn writes_fail(&self) -> bool {
        self.0.as_ref().is_some_and(|trouble| trouble.writes_fail())
    }

    /// Forgets failures whose back-off ended a while ago: nobody has asked since.
    pub(crate) fn forget_old(&mut self, now: Moment) {
        self.get_over(|trouble| trouble.forget(now, |_| LONGEST_BACK_OFF));
    }

    /// Forgets failures that are no evidence any more: what failed yesterday and what
    /// fails now are not two in a row.
    pub(crate) fn age(&mut self, now: Moment) {
        self.get_over(|trouble| trouble.age(now));
    }

    /// The store has answered.
    pub(crate) fn succeed(&mut self, access: Access) {
        self.get_over(|trouble| trouble.succeed(access));
    }

    /// The store has failed. A write that fails while nothing is known of reads
    /// speaks for both.
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.age(failure.begun_at);
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
        let wait = match access {
            Access::Read => self.reads.wait(now).max(left(self.spared, now)),
            Access::Write => self.reads.wait(now).max(self.writes.wait(now)),
        };
        // Reads that are throttled hold back no write.
        wait.max(self.throttled(access).wait(now))
    }

    fn throttled(&self, access: Access) -> &Throttled {
        match access {
            Access::Read => &self.throttled_reads,
            Access::Write => &self.throttled_writes,
        }
    }

    fn writes_fail(&self) -> bool {
        self.writes.failures > 0
    }

    fn age(&mut self, now: Moment) {
        self.forget(now, |streak| {
            if streak.is_beside_answers { EVIDENCE_BESIDE_ANSWERS } else { EVIDENCE_IN_SILENCE }
        });
    }

    /// Forgets what ended so long ago.
    fn forget(&mut self, now: Moment, after: impl Fn(&Streak) -> Duration) {
        for streak in [&mut self.reads, &mut self.writes] {
            if !streak.is_recent(now, after(streak)) {
                *streak = Streak::default();
            }
        }
        for throttled in [&mut self.throttled_reads, &mut self.throttled_writes] {
            throttled.forget_old(now);
        }
        self.reads_work &= self.writes_fail();
        self.spared.take_if(|spared| left(Some(*spared), now) == Duration::ZERO);
    }

    fn succeed(&mut self, access: Access) {
        self.spared = None;
        match access {
            Access::Read => {
                self.throttled_reads = Throttled::default();
                self.reads = Streak::default();
                self.writes.is_beside_answers = self.writes_fail();
                self.reads_work = self.writes_fail();
                if !self.writes_fail() {
                    // Nothing but what others had found.
                    self.writes = Streak::default();
                }
            }
            Access::Write => {
                self.throttled_writes = Throttled::default();
                self.writes = Streak::default();
                self.reads.is_beside_answers = self.reads.failures > 0;
                self.reads_work = false;
                if self.reads.failures == 0 {
                    self.reads = Streak::default();
                }
            }
        }
    }

    fn fail(&mut self, failure: Failure) {
        if failure.kind == StoreErrorKind::Throttled {
            return self.throttle(failure);
        }
        match failure.access {
            Access::Read => self.reads.fail(failure),
            Access::Write => {
                self.writes.fail(failure);
                let now = failure.ended_at;
                if !self.reads_work && self.writes.wait(now) > self.reads.wait(now) {
                    self.reads.back_off = self.writes.back_off;
                }
            }
        }
    }

    /// The store has answered that such operations come too often.
    fn throttle(&mut self, failure: Failure) {
        let throttled = self.throttled(failure.access).again(failure);
        self.succeed(failure.access);
        match failure.access {
            Access::Read => self.throttled_reads = throttled,
            Access::Write => self.throttled_writes = throttled,
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

/// Answers in a row that such operations come too often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Throttled {
    times: u32,
    /// Since when such operations are left alone, and for how long.
    back_off: Option<(Moment, Duration)>,
}

impl Throttled {
    fn wait(&self, now: Moment) -> Duration {
        left(self.back_off, now)
    }

    fn forget_old(&mut self, now: Moment) {
        let is_old = |(since, span): (Moment, Duration)| {
            now.since(since) >= span.saturating_add(LONGEST_BACK_OFF)
        };
        if self.back_off.is_some_and(is_old) {
            *self = Self::default();
        }
    }

    /// One more: the wait doubles, between half and one and a half of it, so that those
    /// who were throttled together do not come back together.
    fn again(self, failure: Failure) -> Self {
        let factor = 1_u32.checked_shl(self.times.min(16)).unwrap_or(u32::MAX);
        let spread = u32::from(failure.spread).saturating_mul(2).saturating_add(255);
        let wait = FIRST_BACK_OFF.saturating_mul(factor).min(LONGEST_BACK_OFF.saturating_mul(2));
        let wait = wait.saturating_mul(spread).checked_div(510).unwrap_or(wait);
        let most = failure.cache_age.clamp(FIRST_BACK_OFF, LONGEST_BACK_OFF);
        let times = self.times.saturating_add(1);
        Self { times, back_off: Some((failure.ended_at, wait.min(most))) }
    }
}

/// Failures in a row.
#[derive(Debug, Default, PartialEq, Eq)]
struct Streak {
    failures: u32,
    /// It is known to be out by more than a single failure.
    is_out: bool,
    /// The store has answered the other kind of operation since.
    is_beside_answers: bool,
    /// When the last of them ended.
    last_at: Option<Moment>,
    /// Since when the store is left alone, and for how long.
    back_off: Option<(Moment, Duration)>,
}

impl Streak {
    fn is_outage(&self) -> bool {
        self.failures > 1 || self.is_out
    }

    /// Whether a back-off, or the last failure if it began none, ended less than so long
    /// ago.
    fn is_recent(&self, now: Moment, age: Duration) -> bool {
        let last = self.back_off.or(self.last_at.map(|at| (at, Duration::ZERO)));
        last.is_some_and(|(since, span)| now.since(since) < span.saturating_add(age))
    }

    fn wait(&self, now: Moment) -> Duration {
        left(self.back_off, now)
    }

    /// A read that failed fast is tried again by the next call, as in the
    /// reference; anything else, or a second failure, starts a back-off.
    fn fail(&mut self, failure: Failure) {
        let Failure { access, kind, begun_at, ended_at: now, spread, cache_age: _ } = failure;
        // Operations that were under way together fail together: once.
        let again = self.last_at.is_none_or(|last| begun_at.mono() >= last.mono());
        if again {
            self.failures = self.failures.saturating_add(1);
            self.last_at = Some(now);
            self.is_beside_answers = false;
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
mod tests;
