//! Settings as text.

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
        "also_trip": [], "dry_run": false,
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
        (json!({"also_trip": [{"of_last": {"failures": 5}}]}), "also_trip: missing field `calls`"),
        (
            json!({"also_trip": [{"rate": {"share": 0.5, "window": "30s"}}]}),
            "also_trip: unknown field `window`, expected one of `share`, `over`, `at_least`",
        ),
        (
            json!({"also_trip": [{"rate": {"share": 2}}]}),
            "also_trip must have a share above 0 and at most 1, got rate(2.0)",
        ),
        (
            json!({"open_backoff": {"exponential": {"factor": 0.5}}}),
            "open_backoff must have a factor of 1 to 1,000, got exponential(0.5)",
        ),
        (json!({"open_backoff": {"linear": {}}}), "open_backoff: unknown field `linear`"),
        (json!({"open_for_at_most": "10s"}), "open_for_at_most must be between"),
        (
            json!({"also_trip": [{}]}),
            "also_trip: expected one of `of_last`, `within`, `rate` and `votes`",
        ),
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

/// Numbers that JSON cannot write exactly.
#[test]
fn a_share_reads_back_as_it_was_written() {
    for (failures, calls) in (2_u32..200).flat_map(|calls| (1..calls).map(move |f| (f, calls))) {
        let share = f64::from(failures) / f64::from(calls);
        let config = Config::builder().also_trip(Rule::rate(share)).build().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config, "{text}");
    }
}
