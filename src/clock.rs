//! The one file that reads a clock.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant, SystemTime},
};

use tokio::runtime::Handle;

use crate::{protocol::moment::Moment, runtime::heartbeat, store::ServerTime};

/// The source of a registry's time.
///
/// By default the clocks of the operating system; a [`VirtualClock`] for tests.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    correction: Arc<Correction>,
    /// Its timers serve threads whose runtime has none.
    runtime: Option<Handle>,
}

#[derive(Clone, Debug)]
enum Source {
    System,
    Virtual(VirtualClock),
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl Clock {
    /// Returns the clocks of the operating system.
    #[must_use]
    pub fn system() -> Self {
        Self::over(Source::System)
    }

    /// Returns the same clock for a registry on this runtime, without the correction that other
    /// registries have learned: each has a store of its own to learn from.
    pub(crate) fn of_registry(&self, runtime: Handle) -> Self {
        Self { runtime: Some(runtime), ..Self::over(self.source.clone()) }
    }

    /// Reads both clocks.
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
    pub(crate) fn now(&self) -> Moment {
        let (mono, wall) = match &self.source {
            Source::System => (
                Instant::now().saturating_duration_since(*ORIGIN),
                SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO),
            ),
            Source::Virtual(hands) => hands.now(),
        };
        Moment::new(mono, wall, self.correction.ahead_ms.load(Ordering::Relaxed))
    }

    /// Keeps the heartbeat going, which notices freezes, for a minute from now.
    pub(crate) fn watch_for_freezes(&self, now: Moment) {
        if let Source::System = self.source {
            heartbeat::OF_THIS_PROCESS.keep(now, || {
                let clock = self.clone();
                heartbeat::start(move || clock.now())
            });
        }
    }

    /// Returns the number of freezes of this process that were noticed until now.
    pub(crate) fn freezes(&self, now: Moment) -> u64 {
        match &self.source {
            Source::System => heartbeat::OF_THIS_PROCESS.freezes(now),
            Source::Virtual(hands) => hands.0.freezes.load(Ordering::SeqCst),
        }
    }

    /// Corrects the fleet time by the store's clock, which showed `shown` at some moment between
    /// the begin of an operation and its answer.
    pub(crate) fn learn(&self, begun_at: Moment, answered_at: Moment, shown: ServerTime) {
        let newest = shown.answers();
        // One correction for each answer. Another circuit may see the same reading again later,
        // and would take its age for a clock that runs behind.
        if self.correction.answers.swap(newest, Ordering::Relaxed) == newest {
            return;
        }
        let Ok(shown_at) = shown.at().duration_since(SystemTime::UNIX_EPOCH) else {
            return;
        };
        let before = self.correction.ahead_ms.load(Ordering::Relaxed);
        let begun = signed_ms(begun_at.wall());
        let answered = signed_ms(answered_at.wall());
        let earliest = signed_ms(shown_at);
        let latest = earliest.saturating_add(signed_ms(shown.resolution()));
        let ahead_ms =
            agreeing(before, earliest.saturating_sub(answered), latest.saturating_sub(begun));
        self.correction.ahead_ms.store(ahead_ms, Ordering::Relaxed);
    }

    fn over(source: Source) -> Self {
        Self { source, correction: Arc::default(), runtime: None }
    }

