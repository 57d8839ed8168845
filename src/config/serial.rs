//! Settings as a map of names and values, with durations as text.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Error as _, MapAccess, Visitor},
    ser::SerializeStruct,
};

use super::{Backoff, Config, ConfigBuilder, Rate, Rule, RuleKind, Votes};

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
    "dry_run",
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

/// A rule as text: `{"of_last": {"failures": 5, "calls": 20}}`. A map with one entry, and not an
/// enum, which some formats write in another way.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenRule {
    #[serde(skip_serializing_if = "Option::is_none")]
    of_last: Option<OfLast>,
    #[serde(skip_serializing_if = "Option::is_none")]
    within: Option<Within>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<WrittenRate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    votes: Option<WrittenVotes>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfLast {
    failures: u32,
    calls: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Within {
    failures: u32,
    window: Text,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRate {
    share: f64,
    #[serde(default = "default_over")]
    over: Text,
    #[serde(default = "default_at_least")]
    at_least: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenVotes {
    voters: u32,
    streak: u32,
    #[serde(default = "default_votes_within")]
    within: Text,
}

fn default_votes_within() -> Text {
    Text(Votes::WITHIN)
}

fn default_over() -> Text {
    Text(Rate::OVER)
}

fn default_at_least() -> u32 {
    Rate::AT_LEAST
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut written = WrittenRule::default();
        match self.0 {
            RuleKind::OfLast { failures, calls } => {
                written.of_last = Some(OfLast { failures, calls });
            }
            RuleKind::Within { failures, window } => {
                written.within = Some(Within { failures, window: Text(window) });
            }
            RuleKind::Votes { voters, streak, window } => {
                written.votes = Some(WrittenVotes { voters, streak, within: Text(window) });
            }
            RuleKind::Rate { share, window, at_least } => {
                let (share, over) = (share.as_f64(), Text(window));
                written.rate = Some(WrittenRate { share, over, at_least });
            }
        }
        written.serialize(serializer)
    }
}

/// Reads a rule as it is. Whether it can trip is checked when the settings are.
impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match WrittenRule::deserialize(deserializer)? {
            WrittenRule { of_last: Some(rule), within: None, rate: None, votes: None } => {
                Self::of_last(rule.failures, rule.calls)
            }
            WrittenRule { of_last: None, within: Some(rule), rate: None, votes: None } => {
                Self::within(rule.failures, rule.window.0)
            }
            WrittenRule { of_last: None, within: None, rate: Some(rate), votes: None } => {
                Self::rate(rate.share).over(rate.over.0).at_least(rate.at_least).into()
            }
            WrittenRule { of_last: None, within: None, rate: None, votes: Some(votes) } => {
                Self::votes(votes.voters, votes.streak).within(votes.within.0).into()
            }
            _ => {
                let expected = "expected one of `of_last`, `within`, `rate` and `votes`";
                return Err(D::Error::custom(expected));
            }
        })
    }
}

/// A back-off as text: `{"exponential": {"factor": 2, "at_most": "5m"}}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBackoff {
    exponential: Exponential,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exponential {
    factor: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_most: Option<Text>,
    #[serde(default = "default_jitter")]
    jitter: f64,
    #[serde(default = "default_forget_after")]
    forget_after: Text,
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
        let exponential = Exponential { factor, at_most, jitter, forget_after };
        WrittenBackoff { exponential }.serialize(serializer)
    }
}

/// Reads a back-off as it is. Its ranges are checked when the settings are.
impl<'de> Deserialize<'de> for Backoff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WrittenBackoff { exponential } = WrittenBackoff::deserialize(deserializer)?;
        let Exponential { factor, at_most, jitter, forget_after } = exponential;
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
            dry_run,
        } = self;
        let unset =
            [failure_window, slow_after, ramp, open_for_at_most, election_spread, probe_limit];
        let left_out = unset.iter().filter(|set| set.is_none()).count();
        let left_out = left_out.saturating_add(usize::from(open_backoff.is_none()));
        let length = SETTINGS.len().saturating_sub(left_out);
        let mut settings = serializer.serialize_struct("Config", length)?;
        settings.serialize_field("failure_threshold", failure_threshold)?;
        optional(&mut settings, "failure_window", failure_window.map(Text))?;
        // These two also where they are as by default: in `Settings` the default may be another.
        settings.serialize_field("also_trip", also_trip)?;
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
        settings.serialize_field("dry_run", dry_run)?;
        settings.end()
    }
}

