//! Each rule, compared with a list of all outcomes.

use std::time::Duration;

use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    config::{Config, Rule, RuleKind},
    protocol::{counting::Counting, counting::Rules, moment::Moment},
    transition::Cause,
};

/// The window of all rules that have one: a multiple of 16 nanoseconds.
const WINDOW: Duration = Duration::from_nanos(16_000_000_000);
const SIXTEENTH: Duration = Duration::from_nanos(1_000_000_000);
const NANO: Duration = Duration::from_nanos(1);

/// Shares that rates are made of, in whole numbers.
const SHARES: [(u32, u32); 7] = [(1, 100), (1, 10), (1, 5), (1, 3), (1, 2), (9, 10), (1, 1)];

fn share((part, whole): (u32, u32)) -> f64 {
    f64::from(part) / f64::from(whole)
}

/// The same judged in whole numbers, by other arithmetic than that of the rule.
fn is_share_reached(of: f64, failures: u64, calls: u64) -> bool {
    let exact = SHARES.into_iter().find(|known| (share(*known) - of).abs() < 1e-8).unwrap();
    failures * u64::from(exact.1) >= calls * u64::from(exact.0)
}

/// Sequences of each property; in optimised code, which `.ci/run` runs as well, more.
const SEQUENCES: u32 = if cfg!(debug_assertions) { 2_000 } else { 300_000 };

/// Every outcome since counting began, with its time.
#[derive(Clone, Default)]
struct List(Vec<(Duration, bool)>);

impl List {
    fn failures(&self) -> impl DoubleEndedIterator<Item = (usize, Duration)> {
        let all = self.0.iter().enumerate();
        all.filter(|(_, (_, is_good))| !is_good).map(|(index, (at, _))| (index, *at))
    }

    fn calls_since(&self, index: usize) -> u64 {
        u64::try_from(self.0.len() - index).unwrap()
    }

    /// Judges the last outcome, which is a failure.
    fn is_tripped(&self, rule: Rule) -> bool {
        let (_, now) = self.failures().next_back().unwrap();
        match rule.0 {
            RuleKind::OfLast { failures, calls } => {
                let last = self.0.iter().rev().take(usize::try_from(calls).unwrap());
                last.filter(|(_, is_good)| !is_good).count() >= usize::try_from(failures).unwrap()
            }
            RuleKind::Within { failures, window } => {
                let within = self.failures().filter(|(_, at)| now - *at <= window).count();
                within >= usize::try_from(failures).unwrap()
            }
            RuleKind::Rate { share, window, at_least } => {
                let Some((index, _)) = self.oldest_counted(now, window) else { return false };
                let counted = self.failures().filter(|(other, _)| *other >= index).count();
                let (counted, calls) = (u64::try_from(counted).unwrap(), self.calls_since(index));
                calls >= u64::from(at_least) && is_share_reached(share.as_f64(), counted, calls)
            }
            RuleKind::Votes { .. } => false,
        }
    }

    /// Returns the first failure of the oldest sixteenth that begins within the window.
    fn oldest_counted(&self, now: Duration, window: Duration) -> Option<(usize, Duration)> {
        let mut begins: Vec<(usize, Duration)> = Vec::new();
        for (index, at) in self.failures() {
            if begins.last().is_none_or(|(_, begin)| at - *begin >= window / 16) {
                begins.push((index, at));
            }
        }
        begins.into_iter().find(|(_, begin)| now - *begin <= window)
    }

    /// The last `threshold` outcomes failed, within the window if there is one.
    fn is_streak(&self, threshold: usize, window: Option<Duration>) -> bool {
        let last = self.0.iter().rev().take(threshold);
        let (last, now) = (last.collect::<Vec<_>>(), self.0.last().unwrap().0);
        last.len() == threshold
            && last
                .iter()
                .all(|(at, is_good)| !is_good && window.is_none_or(|window| now - *at <= window))
    }
}

/// The counting under test, which gets good calls while it watches, as its circuit gives them.
struct Watched {
    counting: Counting,
    place: u64,
}

impl Watched {
    fn new(config: &Config) -> Self {
        Self { counting: Counting::new(Rules::new(config), 1), place: 0 }
    }

