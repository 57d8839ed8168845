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
fn the_defaults_are_those_of_the_reference() {
    let config = Config::builder().build().unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.failure_threshold().get(), 5);
    assert_eq!(config.recovery_timeout(), Duration::from_secs(30));
    assert_eq!(config.success_threshold().get(), 3);
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