impl Config {
    /// Returns an option that these settings leave unset and others set.
    pub(super) fn first_taken_back(&self, others: &Self) -> Option<&'static str> {
        let taken_back = [
            ("failure_window", others.failure_window.is_some() && self.failure_window.is_none()),
            ("slow_after", others.slow_after.is_some() && self.slow_after.is_none()),
            ("ramp", others.ramp.is_some() && self.ramp.is_none()),
            ("open_backoff", others.open_backoff.is_some() && self.open_backoff.is_none()),
            (
                "open_for_at_most",
                others.open_for_at_most.is_some() && self.open_for_at_most.is_none(),
            ),
            ("election_spread", others.election_spread.is_some() && self.election_spread.is_none()),
            ("probe_limit", others.probe_limit.is_some() && self.probe_limit.is_none()),
        ];
        taken_back.into_iter().find_map(|(name, is_so)| is_so.then_some(name))
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
                let read = setters(&mut map, "")?;
                let builder = read.into_iter().fold(Config::builder(), |all, set| set(all));
                builder.build().map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_struct("Config", SETTINGS, Reader)
    }
}

/// Reads settings, of which each may be left out. Errors name them after `path`.
pub(super) fn setters<'de, A: MapAccess<'de>>(
    map: &mut A,
    path: &str,
) -> Result<Vec<Setter>, A::Error> {
    let (mut read, mut setters) = (Vec::new(), Vec::new());
    while let Some(name) = map.next_key::<String>()? {
        let name = format!("{path}{name}");
        let known = |setting: &&&str| name.strip_prefix(path) == Some(**setting);
        let Some(setting) = SETTINGS.iter().find(known) else {
            return Err(A::Error::unknown_field(&name, SETTINGS));
        };
        if read.contains(setting) {
            return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
        }
        read.push(*setting);
        setters.push(setter(setting, &name, map)?);
    }
    Ok(setters)
}

/// Sets one setting of a builder.
pub(super) type Setter = Box<dyn FnOnce(ConfigBuilder) -> ConfigBuilder>;

fn set<T: 'static>(value: T, to: fn(ConfigBuilder, T) -> ConfigBuilder) -> Setter {
    Box::new(move |builder| to(builder, value))
}

/// Reads the value of one setting.
fn setter<'de, A: MapAccess<'de>>(
    setting: &'static str,
    name: &str,
    map: &mut A,
) -> Result<Setter, A::Error> {
    Ok(match setting {
        "failure_threshold" => set(value(map, name)?, ConfigBuilder::failure_threshold),
        "failure_window" => set(duration(map, name)?, ConfigBuilder::failure_window),
        "also_trip" => set(value(map, name)?, |builder, rules: Vec<Rule>| {
            rules.into_iter().fold(builder.without_rules(), ConfigBuilder::also_trip)
        }),
        "slow_after" => set(duration(map, name)?, ConfigBuilder::slow_after),
        "recovery_timeout" => set(duration(map, name)?, ConfigBuilder::recovery_timeout),
        "ramp" => set(duration(map, name)?, ConfigBuilder::ramp),
        "open_backoff" => set(value(map, name)?, ConfigBuilder::open_backoff),
        "open_for_at_most" => set(duration(map, name)?, ConfigBuilder::open_for_at_most),
        "success_threshold" => set(value(map, name)?, ConfigBuilder::success_threshold),
        "local_cache_max_age" => set(duration(map, name)?, ConfigBuilder::local_cache_max_age),
        "refresh_ahead" => set(value(map, name)?, ConfigBuilder::refresh_ahead),
        "probe_lease" => set(duration(map, name)?, ConfigBuilder::probe_lease),
        "handoff" => set(duration(map, name)?, ConfigBuilder::handoff),
        "election_spread" => set(duration(map, name)?, ConfigBuilder::election_spread),
        "probe_limit" => set(duration(map, name)?, ConfigBuilder::probe_limit),
        "store_timeout" => set(duration(map, name)?, ConfigBuilder::store_timeout),
        "on_store_outage" => set(value(map, name)?, ConfigBuilder::on_store_outage),
        "max_clock_skew" => set(duration(map, name)?, ConfigBuilder::max_clock_skew),
        "await_trip_write" => set(value(map, name)?, ConfigBuilder::await_trip_write),
        "count_cancelled" => set(value(map, name)?, ConfigBuilder::count_cancelled),
        "dry_run" => set(value(map, name)?, ConfigBuilder::dry_run),
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
mod tests;
