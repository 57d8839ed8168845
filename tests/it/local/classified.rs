//! What may classify, and what one handle serves.

use std::{future::ready, sync::Arc};

use fuseboard::{
    Breaker, ByError, CallError, CircuitState, ClassifiedBreaker, Classifier, Classify, EveryError,
    Outcome,
};

use crate::support::memory::{World, pass, trip};

/// An answer that tells how the server fared.
trait Status {
    fn status(&self) -> u16;
}

impl Status for u16 {
    fn status(&self) -> u16 {
        *self
    }
}

impl Status for (String, u16) {
    fn status(&self) -> u16 {
        self.1
    }
}

#[derive(Clone, Copy)]
struct ServerFaults;

impl<T: Status, E: PartialEq<&'static str>> Classify<T, E> for ServerFaults {
    fn classify(&self, result: &Result<T, E>) -> Outcome {
        match result {
            Ok(answer) if answer.status() < 500 => Outcome::Success,
            Ok(_) => Outcome::Failure,
            Err(error) if *error == "no such order" => Outcome::Success,
            Err(error) if *error == "bad request" => Outcome::Ignored,
            Err(_) => Outcome::Failure,
        }
    }
}

fn order(status: u16) -> impl Future<Output = Result<(String, u16), String>> {
    ready(Ok(("order 7".to_owned(), status)))
}

#[tokio::test(start_paused = true)]
async fn case_180_one_handle_serves_every_type_of_results_that_its_rule_can_judge() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let judged = breaker.classified_by(ServerFaults);
    // One streak over two types of answers, and two of errors.
    assert_eq!(judged.call(|| ready(Ok::<u16, &str>(503))).await, Ok(503));
    assert_eq!(judged.call(|| order(502)).await.unwrap().1, 502);
    assert_eq!(
        judged.call(|| ready(Err::<u16, &str>("down"))).await,
        Err(CallError::Inner("down"))
    );
    assert_eq!(judged.call_or_else(|| order(504), |_| order(0)).await.unwrap().1, 504);
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(judged.call(|| order(500)).await.unwrap().1, 500);
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn case_158_an_error_that_the_rule_calls_a_success_ends_a_streak_and_probes_well() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let judged = breaker.classified_by(ServerFaults);
    for status in [503, 503, 503, 503, 0, 503, 503, 503, 503, 0] {
        let answer = if status == 0 { Err("no such order") } else { Ok::<u16, &str>(status) };
        let _ = judged.call(|| ready(answer)).await;
    }
    assert_eq!(breaker.state(), CircuitState::Closed, "four, and four");
    trip(&breaker).await;
    pass(31.0).await;
    for _ in 0..3 {
        let answer = judged.call(|| ready(Err::<u16, &str>("no such order"))).await;
        assert_eq!(answer, Err(CallError::Inner("no such order")));
    }
    assert_eq!(world.stored_state(), Some(CircuitState::Closed));
}

#[tokio::test(start_paused = true)]
async fn an_ignored_error_decides_no_probe() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let judged = breaker.classified_by(ServerFaults);
    trip(&breaker).await;
    pass(31.0).await;
    for _ in 0..4 {
        let _ = judged.call(|| ready(Err::<u16, &str>("bad request"))).await;
    }
    assert_eq!(world.stored_state(), Some(CircuitState::HalfOpen));
}

/// Runs calls until the circuit opens, and returns how many it took.
async fn calls_until_open<C>(breaker: &Breaker, judged: &ClassifiedBreaker<C>) -> u32
where
    C: Classify<u16, &'static str>,
{
    for calls in 1..=10 {
        let _ = judged.call(|| ready(Ok(503))).await;
        if breaker.state() == CircuitState::Open {
            return calls;
        }
    }
    0
}

type Answer = Result<u16, &'static str>;

fn by_status(result: &Answer) -> Outcome {
    match result {
        Ok(500..) | Err(_) => Outcome::Failure,
        Ok(_) => Outcome::Success,
    }
}

#[tokio::test(start_paused = true)]
async fn closures_functions_and_what_shares_them_classify() {
    async fn check<C: Classify<u16, &'static str>>(classifier: C) {
        let world = World::new();
        let process = world.process();
        let breaker = process.breaker();
        assert_eq!(calls_until_open(&breaker, &breaker.classified_by(classifier)).await, 5);
    }
    let erased: Arc<dyn Classify<u16, &'static str> + Send + Sync> = Arc::new(by_status);
    let boxed: Box<dyn Fn(&Answer) -> Outcome> = Box::new(by_status);
    check(by_status).await;
    check(&by_status).await;
    check(|result: &Answer| by_status(result)).await;
    check(Arc::new(by_status)).await;
    check(erased).await;
    check(boxed).await;
    check(Classifier::new(by_status)).await;
    check(&Classifier::new(by_status)).await;
    check(ServerFaults).await;
}

#[test]
fn the_rules_without_a_closure_for_results() {
    assert_eq!(EveryError.classify(&Ok::<u16, &str>(503)), Outcome::Success);
    assert_eq!(EveryError.classify(&Err::<u16, &str>("down")), Outcome::Failure);
    let by_error =
        ByError(
            |error: &&str| {
                if *error == "no such order" { Outcome::Success } else { Outcome::Ignored }
            },
        );
    assert_eq!(by_error.classify(&Ok::<u16, &str>(503)), Outcome::Success);
    assert_eq!(by_error.classify(&Err::<u16, &str>("no such order")), Outcome::Success);
    assert_eq!(by_error.classify(&Err::<String, &str>("bad request")), Outcome::Ignored);
    assert_eq!(Classifier::<u16, &str>::default().classify(&Err("down")), Outcome::Failure);
}

#[tokio::test(start_paused = true)]
async fn a_permit_runs_its_call_under_any_classifier() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let shared: Arc<dyn Classify<u16, &'static str> + Send + Sync> = Arc::new(by_status);
    for _ in 0..2 {
        let permit = breaker.admit().await.unwrap();
        assert_eq!(permit.run_classified(ready(Ok(503)), Arc::clone(&shared)).await, Ok(503));
        let permit = breaker.admit_owned().await.unwrap();
        assert_eq!(permit.run_classified(ready(Ok(503)), &by_status).await, Ok(503));
    }
    let permit = breaker.admit().await.unwrap();
    assert_eq!(permit.run_classified(ready(Ok::<u16, &str>(503)), ServerFaults).await, Ok(503));
    assert_eq!(breaker.state(), CircuitState::Open);
}
