//! One run, from the first task to the last.

mod phase;

use std::{error::Error, sync::Arc, time::Duration};

use tokio::runtime::Handle;

use crate::{
    announced::Announced,
    checker::Checks,
    engine::Engine,
    fleet::Fleet,
    judge::judged::Findings,
    ledger::Ledger,
    load::Tally,
    meter::{self, Sample},
    plan::Plan,
    quiet::{self, BACK_OFFS, Quiet},
    report::{Report, Tasks},
    stopwatch::Stopwatch,
    terminal::Terminal,
    weather::Weather,
};

/// What all parts of a run share.
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) weather: Arc<Weather>,
    pub(crate) stopwatch: Stopwatch,
    pub(crate) tally: Arc<Tally>,
    pub(crate) findings: Arc<Findings>,
    pub(crate) checks: Arc<Checks>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) announced: Announced,
    /// Tasks that were alive before anything was spawned.
    pub(crate) before: usize,
}

/// What was measured meanwhile.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) samples: Vec<Sample>,
    pub(crate) quiet: Vec<Quiet>,
    /// How long it took to spawn all circuits, and to call each, at last.
    pub(crate) spawned_in: Duration,
    pub(crate) called_in: Duration,
}

pub(crate) async fn run(
    plan: Plan,
    engine: &mut Engine,
    ledger: &Arc<Ledger>,
    terminal: &Terminal,
) -> Result<Report, Box<dyn Error>> {
    let before = Handle::current().metrics().num_alive_tasks();
    let stopwatch = Stopwatch::started();
    let fleet = Arc::new(Fleet::spawn(&plan, &stopwatch, ledger, |number| engine.store(number))?);
    let announced = Announced::listen(&fleet, ledger);
    fleet.warm_up(&plan).await;
    let shared = Shared {
        plan,
        fleet,
        weather: Arc::new(Weather::new(&plan, stopwatch.clone())),
        stopwatch,
        tally: Arc::default(),
        findings: Arc::default(),
        checks: Arc::default(),
        ledger: Arc::clone(ledger),
        announced,
        before,
    };
    let measured = all_phases(&shared, engine, terminal).await?;
    let counted = engine.counted().await?;
    let operations = shared.fleet.operations();
    let Shared { fleet, tally, findings, checks, announced, .. } = shared;
    shut_down(fleet, &checks).await;
    let announced = announced.end().await?;
    let after = meter::tasks_left(before).await;
    Ok(Report {
        plan,
        measured,
        tally,
        findings,
        checks,
        announced,
        compared: ledger.compared(),
        counted,
        operations,
        tasks: Tasks { before, after, engine_after: 0 },
        whole: Duration::ZERO,
    })
}

/// The load, and the rest before and after each phase of it.
async fn all_phases(
    shared: &Shared,
    engine: &mut Engine,
    terminal: &Terminal,
) -> Result<Measured, Box<dyn Error>> {
    let phases = shared.plan.phases();
    let seconds = usize::try_from(shared.plan.duration.as_secs())?;
    // All at once, so that it is not taken for growth.
    let mut measured = Measured {
        samples: Vec::with_capacity(seconds.saturating_add(phases.saturating_mul(8))),
        quiet: Vec::with_capacity(phases.saturating_add(1)),
        ..Measured::default()
    };
    measured.quiet.push(quiet::reach(shared, engine, Duration::ZERO).await?);
    for phase in 0..phases {
        let stopwatch = Stopwatch::started();
        shared.fleet.keep(shared.plan.kept())?;
        measured.spawned_in = stopwatch.now();
        shared.fleet.warm_up(&shared.plan).await;
        measured.called_in = stopwatch.now().saturating_sub(measured.spawned_in);
        phase::run(shared, engine, phase, terminal, &mut measured.samples).await?;
        terminal.status("until back-offs are over and all circuits closed; the audit", true);
        let quiet = quiet::reach(shared, engine, BACK_OFFS).await?;
        measured.quiet.push(quiet);
    }
    Ok(measured)
}

async fn shut_down(fleet: Arc<Fleet>, checks: &Checks) {
    for (number, one) in fleet.0.iter().enumerate() {
        if let Err(error) = one.registry.shutdown(BACK_OFFS).await {
            checks.lose(format!("registry {number}: at its shutdown {error}"));
        }
    }
}
