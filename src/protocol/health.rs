//! Back-off: derives from a store's answers how long it is not asked. Pure; used for one
//! circuit, and for all circuits of a process together.
//!
//! Reads and writes are counted apart: a store may answer reads and refuse writes, and a good
//! read must not hide that no write ever lands.
//!
//! | a failure of kind | first read | first write | again in a row |
//! |---|---|---|---|
//! | `Unavailable`, `BadAnswer` | tried again at once | 1 s | 2 s, 4 s, … 30 s |
//! | `Timeout` | 1 s | 1 s | 2 s, 4 s, … 30 s |
//! | `Misconfigured` | 60 s | 60 s | 60 s |
//! | `Throttled`: no failure, and no outage | 1 s | 1 s | 2 s, … the circuit's cache age |
//!
//! Jitter takes up to a quarter off each back-off, and moves one of throttling between 0.5 and
//! 1.5 of itself, so that a fleet does not ask in one instant.

use std::time::Duration;

use crate::{protocol::answer::StoreErrorKind, protocol::moment::Moment};

const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);
const MISCONFIGURED_BACK_OFF: Duration = Duration::from_secs(60);
/// The bounds of the longest back-off of throttling, which is otherwise the circuit's cache age.
const THROTTLED_AT_MOST: (Duration, Duration) = (FIRST_BACK_OFF, LONGEST_BACK_OFF);

/// The kind of a store operation.
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
    /// The moments at which the operation was begun and given up.
    pub(crate) begun_at: Moment,
    pub(crate) ended_at: Moment,
    /// Any number, from [`Entropy::jitter`](crate::protocol::machine::Entropy::jitter): spreads
    /// the next attempts of a fleet.
    pub(crate) jitter: u8,
    /// The longest back-off of throttling: the maximum age of the cached record. With a longer
    /// one, a fleet that throttles itself would learn of a closing late.
    pub(crate) longest_throttling: Duration,
}

/// The store is not asked, because other circuits of the process had no answer from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BackedOff {
    /// The remaining back-off.
    pub(crate) wait: Duration,
    /// True if more than a single failure shows that the store is out.
    pub(crate) is_outage: bool,
}

/// The back-offs of a store. Boxed once there is one: nearly all circuits never have any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health(Option<Box<Trouble>>);

/// The failures of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Trouble {
    reads: Streak,
    writes: Streak,
    /// True if reads were answered since writes began to fail: only writes are out.
    reads_work: bool,
    /// After a single failure of another circuit: the span in which reads that can wait are
    /// deferred.
    reads_deferred_until: Option<(Moment, Duration)>,
}

impl Health {
    /// Returns `true` if the store may be asked now.
    pub(crate) fn is_usable(&self, access: Access, now: Moment) -> bool {
        self.wait(access, now) == Duration::ZERO
    }

    /// Returns the time until the store may be asked. A write waits for the back-off of reads
    /// too, since it may need a read first.
    pub(crate) fn wait(&self, access: Access, now: Moment) -> Duration {
        self.0.as_ref().map_or(Duration::ZERO, |trouble| trouble.wait(access, now))
    }

    /// Returns `true` if the store has failed more than once in a row, or is misconfigured.
    pub(crate) fn is_outage(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|trouble| trouble.reads.is_outage() || trouble.writes.is_outage())
    }

    /// Returns `true` during the back-off of throttling.
    pub(crate) fn is_throttled(&self, access: Access, now: Moment) -> bool {
        self.0.as_ref().is_some_and(|trouble| {
            let streak = match access {
                Access::Read => &trouble.reads,
                Access::Write => &trouble.writes,
            };
            remaining(streak.throttled.back_off, now) > Duration::ZERO
        })
    }

    /// Returns `true` from the begin of a back-off until the store answers.
    pub(crate) fn is_doubtful(&self, access: Access) -> bool {
        self.0.as_ref().is_some_and(|trouble| match access {
            Access::Read => trouble.reads.back_off.is_some(),
            Access::Write => trouble.reads.back_off.is_some() || trouble.writes.back_off.is_some(),
        })
    }

    /// Returns `true` if writes have failed since one was answered.
    pub(crate) fn writes_fail(&self) -> bool {
        self.0.as_ref().is_some_and(|trouble| trouble.writes_fail())
    }

    /// Forgets failures whose back-off ended long ago: a circuit without traffic must not find
    /// an outage of yesterday.
    pub(crate) fn forget_old(&mut self, now: Moment) {
        self.ease(|trouble| trouble.forget_old(now));
    }

    /// Takes an answer of the store.
    pub(crate) fn succeed(&mut self, access: Access) {
        self.ease(|trouble| trouble.succeed(access));
    }

    /// Takes a failure of the store. A write without an answer backs off reads too, unless a read
    /// has succeeded since writes began to fail: most likely the whole store is unreachable.
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.0.get_or_insert_default().fail(failure);
    }

    /// Takes over a back-off that other circuits of the process have begun.
    pub(crate) fn back_off(&mut self, access: Access, now: Moment, backed_off: BackedOff) {
        self.0.get_or_insert_default().back_off(access, now, backed_off);
    }

    /// Changes the trouble, if there is any, and frees it once none is left.
    fn ease(&mut self, change: impl FnOnce(&mut Trouble)) {
        if let Some(trouble) = &mut self.0 {
            change(trouble);
        }
        self.0.take_if(|trouble| **trouble == Trouble::default());
    }
}

