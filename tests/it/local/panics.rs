//! Panics: those of a call, and those of other code beside it.

use std::future::{Ready, pending};

use fuseboard::{Breaker, CircuitState, Classifier};
use tokio::task::{JoinSet, yield_now};

use crate::support::fleet::{Fleet, pass, recover, settle, trip};

/// A call that answers, if it is let, and other code of the same task that panics.
async fn panic_beside_a_call(breaker: &Breaker) {
    let breaker = breaker.clone();
    let mut task = JoinSet::new();
    task.spawn(async move {
        let call = breaker.call(|| async {
            pass(1.0).await;
            Ok::<u32, &str>(42)
        });
        futures::join!(call, async {
            settle().await;
            panic!("as the test says")
        })
    });
    assert!(task.join_next().await.unwrap().unwrap_err().is_panic());
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn case_74_a_panic_of_other_code_in_the_task_of_a_call_is_no_failure() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let breaker = environment.breaker();
    for _ in 0..5 {
        panic_beside_a_call(&breaker).await;
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
        let mut task = JoinSet::new();
        task.spawn(async move {
            let call = || async {
                for _ in 0..polls {
                    yield_now().await;
                }
                if polls < 9 { panic!("as the test says") } else { Ok::<u32, &str>(42) }
            };
            breaker.call(call).await
        });
        assert!(task.join_next().await.unwrap().unwrap_err().is_panic());
    }
    settle().await;
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_before_there_is_a_future_is_a_failure() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let breaker = environment.breaker();
    for _ in 0..5 {
        let breaker = breaker.clone();
        let mut task = JoinSet::new();
        let call = || -> Ready<Result<u32, &str>> { panic!("as the test says") };
        task.spawn(async move { breaker.call(call).await });
        assert!(task.join_next().await.unwrap().unwrap_err().is_panic());
    }
    settle().await;
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
        let mut task = JoinSet::new();
        task.spawn(async move { breaker.call(|| async { Ok(42) }).await });
        assert!(task.join_next().await.unwrap().unwrap_err().is_panic());
    }
    settle().await;
    assert_eq!(breaker.breaker().snapshot().state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn case_53_a_panic_of_other_code_in_the_task_of_a_probe_gives_its_right_back() {
    let fleet = Fleet::new();
    let environment = fleet.environment();
    let breaker = environment.breaker();
    trip(&breaker).await;
    pass(31.0).await;
    let mut task = JoinSet::new();
    let probing = breaker.clone();
    task.spawn(async move {
        let call = probing.call(pending::<Result<u32, &str>>);
        futures::join!(call, async {
            pass(1.0).await;
            panic!("as the test says")
        })
    });
    assert!(task.join_next().await.unwrap().unwrap_err().is_panic());
    settle().await;
    assert_eq!(fleet.stored_state(), Some(CircuitState::HalfOpen));
    recover(&breaker).await;
}
