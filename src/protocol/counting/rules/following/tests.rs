//! Other settings, while failures stand.

use std::time::Duration;

use crate::{
    config::{Config, ConfigBuilder, Rule},
    protocol::{counting::Counting, counting::Rules, moment::Moment},
    transition::Cause,
};

const MINUTE: Duration = Duration::from_secs(60);

fn config(change: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Config {
    change(Config::builder()).build().unwrap()
}

fn counting(config: &Config) -> Counting {
    Counting::new(Rules::new(config), config.success_threshold().get())
}

fn at(second: u64) -> Moment {
    Moment::of_seconds(second, second)
}

/// Fails once a second from this second on, at one place.
fn fail(counting: &mut Counting, from: u64, failures: u64) {
    (from..from.saturating_add(failures)).for_each(|second| {
        counting.failure(0, at(second));
    });
}

#[test]
fn case_143_a_lower_threshold_counts_what_stands_and_trips_at_the_next_failure() {
    let mut counting = counting(&Config::default());
    fail(&mut counting, 0, 4);
    counting.reconfigure(&config(|config| config.failure_threshold(3)));
    assert_eq!(counting.trip(), None, "no sooner");
    counting.forget_past(0, at(10));
    assert_eq!(counting.trip(), None, "nor when the actor looks");
    fail(&mut counting, 11, 1);
    assert_eq!(counting.trip().map(|trip| trip.count), Some(5));
}

#[test]
fn case_143_a_higher_threshold_counts_on_and_a_good_call_ends_the_row_as_ever() {
    let mut counting = counting(&Config::default());
    fail(&mut counting, 0, 4);
    counting.reconfigure(&config(|config| config.failure_threshold(7)));
    fail(&mut counting, 4, 2);
    assert_eq!((counting.trip(), counting.in_a_row()), (None, 6));
    counting.failure(1, at(7));
    assert_eq!(counting.in_a_row(), 1, "a good call came between");
}

#[test]
fn a_window_that_is_new_takes_only_the_failure_whose_time_is_known() {
    let mut counting = counting(&Config::default());
    fail(&mut counting, 0, 4);
    counting.reconfigure(&config(|config| config.failure_window(MINUTE)));
    assert_eq!(counting.in_a_row(), 1);
    fail(&mut counting, 4, 3);
    assert_eq!(counting.trip(), None);
    fail(&mut counting, 7, 1);
    assert_eq!(counting.trip().map(|trip| trip.count), Some(5));
}

#[test]
fn a_window_that_goes_leaves_its_failures_and_one_that_shrinks_drops_the_old() {
    let mut first = counting(&config(|config| config.failure_window(MINUTE)));
    fail(&mut first, 0, 4);
    let mut second = first.clone();
    first.reconfigure(&Config::default());
    first.failure(0, at(1_000));
    assert_eq!(first.trip().map(|trip| trip.count), Some(5));
    second.reconfigure(&config(|config| config.failure_window(Duration::from_secs(2))));
    second.failure(0, at(4));
    assert_eq!(second.in_a_row(), 3, "those of seconds 2, 3 and 4");
}

#[test]
fn a_rule_goes_on_with_what_one_of_its_kind_has_kept() {
    let rules = |failures, calls, within: u32| {
        config(|config| {
            config
                .failure_threshold(100)
                .also_trip(Rule::of_last(failures, calls))
                .also_trip(Rule::within(within, MINUTE))
        })
    };
    let mut counting = counting(&rules(6, 20, 50));
    // A good call after each: no two are in a row.
    (0..5).for_each(|number| {
        counting.failure(number, at(1));
    });
    // Other rules, in another order.
    counting.reconfigure(&config(|config| {
        config
            .failure_threshold(100)
            .also_trip(Rule::within(7, MINUTE))
            .also_trip(Rule::of_last(8, 20))
    }));
    assert_eq!(counting.trip(), None);
    counting.failure(5, at(2));
    assert_eq!(counting.trip(), None);
    counting.failure(6, at(2));
    let trip = counting.trip().unwrap();
    assert_eq!((trip.count, &trip.cause), (7, &Cause::Rule(Rule::within(7, MINUTE))));
}

#[test]
fn a_rule_that_is_new_begins_at_zero_and_one_that_goes_trips_no_more() {
    let within = |failures| {
        let rule = Rule::within(failures, MINUTE);
        config(|config| config.failure_threshold(100).also_trip(rule))
    };
    let without = config(|config| config.failure_threshold(100));
    let mut counting = counting(&within(3));
    fail(&mut counting, 0, 2);
    counting.reconfigure(&without);
    fail(&mut counting, 2, 5);
    assert_eq!(counting.trip(), None);
    counting.reconfigure(&within(3));
    fail(&mut counting, 7, 2);
    assert_eq!(counting.trip(), None);
    fail(&mut counting, 9, 1);
    assert_eq!(counting.trip().map(|trip| trip.count), Some(3));
}

#[test]
fn a_trip_that_stands_is_not_changed() {
    let mut counting = counting(&Config::default());
    fail(&mut counting, 0, 5);
    let trip = counting.trip().cloned();
    assert!(trip.is_some());
    counting.reconfigure(&config(|config| config.failure_threshold(50)));
    assert_eq!(counting.trip().cloned(), trip);
}

#[test]
fn a_streak_that_votes_goes_on_and_ends_with_its_rule() {
    let voting = |streak| config(|it| it.also_trip(Rule::votes(3, streak).within(MINUTE)));
    let mut counting = counting(&voting(3));
    fail(&mut counting, 0, 2);
    counting.reconfigure(&voting(3));
    assert_eq!(counting.votes_since(), None);
    fail(&mut counting, 2, 1);
    assert_eq!(counting.votes_since(), Some(at(2)), "the third in a row");
    counting.reconfigure(&Config::default());
    assert_eq!((counting.votes_since(), counting.has_votes()), (None, false));
}
