//! Permits that count as failures when they are dropped.

use std::{
    future::{Future, pending, ready},
    pin::Pin,
    time::Duration,
};

use fuseboard::{Breaker, CallError, CircuitState, OpenError, Outcome, OwnedPermit};
use tokio::task::JoinSet;

use crate::support::memory::{Process, World, fail, pass, recover, settle, succeed, trip};

type Answer = Result<u32, &'static str>;

async fn armed(breaker: &Breaker) -> OwnedPermit {
    breaker.admit_owned().await.unwrap().or_failure()
}

/// Work that a `?` leaves before its report.
async fn leaves(breaker: &Breaker, is_armed: bool) -> Result<(), &'static str> {
    let permit = breaker.admit().await.map_err(|_| "open")?;
    let permit = if is_armed { permit.or_failure() } else { permit };
    Answer::Err("down")?;
    permit.success();
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn case_182_an_armed_permit_that_an_early_return_drops_is_a_failure() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..50 {
        assert_eq!(leaves(&breaker, false).await, Err("down"));
    }
    assert_eq!(breaker.state(), CircuitState::Closed, "unarmed, a drop says nothing");
    for dropped in 1..=5 {
        assert_eq!(leaves(&breaker, true).await, Err("down"));
        settle().await;
        let expected = if dropped < 5 { CircuitState::Closed } else { CircuitState::Open };
        assert_eq!(breaker.state(), expected, "{dropped}");
    }
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
    assert_eq!(leaves(&breaker, true).await, Err("open"));
}

/// One way in which a permit may be dropped.
type Way = fn(OwnedPermit) -> Pin<Box<dyn Future<Output = ()>>>;

async fn in_task(task: impl Future<Output: Send + 'static> + Send + 'static, aborts: bool) {
    let mut tasks = JoinSet::new();
    tasks.spawn(task);
    settle().await;
    if aborts {
        tasks.abort_all();
    }
    assert!(tasks.join_next().await.unwrap().is_err());
}

/// The ways of a permit that is held, each with whether it is a failure of an unarmed one too.
fn ways_of_holding() -> Vec<(&'static str, Way, bool)> {
    async fn held(permit: OwnedPermit, then: impl Future<Output = ()>) {
        let _permit = permit;
        then.await;
    }
    vec![
        ("dropped", |permit| Box::pin(async move { drop(permit) }), false),
        (
            "in a task that is aborted",
            |permit| Box::pin(in_task(held(permit, pending()), true)),
            false,
        ),
        (
            "by a panic as it is held",
            |permit| Box::pin(in_task(held(permit, async { panic!("as the test says") }), false)),
            true,
        ),
    ]
}

/// The ways of a permit that runs its call.
fn ways_of_running() -> Vec<(&'static str, Way, bool)> {
    vec![
        (
            "before it first polls its call",
            |permit| Box::pin(async move { drop(permit.run(pending::<Answer>())) }),
            false,
        ),
        (
            "as it runs its call",
            |permit| Box::pin(in_task(permit.run(pending::<Answer>()), true)),
            false,
        ),
        (
            "as it runs its call with a limit",
            |permit| {
                let limit = Duration::from_secs(5);
                Box::pin(in_task(permit.run_within(limit, pending::<Answer>()), true))
            },
            false,
        ),
        (
            "by a panic beside its call",
            |permit| {
                let call = permit.run(pending::<Answer>());
                let beside = async { panic!("as the test says") };
                Box::pin(in_task(async move { futures::join!(call, beside) }, false))
            },
            false,
        ),
        (
            "by a panic of its call",
            |permit| {
                let call = async { panic!("as the test says") };
                Box::pin(in_task(permit.run::<u32, &str>(call), false))
            },
            true,
        ),
        (
            "by a panic of its classifier",
            |permit| {
                let panics = |_: &Answer| -> Outcome { panic!("as the test says") };
                Box::pin(in_task(permit.run_classified(ready(Answer::Ok(42)), panics), false))
            },
            false,
        ),
    ]
}

fn ways() -> impl Iterator<Item = (&'static str, Way, bool)> {
    ways_of_holding().into_iter().chain(ways_of_running())
}

/// A circuit with four failures in a row: one more trips it.
async fn nearly_open(world: &World) -> (Process, Breaker) {
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..4 {
        assert_eq!(fail(&breaker).await, Err(CallError::Inner("down")));
    }
    (process, breaker)
}

