//! Panics: those of a call, and those of other code beside it.

use std::future::{Ready, pending};

use fuseboard::{CircuitState, Classifier};
use tokio::task::{JoinSet, yield_now};

use crate::support::fleet::{Fleet, pass, recover, settle, trip};

/// Runs a task, which panics.
async fn panics(task: impl Future<Output: Send + 'static> + Send + 'static) {
    let mut tasks = JoinSet::new();
    tasks.spawn(task);
    let Some(ended) = tasks.join_next().await else { panic!("there is one task") };
    assert!(ended.is_err_and(|error| error.is_panic()));
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn case_74_a_panic_of_other_code_in_the_task_of_a_call_is_no_failure() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let breaker = environment.breaker();
    for _ in 0..5 {
        let breaker = breaker.clone();
        panics(async move {
            let call = breaker.call(|| async {
                pass(1.0).await;
                Ok::<u32, &str>(42)
            });
            futures::join!(call, async {
                settle().await;
                panic!("as the test says")
            })
        })
        .await;
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
    assert_eq!(environment.store.log(), ["read"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_at_any_poll_is_a_failure() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let breaker = environment.breaker();
    for polls in [0, 0, 1, 1, 2] {
        let breaker = breaker.clone();
        panics(async move {
            let call = || async {
                for _ in 0..polls {
                    yield_now().await;
                }
                if polls < 9 { panic!("as the test says") } else { Ok::<u32, &str>(42) }
            };
            breaker.call(call).await
        })
        .await;
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_before_there_is_a_future_is_a_failure() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let breaker = environment.breaker();
    for _ in 0..5 {
        let breaker = breaker.clone();
        let call = || -> Ready<Result<u32, &str>> { panic!("as the test says") };
        panics(async move { breaker.call(call).await }).await;
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_classifier_that_panics_says_nothing_about_the_dependency() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let judge = Classifier::<u32, &str>::builder().count_if(|_| panic!("as the test says"));
    let breaker = environment.breaker().with_classifier(judge.build().unwrap());
    for _ in 0..5 {
        let breaker = breaker.clone();
        panics(async move { breaker.call(|| async { Ok(42) }).await }).await;
    }
    assert_eq!(breaker.breaker().snapshot().state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn case_53_a_panic_of_other_code_in_the_task_of_a_probe_gives_its_right_back() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let breaker = environment.breaker();
    trip(&breaker).await;
    pass(31.0).await;
    let probing = breaker.clone();
    panics(async move {
        let call = probing.call(pending::<Result<u32, &str>>);
        futures::join!(call, async {
            pass(1.0).await;
            panic!("as the test says")
        })
    })
    .await;
    assert_eq!(fleet.stored_state(), Some(CircuitState::HalfOpen));
    recover(&breaker).await;
}