    fn good(&mut self) {
        self.place += u64::from(self.counting.needs_good_calls());
    }

    fn fail(&mut self, at: Duration) -> Option<Cause> {
        self.counting.failure(self.place, moment(at));
        self.counting.trip().map(|trip| trip.cause.clone())
    }

    fn restart(&mut self) {
        self.counting.start_epoch(self.counting.epoch() + 1, self.place, false);
        self.place = 0;
    }
}

fn moment(at: Duration) -> Moment {
    Moment::default().later(at)
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Good,
    Bad,
    Wait(Duration),
    /// The actor has a turn.
    Turn,
    /// The process was frozen between two calls.
    Thaw,
    /// The state changed.
    Epoch,
}

fn steps(failing: u32) -> impl Strategy<Value = Vec<Step>> {
    let waits = vec![
        NANO,
        SIXTEENTH - NANO,
        SIXTEENTH,
        SIXTEENTH + NANO,
        SIXTEENTH * 5,
        WINDOW - SIXTEENTH,
        WINDOW - NANO,
        WINDOW,
        WINDOW + NANO,
    ];
    let step = prop_oneof![
        12 => Just(Step::Good),
        failing => Just(Step::Bad),
        6 => select(waits).prop_map(Step::Wait),
        3 => Just(Step::Turn),
        1 => Just(Step::Thaw),
        1 => Just(Step::Epoch),
    ];
    vec(step, 1..60)
}

/// Runs the steps, and compares every failure: the rules trip if and only if the list says so.
fn compare(
    config: &Config,
    steps: &[Step],
    is_tripped: impl Fn(&List) -> Option<Cause>,
) -> Result<(), TestCaseError> {
    let (mut list, mut watched, mut now) = (List::default(), Watched::new(config), Duration::ZERO);
    for step in steps {
        match *step {
            Step::Good => {
                list.0.push((now, true));
                watched.good();
                prop_assert_eq!(watched.counting.trip(), None, "a good call opens nothing");
            }
            Step::Bad => {
                list.0.push((now, false));
                let cause = watched.fail(now);
                prop_assert_eq!(&cause, &is_tripped(&list));
                if cause.is_some() {
                    list.0.clear();
                    watched.restart();
                }
            }
            Step::Wait(time) => now += time,
            Step::Turn => watched.counting.forget_past(watched.place, moment(now)),
            Step::Thaw => {
                let epoch = watched.counting.epoch() + 1;
                watched.counting.renumber(epoch, watched.place);
                watched.place = 0;
            }
            Step::Epoch => {
                list.0.clear();
                watched.restart();
            }
        }
    }
    Ok(())
}

/// Compares one rule, in settings whose threshold never trips.
fn compare_rule(rule: Rule, steps: &[Step]) -> Result<(), TestCaseError> {
    let config = Config::builder().failure_threshold(u32::MAX).also_trip(rule).build().unwrap();
    compare(&config, steps, |list| list.is_tripped(rule).then_some(Cause::Rule(rule)))
}

