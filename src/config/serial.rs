//! Settings as a map of names and values, with durations as text.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Error as _, MapAccess, Visitor},
    ser::SerializeStruct,
};

use super::{Backoff, Config, ConfigBuilder, Rule, RuleKind, Share};

const SETTINGS: &[&str] = &[
    "failure_threshold",
    "failure_window",
    "also_trip",
    "slow_after",
    "recovery_timeout",
    "ramp",
    "open_backoff",
    "open_for_at_most",
    "success_threshold",
    "local_cache_max_age",
    "refresh_ahead",
    "probe_lease",
    "handoff",
    "election_spread",
    "probe_limit",
    "store_timeout",
    "on_store_outage",
    "max_clock_skew",
    "await_trip_write",
    "count_cancelled",
];

/// A duration as text: `30s`, `1m 30s`.
struct Text(Duration);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration as text, such as \"30s\" or \"1m 30s\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                let read = humantime::parse_duration(text);
                read.map(Text).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Reader)
    }
}

/// A rule as text: `{"of_last": {"failures": 5, "calls": 20}}`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Written {
    OfLast {
        failures: u32,
        calls: u32,
    },
    Within {
        failures: u32,
        window: Text,
    },
    Rate {
        share: f64,
        #[serde(default = "default_over")]
        over: Text,
        #[serde(default = "default_at_least")]
        at_least: u32,
    },
}

fn default_over() -> Text {
    Text(Rule::RATE_OVER)
}

fn default_at_least() -> u32 {
    Rule::RATE_AT_LEAST
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match self.0 {
            RuleKind::OfLast { failures, calls } => Written::OfLast { failures, calls },
            RuleKind::Within { failures, window } => {
                Written::Within { failures, window: Text(window) }
            }
            RuleKind::Rate { share, window, at_least } => {
                Written::Rate { share: share.as_f64(), over: Text(window), at_least }
            }
        };
        written.serialize(serializer)
    }
}

/// Reads a rule as it is. Whether it can trip is checked when the settings are.
impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::OfLast { failures, calls } => RuleKind::OfLast { failures, calls },
            Written::Within { failures, window: Text(window) } => {
                RuleKind::Within { failures, window }
            }
            Written::Rate { share, over: Text(window), at_least } => {
                RuleKind::Rate { share: Share::new(share), window, at_least }
            }
        }))
    }
}

/// A back-off as text: `{"exponential": {"factor": 2, "at_most": "5m"}}`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum WrittenBackoff {
    Exponential {
        factor: f64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_most: Option<Text>,
        #[serde(default = "default_jitter")]
        jitter: f64,
        #[serde(default = "default_forget_after")]
        forget_after: Text,
    },
}

fn default_jitter() -> f64 {
    Backoff::JITTER
}

fn default_forget_after() -> Text {
    Text(Backoff::FORGET_AFTER)
}

impl Serialize for Backoff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (factor, at_most, jitter, forget_after) = self.parts();
        let (at_most, forget_after) = (at_most.map(Text), Text(forget_after));
        let written = WrittenBackoff::Exponential { factor, at_most, jitter, forget_after };
        written.serialize(serializer)
    }
}

/// Reads a back-off as it is. Its ranges are checked when the settings are.
impl<'de> Deserialize<'de> for Backoff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WrittenBackoff::Exponential { factor, at_most, jitter, forget_after } =
            WrittenBackoff::deserialize(deserializer)?;
        let backoff = Self::exponential(factor).jitter(jitter).forget_after(forget_after.0);
        Ok(at_most.map_or(backoff, |Text(most)| backoff.at_most(most)))
    }
}

