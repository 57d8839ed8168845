//! How a store has been doing, as told by its answers, and for how long it is
//! left alone: pure, for one circuit or for all circuits of a process.
//!
//! Reads and writes are counted apart: a store may answer the ones and not the
//! others, and a good read must not hide that no write ever lands.

use std::time::Duration;

use crate::{protocol::answer::StoreErrorKind, protocol::moment::Moment};

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
pub(crate) struct BackedOff {
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
    reads_deferred_until: Option<(Moment, Duration)>,
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
    pub(crate) fn back_off(&mut self, access: Access, now: Moment, backed_off: BackedOff) {
        self.0.get_or_insert_default().back_off(access, now, backed_off);
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
            Access::Read => self.reads.wait(now).max(left(self.reads_deferred_until, now)),
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
        self.reads_deferred_until = None;
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

    fn back_off(&mut self, access: Access, now: Moment, backed_off: BackedOff) {
        let back_off = Some((now, backed_off.wait));
        if !backed_off.is_outage {
            self.reads_deferred_until = back_off;
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
mod tests;