fn any_rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        (1_u32..5, 0_u32..6).prop_map(|(failures, more)| Rule::of_last(failures, failures + more)),
        (1_u32..6).prop_map(|failures| Rule::within(failures, WINDOW)),
        (select(SHARES.to_vec()), 2_u32..9)
            .prop_map(|(of, calls)| Rule::rate(share(of)).over(WINDOW).at_least(calls).into()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: SEQUENCES, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn case_102_of_last_decides_as_a_list_of_all_outcomes(
        failures in 1_u32..6,
        more in 0_u32..8,
        steps in steps(8),
    ) {
        compare_rule(Rule::of_last(failures, failures + more), &steps)?;
    }

    #[test]
    fn case_106_within_decides_as_a_list_of_all_outcomes(
        failures in 1_u32..6,
        steps in steps(8),
    ) {
        compare_rule(Rule::within(failures, WINDOW), &steps)?;
    }

    #[test]
    fn case_107_a_failure_window_decides_as_a_list_of_all_outcomes(
        threshold in 1_u32..5,
        window in select(vec![NANO * 1_000_000, SIXTEENTH, WINDOW]),
        steps in steps(20),
    ) {
        let builder = Config::builder().failure_threshold(threshold).failure_window(window);
        compare(&builder.build().unwrap(), &steps, |list| {
            let is_streak = list.is_streak(usize::try_from(threshold).unwrap(), Some(window));
            is_streak.then_some(Cause::FailureThreshold)
        })?;
    }

    #[test]
    fn case_108_a_rate_decides_as_a_list_of_all_outcomes(
        of in select(SHARES.to_vec()),
        calls in 2_u32..12,
        steps in steps(8),
    ) {
        compare_rule(Rule::rate(share(of)).over(WINDOW).at_least(calls).into(), &steps)?;
    }

    #[test]
    fn case_110_the_first_of_several_rules_that_trips_is_named(
        threshold in 1_u32..5,
        window in select(vec![None, Some(SIXTEENTH), Some(WINDOW)]),
        rules in vec(any_rule(), 1..=4),
        steps in steps(8),
    ) {
        let builder = Config::builder().failure_threshold(threshold);
        let builder = window.into_iter().fold(builder, |builder, window| builder.failure_window(window));
        let config = rules.iter().fold(builder, |builder, rule| builder.also_trip(*rule));
        compare(&config.build().unwrap(), &steps, |list| {
            let is_streak = list.is_streak(usize::try_from(threshold).unwrap(), window);
            let tripped = rules.iter().find(|rule| list.is_tripped(**rule));
            is_streak.then_some(Cause::FailureThreshold).or(tripped.copied().map(Cause::Rule))
        })?;
    }

    #[test]
    fn case_152_a_process_votes_as_a_list_of_all_outcomes_says(
        streak in 1_u32..5,
        steps in steps(14),
    ) {
        compare_votes(streak, &steps)?;
    }
}

/// Runs the steps, and compares after each failure and each turn whether this process votes.
fn compare_votes(streak: u32, steps: &[Step]) -> Result<(), TestCaseError> {
    let builder = Config::builder().failure_threshold(u32::MAX);
    let config = builder.also_trip(Rule::votes(5, streak).within(WINDOW)).build().unwrap();
    let (mut list, mut watched, mut now) = (List::default(), Watched::new(&config), Duration::ZERO);
    // When the last failure came at which the streak was long enough, if the vote still stands.
    let mut reached: Option<Duration> = None;
    for step in steps {
        match *step {
            Step::Good => {
                list.0.push((now, true));
                watched.good();
                reached = None;
                continue;
            }
            Step::Bad => {
                list.0.push((now, false));
                let is_streak = list.is_streak(usize::try_from(streak).unwrap(), Some(WINDOW));
                let votes = watched.counting.failure(watched.place, moment(now));
                prop_assert_eq!(votes, is_streak, "at {:?}", now);
                reached = if is_streak { Some(now) } else { reached };
            }
            Step::Wait(time) => {
                now += time;
                continue;
            }
            Step::Turn => watched.counting.forget_past(watched.place, moment(now)),
            Step::Thaw => {
                let epoch = watched.counting.epoch() + 1;
                watched.counting.renumber(epoch, watched.place);
                watched.place = 0;
                continue;
            }
            Step::Epoch => {
                list.0.clear();
                watched.restart();
                reached = None;
            }
        }
        reached = reached.filter(|at| now - *at <= WINDOW);
        prop_assert_eq!(watched.counting.votes_since(), reached.map(moment), "at {:?}", now);
    }
    Ok(())
}

#[test]
fn case_108_one_failure_less_than_the_share_does_not_trip() {
    for (of, calls) in SHARES.into_iter().flat_map(|of| [99, 100, 1_000].map(|calls| (of, calls))) {
        let rule = Rule::rate(share(of)).over(WINDOW).at_least(calls);
        let builder = Config::builder().failure_threshold(u32::MAX).also_trip(rule);
        let config = builder.build().unwrap();
        let enough = (calls * of.0).div_ceil(of.1);
        for (failures, is_tripped) in [(enough, true), (enough - 1, false)] {
            let mut watched = Watched::new(&config);
            let mut last = None;
            // The first and the last of them fail: the good ones come before the last.
            for failure in 1..=failures {
                if failure == failures {
                    (0..calls - failures).for_each(|_| watched.good());
                }
                last = watched.fail(SIXTEENTH);
            }
            // A share of one needs no good call, and good calls before the first are not counted.
            if failures > 1 {
                assert_eq!(last.is_some(), is_tripped, "{failures} of {calls} are {of:?}");
            }
        }
    }
}

