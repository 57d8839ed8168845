//! Calls that are a failure before they end, since they take too long.

use std::{
    future::{Future, pending},
    time::Duration,
};

use fuseboard::{Breaker, CallError, CircuitState, Rule};
use futures::future::join_all;
use tokio::{task::JoinSet, time::timeout};

use crate::support::{
    calls::{fail, succeed},
    world::{Shared, Way, World, pass, settle},
};

const SLOW: Duration = Duration::from_secs(2);

type Answer = Result<u32, &'static str>;

fn slow<S: Shared>() -> World<S> {
    World::with(|config| config.election_spread(Duration::ZERO).slow_after(SLOW))
}

/// The same, where one failure trips.
fn hasty<S: Shared>() -> World<S> {
    let settings = |config: fuseboard::ConfigBuilder| config.election_spread(Duration::ZERO);
    World::with(|config| settings(config).slow_after(SLOW).failure_threshold(1))
}

fn hangs() -> impl Future<Output = Answer> {
    pending()
}

/// Answers after so many seconds.
async fn after(seconds: f64) -> Answer {
    pass(seconds).await;
    Ok(42)
}

/// Runs a call in a task of its own.
fn spawn<Fut: Future<Output = Answer> + Send + 'static>(
    calls: &mut JoinSet<Result<u32, CallError<&'static str>>>,
    breaker: &Breaker,
    call: impl FnOnce() -> Fut + Send + 'static,
) {
    let breaker = breaker.clone();
    calls.spawn(async move { breaker.call(call).await });
}

async fn case_116_calls_that_hang_open_the_circuit_before_they_end<S: Shared>() {
    let world = slow::<S>();
    let process = world.process();
    let breaker = process.breaker();
    assert_eq!(succeed(&breaker).await, Ok(42));
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        spawn(&mut calls, &breaker, hangs);
    }
    pass(1.99).await;
    assert_eq!(breaker.state(), CircuitState::Closed);
    pass(0.06).await;
    assert_eq!(breaker.state(), CircuitState::Open);
    assert_eq!(world.record().failure_count, 5.into(), "each is one, and five are enough");
    assert_eq!((calls.len(), calls.try_join_next().is_none()), (20, true), "none has ended");
    assert_eq!(process.store.writes(), 1);
    assert_eq!(process.circuit().snapshot().circuit().failure_count, 5);
}

async fn case_116_four_that_hang_are_four_failures<S: Shared>() {
    let world = slow::<S>();
    let process = world.process();
    let breaker = process.breaker();
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        spawn(&mut calls, &breaker, hangs);
    }
    pass(60.0).await;
    assert_eq!(breaker.state(), CircuitState::Closed, "each counts once, however long it hangs");
    calls.shutdown().await;
    settle().await;
    assert_eq!(breaker.state(), CircuitState::Closed, "their drop says nothing more");
    assert_eq!(fail(&breaker).await, Err(CallError::Inner("down")));
    assert_eq!(breaker.state(), CircuitState::Open, "the fifth");
}

async fn case_117_a_slow_call_that_ends_well_ends_no_row<S: Shared>() {
    let world = slow::<S>();
    let process = world.process();
    let breaker = process.breaker();
    let ends = [after(2.5), after(3.0), after(2.001), after(9.0)].map(|call| breaker.call(|| call));
    assert_eq!(join_all(ends).await, [(); 4].map(|()| Ok(42)), "each caller gets its value");
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(fail(&breaker).await, Err(CallError::Inner("down")));
    assert_eq!(breaker.state(), CircuitState::Open, "four that were slow, and one");
}

