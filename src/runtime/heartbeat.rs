//! Notices that the whole process stood still, so that calls which a freeze cut off are
//! not taken for failures of the dependency.
//!
//! Clocks alone cannot tell. A stopped process finds both of them moved on when it is
//! continued, which is what a long call looks like as well; in a frozen microVM the
//! monotonic clock may stand still. So something has to beat while calls run, and a beat
//! that comes late is the evidence.
//!
//! It is a thread, not a task. A runtime that a call blocks (a synchronous client in an
//! `async fn`) would make a task late at each such call, none of its failures would ever
//! count, and the process would be without protection. A thread that sleeps is late only
//! if the whole process is.
//!
//! One thread serves all registries. It starts with the first use of a circuit, beats once
//! a second, and ends a minute after the last: an idle process has none.

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

/// A beat that comes later than this means a freeze: two seconds are far more than a busy
/// machine keeps a sleeping thread waiting.
const LATE: Duration = Duration::from_secs(3);

/// For how long the heartbeat goes on after the last use. A call that outlasts all other
/// use by more than this is not watched.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// What the thread's stack takes: it reads clocks and sleeps.
const STACK: usize = 64 * 1_024;

/// The heartbeat of this process.
pub(crate) static OF_THIS_PROCESS: Heartbeat = Heartbeat::new();

/// How often a process was frozen, as far as was noticed.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    is_beating: AtomicBool,
    /// How many freezes were noticed.
    freezes: AtomicU64,
    /// The last sign of life, in nanoseconds of both clocks. Written under the lock.
    last_mono: AtomicU64,
    last_wall: AtomicU64,
    /// Until when beats are wanted, in nanoseconds of the monotonic clock.
    wanted_until: AtomicU64,
    /// Makes sure that two who notice one freeze count it once.
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

    /// Keeps the heartbeat going for a minute from now. `start` starts the thread if there
    /// is none, and says whether it did.
    pub(crate) fn keep(&self, now: Moment, start: impl FnOnce() -> bool) {
        let until = nanos(now.mono().saturating_add(KEPT_FOR));
        let before = self.wanted_until.load(Relaxed);
        // Not at each use: other threads read this line.
        if before.saturating_add(nanos(PERIOD)) <= until {
            self.wanted_until.fetch_max(until, Relaxed);
        }
        if self.is_beating.load(Acquire) {
            return;
        }
        let _locked = self.lock();
        if !self.is_beating.load(Relaxed) {
            self.live(now);
            self.is_beating.store(start(), Release);
        }
    }

    /// How many freezes were noticed until now. Whoever asks first after a freeze notices
    /// it, before the thread does: a call that was cut off may well fail sooner.
    pub(crate) fn freezes(&self, now: Moment) -> u64 {
        if self.is_beating.load(Acquire) && self.is_late(now) {
            self.notice(now);
        }
        self.freezes.load(Acquire)
    }

    /// One beat; says whether there is to be another.
    fn beat(&self, now: Moment) -> bool {
        let _locked = self.lock();
        if self.is_late(now) {
            self.freezes.fetch_add(1, Release);
        }
        self.live(now);
        let is_wanted = nanos(now.mono()) < self.wanted_until.load(Relaxed);
        self.is_beating.store(is_wanted, Release);
        is_wanted
    }

    fn notice(&self, now: Moment) {
        let _locked = self.lock();
        // Another may have noticed it meanwhile.
        if self.is_late(now) {
            self.freezes.fetch_add(1, Release);
            self.live(now);
        }
    }

    /// By the clock that moved further: either may stand still in a freeze.
    fn is_late(&self, now: Moment) -> bool {
        let mono = nanos(now.mono()).saturating_sub(self.last_mono.load(Acquire));
        let wall = nanos(now.wall()).saturating_sub(self.last_wall.load(Acquire));
        mono.max(wall) > nanos(LATE)
    }

    fn live(&self, now: Moment) {
        self.last_mono.store(nanos(now.mono()), Release);
        self.last_wall.store(nanos(now.wall()), Release);
    }

    /// Nothing under the lock can be left half done.
    fn lock(&self) -> std::sync::MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread, which ends by itself. Where there can be none, freezes are not noticed.
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
        assert_eq!(heartbeat.freezes(at(900, 1_800)), 0, "nobody watches");
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
