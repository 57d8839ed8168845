//! The command of operators: which circuits of a table are open, and to hold and release them.
//!
//! What it writes goes through the library, as a breaker's `hold` and `release`. Everything it
//! shows is in the table: it talks to no process, and processes need nothing for it.

mod args;
mod circuit;
mod dashboard;
mod ending;
mod grid;
mod json;
mod list;
mod near;
mod orders;
mod output;
mod place;
mod settings;
mod table;
mod text;
mod time;
mod verbs;
mod watch;

use std::{panic, process::ExitCode};

use clap::Parser as _;
use fuseboard::HoldKind;

use self::{
    args::{Args, Verb},
    ending::Ending,
    list::List,
    orders::Released,
    table::Table,
    watch::Watch,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    quieten_the_sdk();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // The help is no error. Nobody is left to be told if nobody reads it.
            let error = args::shortened(error);
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match Box::pin(run(args)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(ending) => {
            output::note(&ending.message().unwrap_or_default());
            ExitCode::from(&ending)
        }
    }
}

/// The SDK panics over some settings, such as an empty endpoint in the environment. The library
/// catches that, and returns an error: nobody has to see a trace beside it.
fn quieten_the_sdk() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        if !panicked.location().is_some_and(|place| place.file().contains("/aws-")) {
            usual(panicked);
        }
    }));
}

async fn run(args: Args) -> Result<(), Ending> {
    if let Verb::Completion { shell } = args.verb {
        return verbs::completion(shell);
    }
    if let Verb::Settings { verb } = args.verb {
        return settings::run(verb, args.json);
    }
    if let Verb::Dashboard(dashboard) = args.verb {
        return Box::pin(dashboard::serve(dashboard, &args.table, args.json)).await;
    }
    let (table, json) = (Table::open(&args.table).await?, args.json);
    match args.verb {
        Verb::List { open, exit_code } => {
            list::list(&table, List { only_open: open, exit_code, json }).await
        }
        Verb::Show { name } => list::show(&table, &name, json).await,
        Verb::Watch { name, open, interval } => {
            watch::watch(&table, &Watch { name, only_open: open, interval, json }).await
        }
        Verb::Hold(hold) => orders::hold(&table, hold, HoldKind::Open, json).await,
        Verb::Disable(hold) => orders::hold(&table, hold, HoldKind::Closed, json).await,
        Verb::Release { name, by, reason } => {
            orders::release(&table, &name, &Released { by, reason }, json).await
        }
        Verb::Verify => verbs::verify(&table, json).await,
        Verb::CreateTable => verbs::create_table(&table, json).await,
        Verb::Dashboard(_) | Verb::Completion { .. } | Verb::Settings { .. } => Ok(()),
    }
}