    /// Waits for a future, for `limit` at most. Without any timer it waits for as long as the
    /// future takes; if the timer's runtime is shutting down it stops at once.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let mut future = pin!(future);
        let mut limit_reached = pin!(None);
        let mut is_first = true;
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            // Only for a future that is not ready at once: a timer costs a lock of the runtime.
            if std::mem::take(&mut is_first) {
                limit_reached.set(self.timer(limit));
            }
            let Some(timer) = limit_reached.as_mut().as_pin_mut() else {
                return Poll::Pending;
            };
            // tokio panics if it polls a timer of a runtime that is shutting down.
            let polled = catch_unwind(AssertUnwindSafe(|| timer.poll(context)));
            polled.unwrap_or(Poll::Ready(())).map(|()| None)
        })
        .await
    }

    /// Sleeps for `duration`; for ever if it is `None`.
    pub(crate) async fn sleep(&self, duration: Option<Duration>) {
        let Some(duration) = duration else { return std::future::pending().await };
        // Boxed, so that the task of an actor without a deadline has no room for a timer.
        Box::pin(self.sleep_in_place(duration)).await;
    }

    /// Sleeps without a box for the timer; for ever if there is none.
    pub(crate) async fn sleep_in_place(&self, by: Duration) {
        let mut timer = pin!(self.timer(by.max(Duration::from_millis(1))));
        poll_fn(|context| match timer.as_mut().as_pin_mut() {
            // tokio panics if the timer's runtime is shutting down: the sleep then never ends.
            Some(timer) => {
                catch_unwind(AssertUnwindSafe(|| timer.poll(context))).unwrap_or(Poll::Pending)
            }
            None => Poll::Pending,
        })
        .await;
    }

    /// Returns a timer of the current runtime, or else of the registry's.
    fn timer(&self, duration: Duration) -> Option<tokio::time::Sleep> {
        timer(duration).or_else(|| {
            let _entered = self.runtime.as_ref()?.enter();
            timer(duration)
        })
    }

    /// Waits for a future as [`within`](Self::within) does. A limit that ran out while the process
    /// was frozen begins again, once.
    pub(crate) async fn within_awake<T>(
        &self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let mut future = pin!(future);
        let since = self.now();
        let output = self.within(limit, future.as_mut()).await;
        if output.is_some() || !self.now().was_frozen_since(since, limit) {
            return output;
        }
        self.within(limit, future).await
    }

    /// Reads the wall clock in milliseconds, by the cheapest call: it may lag by one tick of the
    /// kernel. Called, so that the compiler inlines the rest of the gate.
    #[inline(never)]
    pub(crate) fn coarse_wall_ms(&self) -> u64 {
        match &self.source {
            Source::System => coarse_wall_ms(),
            Source::Virtual(hands) => hands.wall_ms(),
        }
    }
}

/// The origin of monotonic time. One for all registries, since they share the heartbeat.
#[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The correction of the wall clock by a store's answers.
#[derive(Debug, Default)]
struct Correction {
    /// The milliseconds by which the store's clock is ahead of the wall clock.
    ahead_ms: AtomicI64,
    /// The number of the reading that the correction is from.
    answers: AtomicU64,
}

/// Returns the correction within these bounds that is nearest to the one before. The bounds come
/// from two readings of the wall clock; if it was set between them they may exclude each
/// other, and the later reading counts.
fn agreeing(before: i64, at_least: i64, at_most: i64) -> i64 {
    before.min(at_most).max(at_least)
}

fn signed_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
#[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
fn coarse_wall_ms() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    // Fewer than 2^32 nanoseconds make a second: a division by a constant is then two
    // instructions. That of 64 bits is four, on the path of every call.
    #[cfg_attr(
        target_pointer_width = "64",
        expect(clippy::useless_conversion, reason = "of 32 bits on some targets")
    )]
    let nanos = i64::from(time.tv_nsec).cast_unsigned() & 0xffff_ffff;
    // A time before 1970 becomes one that is far outside every window of the gate.
    time.tv_sec.cast_unsigned().wrapping_mul(1_000).wrapping_add(nanos / 1_000_000)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[inline]
#[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
fn coarse_wall_ms() -> u64 {
    // A time before 1970 becomes one that is far outside every window of the gate.
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    wall.map_or(u64::MAX, crate::protocol::moment::millis)
}

