//! Traffic whose calls take time, several at once.
#![expect(clippy::disallowed_methods, reason = "the clock of the simulation is tokio's, paused")]

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    time::{Duration, SystemTime},
};

use fastrand::Rng;
use fuseboard::{Breaker, BreakerRegistry, CallError, Config, MemoryStore, VirtualClock};
use tokio::{
    runtime::Builder,
    task::LocalSet,
    time::{Instant, sleep, sleep_until},
};

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Good,
    /// Answered well, after longer than anybody wants to wait.
    Slow,
    Failed,
    Rejected,
}

/// What a dependency goes through. All of it begins after 30 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// For 60 s every call takes 5 s.
    Slow,
    /// It is down for 30 s, and comes back with a tenth of its capacity. Within 60 s it warms up;
    /// a second in which it gets more than it can do makes it cold again.
    Cold,
}

/// Calls a second, at random.
pub(crate) const RATE: f64 = 20.0;
const BEGINS: Duration = Duration::from_secs(30);
const SLOW_LASTS: Duration = Duration::from_secs(60);
const DOWN_LASTS: Duration = Duration::from_secs(30);
const WARMS_IN: f64 = 60.0;
/// A call that takes longer is slow.
const SLOW: Duration = Duration::from_secs(1);

/// The dependency.
#[derive(Debug)]
struct Dependency {
    trouble: Trouble,
    began: Instant,
    /// Since when it warms up.
    warming_since: Cell<Option<Instant>>,
    /// The second that is counted, and the calls in it.
    second: Cell<(u64, f64)>,
}

impl Dependency {
    fn capacity(&self) -> f64 {
        let since = self.warming_since.get().map_or(Duration::ZERO, |since| since.elapsed());
        let full = 2.0 * RATE;
        full * (since.as_secs_f64() / WARMS_IN).clamp(0.1, 1.0)
    }

    /// Serves one call.
    async fn serve(&self) -> Result<(), ()> {
        let at = self.began.elapsed();
        match self.trouble {
            Trouble::Slow => {
                let is_slow = at >= BEGINS && at < BEGINS.saturating_add(SLOW_LASTS);
                sleep(if is_slow { Duration::from_secs(5) } else { Duration::from_millis(20) })
                    .await;
                Ok(())
            }
            Trouble::Cold => {
                let returns = BEGINS.saturating_add(DOWN_LASTS);
                if at < BEGINS {
                    return Ok(());
                }
                if at < returns {
                    return Err(());
                }
                let (second, calls) = self.second.get();
                let calls = if second == at.as_secs() { calls + 1.0 } else { 1.0 };
                self.second.set((at.as_secs(), calls));
                if self.warming_since.get().is_none() {
                    self.warming_since.set(Some(Instant::now()));
                }
                if calls <= self.capacity() {
                    return Ok(());
                }
                self.warming_since.set(Some(Instant::now()));
                Err(())
            }
        }
    }
}

/// Runs the traffic for so long. Calls `each` with the time at which each call came, and its end.
pub(crate) fn run(
    config: &Config,
    trouble: Trouble,
    lasting: Duration,
    each: impl FnMut(Duration, Ended) + 'static,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let config = config.clone();
    runtime.block_on(LocalSet::new().run_until(async move {
        let wall = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(1_000_000));
        let clock = VirtualClock::following_tokio(wall.unwrap_or(SystemTime::UNIX_EPOCH));
        let builder = BreakerRegistry::builder(MemoryStore::new()).config(config);
        let registry = builder.clock(&clock).disabled(false).jitter_seed(0).spawn();
        let registry = registry.map_err(io::Error::other)?;
        let breaker = registry.breaker("dependency").map_err(io::Error::other)?;
        let began = Instant::now();
        let second = Cell::new((0, 0.0));
        let warming_since = Cell::new(None);
        let dependency = Rc::new(Dependency { trouble, began, warming_since, second });
        let each = Rc::new(RefCell::new(each));
        let mut random = Rng::with_seed(1);
        let mut at = Duration::ZERO;
        let mut calls = Vec::new();
        loop {
            at = at.saturating_add(Duration::from_secs_f64(-(1.0 - random.f64()).ln() / RATE));
            if at >= lasting {
                break;
            }
            sleep_until(began.checked_add(at).unwrap_or(began)).await;
            let call = call(breaker.clone(), Rc::clone(&dependency));
            let each = Rc::clone(&each);
            calls.push(tokio::task::spawn_local(async move {
                let ended = call.await;
                (*each.borrow_mut())(at, ended);
            }));
        }
        for call in calls {
            call.await.map_err(io::Error::other)?;
        }
        Ok(())
    }))
}

async fn call(breaker: Breaker, dependency: Rc<Dependency>) -> Ended {
    let began = Instant::now();
    match breaker.call(|| async { dependency.serve().await }).await {
        Ok(()) if began.elapsed() > SLOW => Ended::Slow,
        Ok(()) => Ended::Good,
        Err(CallError::Open(_)) => Ended::Rejected,
        Err(CallError::Inner(()) | CallError::TimedOut(_)) => Ended::Failed,
    }
}
