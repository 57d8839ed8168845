//! What the command line may ask for, and what of it makes no sense.

use std::{path::PathBuf, time::Duration};

use clap::Parser;

use crate::plan::Plan;

/// A dependency dies and comes back, and a fleet shares one circuit breaker.
///
/// Without --endpoint-url and --table, a DynamoDB engine is started on loopback.
#[derive(Clone, Debug, Parser)]
#[command(name = "incident")]
pub(crate) struct Args {
    /// Environments, each with its own registry and SDK client.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u16).range(1..=50))]
    pub(crate) environments: u16,

    /// Calls per second that each environment offers.
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(crate) rate: u16,

    /// How long the dependency is down, from 1 to 60 s.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = outage)]
    pub(crate) outage: Duration,

    /// A DynamoDB endpoint other than the engine on loopback.
    #[arg(long, value_name = "URL", value_parser = endpoint)]
    pub(crate) endpoint_url: Option<String>,

    /// The table; alone, it is looked for in the AWS account and region of the
    /// environment.
    #[arg(long, value_name = "NAME")]
    pub(crate) table: Option<String>,

    /// Makes the table first, if there is none. The engine that this
    /// example starts always gets one.
    #[arg(long)]
    pub(crate) create_table: bool,

    /// Draws the run into a file.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

impl Args {
    /// Lays out the run, if the outage can trip a circuit at all.
    pub(crate) fn plan(&self) -> Result<Plan, String> {
        let plan = Plan::new(self.environments.into(), self.rate.into(), self.outage);
        let needed = plan.time_to_trip();
        if needed > self.outage {
            return Err(format!(
                "--outage of {:.1} s is too short at --rate {}: the {} failures in a row that \
                 trip the circuit take {:.1} s",
                self.outage.as_secs_f64(),
                self.rate,
                Plan::FAILURE_THRESHOLD,
                needed.as_secs_f64(),
            ));
        }
        Ok(plan)
    }
}

fn outage(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (1.0..=60.0).contains(&seconds) {
        Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
    } else {
        Err("must be from 1 to 60 seconds".to_owned())
    }
}

fn endpoint(text: &str) -> Result<String, String> {
    if text.starts_with("http://") || text.starts_with("https://") {
        Ok(text.to_owned())
    } else {
        Err("must start with http:// or https://".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["incident"], line].concat())
    }

    #[test]
    fn senseless_numbers_are_refused() {
        for line in [
            ["--environments", "0"],
            ["--rate", "0"],
            ["--outage", "0"],
            ["--outage", "-1"],
            ["--outage", "nan"],
            ["--outage", "1e30"],
            ["--endpoint-url", "localhost:8000"],
        ] {
            assert!(parsed(&line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn an_outage_that_cannot_trip_the_circuit_is_refused() {
        let error = parsed(&["--rate", "2", "--outage", "1"]).unwrap().plan().unwrap_err();
        assert!(error.contains("--outage of 1.0 s is too short at --rate 2"), "{error}");
        assert!(parsed(&[]).unwrap().plan().is_ok());
    }
}