/// A clock that a test or a simulation moves. Clones show the same time.
///
/// It moves the breaker's clock only: timers are tokio's. A clock that
/// [follows tokio](Self::following_tokio) suits tests with paused time, where a sleep moves
/// both. With a real DynamoDB, turn [`server_time`](crate::store) off, or its answers would
/// correct this clock.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::{Duration, SystemTime};
/// use fuseboard::{BreakerRegistry, CircuitState, MemoryStore, VirtualClock};
///
/// let clock = VirtualClock::standing_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
/// let registry = BreakerRegistry::builder(MemoryStore::new()).clock(&clock).spawn()?;
/// let payments = registry.breaker("payment-backend")?;
/// for _ in 0..5 {
///     payments.admit().await?.failure().settled().await;
/// }
/// assert!(payments.admit().await.is_err());
///
/// clock.advance(Duration::from_secs(30));
/// assert!(payments.admit().await?.is_probe());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct VirtualClock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    /// The reading of tokio's clock at the start, if this clock follows it.
    follows: Option<tokio::time::Instant>,
    /// Wall time at the start.
    start: Duration,
    /// The nanoseconds by which both clocks were moved.
    advanced: AtomicU64,
    /// The nanoseconds by which the wall clock alone was set.
    stepped: AtomicI64,
    /// The number of calls of [`VirtualClock::freeze`].
    freezes: AtomicU64,
}

impl VirtualClock {
    /// Returns a clock that stands at `wall` until it is moved.
    #[must_use]
    pub fn standing_at(wall: SystemTime) -> Self {
        Self::starting(wall, None)
    }

    /// Returns a clock that starts at `wall` and follows tokio's clock, so that a runtime with
    /// paused time moves it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
    pub fn following_tokio(wall: SystemTime) -> Self {
        Self::starting(wall, Some(tokio::time::Instant::now()))
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let _ = self.0.advanced.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |advanced| {
            Some(advanced.saturating_add(by))
        });
    }

    /// Moves both clocks forward, as [`advance`](Self::advance) does, and simulates that the
    /// process was frozen for that time, as an AWS Lambda environment is between invocations:
    /// failures of calls that were admitted before do not count.
    ///
    /// [`Clock::system`] notices a freeze of three seconds or more by itself.
    pub fn freeze(&self, lasting: Duration) {
        self.advance(lasting);
        self.0.freezes.fetch_add(1, Ordering::SeqCst);
    }

    /// Moves the wall clock alone by `by_ms` milliseconds, forward or back, as when a machine's
    /// time is set. The monotonic clock goes on as it was.
    pub fn step_wall(&self, by_ms: i64) {
        let by = by_ms.saturating_mul(1_000_000);
        let _ = self.0.stepped.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |stepped| {
            Some(stepped.saturating_add(by))
        });
    }

    /// Returns the time of the wall clock.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH.checked_add(self.now().1).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn starting(wall: SystemTime, follows: Option<tokio::time::Instant>) -> Self {
        let start = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(Arc::new(Hands {
            follows,
            start,
            advanced: AtomicU64::new(0),
            stepped: AtomicI64::new(0),
            freezes: AtomicU64::new(0),
        }))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
    fn now(&self) -> (Duration, Duration) {
        let followed = self.0.follows.map_or(Duration::ZERO, |start| {
            tokio::time::Instant::now().saturating_duration_since(start)
        });
        let advanced = Duration::from_nanos(self.0.advanced.load(Ordering::SeqCst));
        let mono = followed.saturating_add(advanced);
        let wall = self.0.start.saturating_add(mono);
        let stepped = self.0.stepped.load(Ordering::SeqCst);
        let step = Duration::from_nanos(stepped.unsigned_abs());
        let wall = if stepped < 0 { wall.saturating_sub(step) } else { wall.saturating_add(step) };
        (mono, wall)
    }

    /// The wall clock in milliseconds.
    #[cold]
    #[inline(never)]
    fn wall_ms(&self) -> u64 {
        crate::protocol::moment::millis(self.now().1)
    }
}

impl From<&VirtualClock> for Clock {
    fn from(hands: &VirtualClock) -> Self {
        Self::over(Source::Virtual(hands.clone()))
    }
}

/// Returns a timer of the current runtime, if it has one.
pub(crate) fn timer(duration: Duration) -> Option<tokio::time::Sleep> {
    Handle::try_current().ok()?;
    // A runtime may have been built without a timer. tokio shows that only by a panic.
    catch_unwind(|| tokio::time::sleep(duration)).ok()
}

#[cfg(test)]
mod tests;
