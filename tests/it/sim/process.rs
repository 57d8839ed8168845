//! One process: its lives, its clock, its network, and its calls.

use std::{sync::Arc, time::Duration};

use fuseboard::{Breaker, Transitions};
use tokio::task::JoinSet;

use super::{
    dice::Dice,
    freeze::{Reach, Watch},
    plan::{Process, QUIET_GAP},
    stage::{CIRCUIT, Call, Stage, Told},
    weather,
};

/// Lives every life of a process.
pub(crate) async fn live(stage: Arc<Stage>, number: usize) {
    let process = stage.plan.processes[number].clone();
    let mut dice = process.dice.clone();
    for (life, span) in process.lives.iter().enumerate() {
        stage.sleep_until(span.from).await;
        let label = format!("{}.{life}", process.label);
        live_once(&stage, &process, &label, span.until, &mut dice).await;
    }
}

async fn live_once(
    stage: &Arc<Stage>,
    process: &Process,
    label: &str,
    until: Duration,
    dice: &mut Dice,
) {
    let past: i64 =
        process.steps.iter().filter(|(at, _)| *at <= stage.at()).map(|(_, by)| by).sum();
    let watch = stage.watch(process);
    let clock = watch.hands().clone();
    clock.step_wall(process.ahead_ms + past);
    let mut tasks = JoinSet::new();
    let steps: Vec<_> = process.steps.iter().copied().filter(|(at, _)| *at > stage.at()).collect();
    let (stepped, time) = (clock.clone(), Arc::clone(stage));
    tasks.spawn(async move {
        for (at, by) in steps {
            time.sleep_until(at).await;
            stepped.step_wall(by);
        }
    });
    // The engine keeps what it is told of the weather, and the stage the engine.
    let (sky, mut rolls, start) = (process.clone(), dice.split(), stage.start);
    stage
        .engine
        .network(label)
        .weather(move |operation| weather::event(&sky, &mut rolls, start.elapsed(), operation));
    let store =
        Reach { store: stage.engine.store(label), watch: Arc::clone(&watch), start: stage.start };
    let registry = stage.registry_over(store, label, &clock);
    tasks.spawn(listen(Arc::clone(stage), label.to_owned(), registry.subscribe()));
    let breaker = registry.breaker(CIRCUIT).unwrap();
    stage.living().push((label.to_owned(), breaker.clone()));
    let mut calls = JoinSet::new();
    while pause(stage, process, until, dice).await {
        while let Some(ended) = calls.try_join_next() {
            ended.unwrap();
        }
        if calls.len() < process.width {
            let caller = Caller {
                stage: Arc::clone(stage),
                process: process.clone(),
                label: label.to_owned(),
                watch: Arc::clone(&watch),
                breaker: breaker.clone(),
                dice: dice.split(),
            };
            calls.spawn(caller.call());
        }
    }
    stage.living().retain(|(living, _)| living != label);
    stage.stop(&watch);
    // The actor ends first, so that nothing of the rest reaches it.
    drop(registry);
}

/// Waits for the next call; `false` if the process crashes before.
async fn pause(stage: &Stage, process: &Process, until: Duration, dice: &mut Dice) -> bool {
    let at = stage.at();
    let is_quiet = at >= stage.plan.quiet;
    let gap = if is_quiet { process.gap.min(QUIET_GAP) } else { process.gap };
    let ms = u64::try_from(gap.as_millis()).unwrap();
    let mut next = at + dice.ms(ms / 2, ms * 3 / 2);
    if !is_quiet {
        next = next.min(stage.plan.quiet.max(at) + dice.ms(0, 500));
    }
    if let Some(thaw) = process.thaws_at(next) {
        next = thaw;
    }
    stage.sleep_until(next.min(until)).await;
    next < until
}

/// Notes what a process tells, until it is gone.
pub(crate) async fn listen(stage: Arc<Stage>, client: String, mut transitions: Transitions) {
    while let Some(Ok(transition)) = transitions.recv().await {
        let told = Told { at: stage.at(), client: client.clone(), transition };
        stage.notes().told.push(told);
    }
}

struct Caller {
    stage: Arc<Stage>,
    process: Process,
    label: String,
    watch: Arc<Watch>,
    breaker: Breaker,
    dice: Dice,
}

impl Caller {
    async fn call(mut self) {
        let asked = self.stage.at();
        let number = self.note(asked);
        self.watch.turn(asked);
        let Ok(permit) = self.breaker.admit().await else {
            return;
        };
        self.thaw().await;
        let begun = self.stage.at();
        let good = !self.stage.plan.is_down(begun);
        {
            let call = &mut self.stage.notes().calls[number];
            (call.begun, call.probe, call.good) = (Some(begun), permit.is_probe(), good);
        }
        let lasts =
            if self.dice.chance(15) { self.dice.ms(500, 3_000) } else { self.dice.ms(5, 150) };
        let third = self.stage.plan.config.probe_lease() / 3;
        let ends = begun + lasts;
        while self.stage.at() + third < ends {
            tokio::time::sleep(third).await;
            self.thaw().await;
            permit.keep_alive();
        }
        self.stage.sleep_until(ends).await;
        self.thaw().await;
        self.stage.notes().calls[number].ended = Some(self.stage.at());
        let settling = if good { permit.success() } else { permit.failure() };
        settling.settled().await;
    }

    fn note(&self, asked: Duration) -> usize {
        let mut notes = self.stage.notes();
        let client = self.label.clone();
        let call = Call { client, asked, begun: None, ended: None, probe: false, good: false };
        notes.calls.push(call);
        notes.calls.len() - 1
    }

    /// A frozen process goes on when it thaws, and its clock before it.
    async fn thaw(&self) {
        while let Some(thaw) = self.process.thaws_at(self.stage.at()) {
            self.stage.sleep_until(thaw).await;
        }
        self.watch.turn(self.stage.at());
    }
}
