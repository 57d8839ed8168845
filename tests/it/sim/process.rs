//! One process: its lives, its clock, its network, and its calls.

use std::{sync::Arc, time::Duration};

use fuseboard::{Breaker, BreakerRegistry, Transitions};
use tokio::task::JoinSet;

use super::{
    dice::Dice,
    freeze::{Reach, Watch},
    plan::{PlannedProcess, QUIET_GAP},
    weather,
    world::{CIRCUIT, Call, Told, World},
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
    let registry = world.registry_over(store, world.plan.config_of(process), label, &clock);
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
    let own = world.plan.config_of(&process).into();
    for (at, settings) in [(span.from, world.plan.other_settings()), (span.until, own)] {
        world.sleep_until(process.thaws_at(at).unwrap_or(at)).await;
        registry.reconfigure(&settings).unwrap();
    }
}

/// How long a probe lasts whose lease outlasts those of others: most of it, so that they see it
/// unchanged for longer than their own. `None` where that does not end before the quiet.
fn most_of_a_lease(world: &World, process: &PlannedProcess, dice: &mut Dice) -> Option<Duration> {
    if process.leases == 1 {
        return None;
    }
    let percent = u32::try_from(dice.between(50, 90)).unwrap();
    let lasts = world.plan.config_of(process).probe_lease() * percent / 100;
    (world.at() + lasts < world.plan.quiet).then_some(lasts)
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

struct Caller {
    world: Arc<World>,
    process: PlannedProcess,
    label: String,
    watch: Arc<Watch>,
    breaker: Breaker,
    dice: Dice,
}

impl Caller {
    async fn call(mut self) {
        let asked = self.world.at();
        let number = self.note(asked);
        self.watch.turn(asked);
        let Ok(permit) = self.breaker.admit().await else {
            return;
        };
        self.thaw().await;
        let begun = self.world.at();
        let good = !self.world.plan.is_down(begun);
        {
            let call = &mut self.world.notes().calls[number];
            (call.begun, call.probe, call.good) = (Some(begun), permit.is_probe(), good);
        }
        let long = most_of_a_lease(&self.world, &self.process, &mut self.dice);
        let of_its_lease = long.filter(|_| permit.is_probe());
        let renews = of_its_lease.is_none();
        let lasts = of_its_lease.unwrap_or_else(|| {
            if self.dice.chance(15) { self.dice.ms(500, 3_000) } else { self.dice.ms(5, 150) }
        });
        let third = self.world.plan.config.probe_lease() / 3;
        let ends = begun + lasts;
        while renews && self.world.at() + third < ends {
            tokio::time::sleep(third).await;
            self.thaw().await;
            permit.keep_alive();
        }
        self.world.sleep_until(ends).await;
        self.thaw().await;
        self.world.notes().calls[number].ended = Some(self.world.at());
        let settling = if good { permit.success() } else { permit.failure() };
        settling.settled().await;
    }

    fn note(&self, asked: Duration) -> usize {
        let mut notes = self.world.notes();
        let client = self.label.clone();
        let call = Call { client, asked, begun: None, ended: None, probe: false, good: false };
        notes.calls.push(call);
        notes.calls.len() - 1
    }

    /// A frozen process goes on when it thaws, and its clock before it.
    async fn thaw(&self) {
        while let Some(thaw) = self.process.thaws_at(self.world.at()) {
            self.world.sleep_until(thaw).await;
        }
        self.watch.turn(self.world.at());
    }
}
