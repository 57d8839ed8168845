//! Rules that trip a circuit beside `failure_threshold`.

use std::{future::pending, time::Duration};

use fuseboard::{Cause, CircuitState, Origin, Outcome, Rule};
use tokio::time::timeout;
use tracing::Level;

use crate::support::{
    log::Lines,
    world::{Call, Process, Shared, Way, World, heard, pass, timed},
};

const MINUTE: Duration = Duration::from_secs(60);

/// A world with a rule, whose threshold is out of reach.
fn world_of<S: Shared>(rule: impl Into<Rule>) -> World<S> {
    World::with(|config| config.failure_threshold(1_000).also_trip(rule))
}

/// Ends one call for each letter: `F` fails, `S` succeeds.
async fn run<W>(process: &Process<W>, calls: &str) {
    for call in calls.chars() {
        match call {
            'F' => assert_eq!(process.fail().await, Call::Failed, "{calls}"),
            _ => assert_eq!(process.ok().await, Call::Ok, "{calls}"),
        }
    }
}

async fn case_102_of_last_trips_at_its_edge_and_not_before<S: Shared>() {
    for (before, is_open) in [("FSFSSF", false), ("FSFSF", true), ("FSSFF", true)] {
        let world = world_of::<S>(Rule::of_last(3, 5));
        let a = world.process();
        run(&a, &"S".repeat(100)).await;
        run(&a, before).await;
        let expected = if is_open { CircuitState::Open } else { CircuitState::Closed };
        assert_eq!(a.state(), expected, "{before}");
        assert_eq!(a.store.writes(), usize::from(is_open), "{before}");
    }
}

async fn case_106_within_trips_at_its_window_and_not_after_it<S: Shared>() {
    for (late, is_open) in [(0, true), (1, false)] {
        let world = world_of::<S>(Rule::within(3, MINUTE));
        let a = world.process();
        run(&a, "F").await;
        pass(30.0).await;
        run(&a, "SSSFSSS").await;
        tokio::time::sleep(MINUTE / 2 + Duration::from_millis(late)).await;
        run(&a, "F").await;
        let expected = if is_open { CircuitState::Open } else { CircuitState::Closed };
        assert_eq!(a.state(), expected, "{late} ms late");
    }
}

async fn cases_15_and_107_failures_in_a_row_that_lie_far_apart_do_not_trip<S: Shared>() {
    let world = World::<S>::with(|config| config.failure_threshold(3).failure_window(MINUTE));
    let a = world.process();
    for _ in 0..10 {
        run(&a, "F").await;
        pass(31.0).await;
    }
    assert_eq!((a.state(), a.store.writes()), (CircuitState::Closed, 0));
    run(&a, "FF").await;
    assert_eq!(a.state(), CircuitState::Open, "the last three");
    assert_eq!(world.record().failure_count, 3.into());
}

async fn case_108_a_rate_trips_once_enough_calls_have_ended<S: Shared>() {
    let world = world_of::<S>(Rule::rate(0.5).over(MINUTE).at_least(6));
    let a = world.process();
    run(&a, "SSSSFSFSF").await;
    assert_eq!(a.state(), CircuitState::Closed, "three of the five since the first failure");
    run(&a, "S").await;
    assert_eq!(a.state(), CircuitState::Closed, "case 113: a good call, the sixth");
    run(&a, "F").await;
    assert_eq!(a.state(), CircuitState::Open, "four of seven");
    assert_eq!(world.record().failure_count, 4.into());
}

async fn case_110_the_rule_that_trips_is_named_and_the_next_epoch_begins_empty<S: Shared>() {
    let (last, within) = (Rule::of_last(3, 4), Rule::within(4, MINUTE));
    let world = World::<S>::with(|config| {
        config.failure_threshold(9).success_threshold(1).also_trip(last).also_trip(within)
    });
    let a = world.process();
    let mut transitions = a.registry.subscribe();
    let lines = Lines::of(Level::INFO);
    for (calls, cause) in [
        ("FFF", Cause::Rule(last)),
        ("FSSFSSFSSF", Cause::Rule(within)),
        ("FSFF", Cause::Rule(last)),
    ] {
        run(&a, calls).await;
        let texts = lines.take_texts();
        let named = format!("to=OPEN cause={cause:?} ");
        assert!(texts.iter().any(|text| text.contains(&named)), "{named}: {texts:?}");
        let heard = heard(&mut transitions);
        let told = heard.iter().find(|told| told.to_state == CircuitState::Open);
        let told = told.map(|told| (&told.cause, told.origin));
        assert_eq!(told, Some((&cause, Origin::Local)), "{calls}");
        assert_eq!(a.breaker().snapshot().cause(), Some(&cause), "{calls}");
        pass(31.0).await;
        assert_eq!(a.ok().await, Call::Ok, "the probe");
        assert_eq!(a.state(), CircuitState::Closed, "{calls}");
    }
}

