//! The ranges of settings, and their defaults.

use super::*;

fn refused(builder: ConfigBuilder) -> &'static str {
    builder.build().expect_err("out of range").field()
}

/// Case 77.
#[test]
fn case_77_a_setting_out_of_range_is_named() {
    let config = Config::builder;
    assert_eq!(refused(config().failure_threshold(0)), "failure_threshold");
    assert_eq!(refused(config().success_threshold(0)), "success_threshold");
    for bad in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        assert_eq!(refused(config().recovery_timeout(bad)), "recovery_timeout");
        assert_eq!(refused(config().probe_lease(bad)), "probe_lease");
        assert_eq!(refused(config().ramp(bad)), "ramp");
        assert_eq!(refused(config().slow_after(bad)), "slow_after");
        assert_eq!(refused(config().store_timeout(bad)), "store_timeout");
    }
    assert_eq!(refused(config().local_cache_max_age(Duration::MAX)), "local_cache_max_age");
    assert_eq!(refused(config().max_clock_skew(Duration::MAX)), "max_clock_skew");
    assert_eq!(refused(config().handoff(Duration::MAX)), "handoff");
    let contradiction =
        config().probe_lease(Duration::from_secs(2)).handoff(Duration::from_secs(3));
    assert_eq!(
        contradiction.build().unwrap_err().to_string(),
        "handoff must not be longer than probe_lease, got 3s"
    );
    let spread = config().election_spread(Duration::from_millis(1_001)).build().unwrap_err();
    assert_eq!(spread.to_string(), "election_spread must not be longer than handoff, got 1.001s");
    for bad in [Duration::ZERO, Duration::from_secs(29), Duration::MAX] {
        assert_eq!(refused(config().probe_limit(bad)), "probe_limit");
    }
}

#[test]
fn case_121_no_open_time_that_a_call_asks_for_is_bounded_below_the_recovery_timeout() {
    let config = |timeout: u64| Config::builder().recovery_timeout(Duration::from_secs(timeout));
    let most = |timeout| config(timeout).build().unwrap().open_for_at_most().as_secs();
    assert_eq!([1, 30, 600, 900].map(most), [600, 600, 600, 900]);
    let error = config(30).open_for_at_most(Duration::from_secs(29)).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "open_for_at_most must be between recovery_timeout and 365 days, \
         got 29s with a recovery_timeout of 30s"
    );
    assert_eq!(refused(config(30).open_for_at_most(Duration::MAX)), "open_for_at_most");
    let least = config(30).open_for_at_most(Duration::from_secs(30)).build().unwrap();
    assert_eq!(least.open_for_at_most().as_secs(), 30);
}

#[test]
fn the_defaults_are_those_of_the_reference() {
    let config = Config::builder().build().unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.failure_threshold().get(), 5);
    assert_eq!(config.recovery_timeout(), Duration::from_secs(30));
    assert_eq!(config.success_threshold().get(), 3);
    assert_eq!((config.ramp(), config.slow_after()), (None, None));
    assert_eq!(config.local_cache_max_age(), Duration::from_secs(5));
    assert_eq!(config.probe_lease(), config.recovery_timeout());
    assert_eq!(config.election_spread(), Duration::from_secs(1));
    assert_eq!(config.probe_limit(), Duration::from_secs(120));
    assert_eq!(config.for_store(false).election_spread(), Duration::ZERO);
    let quick = Config::builder().recovery_timeout(Duration::from_secs(3)).build().unwrap();
    assert_eq!(quick.probe_lease(), Duration::from_secs(3));
    assert_eq!(quick.for_store(true).election_spread(), Duration::from_millis(100));
}

/// Case 156.
#[test]
fn case_156_a_lease_is_no_shorter_by_default_than_three_operations_of_the_store() {
    let config = |timeout: u64, store: u64| {
        let timeout = Duration::from_secs(timeout);
        Config::builder().recovery_timeout(timeout).store_timeout(Duration::from_millis(store))
    };
    for (timeout, store, lease) in
        [(1, 1_000, 3_000), (1, 200, 1_000), (30, 10_000, 30_000), (30, 60_000, 180_000)]
    {
        let config = config(timeout, store).build().unwrap();
        assert_eq!(config.probe_lease(), Duration::from_millis(lease));
        assert_eq!(config.probe_limit(), Duration::from_millis(4 * lease));
    }
    let set = config(1, 1_000).probe_lease(SECOND).build().unwrap();
    assert_eq!(set.probe_lease(), SECOND, "the value that was set");
}

