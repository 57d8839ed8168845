//! An incident: a dependency dies and comes back, while a fleet of environments
//! calls it through one circuit that they share in DynamoDB.
//!
//! ```sh
//! cargo run --example incident
//! cargo run --example incident -- --environments 10 --svg run.svg
//! ```
//!
//! Every environment has a registry and an SDK client of its own, as if it were
//! a process of its own. Exits with an error if the circuit did not protect the
//! dependency, or did not recover.

#![expect(clippy::disallowed_methods, reason = "an example reads clocks and spawns its own tasks")]

mod args;
mod chart;
mod counted;
mod dependency;
mod engine;
mod event;
mod look;
mod paint;
mod plan;
mod process;
mod report;
mod screen;
mod stopwatch;
mod svg;
mod table;
mod terminal;
mod timeline;
mod view;

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use fuseboard::CircuitState;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use self::{
    args::Args,
    counted::{Counted, Tally},
    dependency::Dependency,
    engine::Engine,
    event::Event,
    plan::Plan,
    process::{Process, Teller},
    report::{History, Report},
    screen::Screen,
    stopwatch::Stopwatch,
    terminal::Terminal,
};

/// How often the timeline is brought up to date.
const FRAME: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Nobody is left to be told when nobody reads it.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    match Box::pin(incident(&args)).await {
        Ok(report) if report.faults.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "incident: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn incident(args: &Args) -> Result<Report, Box<dyn Error>> {
    let plan = args.plan()?;
    if let Some(file) = &args.svg {
        // A file that cannot be written is better known before the run.
        // Whether it can be written, without losing what is there.
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(file)
            .map_err(|error| format!("--svg {}: {error}", file.display()))?;
    }
    let engine = Engine::open(args).await?;
    let terminal = Terminal::detect();
    let mut screen = Screen::new(terminal, plan);
    let circuit = engine.circuit();
    screen.open(&circuit, &engine.place());

    let history = run(plan, &engine, &circuit, &mut screen).await?;
    engine.close().await?;

    screen.close(history.end);
    let report = Report::of(&plan, &history);
    terminal::print(&format!("\n{}", table::render(&report, terminal.paint)));
    if let Some(file) = &args.svg {
        std::fs::write(file, chart::draw(&plan, &history, &report))?;
    }
    Ok(report)
}

/// Lets the fleet loose, shows what happens, and stops it when it is over.
async fn run(
    plan: Plan,
    engine: &Engine,
    circuit: &str,
    screen: &mut Screen,
) -> Result<History, Box<dyn Error>> {
    let tally = Arc::new(Tally::default());
    let mut stores = Vec::new();
    for _ in 0..plan.environments {
        stores.push(Counted::new(engine.store().await, Arc::clone(&tally)));
    }
    let stopwatch = Stopwatch::start();
    let dependency = Dependency::new(plan, stopwatch);
    let (events, mut told) = mpsc::unbounded_channel();
    let teller = Teller { stopwatch, events };
    let stop = CancellationToken::new();
    let mut fleet = JoinSet::new();
    for (number, store) in stores.into_iter().enumerate() {
        let environment = Process::new(number, circuit, store, dependency.clone(), teller.clone())?;
        fleet.spawn(environment.run(plan, stop.clone()));
    }
    drop(teller);

    let mut history = History::default();
    let mut frames = tokio::time::interval(FRAME);
    loop {
        tokio::select! {
            event = told.recv() => match event {
                Some(event) => note(event, &mut history, screen),
                // Every environment has ended.
                None => break,
            },
            _ = frames.tick(), if !stop.is_cancelled() => {
                let now = stopwatch.elapsed();
                screen.tick(now);
                if is_over(&plan, &history, now) {
                    history.end = now;
                    stop.cancel();
                }
            }
        }
    }
    while let Some(ended) = fleet.join_next().await {
        ended?;
    }
    history.reached = dependency.reached();
    history.store = tally.counts();
    Ok(history)
}

fn note(event: Event, history: &mut History, screen: &mut Screen) {
    match event {
        Event::Call(call) => {
            screen.call(&call);
            history.calls.push(call);
        }
        Event::Announced(announced) => {
            screen.announced(&announced);
            history.announced.push(announced);
        }
        Event::Lost(transitions) => screen.lost(transitions),
    }
}

/// Whether the circuit has been closed everywhere for a while, or will not be
/// waited for any more.
fn is_over(plan: &Plan, history: &History, now: Duration) -> bool {
    let closed = (0..plan.environments).all(|one| history.last_state(one) == CircuitState::Closed);
    let last = history.announced.last().map_or(Duration::ZERO, |announced| announced.at);
    let calm_since = last.max(plan.returns_at());
    (closed && now >= calm_since.saturating_add(Plan::TAIL)) || now >= plan.gives_up_at()
}