impl Trouble {
    fn wait(&self, access: Access, now: Moment) -> Duration {
        match access {
            Access::Read => self.reads.wait(now).max(remaining(self.reads_deferred_until, now)),
            Access::Write => self.reads.wait(now).max(self.writes.wait(now)),
        }
    }

    fn writes_fail(&self) -> bool {
        self.writes.failures > 0
    }

    fn forget_old(&mut self, now: Moment) {
        for streak in [&mut self.reads, &mut self.writes] {
            // Without a back-off there is one fast failure at most: it stays, to be the first of
            // two, and `Streak::is_old` forgets it at the next failure.
            if streak.back_off.is_some() && !streak.is_recent(now) {
                *streak = Streak::default();
            }
        }
    }

    fn succeed(&mut self, access: Access) {
        // Any answer ends it: it was for a store that may be unreachable.
        self.reads_deferred_until = None;
        match access {
            Access::Read => {
                self.reads = Streak::default();
                // A failed write then backs off no reads: only writes are out.
                self.reads_work = self.writes_fail();
                if !self.writes_fail() {
                    // No write of ours has failed, so this back-off came from other circuits, and
                    // a store that answers ends it. Throttling of writes is our own, and stays.
                    let throttled = std::mem::take(&mut self.writes.throttled);
                    self.writes = Streak { throttled, ..Streak::default() };
                }
            }
            Access::Write => {
                self.writes = Streak::default();
                self.reads_work = false;
                // The same for reads; a good write does not hide that reads fail.
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
                // Only if it is longer: a failed write must not shorten a back-off of reads.
                if unanswered && !self.reads_work && self.writes.wait(now) > self.reads.wait(now) {
                    self.reads.back_off = self.writes.back_off;
                }
            }
        }
    }

    fn back_off(&mut self, access: Access, now: Moment, backed_off: BackedOff) {
        let back_off = Some((now, backed_off.wait));
        // One failure of another circuit may be that circuit's own: only defer reads.
        if !backed_off.is_outage {
            self.reads_deferred_until = back_off;
            return;
        }
        let streak = match access {
            Access::Read => &mut self.reads,
            Access::Write => &mut self.writes,
        };
        // Out without a failure of its own: the failures of other circuits must not add to the
        // doublings of this one.
        streak.back_off = back_off;
        streak.is_out = true;
    }
}

/// Returns the rest of a span, given its begin and length.
fn remaining(span: Option<(Moment, Duration)>, now: Moment) -> Duration {
    span.map_or(Duration::ZERO, |(since, span)| span.saturating_sub(now.since(since)))
}

/// Failures in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Streak {
    failures: u32,
    /// True if another circuit's failures, or a misconfiguration, show that the store is out.
    is_out: bool,
    throttled: Throttled,
    /// The end of the last of them, on the monotonic clock.
    last_at: Option<Duration>,
    /// The begin and the length of the back-off.
    back_off: Option<(Moment, Duration)>,
}

/// Throttling is an answer: the store is alive, and asks to be called less often. It is not a
/// failure, so no circuit decides without the store because of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Throttled {
    /// The number of throttled operations in a row.
    times: u32,
    back_off: Option<(Moment, Duration)>,
}

impl Throttled {
    fn fail(&mut self, failure: Failure) {
        let Failure { ended_at: now, jitter, longest_throttling, .. } = failure;
        // Operations that were under way together count once, or ten callers at a time would
        // reach the longest back-off at the first throttling.
        if remaining(self.back_off, now) > Duration::ZERO {
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
        // Between 0.5 and 1.5 of the span, so that a fleet spreads out. The longest span is cut
        // to between 0.33 and 1 of itself: a fixed maximum would bring the fleet back in step.
        let share = u32::from(jitter).saturating_add(128);
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

    /// Returns `true` during a back-off and for 30 s after it.
    fn is_recent(&self, now: Moment) -> bool {
        self.back_off
            .is_some_and(|(since, span)| now.since(since) < span.saturating_add(LONGEST_BACK_OFF))
    }

    fn wait(&self, now: Moment) -> Duration {
        remaining(self.back_off, now).max(remaining(self.throttled.back_off, now))
    }

    /// Returns `true` if the last failure is too long ago to be in a row with one at `now`.
    fn is_old(&self, now: Moment) -> bool {
        let span = self.back_off.map_or(Duration::ZERO, |(_, span)| span);
        self.last_at.is_some_and(|last| {
            now.mono().saturating_sub(last) >= span.saturating_add(LONGEST_BACK_OFF)
        })
    }

    /// Counts a failure. A read that failed fast for the first time is tried again by the next
    /// call, as in the reference; any other failure starts a back-off.
    fn fail(&mut self, failure: Failure) {
        let Failure { access, kind, begun_at, ended_at: now, jitter, .. } = failure;
        if kind == StoreErrorKind::Throttled {
            return self.throttled.fail(failure);
        }
        // By its begin: an operation that hung for long is in a row with the one before it.
        if self.is_old(begun_at) {
            *self = Self::default();
        }
        // Operations that were under way together count once: ten callers that wait for one
        // store are no ten failures in a row.
        let is_next = self.last_at.is_none_or(|last| begun_at.mono() >= last);
        if is_next {
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
        if (fast && self.failures == 1) || (!is_next && self.back_off.is_some()) {
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
        // Between 0.75 and 1 of the span, so that a fleet spreads out.
        let cut = span.saturating_mul(u32::from(jitter)).checked_div(1_020).unwrap_or_default();
        self.back_off = Some((now, span.saturating_sub(cut)));
    }
}

#[cfg(test)]
mod tests;
