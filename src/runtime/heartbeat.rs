//! Notices that the whole process was frozen, so that calls which a freeze cut off do not count
//! as failures of the dependency.
//!
//! Two readings of the clocks cannot show it. After a stop both have moved on, as they have
//! after a long call; in a frozen microVM the monotonic clock may stand still. So a thread
//! beats once a second while calls run, and a late beat shows a freeze.
//!
//! A task would not do. A call that blocks its runtime (a synchronous client in an `async fn`)
//! would make the task late, its failures would never count, and the process would have no
//! protection. A sleeping thread is late only if the whole process is.
//!
//! One thread serves all registries. It starts with the first use of a circuit, and ends a minute
//! after the last: an idle process has none.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    thread,
    time::Duration,
};

use crate::protocol::moment::Moment;

const PERIOD: Duration = Duration::from_secs(1);

/// A beat that comes later than this shows a freeze. That is two seconds more than `PERIOD`: a
/// busy machine keeps a sleeping thread waiting for far less.
const LATE: Duration = Duration::from_secs(3);

/// The time for which the heartbeat goes on after the last use. In a call that outlasts all other
/// use by more than this, a freeze is not noticed.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// The thread's stack, in bytes. Small: the thread reads clocks and sleeps.
const STACK: usize = 64 * 1_024;

/// The heartbeat of this process.
pub(crate) static OF_THIS_PROCESS: Heartbeat = Heartbeat::new();

/// Counts the freezes of a process that were noticed.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    is_beating: AtomicBool,
    /// The number of freezes that were noticed.
    freezes: AtomicU64,
    /// The last beat, in nanoseconds of both clocks. Written under the lock.
    last_mono: AtomicU64,
    last_wall: AtomicU64,
    /// The end of the heartbeat, in nanoseconds of the monotonic clock, unless it is used again.
    wanted_until: AtomicU64,
    /// Has two threads that notice the same freeze count it once.
    lock: Mutex<()>,
}

impl Heartbeat {
    const fn new() -> Self {
        Self {
            is_beating: AtomicBool::new(false),
            freezes: AtomicU64::new(0),
            last_mono: AtomicU64::new(0),
            last_wall: AtomicU64::new(0),
            wanted_until: AtomicU64::new(0),
            lock: Mutex::new(()),
        }
    }

    /// Keeps the heartbeat going for a minute from now. `start` is called if there is no thread,
    /// and returns `true` if it started one.
    pub(crate) fn keep(&self, now: Moment, start: impl FnOnce() -> bool) {
        let until = nanos(now.mono().saturating_add(KEPT_FOR));
        let before = self.wanted_until.load(Relaxed);
        // Once a second, not at each use: a write would take the cache line from all readers.
        if before.saturating_add(nanos(PERIOD)) <= until {
            self.wanted_until.fetch_max(until, Relaxed);
        }
        if self.is_beating.load(Acquire) {
            return;
        }
        let _locked = self.lock();
        if !self.is_beating.load(Relaxed) {
            // A last beat of an earlier thread would show a freeze that was none.
            self.record_beat(now);
            self.is_beating.store(start(), Release);
        }
    }

    /// Returns the number of freezes until now. The first caller after a freeze notices it
    /// itself: a call that was cut off may fail before the thread beats again.
    pub(crate) fn freezes(&self, now: Moment) -> u64 {
        if self.is_beating.load(Acquire) && self.is_late(now) {
            self.notice(now);
        }
        self.freezes.load(Acquire)
    }

    /// Beats. Returns `true` if the thread is to go on.
    fn beat(&self, now: Moment) -> bool {
        let _locked = self.lock();
        if self.is_late(now) {
            self.freezes.fetch_add(1, Release);
        }
        self.record_beat(now);
        // A use between this load and the store below finds the thread still beating, and starts
        // none: the next use does.
        let is_wanted = nanos(now.mono()) < self.wanted_until.load(Relaxed);
        self.is_beating.store(is_wanted, Release);
        is_wanted
    }

