//! What a call costs through this crate, and through other circuit breakers.
//!
//! `cargo bench -p peers` prints one table. All times in it are of one process
//! and one run: in each round that was asked for every subject is sampled once, in
//! an order that is shuffled anew, so that whatever else the machine does meets all
//! alike; after them only those are sampled that have too few calm samples.
//! Compare the ratios; nanoseconds are those of one machine on one day.
//!
//! What is asynchronous is awaited in a loop inside of one future, every crate's
//! calls alike: so do users, within an `async fn`.
//!
//! `cargo bench -p peers -- --check` fails if a call allocates, or if a time is far off on a machine
//! that was calm; it prints the rest: see `goals.rs`.

mod calm;
mod column;
mod contest;
mod counted;
mod floors;
mod goals;
mod layered;
mod measure;
mod options;
mod peer;
mod peers;
mod shown;
mod statistics;
mod subject;
mod table;
mod threads;
mod timed;

use std::{error::Error, path::Path, process::ExitCode, time::Instant};

use tokio::runtime::Runtime;

use self::{
    calm::{Calm, Stolen},
    contest::Contest,
    counted::Counted,
    goals::Verdict,
    options::Options,
};

/// Does what the command line says; `counter` is the program that counts
/// allocations.
#[must_use]
pub fn run(counter: &Path) -> ExitCode {
    match Options::from_args(std::env::args().skip(1)) {
        Ok(Some(options)) => match measure(&options, counter) {
            Ok(Verdict::Met) => ExitCode::SUCCESS,
            Ok(Verdict::Missed) => ExitCode::FAILURE,
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

/// Whether a goal was missed; none was if nobody asked.
fn measure(options: &Options, counter: &Path) -> Result<Verdict, Box<dyn Error>> {
    let (begun, stolen) = (Instant::now(), Stolen::now());
    let counted = Counted::by(counter)?;
    let runtime = runtime()?;
    let _entered = runtime.enter();
    let mut contest = Contest::new(peers::all(runtime.handle())?, options.check)?;
    contest.play(options)?;
    contest.check_health()?;

    let machine = Calm::during(stolen, &contest.samples_of_floors());
    let verdict = if options.check {
        goals::judge(&contest, &counted, &machine)
    } else {
        println!("{}\n{machine}", table::render(&contest, &counted));
        Verdict::Met
    };
    println!(
        "{} rounds in {:.0} s, shuffled by --seed {}, on {}.",
        contest.rounds(),
        begun.elapsed().as_secs_f64(),
        options.seed,
        threads::machine(),
    );
    Ok(verdict)
}

/// Prints how often each subject allocates, for [`run`] to read; `count` says how
/// often this thread does while it works.
///
/// # Errors
///
/// Nothing could be counted, or a peer did not work.
pub fn count(count: fn(&mut dyn FnMut()) -> u64) -> Result<(), Box<dyn Error>> {
    let runtime = runtime()?;
    let _entered = runtime.enter();
    let mut contest = Contest::new(peers::all(runtime.handle())?, false)?;
    counted::print(&mut contest, count)
}

/// For the actors of this crate, and the peers that bring timers. Idle in all
/// that is measured.
fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
}
