//! What the command line may ask for.

use std::time::Duration;

use clap::Parser;

use crate::plan::Plan;

/// Holds registries and a DynamoDB engine under load, with faults, and checks
/// that nothing is lost, wrongly admitted, or left behind.
#[derive(Clone, Debug, Parser)]
#[command(name = "soak")]
pub(crate) struct Args {
    /// How long the load lasts: seconds, or with a unit of s, m or h.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(crate) duration: Duration,

    /// Registries, each with its own SDK client.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u16).range(1..=20))]
    pub(crate) registries: u16,

    /// Circuits that all registries share.
    #[arg(long, value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(40..=1_000_000))]
    pub(crate) circuits: u32,

    /// Replays the schedule of a run: faults, outages, and what every task does.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Adds lines only, never redraws one.
    #[arg(long)]
    pub(crate) plain: bool,

    /// Instead: spawns so many circuits that nobody calls, and measures them.
    #[arg(long, value_name = "CIRCUITS",
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) idle: Option<u32>,

    /// Instead: is the engine of another soak, which writes what to do.
    #[arg(long, hide = true)]
    pub(crate) engine: bool,
}

impl Args {
    pub(crate) fn plan(&self) -> Plan {
        let chance = || uuid::Uuid::new_v4().as_u64_pair().0;
        Plan {
            seed: self.seed.unwrap_or_else(chance),
            duration: self.duration,
            registries: self.registries.into(),
            circuits: usize::try_from(self.circuits).unwrap_or(usize::MAX),
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(digits) => (digits, text.chars().last()),
        None => (text, None),
    };
    let number: u64 = digits.parse().map_err(|_| "not a time such as 60s or 10m".to_owned())?;
    let seconds = match unit {
        Some('h') => number.saturating_mul(3_600),
        Some('m') => number.saturating_mul(60),
        Some(_) | None => number,
    };
    match seconds {
        10..=604_800 => Ok(Duration::from_secs(seconds)),
        _ => Err("must be from 10 s to 7 days".to_owned()),
    }
}
