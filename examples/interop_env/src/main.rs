//! One process, driven by JSON lines: a request per line on standard input,
//! its answer on standard output. Another program, in whatever language, can so
//! play this crate against its own implementation of the shared item.
//!
//! ```sh
//! cargo run -p interop_env -- --endpoint-url http://127.0.0.1:8000 --table t --clock fake
//! {"op":"call","outcome":"fail"}
//! ```
//!
//! Where the protocol was made for another kind of program:
//!
//! - One circuit has one identity in a process, whatever the thread: `thread`
//!   is ignored. `owner` is the token of the last lease that this process
//!   wrote for the circuit.
//! - A call that `begin` found rejected has ended: `end` repeats that answer.
//! - `config` and `clear_cache` start the circuit anew: its next call reads the
//!   item first. Failures in a row are kept, by counting them again in that
//!   call if the circuit is closed, one less than the threshold at most. The
//!   streak of good probes is on the item, not in the process, and is kept. A
//!   right to probe is not: the lease that was handed over has to run out. A
//!   parked call goes on under the settings that it began with.
//! - `restart` kills: no parked call writes anything any more. Faults of the
//!   store are forgotten, and settings are those of the command line again.
//! - Time set back moves the wall clock alone; time set forward passes.
//! - Reads ahead of the cache's age are off, so that what is sent depends on
//!   the requests alone; `--refresh-ahead` brings them back.
//! - Another process's lease has to be past by `--max-clock-skew`, 2 s by
//!   default, before it is taken over; the reference waits for no more than its
//!   end. `ready` shows the allowance.
//! - `--open-backoff`, `--ramp`, `--of-last` and `--votes`, and the outcome `open_for` with the
//!   seconds that it asks for (`{"op":"call","outcome":"open_for","open_for":120}`), are this
//!   crate's alone.
//! - Leases of parked probes are renewed by real time.

#![expect(clippy::disallowed_methods, reason = "an example reads clocks and spawns its own tasks")]

mod answer;
mod args;
mod attribute;
mod call;
mod circuit;
mod hands;
mod process;
mod request;
mod rows;
mod wiretap;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use serde_json::Value;
use tokio::sync::mpsc;

use self::{answer::Failure, args::Args, process::Process, request::Op};

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
    match Box::pin(serve(args)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "interop_env: {}", failure.message);
            ExitCode::FAILURE
        }
    }
}

/// Answers requests, in order, until there are no more.
async fn serve(args: Args) -> Result<(), Failure> {
    let label = args.label.clone();
    let mut process = Process::open(args).await?;
    print(answer::finish(Ok(process.ready()), Some("ready"), &label, None))?;
    let mut lines = lines();
    while let Some(line) = lines.recv().await {
        if line.trim().is_empty() {
            continue;
        }
        let asked = serde_json::from_str::<Value>(&line).unwrap_or_default();
        let name = asked.get("op").and_then(Value::as_str);
        let result = match serde_json::from_str::<Op>(&line) {
            Ok(op) => Box::pin(process.carry_out(op)).await,
            Err(error) => Err(Failure::of("BadRequest", error)),
        };
        print(answer::finish(result, name, &label, asked.get("id")))?;
        if name == Some("exit") {
            break;
        }
    }
    process.kill().await;
    Ok(())
}

fn print(answer: Value) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{answer}").and_then(|()| out.flush()).map_err(|e| Failure::of("Output", e))
}

/// The lines of standard input, read by a thread that nobody has to wait for.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (send, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
