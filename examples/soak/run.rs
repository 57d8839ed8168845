//! One run, from the first task to the last.

use std::{
    error::Error,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fuseboard::Breaker;
use tokio::{runtime::Handle, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    announced::Announced,
    checker::{self, Checks},
    dependency::Dependencies,
    engine::{Engine, Table},
    fleet::Fleet,
    judge::bench::{Bench, Findings},
    load::{Driver, Tally},
    meter::{self, Meter, Sample},
    plan::Plan,
    report::{Report, Tasks},
    status,
    stopwatch::Stopwatch,
    terminal::Terminal,
    weather::Weather,
};

/// The longest back-off that a run leaves, and some.
const BACK_OFFS: Duration = Duration::from_secs(10);
/// What a flush may take when there is nothing to flush.
const AT_ONCE: Duration = Duration::from_millis(50);
/// Circuits under load that are audited, beside the most called, in each registry.
const AUDITED: usize = 500;
const AUDITED_AT_ONCE: usize = 64;

/// What the tasks of a run share.
#[derive(Clone)]
struct Shared {
    plan: Plan,
    fleet: Arc<Fleet>,
    weather: Arc<Weather>,
    stopwatch: Stopwatch,
    tally: Arc<Tally>,
    findings: Arc<Findings>,
    checks: Arc<Checks>,
    stop: CancellationToken,
}

pub(crate) async fn run(
    plan: Plan,
    engine: &Engine,
    weather: &Arc<Weather>,
    stopwatch: &Stopwatch,
    terminal: &Terminal,
) -> Result<Report, Box<dyn Error>> {
    let before = Handle::current().metrics().num_alive_tasks();
    engine.create_table(&plan).await?;
    let spawning = Stopwatch::started();
    let fleet = Arc::new(Fleet::spawn(&plan, stopwatch, |registry| engine.store(registry))?);
    let spawned_in = spawning.now();
    fleet.warm_up().await;
    let warmed_in = spawning.now().saturating_sub(spawned_in);
    let shared = Shared {
        plan,
        fleet,
        weather: Arc::clone(weather),
        stopwatch: stopwatch.clone(),
        tally: Arc::default(),
        findings: Arc::default(),
        checks: Arc::default(),
        stop: CancellationToken::new(),
    };
    let announced = Arc::new(Announced::default());
    let mut listeners = JoinSet::new();
    for one in &shared.fleet.0 {
        listeners.spawn(Arc::clone(&announced).listen(one.registry.subscribe()));
    }
    shared.fleet.0.iter().for_each(|one| one.books.forget_trouble());
    stopwatch.start();
    let mut load = JoinSet::new();
    start_drivers(&shared, &engine.table(), &mut load);
    start_judged(&shared, &mut load)?;
    let own = before.saturating_add(listeners.len()).saturating_add(load.len());
    let samples = watch(&shared, engine, own, terminal).await;

    shared.stop.cancel();
    weather.clear();
    while let Some(ended) = load.join_next().await {
        ended?;
    }
    terminal.status("the load has ended; waiting for back-offs, then the audit", true);
    settle(&shared).await;
    audit(&shared).await;
    let operations = shared.fleet.operations();
    let Shared { plan, fleet, tally, findings, checks, .. } = shared;
    shut_down(fleet, &checks).await;
    while let Some(ended) = listeners.join_next().await {
        ended?;
    }
    let after = meter::tasks_left(before).await;
    Ok(Report {
        plan,
        samples,
        tally,
        findings,
        checks,
        announced,
        traffic: Arc::clone(&engine.traffic),
        operations,
        tasks: Tasks { before, after, engine_after: 0 },
        spawned_in,
        warmed_in,
        whole: Duration::ZERO,
    })
}

fn start_drivers(shared: &Shared, table: &Table, load: &mut JoinSet<()>) {
    let plan = shared.plan;
    let dependencies =
        Dependencies { seed: plan.seed, hot: plan.hot(), stopwatch: shared.stopwatch.clone() };
    for number in 0..plan.registries.saturating_mul(Plan::DRIVERS) {
        let driver = Driver::new(plan, &shared.fleet, number, dependencies.clone(), &shared.tally);
        load.spawn(driver.run(shared.stop.clone()));
    }
    for number in 0..plan.registries.saturating_mul(Plan::CHECKERS) {
        let (fleet, checks) = (Arc::clone(&shared.fleet), Arc::clone(&shared.checks));
        let (table, stop) = (table.clone(), shared.stop.clone());
        load.spawn(checker::run(fleet, number, plan.seed, table, checks, stop));
    }
    let (fleet, tally) = (Arc::clone(&shared.fleet), Arc::clone(&shared.tally));
    load.spawn(meter::pulse(fleet, tally, shared.stop.clone()));
}

/// Circuits that all registries share, and circuits of one each.
fn judged(plan: &Plan) -> Vec<(String, Vec<usize>)> {
    let shared = (0..Plan::SHARED)
        .map(|number| (format!("judged-{number}"), (0..plan.registries).collect()));
    let lone = (0..plan.registries).flat_map(|registry| {
        (0..Plan::LONE).map(move |number| (format!("judged-{registry}-{number}"), vec![registry]))
    });
    shared.chain(lone).collect()
}

fn start_judged(shared: &Shared, load: &mut JoinSet<()>) -> Result<(), Box<dyn Error>> {
    for (number, (name, registries)) in judged(&shared.plan).into_iter().enumerate() {
        let bench = Arc::new(Bench {
            name,
            seed: shared.plan.seed,
            number: u64::try_from(number)?,
            registries,
            stopwatch: shared.stopwatch.clone(),
            is_dead: AtomicBool::new(false),
            entries: Mutex::default(),
            rejections: Mutex::default(),
        });
        for registry in bench.registries.iter().copied() {
            for caller in 0..Plan::CALLERS {
                let Some(environment) = shared.fleet.0.get(registry) else {
                    continue;
                };
                let breaker = environment.registry.breaker(&bench.name)?;
                let caller =
                    u64::try_from(registry.saturating_mul(Plan::CALLERS).saturating_add(caller))?;
                let stop = shared.stop.clone();
                load.spawn(Arc::clone(&bench).call(registry, caller, breaker, stop));
            }
        }
        load.spawn(bench.conduct(
            Arc::clone(&shared.fleet),
            Arc::clone(&shared.weather),
            Arc::clone(&shared.findings),
            shared.stop.clone(),
        ));
    }
    Ok(())
}

/// Looks once a second for as long as the load lasts.
async fn watch(shared: &Shared, engine: &Engine, own: usize, terminal: &Terminal) -> Vec<Sample> {
    let meter = Meter {
        fleet: Arc::clone(&shared.fleet),
        traffic: Arc::clone(&engine.traffic),
        stopwatch: shared.stopwatch.clone(),
        own,
    };
    let mut samples = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    while shared.stopwatch.now() < shared.plan.duration {
        ticks.tick().await;
        let sample = meter.sample();
        let calls = [&shared.tally.answered, &shared.tally.failed, &shared.tally.rejected]
            .map(|count| count.load(Ordering::Relaxed));
        let requests = engine.traffic.requests().values().copied().fold(0, u64::saturating_add);
        let calls = calls.into_iter().fold(0, u64::saturating_add);
        terminal.status(&status(&sample, calls, requests), samples.len() % 10 == 0);
        samples.push(sample);
    }
    samples
}

/// Once back-offs are over, everything that is owed to the store is written.
async fn settle(shared: &Shared) {
    tokio::time::sleep(BACK_OFFS).await;
    for (number, one) in shared.fleet.0.iter().enumerate() {
        if let Err(error) = one.registry.flush(BACK_OFFS).await {
            shared.checks.lose(format!("registry {number}: {error}"));
        }
        let again = Stopwatch::started();
        if one.registry.flush(BACK_OFFS).await.is_err() || again.now() > AT_ONCE {
            shared.checks.lose(format!("registry {number}: a second flush took {:?}", again.now()));
        }
    }
}

async fn audit(shared: &Shared) {
    let plan = &shared.plan;
    let step = plan.kept().saturating_sub(plan.hot()).div_ceil(AUDITED).max(1);
    let mut breakers: Vec<Breaker> = Vec::new();
    for (registry, one) in shared.fleet.0.iter().enumerate() {
        breakers.extend(one.kept.iter().take(plan.hot()).cloned());
        breakers.extend(one.kept.iter().skip(plan.hot()).step_by(step).cloned());
        let judged = judged(plan).into_iter().filter(|(_, all)| all.contains(&registry));
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

async fn shut_down(fleet: Arc<Fleet>, checks: &Checks) {
    for (number, one) in fleet.0.iter().enumerate() {
        if let Err(error) = one.registry.shutdown(BACK_OFFS).await {
            checks.lose(format!("registry {number}: at its shutdown {error}"));
        }
    }
}
