//! The open time: how it grows, where it ends, and that all processes find the same.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use proptest::prelude::*;

use super::*;
use crate::Config;

const R: Duration = Duration::from_secs(30);

fn refused(backoff: Backoff) -> String {
    Config::builder().open_backoff(backoff).build().unwrap_err().to_string()
}

#[test]
fn case_62_the_open_time_grows_to_its_cap_and_no_further() {
    let exact = Backoff::exponential(2.0).jitter(0.0);
    let seconds = |failed| exact.open_time(R, failed, "payments", 1_000).as_secs_f64();
    let grown: Vec<_> = [0, 1, 2, 3, 4, 5, u64::MAX].map(seconds).to_vec();
    assert_eq!(grown, [30.0, 60.0, 120.0, 240.0, 300.0, 300.0, 300.0]);
    let slow = Backoff::exponential(1.5).jitter(0.0).at_most(Duration::from_secs(3_600));
    assert_eq!(slow.open_time(R, 3, "payments", 1_000), Duration::from_millis(101_250));
}

#[test]
fn a_cap_that_was_not_set_follows_the_recovery_timeout() {
    let hour = Duration::from_secs(3_600);
    let exact = Backoff::exponential(2.0).jitter(0.0);
    assert_eq!(exact.open_time(hour, 7, "payments", 1_000), hour);
}

#[test]
fn case_124_circuits_that_trip_together_probe_apart() {
    let backoff = Backoff::exponential(2.0);
    for failed in [0, 1, 3] {
        let of = |n: u32| backoff.open_time(R, failed, &format!("circuit-{n}"), 1_763_668_800);
        let times: Vec<_> = (0..300).map(of).collect();
        let first = *times.iter().min().unwrap();
        let last = *times.iter().max().unwrap();
        let base = backoff.jitter(0.0).open_time(R, failed, "", 0);
        assert!(first >= base && last <= base.mul_f64(1.2), "{first:?} {last:?}");
        assert!(last - first >= base.mul_f64(0.19), "{:?} of {base:?}", last - first);
    }
}

#[test]
fn case_127_absurd_counts_wait_no_longer_than_the_cap_and_its_jitter() {
    for jitter in [0.0, 0.2, 1.0] {
        let backoff = Backoff::exponential(2.0).jitter(jitter);
        for failed in [40, 1_000_000_000_000_000_000, u64::MAX] {
            for opened_at in [i64::MIN, -1, 0, 1_763_668_800, i64::MAX] {
                let time = backoff.open_time(R, failed, "payments", opened_at);
                let cap = Duration::from_secs(300);
                assert!((cap..=cap.mul_f64(1.0 + jitter)).contains(&time), "{jitter}: {time:?}");
            }
        }
    }
}

#[test]
fn a_back_off_out_of_range_is_named_with_its_value() {
    let factor = "open_backoff must have a factor of 1 to 1,000, got exponential(";
    for bad in [0.999, 0.0, -2.0, 1_000.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(refused(Backoff::exponential(bad)).starts_with(factor), "{bad}");
    }
    let jitter = "open_backoff must have a jitter between 0 and 1, got exponential(2.0).jitter(";
    for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(refused(Backoff::exponential(2.0).jitter(bad)).starts_with(jitter), "{bad}");
    }
    assert_eq!(
        refused(Backoff::exponential(2.0).at_most(Duration::from_secs(29))),
        "open_backoff must have an at_most between recovery_timeout and 365 days, \
         got exponential(2.0).at_most(29s).jitter(0.2).forget_after(600s) \
         with a recovery_timeout of 30s"
    );
    assert!(refused(Backoff::exponential(2.0).at_most(Duration::MAX)).contains("at_most"));
    assert_eq!(
        refused(Backoff::exponential(2.0).forget_after(Duration::from_secs(86_401))),
        "open_backoff must forget after at most 1 day, \
         got exponential(2.0).jitter(0.2).forget_after(86401s)"
    );
}

#[test]
fn a_back_off_of_every_range_is_accepted() {
    for backoff in [
        Backoff::exponential(1.0).at_most(R).jitter(0.0).forget_after(Duration::ZERO),
        Backoff::exponential(1_000.0).at_most(YEAR).jitter(1.0).forget_after(DAY),
    ] {
        let config = Config::builder().open_backoff(backoff).build().unwrap();
        assert_eq!(config.open_backoff(), Some(backoff));
    }
}

prop_compose! {
    fn any_backoff()(
        factor in 1.0..1_000.0_f64,
        most in prop::option::of(365_u64..31_536_000),
        jitter in 0.0..=1.0_f64,
    ) -> Backoff {
        let backoff = Backoff::exponential(factor).jitter(jitter);
        most.map_or(backoff, |most| backoff.at_most(Duration::from_secs(most)))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_open_time_never_falls_and_never_passes_its_cap(
        backoff in any_backoff(),
        timeout_ms in 1_000_u64..365_000,
        (few, more) in (any::<u64>(), 0_u64..40),
        name in "\\PC{0,40}",
        opened_at in any::<i64>(),
    ) {
        let timeout = Duration::from_millis(timeout_ms);
        let time = |failed| backoff.open_time(timeout, failed, &name, opened_at);
        for failed in [few, few % 40] {
            prop_assert!(time(failed) <= time(failed.saturating_add(more)));
        }
        let exact = backoff.jitter(0.0);
        let base = exact.open_time(timeout, few % 40, &name, opened_at);
        let share = 1.0 + backoff.jitter.get();
        // Both are rounded to milliseconds.
        let slack = Duration::from_millis(1);
        prop_assert!(time(few % 40) + slack >= base);
        prop_assert!(time(few % 40) <= base.mul_f64(share) + 2 * slack);
        prop_assert!(base >= timeout.saturating_sub(slack));
        let most = backoff.at_most.unwrap_or(Backoff::AT_MOST).max(timeout);
        prop_assert!(base <= most);
        // It follows from its arguments alone: no process of the fleet finds another.
        prop_assert_eq!(time(few), time(few));
    }

    #[test]
    fn no_argument_makes_it_panic(
        (factor, jitter) in (any::<f64>(), any::<f64>()),
        (timeout, most) in (any::<u64>(), any::<u64>()),
        (failed, opened_at) in (any::<u64>(), any::<i64>()),
    ) {
        let backoff = Backoff::exponential(factor).jitter(jitter).at_most(Duration::from_secs(most));
        let _ = backoff.open_time(Duration::from_secs(timeout), failed, "payments", opened_at);
        let _ = Config::builder().open_backoff(backoff).build();
    }
}
