//! Settings as text for people, in the words of a file. Needs no feature: the log shows them.

use std::{num::NonZeroU64, time::Duration};

use super::{Backoff, Config, OnStoreOutage, Rule, RuleKind};

impl Config {
    /// Lists every setting with its value in force, as a file of settings has it: durations as `1m
    /// 30s`, rules as tables. One that follows others has the value that it follows from them, and
    /// one that is not set is `none`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use fuseboard::Config;
    ///
    /// let config = Config::builder().recovery_timeout(Duration::from_secs(90)).build()?;
    /// let values = config.values();
    /// assert!(values.contains(&("recovery_timeout", "1m 30s".into())));
    /// assert!(values.contains(&("ramp", "none".into())));
    /// # Ok::<(), fuseboard::ConfigError>(())
    /// ```
    #[must_use]
    pub fn values(&self) -> Vec<(&'static str, String)> {
        macro_rules! list {
            ($($setting:ident),+ $(,)?) => {{
                // Destructured, so that a new setting cannot be left out.
                let Self { $($setting: _),+ } = self;
                vec![$((stringify!($setting), self.$setting().shown())),+]
            }};
        }
        list!(
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
        )
    }
}

/// A value as a file has it, but for the quotes around a text that stands alone.
trait Shown {
    fn shown(&self) -> String;
}

impl Shown for NonZeroU64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for bool {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for OnStoreOutage {
    fn shown(&self) -> String {
        let word = match self {
            Self::FailOpen => "fail_open",
            Self::Protect => "protect",
        };
        word.to_owned()
    }
}

impl Shown for Duration {
    fn shown(&self) -> String {
        const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
        const PARTS: [(u32, &str); 3] = [(1_000_000, "ms"), (1_000, "us"), (1, "ns")];
        let mut words = Vec::new();
        let mut seconds = self.as_secs();
        for (unit, name) in UNITS {
            push(&mut words, seconds.checked_div(unit), name);
            seconds = seconds.checked_rem(unit).unwrap_or_default();
        }
        let mut nanos = self.subsec_nanos();
        for (unit, name) in PARTS {
            push(&mut words, nanos.checked_div(unit).map(u64::from), name);
            nanos = nanos.checked_rem(unit).unwrap_or_default();
        }
        if words.is_empty() { "0s".to_owned() } else { words.join(" ") }
    }
}

fn push(words: &mut Vec<String>, count: Option<u64>, unit: &str) {
    if let Some(count) = count.filter(|count| *count > 0) {
        words.push(format!("{count}{unit}"));
    }
}

impl Shown for Rule {
    fn shown(&self) -> String {
        match self.0 {
            RuleKind::OfLast { failures, calls } => {
                format!("{{ of_last = {{ failures = {failures}, calls = {calls} }} }}")
            }
            RuleKind::Within { failures, window } => {
                let window = window.shown();
                format!("{{ within = {{ failures = {failures}, window = \"{window}\" }} }}")
            }
            RuleKind::Rate { share, window, at_least } => {
                let (share, over) = (share.as_f64(), window.shown());
                format!(
                    "{{ rate = {{ share = {share:?}, over = \"{over}\", at_least = {at_least} }} }}"
                )
            }
            RuleKind::Votes { voters, streak, window } => {
                let within = window.shown();
                format!(
                    "{{ votes = {{ voters = {voters}, streak = {streak}, within = \"{within}\" }} }}"
                )
            }
        }
    }
}

impl Shown for &[Rule] {
    fn shown(&self) -> String {
        let rules: Vec<_> = self.iter().map(Shown::shown).collect();
        format!("[{}]", rules.join(", "))
    }
}

impl Shown for Backoff {
    fn shown(&self) -> String {
        let (factor, at_most, jitter, forget_after) = self.parts();
        let at_most = at_most.map(|time| format!("at_most = \"{}\", ", time.shown()));
        let (at_most, forget_after) = (at_most.unwrap_or_default(), forget_after.shown());
        format!(
            "{{ exponential = {{ factor = {factor:?}, {at_most}jitter = {jitter:?}, \
             forget_after = \"{forget_after}\" }} }}"
        )
    }
}

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), Shown::shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_whole_units() {
        for (duration, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_millis(500), "500ms"),
            (Duration::from_millis(1_500), "1s 500ms"),
            (Duration::from_secs(90), "1m 30s"),
            (Duration::from_secs(86_400 + 3_600), "1d 1h"),
            (Duration::from_nanos(1_001_001), "1ms 1us 1ns"),
        ] {
            assert_eq!(duration.shown(), text);
        }
    }

    /// What is shown is what a file says: it reads back as the same settings.
    #[cfg(all(feature = "serde", not(fuseboard_loom)))]
    #[test]
    fn what_is_shown_reads_back() {
        let seconds = Duration::from_secs;
        let full = Config::builder()
            .failure_window(seconds(61))
            .also_trip(Rule::of_last(6, 10))
            .also_trip(Rule::within(50, Duration::from_millis(1_500)))
            .also_trip(Rule::rate(0.25).over(seconds(3_600)))
            .also_trip(Rule::votes(5, 2))
            .slow_after(Duration::from_micros(1_250))
            .ramp(seconds(86_400))
            .open_backoff(Backoff::exponential(2.0).at_most(seconds(400)).jitter(1.0))
            .on_store_outage(OnStoreOutage::Protect)
            .dry_run(true);
        for config in [full.build().unwrap(), Config::default()] {
            let mut file = String::new();
            for (setting, value) in config.values() {
                let is_bare = value.starts_with(['[', '{']) || value.parse::<u64>().is_ok();
                match value.as_str() {
                    "none" => {}
                    "true" | "false" => file += &format!("{setting} = {value}\n"),
                    _ if is_bare => file += &format!("{setting} = {value}\n"),
                    _ => file += &format!("{setting} = \"{value}\"\n"),
                }
            }
            let read: Config =
                toml::from_str(&file).unwrap_or_else(|error| panic!("{error}\n{file}"));
            assert_eq!(read.differences(&config), [], "{file}");
        }
    }
}
