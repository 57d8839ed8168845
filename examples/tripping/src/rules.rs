//! The settings that are compared.

use std::{ops::Range, time::Duration};

use fuseboard::{Config, ConfigBuilder, Rule};

/// Settings with the name that tables and pictures give them.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) config: Config,
    /// The seeds of the days of background failures.
    pub(crate) days: Range<u64>,
}

/// Five days.
const DAYS: Range<u64> = 0..5;
/// One, for rules that no chance is likely to open at 1,000 calls a second: half a minute of
/// processor.
const ONE_DAY: Range<u64> = 7..8;

const NEVER: u32 = u32::MAX;

fn setting(name: &'static str, builder: ConfigBuilder) -> Setting {
    // Every setting here is in range: a mistake would show in every run.
    let config = builder.build().unwrap_or_else(|error| {
        eprintln!("{name}: {error}");
        Config::default()
    });
    Setting { name, config, days: DAYS }
}

fn rule_alone(name: &'static str, rule: impl Into<Rule>) -> Setting {
    setting(name, Config::builder().failure_threshold(NEVER).also_trip(rule))
}

/// For a circuit that is called 1,000 times a second.
pub(crate) fn for_many_calls() -> Vec<Setting> {
    let seconds = Duration::from_secs;
    let by_chance = [
        setting("5 in a row (default)", Config::builder()),
        setting("20 in a row", Config::builder().failure_threshold(20)),
    ];
    let others = [
        rule_alone("10 of the last 20", Rule::of_last(10, 20)),
        rule_alone("50 of the last 100", Rule::of_last(50, 100)),
        rule_alone("100 within 1 s", Rule::within(100, seconds(1))),
        rule_alone("half of 100 over 10 s", Rule::rate(0.5).over(seconds(10)).at_least(100)),
        rule_alone("15 % of 1,000 over 10 s", Rule::rate(0.15).over(seconds(10)).at_least(1_000)),
        setting("**recipe:** 20 in a row, or 50 of the last 100", many_calls()),
    ];
    let others = others.into_iter().map(|other| Setting { days: ONE_DAY, ..other });
    by_chance.into_iter().chain(others).collect()
}

/// For a circuit that is called once a second.
pub(crate) fn for_few_calls() -> Vec<Setting> {
    let seconds = Duration::from_secs;
    vec![
        setting("5 in a row (default)", Config::builder()),
        setting("3 in a row", Config::builder().failure_threshold(3)),
        rule_alone("5 of the last 10", Rule::of_last(5, 10)),
        rule_alone("10 of the last 20", Rule::of_last(10, 20)),
        rule_alone("5 within 60 s", Rule::within(5, seconds(60))),
        rule_alone("half of 10 over 60 s", Rule::rate(0.5).over(seconds(60)).at_least(10)),
        rule_alone("a fifth of 20 over 5 min", Rule::rate(0.2).over(seconds(300)).at_least(20)),
        setting("**recipe:** 5 in a row, or 6 of the last 12", few_calls()),
    ]
}

/// The recipe of the guide for a busy service.
fn many_calls() -> ConfigBuilder {
    Config::builder().failure_threshold(20).also_trip(Rule::of_last(50, 100))
}

/// The recipe of the guide for a quiet service.
fn few_calls() -> ConfigBuilder {
    Config::builder().also_trip(Rule::of_last(6, 12))
}

/// With calls that hang, for the pictures.
pub(crate) fn for_slow_calls() -> Vec<Setting> {
    let slow = Duration::from_secs(1);
    let rate = Rule::rate(0.5).over(Duration::from_secs(10)).at_least(20);
    vec![
        setting("5 in a row (default)", Config::builder()),
        setting("and slow after 1 s", Config::builder().slow_after(slow)),
        setting(
            "10 of 20, slow after 1 s",
            Config::builder()
                .failure_threshold(NEVER)
                .also_trip(Rule::of_last(10, 20))
                .slow_after(slow),
        ),
        setting(
            "half of 20, slow after 1 s",
            Config::builder().failure_threshold(NEVER).also_trip(rate).slow_after(slow),
        ),
    ]
}

/// With a dependency that comes back cold, for the pictures.
pub(crate) fn for_a_cold_return() -> Vec<Setting> {
    let seconds = Duration::from_secs;
    let builder = || Config::builder().recovery_timeout(seconds(10));
    let (last, rate) = (Rule::of_last(10, 20), Rule::rate(0.5).over(seconds(10)).at_least(20));
    vec![
        setting("5 in a row", builder()),
        setting("and a ramp of 20 s", builder().ramp(seconds(20))),
        setting("and a ramp of 90 s", builder().ramp(seconds(90))),
        setting("10 of the last 20", builder().failure_threshold(NEVER).also_trip(last)),
        setting("half of 20 over 10 s", builder().failure_threshold(NEVER).also_trip(rate)),
    ]
}

/// The kinds of rules, for the pictures.
pub(crate) fn pictured() -> Vec<Setting> {
    let seconds = Duration::from_secs;
    vec![
        setting("5 in a row (default)", Config::builder()),
        rule_alone("10 of the last 20", Rule::of_last(10, 20)),
        rule_alone("half of 20 over 10 s", Rule::rate(0.5).over(seconds(10)).at_least(20)),
        rule_alone("a quarter of 40 over 30 s", Rule::rate(0.25).over(seconds(30)).at_least(40)),
    ]
}