#[test]
fn case_106_at_the_window_and_a_nanosecond_more() {
    for (last, is_tripped) in [(WINDOW, true), (WINDOW + NANO, false)] {
        let rule = Rule::within(3, WINDOW);
        let builder = Config::builder().failure_threshold(100).also_trip(rule);
        let mut watched = Watched::new(&builder.build().unwrap());
        for at in [Duration::ZERO, SIXTEENTH] {
            assert_eq!(watched.fail(at), None);
            watched.good();
        }
        assert_eq!(watched.fail(last), is_tripped.then_some(Cause::Rule(rule)), "{last:?}");
        let count = watched.counting.trip().map(|trip| trip.count);
        assert_eq!(count, is_tripped.then_some(3), "{last:?}");
    }
}

#[test]
fn case_103_good_calls_before_the_first_failure_need_not_be_counted() {
    let rule = Rule::of_last(2, 4);
    let config = Config::builder().failure_threshold(100).also_trip(rule).build().unwrap();
    for (good, is_tripped) in [(2, true), (3, false)] {
        let mut watched = Watched::new(&config);
        for _ in 0..1_000_000 {
            watched.good();
        }
        assert_eq!(watched.place, 0, "nothing stands, and nothing is counted");
        assert_eq!(watched.fail(Duration::ZERO), None);
        (0..good).for_each(|_| watched.good());
        assert_eq!(watched.fail(Duration::ZERO).is_some(), is_tripped, "{good}");
    }
}

#[test]
fn a_rate_keeps_seventeen_sums_however_many_calls_fail() {
    let rule = Rule::rate(1.0).over(WINDOW).at_least(u32::MAX);
    let config = Config::builder().failure_threshold(u32::MAX).also_trip(rule).build().unwrap();
    let mut rules = Rules::new(&config);
    for step in 0..200_000_u32 {
        let at = moment(WINDOW / 5_000 * step);
        assert_eq!(rules.failure(super::Failure { place: 0, at }), None);
        assert!(rules.kept() <= 1 + 17, "{}", rules.kept());
    }
}

/// A thread that has counted in the next epoch already is missing from the last sum of the epoch
/// before it, which is then less than the places of failures.
#[test]
fn case_198_windows_are_carried_over_a_sum_that_misses_a_thread() {
    let second = Duration::from_secs(1);
    for (rule, good, is_tripped) in [
        (Rule::of_last(2, 3), 1, true),
        (Rule::of_last(2, 3), 2, false),
        (Rule::rate(0.5).over(WINDOW).at_least(2).into(), 2, true),
        (Rule::rate(0.5).over(WINDOW).at_least(2).into(), 3, false),
    ] {
        let config = Config::builder().failure_threshold(u32::MAX).also_trip(rule).build().unwrap();
        let mut watched = Watched::new(&config);
        watched.place = 500;
        assert_eq!(watched.fail(Duration::ZERO), None, "{rule:?}");
        watched.counting.renumber(2, 3);
        watched.place = good;
        assert_eq!(watched.fail(second).is_some(), is_tripped, "{rule:?}, {good} good");
    }
}

#[test]
fn a_failure_that_stands_for_a_time_alone_has_no_good_call_counted() {
    let config = Config::builder().also_trip(Rule::within(9, WINDOW)).build().unwrap();
    let mut watched = Watched::new(&config);
    assert_eq!(watched.fail(Duration::ZERO), None);
    assert!(watched.counting.needs_good_calls(), "it may be the first of five in a row");
    watched.good();
    watched.counting.forget_past(watched.place, moment(SIXTEENTH));
    assert!(!watched.counting.needs_good_calls());
    assert!(watched.counting.remembered().any);
    watched.counting.forget_past(watched.place, moment(WINDOW + NANO));
    assert!(!watched.counting.remembered().any);
}