/// Writes a setting that is left out where it is not set.
fn optional<S: SerializeStruct>(
    settings: &mut S,
    name: &'static str,
    value: Option<impl Serialize>,
) -> Result<(), S::Error> {
    match value {
        Some(value) => settings.serialize_field(name, &value),
        None => settings.skip_field(name),
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Destructured, so that a new setting cannot be left out.
        let Self {
            failure_threshold,
            failure_window,
            also_trip,
            slow_after,
            recovery_timeout,
            ramp,
            open_backoff,
            open_for_at_most,
            success_threshold,
            local_cache_max_age,
            refresh_ahead,
            probe_lease,
            handoff,
            election_spread,
            probe_limit,
            store_timeout,
            on_store_outage,
            max_clock_skew,
            await_trip_write,
            count_cancelled,
        } = self;
        let unset =
            [failure_window, slow_after, ramp, open_for_at_most, election_spread, probe_limit];
        let left_out = unset.iter().filter(|set| set.is_none()).count();
        let left_out = left_out
            .saturating_add(usize::from(also_trip.is_empty()))
            .saturating_add(usize::from(open_backoff.is_none()));
        let length = SETTINGS.len().saturating_sub(left_out);
        let mut settings = serializer.serialize_struct("Config", length)?;
        settings.serialize_field("failure_threshold", failure_threshold)?;
        optional(&mut settings, "failure_window", failure_window.map(Text))?;
        let rules = (!also_trip.is_empty()).then_some(also_trip);
        optional(&mut settings, "also_trip", rules)?;
        optional(&mut settings, "slow_after", slow_after.map(Text))?;
        settings.serialize_field("recovery_timeout", &Text(*recovery_timeout))?;
        optional(&mut settings, "ramp", ramp.map(Text))?;
        optional(&mut settings, "open_backoff", *open_backoff)?;
        optional(&mut settings, "open_for_at_most", open_for_at_most.map(Text))?;
        settings.serialize_field("success_threshold", success_threshold)?;
        settings.serialize_field("local_cache_max_age", &Text(*local_cache_max_age))?;
        settings.serialize_field("refresh_ahead", refresh_ahead)?;
        settings.serialize_field("probe_lease", &Text(*probe_lease))?;
        settings.serialize_field("handoff", &Text(*handoff))?;
        // Those that follow other settings stay unset, and follow them again when read.
        optional(&mut settings, "election_spread", election_spread.map(Text))?;
        optional(&mut settings, "probe_limit", probe_limit.map(Text))?;
        settings.serialize_field("store_timeout", &Text(*store_timeout))?;
        settings.serialize_field("on_store_outage", on_store_outage)?;
        settings.serialize_field("max_clock_skew", &Text(*max_clock_skew))?;
        settings.serialize_field("await_trip_write", await_trip_write)?;
        settings.serialize_field("count_cancelled", count_cancelled)?;
        settings.end()
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Config;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of settings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Config, A::Error> {
                let mut builder = Config::builder();
                let mut read = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let Some(name) = SETTINGS.iter().find(|setting| **setting == name) else {
                        return Err(A::Error::unknown_field(&name, SETTINGS));
                    };
                    if read.contains(name) {
                        return Err(A::Error::duplicate_field(name));
                    }
                    read.push(*name);
                    builder = with(builder, name, &mut map)?;
                }
                builder.build().map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_struct("Config", SETTINGS, Reader)
    }
}

/// Sets one setting to the value that comes next.
fn with<'de, A: MapAccess<'de>>(
    builder: ConfigBuilder,
    name: &'static str,
    map: &mut A,
) -> Result<ConfigBuilder, A::Error> {
    Ok(match name {
        "failure_threshold" => builder.failure_threshold(value(map, name)?),
        "failure_window" => builder.failure_window(duration(map, name)?),
        "also_trip" => {
            value::<Vec<Rule>, A>(map, name)?.into_iter().fold(builder, ConfigBuilder::also_trip)
        }
        "slow_after" => builder.slow_after(duration(map, name)?),
        "recovery_timeout" => builder.recovery_timeout(duration(map, name)?),
        "ramp" => builder.ramp(duration(map, name)?),
        "open_backoff" => builder.open_backoff(value(map, name)?),
        "open_for_at_most" => builder.open_for_at_most(duration(map, name)?),
        "success_threshold" => builder.success_threshold(value(map, name)?),
        "local_cache_max_age" => builder.local_cache_max_age(duration(map, name)?),
        "refresh_ahead" => builder.refresh_ahead(value(map, name)?),
        "probe_lease" => builder.probe_lease(duration(map, name)?),
        "handoff" => builder.handoff(duration(map, name)?),
        "election_spread" => builder.election_spread(duration(map, name)?),
        "probe_limit" => builder.probe_limit(duration(map, name)?),
        "store_timeout" => builder.store_timeout(duration(map, name)?),
        "on_store_outage" => builder.on_store_outage(value(map, name)?),
        "max_clock_skew" => builder.max_clock_skew(duration(map, name)?),
        "await_trip_write" => builder.await_trip_write(value(map, name)?),
        "count_cancelled" => builder.count_cancelled(value(map, name)?),
        unknown => return Err(A::Error::unknown_field(unknown, SETTINGS)),
    })
}

