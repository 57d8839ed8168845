//! When the interceptor asks and reports: once for an operation, or for each of its attempts.

use std::{error::Error, time::Duration};

use aws_sdk_dynamodb::{
    Client, config::timeout::TimeoutConfig, error::SdkError, types::AttributeValue,
};
use fuseboard::{CircuitState, OpenError, aws::BreakerInterceptor};
use futures::FutureExt as _;

use super::client::{ORDERS, PROGRAM, client, hold, is_rejected, look, program};
use crate::support::{
    dynamodb::seconds,
    engine::{Event, now},
};

#[tokio::test(start_paused = true)]
async fn an_operation_counts_once_whatever_the_sdk_retries() {
    let (engine, registry) = program().await;
    let orders = registry.breaker("orders").unwrap();
    let client = client(&engine, BreakerInterceptor::new(orders.clone()), 3);
    // Two attempts fail, and the third is the outcome.
    for _ in 0..10 {
        engine.network(PROGRAM).next_n(2, Event::Answer(500, ""));
        assert!(look(&client).await.is_ok());
    }
    assert_eq!(orders.state(), CircuitState::Closed);
    engine.clear();
    engine.network(PROGRAM).always(Event::Answer(500, ""));
    for _ in 0..5 {
        assert!(!is_rejected(&look(&client).await));
    }
    registry.flush(Duration::from_secs(1)).await.unwrap();
    assert_eq!(orders.state(), CircuitState::Open);
    assert_eq!(engine.count("GetItem"), 15);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_counts_and_a_rejection_ends_the_retries() {
    let (engine, registry) = program().await;
    let orders = registry.breaker("orders").unwrap();
    let interceptor = BreakerInterceptor::new(orders.clone()).per_attempt();
    let client = client(&engine, interceptor, 100);
    engine.network(PROGRAM).always(Event::Answer(500, ""));
    let looked = look(&client).await;
    assert!(is_rejected(&looked), "{looked:?}");
    assert_eq!(engine.count("GetItem"), 5, "the fifth attempt trips");
    assert_eq!(orders.state(), CircuitState::Open);

    let (before, sent) = (now(), engine.count("GetItem"));
    assert!(is_rejected(&look(&client).await));
    assert_eq!((now(), engine.count("GetItem")), (before, sent), "at once, and nothing is sent");
}

/// The SDK tells interceptors of timeouts since 1.16.2 of its runtime, the least that is linked.
#[tokio::test(start_paused = true)]
async fn a_timeout_counts_as_an_attempt_and_as_an_operation() {
    let (engine, registry) = program().await;
    engine.network(PROGRAM).always(Event::LoseRequest);
    for (per_attempt, is_of_attempts, operations, sent) in
        [(false, true, 5, 15), (true, true, 2, 5), (false, false, 5, 5), (true, false, 5, 5)]
    {
        let circuit = format!("{per_attempt}-{is_of_attempts}");
        let orders = registry.breaker(circuit.as_str()).unwrap();
        let interceptor = BreakerInterceptor::new(orders.clone());
        let interceptor = if per_attempt { interceptor.per_attempt() } else { interceptor };
        let client = client(&engine, interceptor, 3);
        // Shorter than an attempt may take.
        let timeouts = TimeoutConfig::builder().operation_timeout(Duration::from_secs(1)).build();
        let config = client.config().to_builder();
        let client = match is_of_attempts {
            true => client,
            false => Client::from_conf(config.timeout_config(timeouts).build()),
        };
        engine.clear();
        for counted in 0..operations {
            assert_eq!(orders.state(), CircuitState::Closed, "{circuit}: {counted}");
            assert!(look(&client).await.is_err());
            registry.flush(Duration::from_secs(1)).await.unwrap();
        }
        assert_eq!(orders.state(), CircuitState::Open, "{circuit}");
        assert_eq!(engine.count("GetItem"), sent, "{circuit}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_added_to_the_client_and_to_an_operation_counts_it_once() {
    let (engine, registry) = program().await;
    let orders = registry.breaker("orders").unwrap();
    let interceptor = BreakerInterceptor::new(orders.clone());
    let client = client(&engine, interceptor.clone(), 1);
    engine.network(PROGRAM).always(Event::Answer(500, ""));
    for failures in 1..=5 {
        assert_eq!(orders.state(), CircuitState::Closed, "{failures} failures");
        let id = AttributeValue::S("order 7".to_owned());
        let request = client.get_item().table_name(ORDERS).key("id", id).customize();
        assert!(request.interceptor(interceptor.clone()).send().await.is_err());
        seconds(0).await;
    }
    registry.flush(Duration::from_secs(1)).await.unwrap();
    assert_eq!(orders.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_by_one_circuit_is_no_outcome_of_another() {
    let (engine, registry) = program().await;
    let [orders, region] = ["orders", "region"].map(|name| registry.breaker(name).unwrap());
    hold(&region).await;
    // Asked first, and so admitted before the other rejects.
    let client = client(&engine, BreakerInterceptor::new(orders.clone()), 1);
    let config = client.config().to_builder().interceptor(BreakerInterceptor::new(region.clone()));
    let client = Client::from_conf(config.build());
    for round in 0..3 {
        // Four failures, rejections that end no streak and are none of it, a fifth failure.
        for _ in 0..4 {
            orders.admit().await.unwrap().failure().settled().await;
        }
        for _ in 0..10 {
            assert!(is_rejected(&look(&client).await));
        }
        assert_eq!(orders.state(), CircuitState::Closed, "round {round}");
        if round < 2 {
            orders.admit().await.unwrap().success().settled().await;
        }
    }
    orders.admit().await.unwrap().failure().settled().await;
    assert_eq!(orders.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_is_dropped_says_nothing_and_gives_a_probe_back() {
    let (engine, registry) = program().await;
    let orders = registry.breaker("orders").unwrap();
    let client = client(&engine, BreakerInterceptor::new(orders.clone()), 1);
    engine.network(PROGRAM).always(Event::LoseRequest);
    for _ in 0..10 {
        assert!(tokio::time::timeout(Duration::from_secs(1), look(&client)).await.is_err());
    }
    assert_eq!(orders.state(), CircuitState::Closed);
    engine.network(PROGRAM).heal();
    engine.network(PROGRAM).always(Event::Answer(500, ""));
    for _ in 0..5 {
        assert!(look(&client).await.is_err());
    }
    registry.flush(Duration::from_secs(1)).await.unwrap();
    seconds(31).await;
    engine.network(PROGRAM).heal();
    engine.network(PROGRAM).always(Event::LoseRequest);
    // Wins the right to probe in the background.
    assert!(is_rejected(&look(&client).await));
    seconds(1).await;
    let mut probe = Box::pin(look(&client));
    assert!(probe.as_mut().now_or_never().is_none());
    let asked = engine.count("GetItem");
    assert!(is_rejected(&look(&client).await), "one probe at a time");
    drop(probe);
    engine.network(PROGRAM).heal();
    assert!(is_rejected(&look(&client).await));
    seconds(1).await;
    assert!(look(&client).await.is_ok(), "long before its lease ends");
    assert_eq!(engine.count("GetItem"), asked + 1);
}

#[tokio::test(start_paused = true)]
async fn one_without_a_breaker_lets_all_pass_and_gets_one_breaker_for_all_clones() {
    let (engine, registry) = program().await;
    let orders = registry.breaker("orders").unwrap();
    let interceptor = BreakerInterceptor::unset();
    let client = client(&engine, interceptor.clone(), 1);
    engine.network(PROGRAM).always(Event::Answer(500, ""));
    for _ in 0..10 {
        assert!(!is_rejected(&look(&client).await));
    }
    assert!(interceptor.set(orders.clone()).is_ok());
    assert!(interceptor.set(orders.clone()).is_err());
    for _ in 0..5 {
        assert!(!is_rejected(&look(&client).await));
    }
    registry.flush(Duration::from_secs(1)).await.unwrap();
    assert!(is_rejected(&look(&client).await));
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_found_in_every_form_of_the_sdks_error() {
    let (engine, registry) = program().await;
    let orders = registry.breaker("orders").unwrap();
    hold(&orders).await;
    let interceptor = BreakerInterceptor::new(orders);
    let whole = look(&client(&engine, interceptor.clone(), 1)).await.unwrap_err();
    assert!(matches!(whole, SdkError::ConstructionFailure(_)), "{whole:?}");
    let of_operation = look(&client(&engine, interceptor.clone(), 1)).await.unwrap_err();
    let attempt = look(&client(&engine, interceptor.per_attempt(), 1)).await.unwrap_err();
    assert!(matches!(attempt, SdkError::DispatchFailure(_)), "{attempt:?}");
    let forms: [Box<dyn Error>; 3] = [
        Box::new(of_operation.into_service_error()),
        Box::new(aws_sdk_dynamodb::Error::from(whole)),
        Box::new(aws_sdk_dynamodb::Error::from(attempt)),
    ];
    for form in forms {
        let open = OpenError::find(&*form).unwrap();
        assert_eq!(open.circuit().name.as_str(), "orders");
    }
}