#[tokio::test(start_paused = true)]
async fn case_182_an_armed_permit_is_one_failure_in_whatever_way_it_is_dropped() {
    for (way, drops, fails_unarmed) in ways() {
        let world = World::new();
        let process = world.process();
        let breaker = process.breaker();
        for dropped in 1..=5 {
            assert_eq!(breaker.state(), CircuitState::Closed, "{way}: {dropped}");
            drops(armed(&breaker).await).await;
            settle().await;
        }
        assert_eq!(breaker.state(), CircuitState::Open, "{way}");

        let world = World::new();
        let (_process, breaker) = nearly_open(&world).await;
        drops(breaker.admit_owned().await.unwrap()).await;
        settle().await;
        let is_open = breaker.state() == CircuitState::Open;
        assert_eq!(is_open, fails_unarmed, "{way}, unarmed");
    }
}

#[tokio::test(start_paused = true)]
async fn case_182_a_probe_that_is_dropped_armed_reopens() {
    for (way, drops, _) in ways() {
        let world = World::new();
        let process = world.process();
        let breaker = process.breaker();
        trip(&breaker).await;
        pass(31.0).await;
        let permit = armed(&breaker).await;
        assert!(permit.is_probe());
        drops(permit).await;
        settle().await;
        assert_eq!(world.stored_state(), Some(CircuitState::Open), "{way}");
        pass(31.0).await;
        recover(&breaker).await;
    }
}

#[tokio::test(start_paused = true)]
async fn case_182_what_an_armed_permit_reports_stands() {
    let world = World::new();
    let (_process, breaker) = nearly_open(&world).await;
    for _ in 0..3 {
        armed(&breaker).await.ignore();
        armed(&breaker).await.report(Outcome::Ignored);
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    armed(&breaker).await.success();
    for _ in 0..4 {
        let _ = fail(&breaker).await;
    }
    assert_eq!(breaker.state(), CircuitState::Closed, "the success ended the streak");
    assert_eq!(armed(&breaker).await.run(ready(Answer::Ok(42))).await, Ok(42));
    for _ in 0..4 {
        armed(&breaker).await.failure().settled().await;
    }
    assert_eq!(breaker.state(), CircuitState::Closed, "each failure counts once");
    assert_eq!(armed(&breaker).await.run(ready(Answer::Err("down"))).await, Err("down"));
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
#[expect(clippy::mem_forget, reason = "the case is about leaked permits")]
async fn case_182_an_armed_permit_that_is_leaked_or_frozen_is_no_failure() {
    let world = World::new();
    let (_process, breaker) = nearly_open(&world).await;
    std::mem::forget(armed(&breaker).await);
    let permit = armed(&breaker).await;
    world.clock.freeze(Duration::from_secs(60));
    drop(permit);
    settle().await;
    assert_eq!(breaker.state(), CircuitState::Closed);
    drop(armed(&breaker).await);
    settle().await;
    assert_eq!(breaker.state(), CircuitState::Open);
}

/// What a client's synchronous hooks do.
fn before(breaker: &Breaker) -> Result<OwnedPermit, OpenError> {
    Ok(breaker.try_admit_owned()?.or_failure())
}

#[tokio::test(start_paused = true)]
async fn an_owned_permit_is_given_without_waiting_and_a_rejection_is_an_open_error() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..5 {
        let permit = before(&breaker).expect("a closed circuit, also one that was never read");
        assert!(!permit.is_probe());
        permit.failure().settled().await;
    }
    let open = before(&breaker).expect_err("the circuit is open");
    assert!(open.retry_after() > Duration::from_secs(29), "{open}");
    pass(31.0).await;
    assert!(before(&breaker).is_err(), "the right to probe is won in the background");
    settle().await;
    let probe = before(&breaker).expect("the right was won");
    assert!(probe.is_probe());
    probe.success().settled().await;
    for _ in 0..2 {
        assert_eq!(succeed(&breaker).await, Ok(42));
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_permit_cuts_its_call_at_a_limit() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let limit = Duration::from_secs(2);
    let permit = breaker.admit().await.unwrap();
    assert_eq!(permit.run_within(limit, ready(Answer::Ok(42))).await, Ok(42));
    let permit = breaker.admit().await.unwrap();
    let failed = permit.run_within(limit, ready(Answer::Err("down"))).await;
    assert_eq!(failed, Err(CallError::Inner("down")));
    for _ in 0..4 {
        assert_eq!(breaker.state(), CircuitState::Closed);
        let permit = breaker.admit_owned().await.unwrap();
        let cut = permit.run_within(limit, pending::<Answer>()).await.unwrap_err();
        assert_eq!(cut.timed_out().map(fuseboard::TimedOutError::limit), Some(limit));
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}
