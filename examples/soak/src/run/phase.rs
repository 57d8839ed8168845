//! One phase of the load: everyone starts, and everyone has ended.

use std::{
    error::Error,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::{
    checker,
    dependency::Dependencies,
    engine::{Engine, line::Command},
    judge::judged::Judged,
    load::Driver,
    meter::{self, Sample},
    plan::Plan,
    status,
    terminal::Terminal,
};

pub(super) async fn run(
    shared: &Shared,
    engine: &mut Engine,
    phase: usize,
    terminal: &Terminal,
    samples: &mut Vec<Sample>,
) -> Result<(), Box<dyn Error>> {
    let stop = CancellationToken::new();
    let mut load = JoinSet::new();
    let since_epoch = SystemTime::UNIX_EPOCH.elapsed()?;
    engine.order(&Command::Begin { phase, since_epoch });
    shared.weather.begin(phase, shared.stopwatch.now());
    start_drivers(shared, phase, &stop, &mut load);
    start_judged(shared, phase, &stop, &mut load)?;
    let own = shared.announced.tasks().saturating_add(load.len()).saturating_add(shared.before);
    watch(shared, engine, own, terminal, samples).await?;
    stop.cancel();
    shared.weather.clear();
    engine.order(&Command::Calm);
    while let Some(ended) = load.join_next().await {
        ended?;
    }
    Ok(())
}

/// No two tasks of a run draw the same chances.
fn stream(phase: usize, number: usize) -> usize {
    phase.rotate_left(24) ^ number
}

fn start_drivers(shared: &Shared, phase: usize, stop: &CancellationToken, load: &mut JoinSet<()>) {
    let plan = shared.plan;
    let dependencies =
        Dependencies { seed: plan.seed, hot: plan.hot(), stopwatch: shared.stopwatch.clone() };
    for number in 0..plan.registries.saturating_mul(Plan::DRIVERS) {
        let driver = Driver::new(
            plan,
            &shared.fleet,
            (number.checked_rem(plan.registries).unwrap_or(0), stream(phase, number)),
            dependencies.clone(),
            &shared.tally,
        );
        load.spawn(driver.run(stop.clone()));
    }
    let checkers = plan.registries.saturating_mul(Plan::CHECKERS);
    for number in 0..checkers {
        let (fleet, checks) = (Arc::clone(&shared.fleet), Arc::clone(&shared.checks));
        let number = phase.saturating_mul(checkers).saturating_add(number);
        load.spawn(checker::run(fleet, number, plan.seed, checks, stop.clone()));
    }
    let (fleet, tally) = (Arc::clone(&shared.fleet), Arc::clone(&shared.tally));
    load.spawn(meter::pulse(fleet, tally, stop.clone()));
}

fn start_judged(
    shared: &Shared,
    phase: usize,
    stop: &CancellationToken,
    load: &mut JoinSet<()>,
) -> Result<(), Box<dyn Error>> {
    for (number, (name, registries)) in shared.plan.judged().into_iter().enumerate() {
        let judged = Arc::new(Judged {
            name,
            seed: shared.plan.seed,
            number: u64::try_from(stream(phase, number))?,
            registries,
            stopwatch: shared.stopwatch.clone(),
            is_dead: AtomicBool::new(false),
            entries: Mutex::default(),
            rejections: Mutex::default(),
        });
        for registry in judged.registries.iter().copied() {
            for caller in 0..Plan::CALLERS {
                let Some(process) = shared.fleet.0.get(registry) else {
                    continue;
                };
                let breaker = process.registry.breaker(&judged.name)?;
                let caller =
                    u64::try_from(registry.saturating_mul(Plan::CALLERS).saturating_add(caller))?;
                load.spawn(Arc::clone(&judged).call(registry, caller, breaker, stop.clone()));
            }
        }
        load.spawn(judged.conduct(
            Arc::clone(&shared.fleet),
            Arc::clone(&shared.weather),
            Arc::clone(&shared.findings),
            stop.clone(),
        ));
    }
    Ok(())
}

/// Looks once a second for as long as the phase lasts.
async fn watch(
    shared: &Shared,
    engine: &mut Engine,
    own: usize,
    terminal: &Terminal,
    samples: &mut Vec<Sample>,
) -> Result<(), Box<dyn Error>> {
    let until = shared.stopwatch.now().saturating_add(shared.plan.phase());
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    for tick in 0_u32.. {
        ticks.tick().await;
        let at = shared.stopwatch.now();
        let (sample, counted) = meter::sample(&shared.fleet, engine, at, own).await?;
        let calls = [&shared.tally.answered, &shared.tally.failed, &shared.tally.rejected]
            .map(|count| count.load(Ordering::Relaxed));
        let calls = calls.into_iter().fold(0, u64::saturating_add);
        terminal.status(&status(&sample, calls, counted.all_requests()), tick % 10 == 0);
        samples.push(sample);
        if at >= until {
            break;
        }
    }
    Ok(())
}
