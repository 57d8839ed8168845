//! A soak: registries with thousands of circuits, each with its own SDK client,
//! before a real DynamoDB engine over HTTP, under load, for as long as is wanted,
//! while requests are delayed, lost, hung, throttled, or not answered at all.
//!
//! ```sh
//! cargo run --release -p soak
//! cargo run --release -p soak -- --duration 10m --seed 7
//! cargo run --release -p soak -- --idle 100000
//! ```
//!
//! Exits with an error if an outcome was lost, a call was admitted that should
//! not have been, a transition was told that was not written, or not told that was
//! (the rules are in `checker.rs`, `judge.rs` and `ledger.rs`), memory grew, or a
//! task was left behind.

#![expect(clippy::disallowed_methods, reason = "an example reads clocks and spawns its own tasks")]

mod announced;
mod args;
mod booked;
mod chance;
mod checker;
mod dependency;
mod engine;
mod fleet;
mod idle;
mod judge;
mod ledger;
mod load;
mod meter;
mod plan;
mod quiet;
mod relay;
mod report;
mod run;
mod stopwatch;
mod terminal;
mod weather;
mod write;

use std::{
    error::Error,
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser as _;
use tokio::runtime::Runtime;

use self::{
    args::Args, engine::Engine, ledger::Ledger, report::mib, stopwatch::Stopwatch,
    terminal::Terminal,
};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Nobody is left to be told when nobody reads it.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    match soak(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "soak: {error}");
            ExitCode::FAILURE
        }
    }
}

fn soak(args: &Args) -> Result<bool, Box<dyn Error>> {
    let plan = args.plan();
    if args.engine {
        engine::server::serve(&plan)?;
        return Ok(true);
    }
    let terminal = Terminal::new(args.plain);
    if let Some(circuits) = args.idle {
        runtime()?.block_on(idle::run(circuits, &terminal))?;
        return Ok(true);
    }
    terminal.line(&format!(
        "soak: {} circuits in {} registries for {:?}; --seed {}",
        plan.circuits, plan.registries, plan.duration, plan.seed
    ));
    let all = Stopwatch::started();
    let ledger = Arc::new(Ledger::default());
    let mut engine = Engine::start(&plan, &ledger)?;
    let ended = runtime()?.block_on(run::run(plan, &mut engine, &ledger, &terminal));
    let mut report = ended?;
    report.tasks.engine_after = engine.stop()?;
    report.whole = all.now();
    let (table, faults) = report.render();
    terminal.line(&format!("\n{table}"));
    for fault in faults.iter().take(20) {
        terminal.line(&format!("FAILED: {fault}"));
    }
    if faults.is_empty() {
        terminal.line("Nothing was lost, wrongly admitted, wrongly told, or left behind.");
    } else {
        terminal.line(&format!("{} faults; --seed {}", faults.len(), plan.seed));
    }
    Ok(faults.is_empty())
}

/// More threads than most machines that run this have processors.
fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()
}

/// One line of how it is going.
fn status(sample: &meter::Sample, calls: u64, requests: u64) -> String {
    format!(
        "{:>5.0} s  {:>9} calls  {:>8} requests  {:>6} tasks  {:>6} MiB allocated",
        sample.at.as_secs_f64(),
        calls,
        requests,
        sample.tasks,
        mib(sample.allocated)
    )
}
