//! The rule, by way of `classified_by`.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use fuseboard::{
    CallError, CircuitState, Config,
    aws::{BreakerInterceptor, SdkFaults},
};

use super::client::{ORDERS, PROGRAM, client, hold, is_rejected, look, program};
use crate::support::engine::Event;

#[tokio::test(start_paused = true)]
async fn case_180_one_handle_serves_every_operation() {
    let (engine, registry) = program().await;
    let orders = registry.breaker("orders").unwrap().classified_by(SdkFaults);
    let client = client(&engine, BreakerInterceptor::unset(), 1);
    let id = || AttributeValue::S("order 7".to_owned());
    engine.network(PROGRAM).always(Event::Error("ThrottlingException"));
    for _ in 0..2 {
        let _ = orders.call(|| look(&client)).await;
        let _ = orders.call(|| client.put_item().table_name(ORDERS).item("id", id()).send()).await;
    }
    assert_eq!(orders.breaker().state(), CircuitState::Closed);
    let listed = orders.call(|| client.list_tables().send()).await;
    assert!(matches!(listed, Err(CallError::Inner(_))));
    assert_eq!(orders.breaker().state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn case_136_the_interceptor_of_a_circuit_that_is_tried_lets_every_operation_pass() {
    let (engine, registry) = program().await;
    let tried = Config::builder().dry_run(true).build().unwrap();
    let breaker = registry.breaker_with("orders", tried).unwrap();
    for interceptor in [
        BreakerInterceptor::new(breaker.clone()),
        BreakerInterceptor::new(breaker.clone()).per_attempt(),
    ] {
        let client = client(&engine, interceptor, 1);
        engine.network(PROGRAM).always(Event::Error("ThrottlingException"));
        for _ in 0..10 {
            let looked = look(&client).await;
            assert!(looked.is_err() && !is_rejected(&looked));
            registry.flush(Duration::from_secs(1)).await.unwrap();
        }
    }
    assert_eq!((breaker.state(), breaker.would_have_rejected()), (CircuitState::Open, 15));
    assert_eq!(engine.requests().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_within_a_call_is_no_failure_of_it() {
    let (engine, registry) = program().await;
    let inner = registry.breaker("inner").unwrap();
    hold(&inner).await;
    let outer = registry.breaker("outer").unwrap().classified_by(SdkFaults);
    for interceptor in [
        BreakerInterceptor::new(inner.clone()),
        BreakerInterceptor::new(inner.clone()).per_attempt(),
    ] {
        let client = client(&engine, interceptor, 1);
        for _ in 0..10 {
            assert!(matches!(outer.call(|| look(&client)).await, Err(CallError::Inner(_))));
        }
        assert_eq!(outer.breaker().state(), CircuitState::Closed);
    }
    assert_eq!(engine.requests().len(), 0);
}
