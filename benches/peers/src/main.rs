//! What a call costs through this crate, and through other circuit breakers.
//!
//! `cargo bench -p peers` prints one table. Everything in it is of one process
//! and one run: in each round every subject is sampled once, in an order that
//! is shuffled anew, so that whatever else the machine does meets all alike.
//! Compare the ratios; nanoseconds are those of one machine on one day.
//!
//! What is asynchronous is awaited in a loop inside of one future, every crate's
//! calls alike: so do users, within an `async fn`.
//!
//! `cargo bench -p peers -- --check` fails if a goal is missed. The goals are
//! ratios of samples of the same round, so that they hold on a busy machine.

mod allocations;
mod contest;
mod floors;
mod goals;
mod measure;
mod options;
mod peer;
mod peers;
mod statistics;
mod subject;
mod table;
mod threads;

use std::{error::Error, process::ExitCode, time::Instant};

use self::{contest::Contest, options::Options};

fn main() -> ExitCode {
    match Options::from_args(std::env::args().skip(1)) {
        Ok(Some(options)) => match run(&options) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("nothing was measured: {error}");
                ExitCode::FAILURE
            }
        },
        Ok(None) => {
            println!("{}", options::HELP);
            ExitCode::SUCCESS
        }
        Err(unknown) => {
            eprintln!("{unknown}\n\n{}", options::HELP);
            ExitCode::FAILURE
        }
    }
}

/// Whether every goal is met, or nobody asked.
fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let begun = Instant::now();
    // The actors of this crate, and the peers that bring timers. Idle in all
    // that is measured.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let _entered = runtime.enter();
    let mut contest = Contest::new(peers::all(runtime.handle())?, options.check)?;
    contest.play(options)?;
    contest.check_health()?;

    let passed = if options.check {
        goals::judge(&contest)
    } else {
        println!("{}", table::render(&contest));
        true
    };
    println!(
        "{} rounds in {:.0} s, shuffled by --seed {}, on {}.",
        contest.rounds(),
        begun.elapsed().as_secs_f64(),
        options.seed,
        threads::machine(),
    );
    Ok(passed)
}
