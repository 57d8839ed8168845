//! The flags of the command.

use std::time::Duration;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
What a call costs through this crate, and through other circuit breakers.

cargo bench -p peers              one table
cargo bench -p peers -- --check   exits with 1 if a call allocates, or if a time is
                                  more than twice its bound on a machine that was calm

  --rounds N    samples of each subject (default: 600, with --check 300)
  --seed N      shuffles the rounds as that run did (default: by chance)
  --limit S     no further round is begun after so many seconds (default: 140, with --check 60)";

/// What was asked for.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) check: bool,
    pub(crate) rounds: usize,
    pub(crate) seed: u64,
    pub(crate) limit: Duration,
}

impl Options {
    /// Nothing if help was asked for.
    pub(crate) fn from_args(
        mut args: impl Iterator<Item = String>,
    ) -> Result<Option<Self>, String> {
        let mut check = false;
        let mut rounds = None;
        let mut seed = None;
        let mut limit = None;
        while let Some(arg) = args.next() {
            let mut number = || {
                let value = args.next().unwrap_or_default();
                value.parse::<u32>().map_err(|error| format!("{arg} {value}: {error}"))
            };
            match arg.as_str() {
                // Cargo says so to every benchmark.
                "--bench" => {}
                "--check" => check = true,
                "--rounds" => rounds = Some(number()?),
                "--seed" => seed = Some(number()?),
                "--limit" => limit = Some(number()?),
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("unknown: {arg}")),
            }
        }
        let rounds = match rounds {
            Some(rounds) => usize::try_from(rounds).map_err(|error| error.to_string())?,
            None if check => 300,
            None => 600,
        };
        let limit = limit.unwrap_or(if check { 60 } else { 140 });
        Ok(Some(Self {
            check,
            rounds,
            seed: seed.unwrap_or_else(|| fastrand::u32(..)).into(),
            limit: Duration::from_secs(limit.into()),
        }))
    }
}
