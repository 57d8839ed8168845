//! The rest between two phases of the load, in which everything can be measured
//! exactly: each circuit closed, all forgotten but those that are called most,
//! nothing under way, no connection but one for each registry.

use std::{error::Error, sync::Arc, time::Duration};

use fuseboard::{Breaker, CircuitState};
use tokio::{runtime::Handle, task::JoinSet};

use crate::{
    checker,
    engine::{Engine, line::Command},
    meter,
    plan::Plan,
    run::Shared,
    stopwatch::Stopwatch,
};

/// The longest back-off that a phase leaves, and some.
pub(crate) const BACK_OFFS: Duration = Duration::from_secs(10);
/// What a flush may take when there is nothing to flush.
const AT_ONCE: Duration = Duration::from_millis(50);
/// Circuits under load that are audited, beside the most called, in each registry.
const AUDITED: usize = 500;
const AUDITED_AT_ONCE: usize = 128;
/// How many circuits recover at once.
const AT_A_TIME: usize = 512;
/// How long circuits may take until all are closed and forgotten: longer than the
/// longest back-off.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long those that are closed may take, and tasks that have nothing to do.
const A_WHILE: Duration = Duration::from_secs(30);

/// What there is when nothing happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quiet {
    /// While every circuit that has a handle under load still has it.
    pub(crate) with_all: u64,
    /// When only those have one that are called most.
    pub(crate) allocated: u64,
    pub(crate) resident: u64,
    /// Resident memory of the engine's process.
    pub(crate) engine: u64,
    pub(crate) circuits: usize,
    pub(crate) circuits_expected: usize,
    pub(crate) tasks: usize,
    pub(crate) tasks_expected: usize,
}

/// Waits for all that is owed, and settles the ledger.
pub(crate) async fn settle(shared: &Shared, engine: &mut Engine) -> Result<(), Box<dyn Error>> {
    for (number, one) in shared.fleet.0.iter().enumerate() {
        if let Err(error) = one.registry.flush(BACK_OFFS).await {
            shared.checks.lose(format!("registry {number}: {error}"));
        }
        let again = Stopwatch::started();
        if one.registry.flush(BACK_OFFS).await.is_err() || again.now() > AT_ONCE {
            shared.checks.lose(format!("registry {number}: a second flush took {:?}", again.now()));
        }
    }
    shared.announced.catch_up().await;
    engine.counted().await?;
    shared.ledger.settle();
    Ok(())
}

/// Brings everything to rest, after all back-offs if there was a load, and
/// measures it.
pub(crate) async fn reach(
    shared: &Shared,
    engine: &mut Engine,
    back_offs: Duration,
) -> Result<Quiet, Box<dyn Error>> {
    tokio::join!(close_all(shared), tokio::time::sleep(back_offs));
    let all_kept = shared.plan.kept().saturating_mul(shared.plan.registries);
    let stopwatch = Stopwatch::started();
    // What closed without the store may be opened by its item after a back-off;
    // what is in one is remembered until it ends.
    while !becomes(|| shared.fleet.circuits() == all_kept).await && stopwatch.now() < PATIENCE {
        close_all(shared).await;
    }
    if back_offs > Duration::ZERO {
        audit(shared).await;
        becomes(|| shared.fleet.circuits() == all_kept).await;
    }
    settle(shared, engine).await?;
    shared.checks.forget();
    let with_all = meter::allocated();
    shared.fleet.keep(shared.plan.hot())?;
    let kept = shared.plan.hot().saturating_mul(shared.plan.registries);
    becomes(|| shared.fleet.circuits() == kept).await;
    // What was read last is too old by then, so that one call is one request.
    tokio::time::sleep(Plan::CACHE_AGE.saturating_add(Duration::from_millis(100))).await;
    engine.order(&Command::Part);
    let metrics = Handle::current().metrics();
    let clients = shared.plan.registries;
    let listening =
        [kept, shared.before, shared.announced.tasks()].into_iter().fold(0, usize::saturating_add);
    becomes(|| metrics.num_alive_tasks() <= listening.saturating_add(clients)).await;
    // Clients keep what is left of connections until they want one again.
    for one in &shared.fleet.0 {
        if let Some(breaker) = one.kept().first() {
            drop(breaker.call(|| async { Ok::<_, ()>(()) }).await);
        }
    }
    // Each client has one connection then, and a task that looks after idle ones.
    let tasks_expected = listening.saturating_add(clients.saturating_mul(2));
    becomes(|| metrics.num_alive_tasks() == tasks_expected).await;
    Ok(Quiet {
        with_all,
        allocated: meter::allocated(),
        resident: meter::resident(std::process::id()),
        engine: engine.resident(),
        circuits: shared.fleet.circuits(),
        circuits_expected: kept,
        tasks: metrics.num_alive_tasks(),
        tasks_expected,
    })
}

/// Waits for a while until something is so, and says whether it is.
async fn becomes(is_so: impl Fn() -> bool) -> bool {
    let stopwatch = Stopwatch::started();
    while !is_so() && stopwatch.now() < A_WHILE {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    is_so()
}

/// Calls every circuit that is not closed until it is. Which these are only the
/// crate knows; an open one would be remembered for an hour.
async fn close_all(shared: &Shared) {
    let mut open: Vec<Breaker> = Vec::new();
    for one in &shared.fleet.0 {
        let all_kept = one.kept();
        let kept = all_kept.iter().cloned();
        let visited = (shared.plan.kept()..shared.plan.circuits).map(Plan::name);
        let judged = shared.plan.judged().into_iter().map(|(name, _)| name);
        let named = visited.chain(judged).filter_map(|name| one.registry.breaker(name).ok());
        let is_open = |breaker: &Breaker| breaker.snapshot().state() != CircuitState::Closed;
        open.extend(kept.chain(named).filter(is_open));
    }
    // One that closed without the store may have been opened by its item since.
    let checked = shared.checks.breakers(&shared.fleet);
    open.extend(checked.into_iter().filter(|one| one.snapshot().state() != CircuitState::Closed));
    let open = Arc::new(open);
    let mut tasks = JoinSet::new();
    for worker in 0..AT_A_TIME {
        let (open, checks) = (Arc::clone(&open), Arc::clone(&shared.checks));
        tasks.spawn(async move {
            for breaker in open.iter().skip(worker).step_by(AT_A_TIME) {
                checker::recover(breaker, &checks).await;
            }
        });
    }
    tasks.join_all().await;
}

/// Nobody calls: no failure may be left that was neither counted nor taken back.
async fn audit(shared: &Shared) {
    let plan = &shared.plan;
    let step = plan.kept().saturating_sub(plan.hot()).div_ceil(AUDITED).max(1);
    let mut breakers: Vec<Breaker> = Vec::new();
    for (registry, one) in shared.fleet.0.iter().enumerate() {
        let kept = one.kept();
        breakers.extend(kept.iter().take(plan.hot()).cloned());
        breakers.extend(kept.iter().skip(plan.hot()).step_by(step).cloned());
        let judged = plan.judged().into_iter().filter(|(_, all)| all.contains(&registry));
        breakers.extend(judged.filter_map(|(name, _)| one.registry.breaker(name).ok()));
    }
    let breakers = Arc::new(breakers);
    let mut tasks = JoinSet::new();
    for worker in 0..AUDITED_AT_ONCE {
        let (breakers, checks) = (Arc::clone(&breakers), Arc::clone(&shared.checks));
        tasks.spawn(async move {
            for breaker in breakers.iter().skip(worker).step_by(AUDITED_AT_ONCE) {
                checker::audit(breaker, &checks).await;
            }
        });
    }
    tasks.join_all().await;
}
