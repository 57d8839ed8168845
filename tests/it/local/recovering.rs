//! Values for calls that have none, and inputs that outlive a rejection.

use std::future::ready;

use fuseboard::{Breaker, CallError, CircuitState, Outcome};

use crate::support::memory::{World, is_rejected, succeed, trip};

type Answer = Result<u32, &'static str>;

#[tokio::test(start_paused = true)]
async fn a_recovery_has_a_value_for_a_failed_call_and_for_a_rejection() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let stale = |error: CallError<&'static str>| async move {
        assert_eq!(error, CallError::Inner("down"));
        Ok(41)
    };
    for _ in 0..5 {
        assert_eq!(breaker.state(), CircuitState::Closed);
        assert_eq!(breaker.call_or_recover(|| ready(Answer::Err("down")), stale).await, Ok(41));
    }
    assert_eq!(breaker.state(), CircuitState::Open, "the call's failure counts");
    let stale = |error: CallError<&'static str>| async move {
        assert!(error.open().is_some(), "{error:?}");
        Ok(40)
    };
    assert_eq!(breaker.call_or_recover(|| ready(Answer::Ok(42)), stale).await, Ok(40));
}

#[tokio::test(start_paused = true)]
async fn a_recovery_is_not_asked_for_a_value_that_is_there_and_its_error_is_the_result() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..10 {
        let answer = breaker.call_or_recover(|| ready(Ok(42)), |_| ready(Err("recovered"))).await;
        assert_eq!(answer, Ok(42));
        let failed = breaker
            .classified_by(|_: &Answer| Outcome::Success)
            .call_or_recover(|| ready(Err("an answer")), |_| ready(Err("recovered")))
            .await;
        assert_eq!(failed, Err("recovered"), "an Err is recovered, whatever it counts for");
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

/// Neither `Clone` nor `Copy`.
#[derive(Debug, PartialEq)]
struct Order(u32);

async fn charge(order: Order) -> Answer {
    Ok(order.0)
}

async fn charge_or_keep(payments: &Breaker, order: Order) -> Result<u32, Order> {
    match payments.admit().await {
        Ok(permit) => Ok(permit.run(charge(order)).await.unwrap()),
        Err(_) => Err(order),
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_call_consumes_is_not_lost_by_a_rejection() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    assert_eq!(charge_or_keep(&breaker, Order(7)).await, Ok(7));
    trip(&breaker).await;
    assert_eq!(charge_or_keep(&breaker, Order(8)).await, Err(Order(8)));
    assert!(is_rejected(&succeed(&breaker).await));
}
