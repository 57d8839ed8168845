//! The oracle for outcomes: each is counted once.
//!
//! On a circuit that nobody else uses, and that is new, so that no earlier write
//! can come late, whatever the store does:
//!
//! - one failure less than the threshold, a success, and one failure less again,
//!   in any way they may be reported, leave the circuit closed, and the next
//!   failure opens it: the next call is rejected;
//! - of as many failures as the threshold, reported by several tasks at once, the
//!   last one opens it, and no earlier one.
//!
//! Once all is quiet, no failure is left that was neither counted nor taken back:
//! a circuit that would take fewer than T failures to decide something shows it
//! by what the T-1st failure in a row has to wait for, which is nothing.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fuseboard::{Breaker, CallError};
use futures::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    chance::{Chance, part},
    fleet::{Fleet, Process},
    plan::Plan,
    stopwatch::Stopwatch,
};

/// How long a circuit whose dependency is well may stay open, its store being out
/// for some of that: longer than an outage and the back-off it leaves.
const RECOVERS: Duration = Duration::from_secs(45);

/// Tasks that report at once, and failures of each.
const REPORTERS: u32 = 8;
const OF_EACH: u32 = 8;

/// What the checks came to.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(crate) circuits: AtomicU64,
    pub(crate) outcomes: AtomicU64,
    pub(crate) audited: AtomicU64,
    pub(crate) lost: Mutex<Vec<String>>,
    /// The circuits since all came to rest.
    names: Mutex<Vec<(usize, String)>>,
}

impl Checks {
    /// Those of the circuits checked since all came to rest that still have an
    /// actor, or have one now.
    pub(crate) fn breakers(&self, fleet: &Fleet) -> Vec<Breaker> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = |(registry, name): &(usize, String)| {
            let process = fleet.0.get(*registry)?;
            process.registry.breaker(name).ok().or_else(|| many(process, *registry, name))
        };
        names.iter().filter_map(breaker).collect()
    }

    fn note(&self, registry: usize, name: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.push((registry, name.to_owned()));
    }

    /// All have come to rest.
    pub(crate) fn forget(&self) {
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = Vec::new();
    }

    pub(crate) fn lose(&self, what: String) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    fn expect(&self, is_so: bool, breaker: &Breaker, what: &str) {
        if !is_so {
            self.lose(format!("{}: {what}; {:?}", breaker.name(), breaker.snapshot()));
        }
    }
}

/// Checks new circuits of one of the registries until it is told to stop. No
/// two checkers of a run have one number.
pub(crate) async fn run(
    fleet: Arc<Fleet>,
    checker: usize,
    seed: u64,
    checks: Arc<Checks>,
    stop: CancellationToken,
) {
    let registry = checker.checked_rem(fleet.0.len()).unwrap_or(0);
    let Some(process) = fleet.0.get(registry) else {
        return;
    };
    let mut chance = Chance::new(seed, part::CHECKER, u64::try_from(checker).unwrap_or_default());
    for number in 0_u64.. {
        if stop.is_cancelled() {
            return;
        }
        let name = format!("check-{checker}-{number}");
        checks.note(registry, &name);
        let checked = match number & 1 {
            0 => one_task(process, &name, &mut chance, &checks).await,
            _ => many_tasks(process, registry, &name, &checks).await,
        };
        if let Some(breaker) = checked {
            checks.circuits.fetch_add(1, Ordering::Relaxed);
            // An opening is remembered for an hour: it is closed before the next.
            recover(&breaker, &checks).await;
        }
    }
}

async fn one_task(
    process: &Process,
    name: &str,
    chance: &mut Chance,
    checks: &Checks,
) -> Option<Breaker> {
    let breaker = process.registry.breaker(name).ok()?;
    for _ in 1..Plan::FAILURE_THRESHOLD {
        fail(&breaker, chance, checks).await;
    }
    succeed(&breaker, checks).await;
    for _ in 1..Plan::FAILURE_THRESHOLD {
        fail(&breaker, chance, checks).await;
    }
    let last = breaker.admit().await;
    checks.expect(
        last.as_ref().is_ok_and(|permit| !permit.is_probe()),
        &breaker,
        "open one failure early",
    );
    last.ok()?.failure().settled().await;
    checks.expect(breaker.admit().await.is_err(), &breaker, "not open at the threshold");
    drop(breaker);
    process.registry.breaker(name).ok()
}