async fn case_111_failures_of_calls_from_before_a_transition_are_in_no_window<S: Shared>() {
    let world = World::<S>::with(|config| {
        let config = config.failure_threshold(1_000).success_threshold(1);
        config.also_trip(Rule::of_last(3, 100)).also_trip(Rule::within(3, MINUTE))
    });
    let a = world.process();
    let breaker = a.breaker();
    let mut early = Vec::new();
    for _ in 0..10 {
        early.push(breaker.admit().await.unwrap());
    }
    run(&a, "FFF").await;
    pass(31.0).await;
    assert_eq!(a.ok().await, Call::Ok, "the probe");
    for permit in early {
        permit.failure().settled().await;
    }
    run(&a, "FF").await;
    assert_eq!(a.state(), CircuitState::Closed);
    run(&a, "F").await;
    assert_eq!(a.state(), CircuitState::Open);
}

async fn case_112_ignored_and_dropped_calls_are_in_no_window<S: Shared>() {
    // Each trips at the second failure, and would not, or would at once, if the calls between
    // were in its window.
    for rule in [
        Rule::of_last(2, 2),
        Rule::within(2, MINUTE),
        Rule::rate(1.0).over(MINUTE).at_least(2).into(),
    ] {
        let world = world_of::<S>(rule);
        let a = world.process();
        let breaker = a.breaker();
        let ignored = breaker.clone().classified_by(|_: &Result<(), &str>| Outcome::Ignored);
        run(&a, "F").await;
        for _ in 0..20 {
            assert!(ignored.call(|| async { Err("ours") }).await.is_err());
            let hangs = breaker.call(pending::<Result<(), &str>>);
            assert!(timeout(Duration::from_millis(1), hangs).await.is_err());
            drop(breaker.admit().await.unwrap());
        }
        assert_eq!((a.state(), a.store.writes()), (CircuitState::Closed, 0), "{rule:?}");
        run(&a, "F").await;
        assert_eq!(a.state(), CircuitState::Open, "{rule:?}");
        assert_eq!(world.record().failure_count, 2.into(), "{rule:?}");
    }
}

async fn case_113_a_good_call_opens_nothing<S: Shared>() {
    // With the calls that follow, each share is reached at a good call first.
    for at_least in 2..12 {
        let world = world_of::<S>(Rule::rate(0.2).over(MINUTE).at_least(at_least));
        let a = world.process();
        run(&a, "F").await;
        for _ in 0..20 {
            run(&a, "S").await;
            assert_eq!(a.state(), CircuitState::Closed, "at least {at_least}");
        }
        assert_eq!(a.store.writes(), 0);
    }
}

async fn case_114_the_failure_that_trips_returns_when_all_can_know<S: Shared>() {
    for rule in [
        Rule::of_last(3, 6),
        Rule::within(3, MINUTE),
        Rule::rate(0.6).over(MINUTE).at_least(5).into(),
    ] {
        let world = world_of::<S>(rule);
        let a = world.process();
        run(&a, "FSFS").await;
        assert_eq!((a.store.reads(), a.store.writes()), (1, 0), "{rule:?}");
        run(&a, "F").await;
        assert_eq!(world.stored_state(), Some(CircuitState::Open), "{rule:?}");
        assert_eq!(a.store.writes(), 1, "{rule:?}");
        let b = world.process();
        assert!(b.ok().await.is_rejected(), "{rule:?}");
    }
}

/// Over a store that does not answer the circuit opens all the same, and the call returns.
async fn case_114_the_failure_that_trips_waits_no_longer_than_its_budget<S: Shared>() {
    let rules: [Option<Rule>; 4] = [
        Some(Rule::of_last(3, 6)),
        Some(Rule::within(3, MINUTE)),
        Some(Rule::rate(0.6).over(MINUTE).at_least(5).into()),
        None,
    ];
    for (rule, fault) in
        rules.into_iter().flat_map(|rule| S::FAULTS.iter().map(move |f| (rule, *f)))
    {
        let world = world_of::<S>(rule.unwrap_or(Rule::within(3, MINUTE)));
        let a = world.process();
        run(&a, if rule.is_some() { "FSFS" } else { "S" }).await;
        a.store.writes_meet(fault);
        let took = if rule.is_some() {
            timed(run(&a, "F")).await.1
        } else {
            let permit = a.circuit().admit().await.unwrap();
            timed(permit.open_for(MINUTE).settled()).await.1
        };
        assert!(took <= Duration::from_millis(1_100), "{rule:?}, {fault:?}: {took:?}");
        assert_eq!(a.state(), CircuitState::Open, "{rule:?}, {fault:?}");
        assert!(a.ok().await.is_rejected(), "{rule:?}, {fault:?}");
    }
}

over_each_store! {
    case_102_of_last_trips_at_its_edge_and_not_before,
    case_106_within_trips_at_its_window_and_not_after_it,
    cases_15_and_107_failures_in_a_row_that_lie_far_apart_do_not_trip,
    case_108_a_rate_trips_once_enough_calls_have_ended,
    case_110_the_rule_that_trips_is_named_and_the_next_epoch_begins_empty,
    case_111_failures_of_calls_from_before_a_transition_are_in_no_window,
    case_112_ignored_and_dropped_calls_are_in_no_window,
    case_113_a_good_call_opens_nothing,
    case_114_the_failure_that_trips_returns_when_all_can_know,
    case_114_the_failure_that_trips_waits_no_longer_than_its_budget,
}
