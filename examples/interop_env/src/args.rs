//! The command line.

use std::time::Duration;

use clap::{Args as Group, Parser, ValueEnum};
use fuseboard::{Backoff, Config, ConfigBuilder, ConfigError, Rule};

/// One environment, driven by JSON lines on standard input.
#[derive(Clone, Debug, Parser)]
#[command(name = "interop_env")]
pub(crate) struct Args {
    /// A DynamoDB endpoint that speaks plain HTTP.
    #[arg(long, value_name = "URL", value_parser = endpoint)]
    pub(crate) endpoint_url: String,

    /// The table.
    #[arg(long)]
    pub(crate) table: String,

    /// The circuit that requests without a name are about.
    #[arg(long, default_value = "payment-backend")]
    pub(crate) name: String,

    /// What this environment calls itself in its answers.
    #[arg(long, default_value = "rust")]
    pub(crate) label: String,

    /// The region that requests are signed for.
    #[arg(long, default_value = "us-east-1")]
    pub(crate) region: String,

    /// Makes the table first, if there is none.
    #[arg(long)]
    pub(crate) create_table: bool,

    #[command(flatten)]
    pub(crate) settings: Settings,

    /// Whether the circuits' time passes, or stands until it is moved.
    #[arg(long, value_enum, default_value = "real")]
    pub(crate) clock: ClockKind,

    /// Where a clock that stands begins, in seconds since the Unix epoch.
    #[arg(long, value_name = "SECONDS", default_value_t = 1_000_000.0)]
    pub(crate) now: f64,

    /// How far the clock runs ahead.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) skew: f64,

    /// Answers rejected calls by a fallback.
    #[arg(long)]
    pub(crate) callback: bool,

    /// Reads again in the background before the cache's age is reached.
    #[arg(long)]
    pub(crate) refresh_ahead: bool,

    /// Tolerated before another environment's lease is judged past; 0 takes
    /// over at the second of its end, as the reference does.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) max_clock_skew: Duration,

    #[command(flatten)]
    pub(crate) beyond: Beyond,

    #[command(flatten)]
    pub(crate) names: Names,

    /// Bounds the making of a connection.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) connect_timeout: Duration,

    /// Bounds one attempt of a request.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) read_timeout: Duration,

    /// Attempts for each request; with one, counts of requests are exact.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) max_attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClockKind {
    Real,
    Fake,
}

/// The settings that both implementations have, in whole seconds.
#[derive(Clone, Copy, Debug, Group)]
pub(crate) struct Settings {
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) failure_threshold: u32,
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) recovery_timeout: u64,
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) success_threshold: u32,
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub(crate) local_cache_max_age: u64,
}

/// Settings that the reference does not have. All are off by default.
#[derive(Clone, Copy, Debug, Group)]
pub(crate) struct Beyond {
    /// Multiplies the open time with each failed probe in a row, without jitter.
    #[arg(long, value_name = "FACTOR")]
    pub(crate) open_backoff: Option<f64>,

    /// The time after a closing in which only a growing share of the calls runs.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) ramp: Option<Duration>,

    /// Also trips when so many of the last calls failed.
    #[arg(long, value_name = "FAILURES,CALLS", value_parser = two)]
    pub(crate) of_last: Option<(u32, u32)>,

    /// Also trips when so many processes fail so many times in a row within a minute.
    #[arg(long, value_name = "PROCESSES,FAILURES", value_parser = two)]
    pub(crate) votes: Option<(u32, u32)>,
}

impl Beyond {
    fn apply(self, mut config: ConfigBuilder) -> ConfigBuilder {
        if let Some(factor) = self.open_backoff {
            config = config.open_backoff(Backoff::exponential(factor).jitter(0.0));
        }
        if let Some(time) = self.ramp {
            config = config.ramp(time);
        }
        if let Some((failures, calls)) = self.of_last {
            config = config.also_trip(Rule::of_last(failures, calls));
        }
        if let Some((processes, failures)) = self.votes {
            let votes = Rule::votes(processes, failures).within(Duration::from_secs(60));
            config = config.also_trip(votes);
        }
        config
    }
}

/// The names of the item's attributes.
#[derive(Clone, Debug, Group)]
pub(crate) struct Names {
    #[arg(long, value_name = "NAME", default_value = "id")]
    pub(crate) key_attr: String,
    #[arg(long, value_name = "NAME")]
    pub(crate) sort_key_attr: Option<String>,
    #[arg(long, value_name = "TEXT")]
    pub(crate) static_pk_value: Option<String>,
    #[arg(long, value_name = "NAME", default_value = "state")]
    pub(crate) state_attr: String,
    #[arg(long, value_name = "NAME", default_value = "failure_count")]
    pub(crate) failure_count_attr: String,
    #[arg(long, value_name = "NAME", default_value = "opened_at")]
    pub(crate) opened_at_attr: String,
    #[arg(long, value_name = "NAME", default_value = "half_open_owner")]
    pub(crate) half_open_owner_attr: String,
    #[arg(long, value_name = "NAME", default_value = "probe_lease_expiry")]
    pub(crate) probe_lease_expiry_attr: String,
    #[arg(long, value_name = "NAME", default_value = "expiration")]
    pub(crate) expiry_attr: String,
}

impl Args {
    /// Bounds a request with all its attempts. The store gives an attempt two fifths
    /// of it, so that three times the bound of one are enough for any.
    pub(crate) fn operation_timeout(&self) -> Duration {
        self.read_timeout.max(self.connect_timeout).saturating_mul(self.max_attempts.max(3))
    }

    /// The settings of a circuit.
    pub(crate) fn config(&self, settings: Settings) -> Result<Config, ConfigError> {
        // Two environments that are compared step by step are not to be spread, and
        // their leases are as long as those of the reference.
        let config = Config::builder()
            .election_spread(Duration::ZERO)
            .probe_lease(Duration::from_secs(settings.recovery_timeout))
            .failure_threshold(settings.failure_threshold)
            .recovery_timeout(Duration::from_secs(settings.recovery_timeout))
            .success_threshold(settings.success_threshold)
            .local_cache_max_age(Duration::from_secs(settings.local_cache_max_age))
            .store_timeout(self.operation_timeout().min(Duration::from_secs(60)))
            .max_clock_skew(self.max_clock_skew)
            .refresh_ahead(self.refresh_ahead);
        self.beyond.apply(config).build()
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn two(text: &str) -> Result<(u32, u32), String> {
    let numbers = text.split_once(',').and_then(|(few, of)| few.parse().ok().zip(of.parse().ok()));
    numbers.ok_or_else(|| "not two numbers with a comma between".to_owned())
}

fn endpoint(text: &str) -> Result<String, String> {
    if text.starts_with("http://") {
        Ok(text.to_owned())
    } else {
        Err("must start with http://".to_owned())
    }
}
