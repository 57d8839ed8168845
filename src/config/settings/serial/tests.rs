//! Settings of all circuits as text.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{
    Config,
    config::{Backoff, ConfigBuilder, Rule},
};

fn refused(value: &serde_json::Value) -> String {
    serde_json::from_str::<Settings>(&value.to_string()).expect_err("refused").to_string()
}

/// The file that `docs/settings.md` shows.
#[cfg(not(fuseboard_loom))]
const SAMPLE: &str = include_str!("../../../../examples/settings.toml");

fn built() -> Settings {
    let seconds = Duration::from_secs;
    let backoff = Backoff::exponential(2.0).at_most(seconds(1_800));
    let rate = Rule::rate(0.5).over(seconds(60)).at_least(20);
    Settings::builder()
        .defaults(Config::builder().failure_threshold(5).recovery_timeout(seconds(30)))
        .circuit("payments*", move |config| {
            let config = config.failure_threshold(3).recovery_timeout(seconds(10));
            config.slow_after(seconds(2))
        })
        .circuit("payments-eu", move |config| config.failure_window(seconds(300)).also_trip(rate))
        .circuit("report-backend", move |config| {
            config.recovery_timeout(seconds(300)).open_backoff(backoff)
        })
        .build()
        .unwrap()
}

#[cfg(not(fuseboard_loom))]
#[test]
fn the_sample_of_a_file_says_what_code_says() {
    let read: Settings = toml::from_str(SAMPLE).unwrap();
    assert_eq!(read, built());
    let guide = include_str!("../../../../docs/settings.md");
    assert!(guide.contains(SAMPLE), "the guide shows the file as it is");
}

#[test]
fn what_is_written_reads_back() {
    for settings in [built(), Settings::default()] {
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings, "{json}");
        #[cfg(not(fuseboard_loom))]
        {
            let written = toml::to_string(&settings).unwrap();
            assert_eq!(toml::from_str::<Settings>(&written).unwrap(), settings, "{written}");
        }
    }
    assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
}

#[test]
fn what_takes_something_of_the_default_back_reads_back_or_is_not_written() {
    let default = || Config::builder().dry_run(true).also_trip(Rule::of_last(3, 9));
    let enforced = |config: ConfigBuilder| config.dry_run(false);
    let settings = Settings::builder().defaults(default()).circuit("a", enforced).build().unwrap();
    let json = serde_json::to_string(&settings).unwrap();
    let read: Settings = serde_json::from_str(&json).unwrap();
    assert_eq!(read, settings, "{json}");
    assert!(!read.of("a").dry_run() && read.of("b").dry_run());

    let ramping = Config::builder().ramp(Duration::from_secs(60));
    let without = |_| Config::builder();
    let settings = Settings::builder().defaults(ramping).circuit("a", without).build().unwrap();
    let refused = serde_json::to_string(&settings).unwrap_err().to_string();
    let why = "circuits.a.ramp is not set, which text cannot say beside the default's";
    assert_eq!(refused, why);
}

#[test]
fn a_circuit_follows_the_default_whichever_comes_first() {
    let text = r#"{"circuits": {"a": {"recovery_timeout": "40s"}},
        "default": {"failure_threshold": 7, "also_trip": [{"within": {"failures": 9, "window": "1m"}}]}}"#;
    let settings: Settings = serde_json::from_str(text).unwrap();
    let config = settings.of("a");
    assert_eq!((config.failure_threshold().get(), config.also_trip().len()), (7, 1));
    // What follows other settings follows those of the circuit.
    assert_eq!(config.probe_lease(), Duration::from_secs(40));
}

#[test]
fn rules_of_a_circuit_take_the_place_of_those_of_the_default() {
    let rule = |failures: u32| json!([{"within": {"failures": failures, "window": "1m"}}]);
    let value = json!({"default": {"also_trip": rule(9)}, "circuits": {
        "a": {"also_trip": rule(3)}, "b": {"also_trip": []}}});
    let settings: Settings = serde_json::from_str(&value.to_string()).unwrap();
    let minute = Duration::from_secs(60);
    assert_eq!(settings.of("a").also_trip(), [Rule::within(3, minute)]);
    assert_eq!(settings.of("b").also_trip(), []);
    assert_eq!(settings.of("c").also_trip(), [Rule::within(9, minute)]);
}

#[test]
fn case_142_an_error_of_a_file_names_the_path_and_the_value() {
    let circuit = |settings: serde_json::Value| json!({"circuits": {"payments*": settings}});
    for (value, start) in [
        (
            circuit(json!({"recovery_timeout": "0s"})),
            "circuits.payments*.recovery_timeout must be between 1 s and 365 days, got 0ns",
        ),
        (
            circuit(json!({"recovery_timeout": "30 parsecs"})),
            "circuits.payments*.recovery_timeout: invalid value: string \"30 parsecs\"",
        ),
        (
            circuit(json!({"recovery_timeout": 30})),
            "circuits.payments*.recovery_timeout: invalid type: integer `30`, expected a duration",
        ),
        (
            circuit(json!({"recovery_time": "30s"})),
            "unknown field `circuits.payments*.recovery_time`, expected one of `failure_threshold`",
        ),
        (
            circuit(json!({"failure_threshold": 0})),
            "circuits.payments*.failure_threshold must be at least 1, got 0",
        ),
        (
            circuit(json!([])),
            "invalid type: sequence, expected a map of settings in circuits.payments*",
        ),
        (json!({"default": {"refresh_ahead": "no"}}), "default.refresh_ahead: invalid type"),
        (
            json!({"default": {"handoff": "2h"}}),
            "default.handoff must not be longer than probe_lease",
        ),
        (json!({"circuits": {"a*b": {}}}), "circuits must be names, or prefixes with a `*`"),
        (json!({"defaults": {}}), "unknown field `defaults`, expected `default` or `circuits`"),
        (json!({"circuits": []}), "invalid type: sequence, expected a map of circuits"),
        (json!([]), "invalid type: sequence, expected a map with `default` and `circuits`"),
    ] {
        let error = refused(&value);
        assert!(error.starts_with(start), "{value}: {error}");
    }
    for (text, start) in [
        (r#"{"default": {}, "default": {}}"#, "duplicate field `default`"),
        (r#"{"circuits": {}, "circuits": {}}"#, "duplicate field `circuits`"),
        (r#"{"circuits": {"a": {}, "a": {}}}"#, "circuits must have each name and prefix once"),
        (
            r#"{"circuits": {"a": {"ramp": "1m", "ramp": "1m"}}}"#,
            "duplicate field `circuits.a.ramp`",
        ),
    ] {
        let error = serde_json::from_str::<Settings>(text).unwrap_err().to_string();
        assert!(error.starts_with(start), "{text}: {error}");
    }
}

#[cfg(not(fuseboard_loom))]
#[test]
fn case_142_an_error_of_a_toml_file_names_the_path_and_the_value_as_well() {
    for (setting, named) in [
        ("recovery_timeout = \"30 parsecs\"", ["payments*.recovery_timeout", "30 parsecs"]),
        ("recovery_timeout = \"0s\"", ["payments*.recovery_timeout", "0ns"]),
        ("failure_treshold = 3", ["payments*.failure_treshold", "failure_threshold"]),
    ] {
        let text = format!("[circuits.\"payments*\"]\n{setting}\n");
        let error = toml::from_str::<Settings>(&text).unwrap_err().to_string();
        assert!(named.iter().all(|name| error.contains(name)), "{error}");
    }
}