fn duration<'de, A: MapAccess<'de>>(map: &mut A, name: &str) -> Result<Duration, A::Error> {
    value::<Text, A>(map, name).map(|text| text.0)
}

/// Reads a value. An error names the setting, which most formats leave out.
fn value<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    map: &mut A,
    name: &str,
) -> Result<T, A::Error> {
    map.next_value().map_err(|error| A::Error::custom(format_args!("{name}: {error}")))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};
    use serde_json::json;

    use super::*;
    use crate::config::OnStoreOutage;

    fn refused(value: &serde_json::Value) -> String {
        serde_json::from_str::<Config>(&value.to_string()).expect_err("refused").to_string()
    }

    #[test]
    fn settings_are_read_as_people_write_them() {
        let text = r#"{"recovery_timeout": "1m 30s", "failure_threshold": 3, "handoff": "500ms",
            "on_store_outage": "protect"}"#;
        let read: Config = serde_json::from_str(text).unwrap();
        let built = Config::builder()
            .recovery_timeout(Duration::from_secs(90))
            .failure_threshold(3)
            .handoff(Duration::from_millis(500))
            .on_store_outage(OnStoreOutage::Protect);
        assert_eq!(read, built.build().unwrap());
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
    }

    #[test]
    fn rules_are_read_as_people_write_them() {
        let text = r#"{"failure_window": "1m", "also_trip": [
            {"of_last": {"failures": 5, "calls": 20}},
            {"within": {"failures": 10, "window": "30s"}},
            {"rate": {"share": 0.25, "over": "2m", "at_least": 50}},
            {"rate": {"share": 0.5}}]}"#;
        let read: Config = serde_json::from_str(text).unwrap();
        let minute = Duration::from_secs(60);
        let built = Config::builder()
            .failure_window(minute)
            .also_trip(Rule::of_last(5, 20))
            .also_trip(Rule::within(10, Duration::from_secs(30)))
            .also_trip(Rule::rate(0.25).over(minute * 2).at_least(50))
            .also_trip(Rule::rate(0.5));
        assert_eq!(read, built.build().unwrap());
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&written).unwrap(), read, "{written}");
    }

    #[test]
    fn open_times_are_read_as_people_write_them() {
        let text = r#"{"open_for_at_most": "2m", "open_backoff":
            {"exponential": {"factor": 2, "at_most": "5m", "jitter": 0.1, "forget_after": "20m"}}}"#;
        let read: Config = serde_json::from_str(text).unwrap();
        let minute = Duration::from_secs(60);
        let backoff = Backoff::exponential(2.0);
        let full = backoff.at_most(minute * 5).jitter(0.1).forget_after(minute * 20);
        let built = Config::builder().open_for_at_most(minute * 2).open_backoff(full);
        assert_eq!(read, built.build().unwrap());
        let short: Config =
            serde_json::from_str(r#"{"open_backoff": {"exponential": {"factor": 2.0}}}"#).unwrap();
        assert_eq!(short, Config::builder().open_backoff(backoff).build().unwrap());
        for config in [read, short] {
            let written = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<Config>(&written).unwrap(), config, "{written}");
        }
    }

    #[test]
    fn the_defaults_are_written_as_people_read_them() {
        let written = serde_json::to_value(Config::default()).unwrap();
        let expected = json!({
            "failure_threshold": 5, "recovery_timeout": "30s", "success_threshold": 3,
            "local_cache_max_age": "5s", "refresh_ahead": true, "probe_lease": "30s",
            "handoff": "1s", "store_timeout": "1s", "on_store_outage": "fail_open",
            "max_clock_skew": "2s", "await_trip_write": true, "count_cancelled": false,
        });
        assert_eq!(written, expected, "what follows another setting is left out");
    }

    #[test]
    fn an_error_names_the_setting() {
        for (value, start) in [
            (
                json!({"recovery_timeout": 30}),
                "recovery_timeout: invalid type: integer `30`, expected a duration as text",
            ),
            (
                json!({"recovery_timeout": "30 parsecs"}),
                "recovery_timeout: invalid value: string \"30 parsecs\"",
            ),
            (
                json!({"recovery_timeout": "0s"}),
                "recovery_timeout must be between 1 s and 365 days, got 0ns",
            ),
            (json!({"failure_threshold": -1}), "failure_threshold: invalid value: integer `-1`"),
            (json!({"failure_threshold": 0}), "failure_threshold must be at least 1, got 0"),
            (json!({"refresh_ahead": "yes"}), "refresh_ahead: invalid type: string \"yes\""),
            (json!({"on_store_outage": "panic"}), "on_store_outage: unknown variant `panic`"),
            (json!({"probe_limit": null}), "probe_limit: invalid type: null"),
            (
                json!({"recovery_time": "30s"}),
                "unknown field `recovery_time`, expected one of `failure_threshold`",
            ),
            (
                json!({"also_trip": [{"of_last": {"failures": 5}}]}),
                "also_trip: missing field `calls`",
            ),
            (
                json!({"also_trip": [{"rate": {"share": 0.5, "window": "30s"}}]}),
                "also_trip: unknown field `window`, expected one of `share`, `over`, `at_least`",
            ),
            (
                json!({"also_trip": [{"rate": {"share": 2}}]}),
                "rate must have a share above 0 and at most 1, got rate(2.0)",
            ),
            (
                json!({"open_backoff": {"exponential": {"factor": 0.5}}}),
                "open_backoff must have a factor of 1 to 1,000, got exponential(0.5)",
            ),
            (json!({"open_backoff": {"linear": {}}}), "open_backoff: unknown variant `linear`"),
            (json!({"open_for_at_most": "10s"}), "open_for_at_most must be between"),
            (json!([]), "invalid type: sequence, expected a map of settings"),
        ] {
            let error = refused(&value);
            assert!(error.starts_with(start), "{value}: {error}");
        }
        let twice = serde_json::from_str::<Config>(r#"{"handoff": "1s", "handoff": "1s"}"#);
        assert!(twice.unwrap_err().to_string().starts_with("duplicate field `handoff`"));
    }

    fn any_duration() -> impl Strategy<Value = Duration> {
        (1_000_000_000u64..400_000_000_000).prop_map(Duration::from_nanos)
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            (failures, successes) in (1u32.., 1u32..),
            (timeout, lease, more) in (any_duration(), any_duration(), any_duration()),
            (handoff, skew, store) in (0u64..1_000_000_000, 0u64..3_000_000_000, 1u64..60_000),
            flags in any::<[bool; 6]>(),
        ) {
            let handoff = Duration::from_nanos(handoff);
            let mut builder = Config::builder()
                .failure_threshold(failures)
                .success_threshold(successes)
                .recovery_timeout(timeout)
                .local_cache_max_age(more)
                .probe_lease(lease)
                .handoff(handoff)
                .store_timeout(Duration::from_millis(store))
                .max_clock_skew(Duration::from_nanos(skew))
                .refresh_ahead(flags[0])
                .await_trip_write(flags[1])
                .count_cancelled(flags[2]);
            if flags[3] { builder = builder.election_spread(handoff.min(timeout)); }
            if flags[4] { builder = builder.probe_limit(lease.saturating_add(more)); }
            if flags[5] { builder = builder.on_store_outage(OnStoreOutage::Protect); }
            let config = builder.build().unwrap();
            let text = serde_json::to_string(&config).unwrap();
            prop_assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config, "{}", text);
        }

        #[test]
        fn no_text_makes_it_panic(
            names in vec(select(SETTINGS.to_vec()), 0..4),
            values in vec("\\PC{0,12}|[0-9]{1,25}[a-z]{0,6}|-?[0-9]{1,25}|null|true|\"[0-9]{1,25} ?[a-z]{1,6}\"", 4),
            cut in 0usize..200,
        ) {
            let pairs: Vec<_> =
                names.iter().zip(&values).map(|(name, value)| format!("\"{name}\": {value}")).collect();
            let text = format!("{{{}}}", pairs.join(", "));
            let cut: String = text.chars().take(cut).collect();
            // Either is fine: what matters is that both return.
            let _ = serde_json::from_str::<Config>(&text);
            let _ = serde_json::from_str::<Config>(&cut);
        }
    }
}
