//! Permits that run their call.

use std::{
    future::{Future, pending, ready},
    time::Duration,
};

use fuseboard::{CircuitState, Classifier, OpenError, OwnedPermit};
use futures::FutureExt as _;
use tokio::{
    task::{JoinSet, yield_now},
    time::timeout,
};

use crate::support::{
    faulty::Fault,
    memory::{World, fail, pass, recover, settle, succeed, timed, trip},
};

async fn failing() -> Result<u32, &'static str> {
    Err("down")
}

/// Runs a task, which panics.
async fn panics(task: impl Future<Output: Send + 'static> + Send + 'static) {
    let mut tasks = JoinSet::new();
    tasks.spawn(task);
    let Some(ended) = tasks.join_next().await else { panic!("there is one task") };
    assert!(ended.is_err_and(|error| error.is_panic()));
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn case_55_a_permit_that_runs_a_probe_keeps_its_lease() {
    let world = World::new();
    let (process, other) = (world.process(), world.process());
    let breaker = process.breaker();
    trip(&breaker).await;
    pass(31.0).await;
    let permit = breaker.admit_owned().await.unwrap();
    assert!(permit.is_probe());
    let mut tasks = JoinSet::new();
    tasks.spawn(permit.run(async {
        pass(140.0).await;
        Ok::<u32, &str>(42)
    }));
    for _ in 0..4 {
        pass(30.0).await;
        assert!(other.breaker().admit().await.is_err(), "the lease is not taken over");
    }
    assert_eq!(tasks.join_all().await, [Ok(42)]);
    assert_eq!(world.stored_state(), Some(CircuitState::HalfOpen));
    // Its success was counted: two more close the circuit.
    assert_eq!(succeed(&breaker).await, Ok(42));
    assert_eq!(succeed(&breaker).await, Ok(42));
    assert_eq!(world.stored_state(), Some(CircuitState::Closed));
}

#[tokio::test(start_paused = true)]
async fn case_53_a_probe_that_is_dropped_as_its_permit_runs_it_gives_its_right_back() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    trip(&breaker).await;
    pass(31.0).await;
    let hangs = breaker.admit().await.unwrap().run(pending::<Result<u32, &str>>());
    assert!(timeout(Duration::from_secs(1), hangs).await.is_err());
    let never_polled = breaker.admit().await.unwrap().run(pending::<Result<u32, &str>>());
    drop(never_polled);
    settle().await;
    recover(&breaker).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_as_its_permit_runs_it_is_counted_only_if_cancelled_ones_are() {
    for (counts, state) in [(false, CircuitState::Closed), (true, CircuitState::Open)] {
        let world = World::with(|config| config.count_cancelled(counts));
        let process = world.process();
        let breaker = process.breaker();
        for _ in 0..5 {
            let hangs = breaker.admit().await.unwrap().run(pending::<Result<u32, &str>>());
            assert!(timeout(Duration::from_millis(10), hangs).await.is_err());
        }
        settle().await;
        assert_eq!(breaker.state(), state);
    }
}

#[tokio::test(start_paused = true)]
async fn the_call_whose_failure_trips_returns_from_its_permit_after_the_write() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..4 {
        assert_eq!(breaker.admit().await.unwrap().run(failing()).await, Err("down"));
    }
    assert_eq!((breaker.state(), world.stored_state()), (CircuitState::Closed, None));
    let owned = breaker.admit_owned().await.unwrap();
    assert_eq!(owned.run(failing()).await, Err("down"));
    assert_eq!(world.stored_state(), Some(CircuitState::Open), "without a wait of the test");
    assert_eq!(breaker.state(), CircuitState::Open);
    assert!(breaker.admit().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn case_89_a_permit_waits_for_a_trip_no_longer_than_store_timeout() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..4 {
        let _ = fail(&breaker).await;
    }
    let permit = breaker.admit().await.unwrap();
    process.store.meets(Fault::Hang);
    let (failed, took) = timed(permit.run(failing())).await;
    assert_eq!(failed, Err("down"), "the call's own error");
    assert!(took <= Duration::from_millis(1_100), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_call_that_a_permit_runs_is_a_failure_and_one_beside_it_is_not() {
    for (is_of_call, state) in [(true, CircuitState::Open), (false, CircuitState::Closed)] {
        let world = World::new();
        let process = world.process();
        let breaker = process.breaker();
        for _ in 0..5 {
            let run = breaker.admit_owned().await.unwrap().run(async move {
                yield_now().await;
                assert!(!is_of_call, "as the test says");
                pending::<Result<u32, &str>>().await
            });
            panics(async move {
                futures::join!(run, async {
                    pass(1.0).await;
                    panic!("as the test says")
                })
            })
            .await;
        }
        assert_eq!(breaker.state(), state);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_a_permit_first_polls_its_call_is_no_failure() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..5 {
        let run = breaker.admit_owned().await.unwrap().run(pending::<Result<u32, &str>>());
        panics(async move { futures::join!(async { panic!("as the test says") }, run) }).await;
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_classifier_of_a_permit_says_nothing_about_the_dependency() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..5 {
        let permit = breaker.admit_owned().await.unwrap();
        let classifier = |_: &Result<u32, &str>| panic!("as the test says");
        panics(permit.run_classified(ready(Ok::<u32, &str>(42)), classifier)).await;
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_permit_judges_what_it_runs_by_a_classifier() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let classifier = Classifier::<u16, &str>::builder()
        .count_if(|answer| matches!(answer, Ok(500..) | Err(_)))
        .build()
        .unwrap();
    for answer in [503, 503, 503, 503, 200, 503, 503, 503, 503, 503] {
        assert_eq!(breaker.state(), CircuitState::Closed);
        let permit = breaker.admit_owned().await.unwrap();
        let ran = permit.run_classified(ready(Ok(answer)), &classifier).await;
        assert_eq!(ran, Ok(answer));
    }
    assert_eq!(breaker.state(), CircuitState::Open, "five in a row, and four before a good one");
}

/// What a service would do: it has no breaker to borrow from once it has answered.
async fn serve(permit: Result<OwnedPermit, OpenError>) -> Result<u32, &'static str> {
    match permit {
        Ok(permit) => permit.run(ready(Ok(42))).await,
        Err(_) => Err("open"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_owned_permit_runs_a_call_in_a_task_that_outlives_the_breaker() {
    let world = World::new();
    let process = world.process();
    let permit = process.breaker().admit_owned().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(permit));
    assert_eq!(tasks.join_all().await, [Ok(42)]);
    let breaker = process.breaker();
    let ran = breaker.admit().await.unwrap().run(ready(Ok::<u32, &str>(42))).now_or_never();
    assert_eq!(ran, Some(Ok(42)), "a good call waits for nothing");
}
