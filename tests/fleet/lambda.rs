//! Environments of AWS Lambda: each runs one call at a time, and is frozen in between: its clock
//! stands still, and is moved on when it thaws. The platform gives a call to the environment that
//! was idle last, and starts one if none is idle. It ends those that were idle for five minutes, or
//! are two hours old.
//!
//! - `FUSEBOARD_FLEET=votes` prints the first tables of `docs/votes.md`, `votes-in-bursts` that of
//!   bursts, and `votes-in-health` the last, which plays days.
//! - `FUSEBOARD_FLEET_DAY=1` plays a whole day of health, instead of ten minutes: half a minute in
//!   a release build, which `.ci/run` plays.

mod environments;
mod figures;
mod freezing;
mod store;

use std::time::Duration;

use environments::{Choice, Run};
use fuseboard::{Config, ConfigBuilder, Rule};

use crate::{SECOND, judge, number, seed_or};

/// The settings for Lambda without votes.
fn without_votes(threshold: u32) -> ConfigBuilder {
    Config::builder()
        .failure_threshold(threshold)
        .success_threshold(2)
        .refresh_ahead(false)
        .probe_lease(10 * SECOND)
        .probe_limit(120 * SECOND)
}

/// The same with votes, and a threshold that is out of reach of what is measured.
fn with_votes(voters: u32, streak: u32, window: u32) -> Config {
    let rule = Rule::votes(voters, streak).within(SECOND * window);
    without_votes(5).also_trip(rule).build().unwrap()
}

/// What goes wrong with the dependency.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    /// All is well, but for this share of calls.
    Background(f64),
    /// Every call hangs for so long, unless it is cut at the limit.
    Hangs(Duration),
    /// This share of calls fails at once.
    Fails(f64),
}

/// All calls are refused.
const DEAD: Trouble = Trouble::Fails(1.0);

/// One run.
#[derive(Clone, Debug)]
struct Plan {
    seed: u64,
    config: Config,
    choice: Choice,
    /// Calls in a second, and for how long.
    rate: f64,
    lasts: Duration,
    trouble: Trouble,
    /// When the trouble begins, and when it ends.
    from: Duration,
    until: Duration,
    /// At which a call is cut.
    limit: Option<Duration>,
}

impl Plan {
    /// 100 calls a second of 0.2 s each, to the environment that was idle last.
    fn of(config: Config, trouble: Trouble) -> Self {
        Self {
            seed: seed_or(1),
            config,
            choice: Choice::LastIdle { most: 3_000 },
            rate: 100.0,
            lasts: 90 * SECOND,
            trouble,
            from: 20 * SECOND,
            until: Duration::MAX,
            limit: None,
        }
    }

    fn hanging(config: Config, hang: Duration, limit: Option<Duration>) -> Self {
        let ends = limit.unwrap_or(hang);
        let lasts = 40 * SECOND + ends * 6;
        Self { lasts, limit, ..Self::of(config, Trouble::Hangs(hang)) }
    }

    /// 5,000 environments, each called once in 50 s on average.
    fn rare(config: Config, trouble: Trouble) -> Self {
        Self { choice: Choice::Any { all: 5_000 }, ..Self::of(config, trouble) }
    }

    /// Calls hang for 29 s. None is cut: those that run for longer than 2 s are failures.
    fn slow() -> Self {
        let votes = Rule::votes(10, 1);
        let config = without_votes(5).also_trip(votes).slow_after(SECOND * 2).build().unwrap();
        Self { lasts: 80 * SECOND, ..Self::of(config, Trouble::Hangs(29 * SECOND)) }
    }

    fn play(self) -> Run {
        environments::play(self)
    }
}

fn found_if(found: &mut Vec<String>, is_wrong: bool, what: String) {
    if is_wrong {
        found.push(what);
    }
}

fn replay(seed: u64, test: &str) -> String {
    format!("FUSEBOARD_FLEET_SEED={seed} cargo test --test fleet {test}")
}

#[test]
fn case_154_a_hanging_dependency_is_rejected_within_seconds_where_one_call_runs_at_a_time() {
    let config = Config::for_lambda().build().unwrap();
    for seed in seed_or(1)..seed_or(1) + 3 {
        let plan = Plan::hanging(config.clone(), 29 * SECOND, Some(2 * SECOND));
        let run = Plan { seed, ..plan }.play();
        let mut found = Vec::new();
        let rejects_after = run.rejects_after();
        let is_late = rejects_after.is_none_or(|after| after > 5 * SECOND);
        found_if(&mut found, is_late, format!("all reject {rejects_after:?} after the first hang"));
        found_if(&mut found, run.let_through > 650, format!("{} calls hang", run.let_through));
        found_if(&mut found, run.trips != 1, format!("{} trips", run.trips));
        // Environments whose votes crossed that of the voter who tripped.
        found_if(&mut found, run.ballots > 10, format!("{} ballots", run.ballots));
        found_if(&mut found, run.unawaited > 0, format!("{} unawaited", run.unawaited));
        judge(154, &replay(seed, "case_154"), &found);
    }
}