/// The breaker of a circuit with a threshold for many tasks.
fn many(process: &Process, registry: usize, name: &str) -> Option<Breaker> {
    let settings = Plan::config(registry).ok()?;
    let config = fuseboard::Config::builder()
        .failure_threshold(REPORTERS.saturating_mul(OF_EACH))
        .success_threshold(Plan::SUCCESS_THRESHOLD)
        .recovery_timeout(Plan::RECOVERY_TIMEOUT)
        .local_cache_max_age(Plan::CACHE_AGE)
        .on_store_outage(settings.on_store_outage())
        .build()
        .ok()?;
    process.registry.breaker_with(name, config).ok()
}

async fn many_tasks(
    process: &Process,
    registry: usize,
    name: &str,
    checks: &Checks,
) -> Option<Breaker> {
    let breaker = many(process, registry, name)?;
    let mut tasks = JoinSet::new();
    for reporter in 0..REPORTERS {
        let breaker = breaker.clone();
        // One is left for the end.
        let failures = OF_EACH.saturating_sub(u32::from(reporter == 0));
        tasks.spawn(async move {
            let mut rejected = 0_u64;
            for _ in 0..failures {
                match breaker.admit_owned().await {
                    Ok(permit) => drop(permit.failure()),
                    Err(_) => rejected = rejected.saturating_add(1),
                }
                tokio::task::yield_now().await;
            }
            rejected
        });
    }
    let rejected = tasks.join_all().await.into_iter().fold(0, u64::saturating_add);
    checks.outcomes.fetch_add(u64::from(REPORTERS.saturating_mul(OF_EACH)), Ordering::Relaxed);
    checks.expect(rejected == 0, &breaker, "open before the last of many failures");
    let last = breaker.admit().await;
    checks.expect(last.is_ok(), &breaker, "open one of many failures early");
    last.ok()?.failure().settled().await;
    checks.expect(breaker.admit().await.is_err(), &breaker, "not open after many failures");
    Some(breaker)
}

/// One failure, in one of the ways there are, and something that counts for
/// nothing now and then.
async fn fail(breaker: &Breaker, chance: &mut Chance, checks: &Checks) {
    checks.outcomes.fetch_add(1, Ordering::Relaxed);
    if chance.below(4) == 0 {
        drop(breaker.admit().await);
    }
    let failed = match chance.below(5) {
        0 => breaker.call(|| async { Err::<(), _>(()) }).await == Err(CallError::Inner(())),
        1 => breaker.admit().await.map(|permit| drop(permit.failure())).is_ok(),
        2 => breaker.admit_owned().await.map(|permit| drop(permit.failure())).is_ok(),
        3 => breaker.try_admit().map(|permit| drop(permit.failure())).is_ok(),
        _ => {
            let call = breaker.call(|| async { resume_unwind(Box::new(())) });
            let caught: Result<Result<(), CallError<()>>, _> =
                AssertUnwindSafe(call).catch_unwind().await;
            caught.is_err()
        }
    };
    checks.expect(failed, breaker, "rejected before the threshold");
}

async fn succeed(breaker: &Breaker, checks: &Checks) {
    checks.outcomes.fetch_add(1, Ordering::Relaxed);
    let answered = breaker.call(|| async { Ok::<_, ()>(()) }).await;
    checks.expect(answered.is_ok(), breaker, "a success was rejected before the threshold");
}

/// Calls until an ordinary call is admitted, which must be before long.
pub(crate) async fn recover(breaker: &Breaker, checks: &Checks) {
    let stopwatch = Stopwatch::started();
    while stopwatch.now() < RECOVERS {
        if let Ok(permit) = breaker.admit().await {
            let closed = !permit.is_probe();
            permit.success().settled().await;
            if closed {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    checks.lose(format!("{}: not closed within {RECOVERS:?}", breaker.name()));
}

/// The audit of what is left unsettled. Nobody else may be calling.
pub(crate) async fn audit(breaker: &Breaker, checks: &Checks) {
    // Closed, and without a streak.
    recover(breaker, checks).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    checks.audited.fetch_add(1, Ordering::Relaxed);
    for _ in 1..Plan::FAILURE_THRESHOLD {
        let Ok(permit) = breaker.try_admit() else {
            return checks.lose(format!("{}: open though all is well", breaker.name()));
        };
        // Only a failure that may be the last has anything to wait for.
        let is_settled = permit.failure().settled().now_or_never().is_some();
        checks.expect(is_settled, breaker, "failures left unsettled");
    }
    if let Ok(permit) = breaker.try_admit() {
        drop(permit.success());
    }
}