async fn case_117_a_slow_call_that_fails_is_one_failure<S: Shared>() {
    let world = slow::<S>();
    let process = world.process();
    let breaker = process.breaker();
    for takes in [2.5, 1.5, 3.0, 2.0] {
        let failed = breaker.call(|| async { after(takes).await.and(Answer::Err("late")) }).await;
        assert_eq!(failed, Err(CallError::Inner("late")), "its own error");
    }
    assert_eq!(breaker.state(), CircuitState::Closed, "four failures");
    let (limit, cut) = (Duration::from_secs(3), breaker.call_within(SLOW, || after(1.0)).await);
    assert_eq!((cut, succeed(&breaker).await), (Ok(42), Ok(42)));
    for failures in 1..=5 {
        assert_eq!(breaker.state(), CircuitState::Closed, "{failures}");
        let cut = breaker.call_within(limit, hangs).await;
        assert!(matches!(cut, Err(CallError::TimedOut(_))), "slow, and cut: one failure");
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}

async fn case_118_a_slow_call_that_is_dropped_has_counted_once<S: Shared>() {
    for counts in [false, true] {
        let world = World::<S>::with(|config| {
            let config = config.election_spread(Duration::ZERO).slow_after(SLOW);
            config.failure_threshold(3).count_cancelled(counts)
        });
        let process = world.process();
        let breaker = process.breaker();
        let _ = timeout(Duration::from_secs(1), breaker.call(hangs)).await.unwrap_err();
        let _ = timeout(Duration::from_secs(3), breaker.call(hangs)).await.unwrap_err();
        assert_eq!(breaker.state(), CircuitState::Closed);
        assert_eq!(fail(&breaker).await, Err(CallError::Inner("down")));
        let expected = if counts { CircuitState::Open } else { CircuitState::Closed };
        assert_eq!(breaker.state(), expected, "before it is slow it is a drop as any");
    }
}

async fn case_119_the_time_of_a_freeze_is_not_slowness<S: Shared>() {
    let world = hasty::<S>();
    let process = world.process();
    let breaker = process.breaker();
    assert_eq!(succeed(&breaker).await, Ok(42));
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        spawn(&mut calls, &breaker, || after(1.9));
        spawn(&mut calls, &breaker, hangs);
    }
    pass(1.0).await;
    world.clock.freeze(Duration::from_secs(600));
    pass(10.0).await;
    assert_eq!(breaker.state(), CircuitState::Closed, "the freeze may have cut them off");
    assert_eq!(world.stored_state(), None);
    // Those that come after it are slow as ever.
    spawn(&mut calls, &breaker, hangs);
    pass(2.05).await;
    assert_eq!(breaker.state(), CircuitState::Open);
}

async fn case_120_a_slow_probe_has_failed_at_that_moment<S: Shared>() {
    let world = slow::<S>();
    let process = world.process();
    process.trip().await;
    pass(30.0).await;
    let breaker = process.breaker();
    let mut calls = JoinSet::new();
    spawn(&mut calls, &breaker, || after(40.0));
    pass(1.9).await;
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    pass(0.15).await;
    assert_eq!(breaker.state(), CircuitState::Open);
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
    assert_eq!(
        process.heard(),
        ["CLOSED>OPEN local", "OPEN>HALF_OPEN local", "HALF_OPEN>OPEN local"]
    );
    // Another probe runs before it ends.
    pass(31.0).await;
    assert_eq!(succeed(&breaker).await, Ok(42));
    let before = (world.record(), process.store.writes());
    pass(6.0).await;
    assert_eq!(before.1, process.store.writes(), "its late end changes nothing");
    assert_eq!(calls.join_next().await.unwrap().unwrap(), Ok(42), "its caller gets its value");
    for _ in 0..2 {
        assert_eq!(succeed(&breaker).await, Ok(42));
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

async fn permits_and_fallbacks_count_slow_calls_too<S: Shared>() {
    let world = slow::<S>();
    let process = world.process();
    let breaker = process.breaker();
    let mut calls = JoinSet::new();
    let permit = breaker.admit_owned().await.unwrap();
    calls.spawn(async move { permit.run(hangs()).await.is_ok() });
    let permit = breaker.try_admit_owned().unwrap();
    calls.spawn(async move { permit.run_within(SLOW * 9, hangs()).await.is_ok() });
    let other = breaker.clone();
    calls.spawn(async move { other.admit().await.unwrap().run(hangs()).await.is_ok() });
    let other = breaker.clone();
    calls
        .spawn(async move { other.call_or_else(hangs, |_| async { Answer::Ok(0) }).await.is_ok() });
    let other = breaker.clone();
    calls.spawn(
        async move { other.call_or_recover(hangs, |_| async { Answer::Ok(0) }).await.is_ok() },
    );
    // A permit that is reported by hand has no timer.
    let held = breaker.admit().await.unwrap();
    pass(2.05).await;
    assert_eq!((breaker.state(), calls.len()), (CircuitState::Open, 5));
    held.success();
}

async fn slow_calls_are_failures_of_every_rule<S: Shared>() {
    let world = World::<S>::with(|config| {
        let config = config.election_spread(Duration::ZERO).slow_after(SLOW);
        config.failure_threshold(100).also_trip(Rule::of_last(3, 10))
    });
    let process = world.process();
    let breaker = process.breaker();
    assert_eq!(fail(&breaker).await, Err(CallError::Inner("down")));
    for _ in 0..2 {
        assert_eq!(breaker.state(), CircuitState::Closed);
        assert_eq!(breaker.call(|| after(2.1)).await, Ok(42));
        let _ = succeed(&breaker).await;
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}

over_each_store! {
    case_116_calls_that_hang_open_the_circuit_before_they_end,
    case_116_four_that_hang_are_four_failures,
    case_117_a_slow_call_that_ends_well_ends_no_row,
    case_117_a_slow_call_that_fails_is_one_failure,
    case_118_a_slow_call_that_is_dropped_has_counted_once,
    case_119_the_time_of_a_freeze_is_not_slowness,
    case_120_a_slow_probe_has_failed_at_that_moment,
    permits_and_fallbacks_count_slow_calls_too,
    slow_calls_are_failures_of_every_rule,
}