#[test]
fn case_154_calls_that_hang_vote_while_they_hang() {
    for seed in seed_or(1)..seed_or(1) + 3 {
        let run = Plan { seed, ..Plan::slow() }.play();
        let mut found = Vec::new();
        let rejects_after = run.rejects_after();
        let is_late = rejects_after.is_none_or(|after| after > 3 * SECOND);
        found_if(&mut found, is_late, format!("all reject {rejects_after:?} after the first hang"));
        found_if(&mut found, run.trips != 1, format!("{} trips", run.trips));
        found_if(&mut found, run.ballots > 20, format!("{} ballots", run.ballots));
        found_if(&mut found, run.unawaited > 0, format!("{} unawaited", run.unawaited));
        judge(154, &replay(seed, "case_154_calls_that_hang"), &found);
    }
}

#[test]
fn case_155_a_fleet_that_is_rarely_called_notices_a_dead_dependency() {
    for seed in seed_or(1)..seed_or(1) + 3 {
        let plan = Plan::rare(with_votes(5, 1, 60), DEAD);
        let run = Plan { seed, ..plan }.play();
        let mut found = Vec::new();
        found_if(&mut found, run.let_through > 200, format!("{} calls fail", run.let_through));
        found_if(&mut found, run.trips != 1, format!("{} trips", run.trips));
        found_if(&mut found, run.rejects_after().is_none(), "never rejected".to_owned());
        judge(155, &replay(seed, "case_155_a_fleet_that_is_rarely"), &found);
    }
}

#[test]
fn case_155_with_a_streak_of_two_nothing_is_lost_but_what_chance_takes() {
    for seed in seed_or(1)..seed_or(1) + 3 {
        let plan = Plan::rare(Config::for_lambda().build().unwrap(), DEAD);
        let run = Plan { seed, ..plan }.play();
        let mut found = Vec::new();
        // Until five of 5,000 are called twice: some 220 calls, and one time in three below 200.
        // Failures that a freeze may have cut off count for nothing.
        let least = run.least_for(5, 2).unwrap_or(run.let_through);
        // A vote and a trip take up to 60 ms, in which six calls come.
        let late = run.let_through.saturating_sub(least + run.uncounted);
        found_if(&mut found, late > 20, format!("{late} more than {least} calls fail"));
        found_if(&mut found, run.trips != 1, format!("{} trips", run.trips));
        println!("seed {seed}: {least} calls, {} uncounted, and {late} more", run.uncounted);
        judge(155, &replay(seed, "case_155_with_a_streak"), &found);
    }
}

#[test]
fn case_155_background_failures_of_a_hundredth_trip_nothing() {
    let lasts = if number("FUSEBOARD_FLEET_DAY").is_some() { 86_400 } else { 600 } * SECOND;
    let config = Config::for_lambda().build().unwrap();
    let plan = Plan { lasts, from: Duration::ZERO, ..Plan::of(config, Trouble::Background(0.01)) };
    let seed = plan.seed;
    let run = plan.play();
    let mut found = Vec::new();
    found_if(&mut found, run.trips > 0, format!("{} trips", run.trips));
    // A streak of two is one call in 10,000. It is withdrawn, which is one ballot more.
    let calls = 100.0 * lasts.as_secs_f64();
    let most = 10.0 + 4.0 * calls / 10_000.0;
    found_if(&mut found, run.ballots as f64 > most, format!("{} ballots", run.ballots));
    println!("{} calls, {} ballots, {} trips", run.calls, run.ballots, run.trips);
    judge(155, &replay(seed, "case_155_background"), &found);
}

#[test]
fn environments_are_frozen_between_calls_started_by_demand_and_ended() {
    let config = Config::for_lambda().build().unwrap();
    let well = Trouble::Background(0.0);
    // Some twenty run at once, and one that was started in a rush is idle for long.
    let last = Plan { lasts: 900 * SECOND, ..Plan::of(config.clone(), well) }.play();
    println!("idle last: {} started, {} ended, {} thaws", last.started, last.ended, last.thaws);
    assert!(last.started < 100 && last.ended > 0 && last.thaws > 0, "{last:?}");
    let any = Plan { lasts: 400 * SECOND, ..Plan::rare(config, well) }.play();
    println!("any: {} started, {} ended, {} thaws", any.started, any.ended, any.thaws);
    // All but the first call of each thaws, and hardly any comes within 2 s.
    let later = any.calls - any.started;
    assert!(any.started >= 5_000 && any.ended > 0, "{any:?}");
    assert!(any.thaws * 10 > later * 9, "{any:?}");
}

#[test]
fn tables_of_votes() {
    figures::print();
}