#[test]
fn case_109_a_rule_that_can_never_trip_is_named() {
    let rule_refused =
        |rule: Rule| Config::builder().also_trip(rule).build().unwrap_err().to_string();
    let (minute, tiny) = (Duration::from_secs(60), Duration::from_nanos(999_999));
    for (rule, error) in [
        (
            Rule::of_last(5, 4),
            "also_trip must have at least as many calls as failures, got of_last(5, 4)",
        ),
        (Rule::of_last(0, 4), "also_trip must have 1 to 10,000 failures, got of_last(0, 4)"),
        (
            Rule::of_last(10_001, 20_000),
            "also_trip must have 1 to 10,000 failures, got of_last(10001, 20000)",
        ),
        (Rule::within(0, minute), "also_trip must have 1 to 10,000 failures, got within(0, 60s)"),
        (
            Rule::within(5, Duration::ZERO),
            "also_trip must have a window between 1 ms and 1 day, got within(5, 0ns)",
        ),
        (
            Rule::rate(0.0).into(),
            "also_trip must have a share above 0 and at most 1, got rate(0.0).over(60s).at_least(20)",
        ),
        (
            Rule::rate(1.000_000_001).into(),
            "also_trip must have a share above 0 and at most 1, \
             got rate(1.000000001).over(60s).at_least(20)",
        ),
        (
            Rule::rate(f64::NAN).into(),
            "also_trip must have a share above 0 and at most 1, got rate(NaN).over(60s).at_least(20)",
        ),
        (
            Rule::rate(0.5).over(tiny).into(),
            "also_trip must have a window between 1 ms and 1 day, \
             got rate(0.5).over(999.999µs).at_least(20)",
        ),
        (
            Rule::rate(0.5).at_least(1).into(),
            "also_trip must need at least 2 calls, got rate(0.5).over(60s).at_least(1)",
        ),
    ] {
        assert_eq!(rule_refused(rule), error);
    }
    for share in [-0.5, f64::INFINITY, f64::NEG_INFINITY, 1e-300] {
        assert!(
            rule_refused(Rule::rate(share).into()).starts_with("also_trip must have a share"),
            "{share}"
        );
    }
}

#[test]
fn case_109_too_many_rules_and_a_window_that_nothing_lies_in_are_refused() {
    let (minute, tiny) = (Duration::from_secs(60), Duration::from_nanos(999_999));
    let five = (0..5).fold(Config::builder(), |builder, _| builder.also_trip(Rule::of_last(1, 1)));
    assert!(
        five.build()
            .unwrap_err()
            .to_string()
            .starts_with("also_trip must be at most 4 rules, got [of_last(1, 1), ")
    );
    for window in [Duration::ZERO, tiny, Duration::from_secs(86_401), Duration::MAX] {
        assert_eq!(refused(Config::builder().failure_window(window)), "failure_window");
    }
    let many = Config::builder().failure_threshold(10_001).failure_window(minute);
    assert_eq!(
        many.build().unwrap_err().to_string(),
        "failure_threshold must be at most 10,000 with a failure_window, got 10001"
    );
}

#[test]
fn case_109_a_window_that_calls_which_hang_in_turn_outlast_is_found() {
    let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    let too_short = |builder: ConfigBuilder| builder.build().unwrap().window_too_short_for_slow();
    let slow = || Config::builder().slow_after(second);
    assert_eq!(too_short(slow()), None);
    assert_eq!(too_short(slow().failure_window(second * 5)), None);
    let just = second * 5 - Duration::from_nanos(1);
    assert_eq!(too_short(slow().failure_window(just)), Some("failure_window"));
    assert_eq!(too_short(Config::builder().failure_window(just)), None);
    assert_eq!(too_short(slow().also_trip(Rule::of_last(100, 1_000))), None);
    assert_eq!(too_short(slow().also_trip(Rule::within(60, minute))), None);
    assert_eq!(too_short(slow().also_trip(Rule::within(61, minute))), Some("within"));
    let rate = |at_least| Rule::rate(0.5).over(minute).at_least(at_least);
    assert_eq!(too_short(slow().also_trip(rate(60)).also_trip(rate(61))), Some("rate"));
}

#[test]
fn a_rule_of_every_range_is_accepted() {
    for rule in [
        Rule::of_last(1, 1),
        Rule::of_last(10_000, u32::MAX),
        Rule::within(1, Duration::from_millis(1)),
        Rule::within(10_000, Duration::from_secs(86_400)),
        Rule::rate(0.000_000_001).over(Duration::from_millis(1)).at_least(2).into(),
        Rule::rate(1.0).over(Duration::from_secs(86_400)).at_least(u32::MAX).into(),
    ] {
        let config = Config::builder().also_trip(rule).build().unwrap();
        assert_eq!(config.also_trip(), [rule]);
    }
}

#[test]
fn a_rate_is_shown_as_people_write_it() {
    for (share, shown) in [(0.07, "7"), (0.29, "29"), (0.57, "57"), (1.0 / 3.0, "33.3333333")] {
        let rule: Rule = Rule::rate(share).into();
        let text = rule.to_string();
        assert_eq!(text, format!("{shown} % of at least 20 calls within 60s failed"));
    }
}
