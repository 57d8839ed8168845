//! One process: its lives, its clock, its network, and its calls.

use std::{sync::Arc, time::Duration};

use fuseboard::{BreakerRegistry, Transitions};
use tokio::task::JoinSet;

use super::{
    caller::Caller,
    dice::Dice,
    freeze::Reach,
    plan::{PlannedProcess, QUIET_GAP},
    weather,
    world::{CIRCUIT, Told, World},
};

/// Lives every life of a process.
pub(crate) async fn live(world: Arc<World>, number: usize) {
    let process = world.plan.processes[number].clone();
    let mut dice = process.dice.clone();
    for (life, span) in process.lives.iter().enumerate() {
        world.sleep_until(span.from).await;
        let label = format!("{}.{life}", process.label);
        live_once(&world, &process, &label, span.until, &mut dice).await;
    }
}

async fn live_once(
    world: &Arc<World>,
    process: &PlannedProcess,
    label: &str,
    until: Duration,
    dice: &mut Dice,
) {
    let past: i64 =
        process.steps.iter().filter(|(at, _)| *at <= world.at()).map(|(_, by)| by).sum();
    let watch = world.watch(process);
    let clock = watch.hands().clone();
    clock.step_wall(process.ahead_ms + past);
    let mut tasks = JoinSet::new();
    let steps: Vec<_> = process.steps.iter().copied().filter(|(at, _)| *at > world.at()).collect();
    let (stepped, time) = (clock.clone(), Arc::clone(world));
    tasks.spawn(async move {
        for (at, by) in steps {
            time.sleep_until(at).await;
            stepped.step_wall(by);
        }
    });
    // The engine keeps what it is told of the weather, and the world the engine.
    let (sky, mut rolls, start) = (process.clone(), dice.split(), world.start);
    world
        .engine
        .network(label)
        .weather(move |operation| weather::event(&sky, &mut rolls, start.elapsed(), operation));
    let store =
        Reach { store: world.engine.store(label), watch: Arc::clone(&watch), start: world.start };
    let registry = world.registry_over(store, world.plan.settings_of(process), label, &clock);
    tasks.spawn(listen(Arc::clone(world), label.to_owned(), registry.subscribe()));
    let mut settings = JoinSet::new();
    settings.spawn(change_settings(Arc::clone(world), process.clone(), registry.clone()));
    let breaker = registry.breaker(CIRCUIT).unwrap();
    world.living().push((label.to_owned(), breaker.clone()));
    let mut calls = JoinSet::new();
    while pause(world, process, until, dice).await {
        while let Some(ended) = calls.try_join_next() {
            ended.unwrap();
        }
        if calls.len() < process.width {
            let caller = Caller {
                world: Arc::clone(world),
                process: process.clone(),
                label: label.to_owned(),
                watch: Arc::clone(&watch),
                breaker: breaker.clone(),
                dice: dice.split(),
            };
            calls.spawn(caller.call());
        }
    }
    world.living().retain(|(living, _)| living != label);
    world.stop(&watch);
    settings.shutdown().await;
    // The actor ends first, so that nothing of the rest reaches it.
    drop(registry);
}

/// Gives a process other settings for a while, but not while it stands still.
async fn change_settings(world: Arc<World>, process: PlannedProcess, registry: BreakerRegistry) {
    let Some(span) = process.other_settings.filter(|span| world.at() < span.from) else {
        return;
    };
    let other = world.plan.other_settings(&process);
    let newest = world.plan.settings_of(&process).into();
    for (at, settings) in [(span.from, other), (span.until, newest)] {
        world.sleep_until(process.thaws_at(at).unwrap_or(at)).await;
        registry.reconfigure(&settings).unwrap();
    }
}

/// Waits for the next call; `false` if the process crashes before.
async fn pause(world: &World, process: &PlannedProcess, until: Duration, dice: &mut Dice) -> bool {
    let at = world.at();
    let is_quiet = at >= world.plan.quiet;
    let gap = if is_quiet { process.gap.min(QUIET_GAP) } else { process.gap };
    let ms = u64::try_from(gap.as_millis()).unwrap();
    let mut next = at + dice.ms(ms / 2, ms * 3 / 2);
    if !is_quiet {
        next = next.min(world.plan.quiet.max(at) + dice.ms(0, 500));
    }
    if let Some(thaw) = process.thaws_at(next) {
        next = thaw;
    }
    world.sleep_until(next.min(until)).await;
    next < until
}

/// Notes what a process tells, until it is gone.
pub(crate) async fn listen(world: Arc<World>, client: String, mut transitions: Transitions) {
    while let Some(Ok(transition)) = transitions.recv().await {
        let told = Told { at: world.at(), client: client.clone(), transition };
        world.notes().told.push(told);
    }
}