    fn notice(&self, now: Moment) {
        let _locked = self.lock();
        // Another thread may have noticed it before the lock.
        if self.is_late(now) {
            self.freezes.fetch_add(1, Release);
            self.record_beat(now);
        }
    }

    /// Judges by the clock that moved further: either may stand still in a freeze.
    fn is_late(&self, now: Moment) -> bool {
        let mono = nanos(now.mono()).saturating_sub(self.last_mono.load(Acquire));
        let wall = nanos(now.wall()).saturating_sub(self.last_wall.load(Acquire));
        mono.max(wall) > nanos(LATE)
    }

    fn record_beat(&self, now: Moment) {
        self.last_mono.store(nanos(now.mono()), Release);
        self.last_wall.store(nanos(now.wall()), Release);
    }

    /// Locks. A panic leaves nothing half done, so a poisoned lock is as good.
    fn lock(&self) -> std::sync::MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread, which ends by itself. Where none can be started, no freeze is noticed.
#[expect(clippy::disallowed_methods, reason = "this file starts the one thread")]
pub(crate) fn start(now: impl Fn() -> Moment + Send + 'static) -> bool {
    let beats = move || {
        loop {
            thread::park_timeout(PERIOD);
            if !OF_THIS_PROCESS.beat(now()) {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name("fuseboard-beat".to_owned()).stack_size(STACK);
    thread.spawn(beats).is_ok()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono: u64, wall: u64) -> Moment {
        Moment::of_seconds(mono, wall)
    }

    fn beating() -> Heartbeat {
        let heartbeat = Heartbeat::new();
        heartbeat.keep(at(100, 1_000), || true);
        heartbeat
    }

    #[test]
    fn a_beat_in_time_is_no_freeze() {
        let heartbeat = beating();
        assert!(heartbeat.beat(at(101, 1_001)));
        assert!(heartbeat.beat(at(104, 1_004)), "late, but not by much");
        assert_eq!(heartbeat.freezes(at(107, 1_007)), 0);
    }

    #[test]
    fn a_freeze_is_noticed_once_by_either_clock() {
        for thawed in [at(104, 1_004), at(100, 1_004), at(104, 1_000)] {
            let heartbeat = beating();
            assert_eq!(heartbeat.freezes(thawed.later(Duration::from_millis(1))), 1);
            assert!(heartbeat.beat(thawed.later(Duration::from_millis(2))));
            assert_eq!(heartbeat.freezes(thawed.later(Duration::from_secs(1))), 1);
        }
        let heartbeat = beating();
        assert!(heartbeat.beat(at(160, 1_060)) || heartbeat.freezes(at(160, 1_060)) == 1);
        assert_eq!(heartbeat.freezes(at(160, 1_060)), 1, "noticed by the thread");
    }

    #[test]
    fn it_ends_a_minute_after_the_last_use_and_starts_again() {
        let heartbeat = beating();
        for second in 1..60 {
            assert!(heartbeat.beat(at(100 + second, 1_000 + second)), "{second}");
        }
        heartbeat.keep(at(159, 1_059), || panic!("it beats already"));
        assert!(heartbeat.beat(at(160, 1_060)));
        for second in 161..219 {
            assert!(heartbeat.beat(at(second, 900 + second)), "{second}");
        }
        assert!(!heartbeat.beat(at(219, 1_119)));
        assert_eq!(heartbeat.freezes(at(900, 1_800)), 0, "no thread beats");
        heartbeat.keep(at(900, 1_800), || true);
        assert_eq!(heartbeat.freezes(at(901, 1_801)), 0, "a fresh start");
        assert_eq!(heartbeat.freezes(at(905, 1_805)), 1);
    }

    #[test]
    fn without_a_thread_nothing_is_noticed() {
        let heartbeat = Heartbeat::new();
        heartbeat.keep(at(100, 1_000), || false);
        assert_eq!(heartbeat.freezes(at(900, 1_800)), 0);
    }
}
