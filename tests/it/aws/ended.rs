//! One call with each end that the SDK knows, by both ways to judge it.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    config::RuntimeComponents,
    config::{ConfigBag, Intercept, interceptors::BeforeTransmitInterceptorContextRef},
    error::BoxError,
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::HttpRequest,
    result::ConnectorError,
};
use fuseboard::{
    BreakerRegistry, CircuitState, Classify as _, Outcome,
    aws::{BreakerInterceptor, SdkFaults},
};

use super::client::{Looked, PROGRAM, client, look, look_in, program};
use crate::support::engine::{Engine, Event};

/// What an interceptor reported of a call, told by what it does to a streak of failures.
async fn outcome(
    registry: &BreakerRegistry,
    name: &str,
    call: impl AsyncFnOnce() -> (),
) -> Outcome {
    let breaker = registry.breaker(name).unwrap();
    for _ in 0..4 {
        breaker.admit().await.unwrap().failure().settled().await;
    }
    call().await;
    registry.flush(Duration::from_secs(1)).await.unwrap();
    if breaker.state() == CircuitState::Open {
        return Outcome::Failure;
    }
    breaker.admit().await.unwrap().failure().settled().await;
    if breaker.state() == CircuitState::Open { Outcome::Ignored } else { Outcome::Success }
}

/// Judges one call by the interceptor in both scopes, and by the rule.
async fn judged(engine: &Engine, registry: &BreakerRegistry, event: Event, table: &str) -> Outcome {
    let mut found = Vec::new();
    for per_attempt in [false, true] {
        let name = format!("{event:?} of {table}, {per_attempt}");
        let name: String = name.chars().filter(|letter| letter.is_ascii_alphanumeric()).collect();
        let interceptor = BreakerInterceptor::new(registry.breaker(name.as_str()).unwrap());
        let interceptor = if per_attempt { interceptor.per_attempt() } else { interceptor };
        let client = client(engine, interceptor, 1);
        let mut looked: Option<Looked> = None;
        let call = async || {
            engine.network(PROGRAM).next(event.clone());
            looked = Some(look_in(&client, table).await);
            engine.network(PROGRAM).heal();
        };
        found.push(outcome(registry, &name, call).await);
        found.push(SdkFaults.classify(&looked.unwrap()));
    }
    assert!(found.iter().all(|each| *each == found[0]), "{event:?} of {table}: {found:?}");
    found[0]
}

#[tokio::test(start_paused = true)]
async fn the_interceptor_and_the_rule_judge_alike() {
    let (engine, registry) = program().await;
    let failures = [
        Event::Answer(500, ""),
        Event::Answer(503, "not JSON"),
        Event::Answer(429, ""),
        Event::Answer(408, ""),
        Event::Error("InternalServerError"),
        // Known to the operation, and unknown to it.
        Event::Error("ProvisionedThroughputExceededException"),
        Event::Error("SlowDown"),
        Event::Error("RequestTimeout"),
        Event::LoseRequest,
        Event::RefuseConnection,
        Event::ResetAfter,
        Event::BreakOff,
        Event::Text("no JSON"),
    ];
    for event in failures {
        let judged = judged(&engine, &registry, event.clone(), "orders").await;
        assert_eq!(judged, Outcome::Failure, "{event:?}");
    }
    for event in [
        Event::Pass,
        Event::Error("ConditionalCheckFailedException"),
        Event::Error("AccessDeniedException"),
        Event::Error("SomethingNew"),
        Event::Answer(404, ""),
    ] {
        let judged = judged(&engine, &registry, event.clone(), "orders").await;
        assert_eq!(judged, Outcome::Success, "{event:?}");
    }
    let no_table = judged(&engine, &registry, Event::Pass, "no-such-table").await;
    assert_eq!(no_table, Outcome::Success, "a table that is not there is an answer");
}

/// An interceptor of the program's that fails before a request is sent.
#[derive(Debug)]
struct Refuses;

impl Intercept for Refuses {
    fn name(&self) -> &'static str {
        "Refuses"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        Err("not today".into())
    }
}

/// A connector that blames the program for its request.
#[derive(Clone, Debug)]
struct Blames;

impl HttpConnector for Blames {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Err(ConnectorError::user("no such scheme".into())))
    }
}

/// What the program does wrong in one call.
#[derive(Clone, Copy, Debug)]
enum Mistake {
    /// It names no table: the request cannot be built.
    NotBuilt,
    /// An interceptor of its own fails.
    Refused,
    /// The connector cannot make a request of it.
    Blamed,
}

async fn mistaken(client: &Client, mistake: Mistake) -> Looked {
    let config = client.config().to_builder();
    match mistake {
        Mistake::NotBuilt => client.get_item().send().await,
        Mistake::Refused => look(&Client::from_conf(config.interceptor(Refuses).build())).await,
        Mistake::Blamed => {
            let blames = http_client_fn(|_, _| SharedHttpConnector::new(Blames));
            look(&Client::from_conf(config.http_client(blames).build())).await
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_program_itself_refuses_says_nothing() {
    let (engine, registry) = program().await;
    for per_attempt in [false, true] {
        for mistake in [Mistake::NotBuilt, Mistake::Refused, Mistake::Blamed] {
            let circuit = format!("{mistake:?}-{per_attempt}");
            let interceptor = BreakerInterceptor::new(registry.breaker(circuit.as_str()).unwrap());
            let interceptor = if per_attempt { interceptor.per_attempt() } else { interceptor };
            let client = client(&engine, interceptor, 1);
            let mut looked: Option<Looked> = None;
            let call = async || looked = Some(mistaken(&client, mistake).await);
            assert_eq!(outcome(&registry, &circuit, call).await, Outcome::Ignored, "{circuit}");
            let looked = looked.unwrap();
            assert_eq!(SdkFaults.classify(&looked), Outcome::Ignored, "{circuit}: {looked:?}");
        }
    }
    assert_eq!(engine.requests().len(), 0, "nothing was sent");
}
