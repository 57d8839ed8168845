//! What the store says when the network or DynamoDB does not do its part.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Config, Region, retry::RetryConfig, timeout::TimeoutConfig},
};
use fuseboard::{
    BreakerRegistry, CircuitName, ConfigError, DynamoDbStore, VirtualClock,
    store::{
        Consistency, Hints, LeaseToken, Operation, Store, StoreError,
        StoreErrorKind::{self, BadAnswer, Misconfigured, Throttled, Timeout, Unavailable},
        Written,
    },
};
use serde_json::json;

use crate::support::engine::{Engine, Event, TABLE, http_client, now};

fn circuit() -> CircuitName {
    CircuitName::new("payments").unwrap()
}

fn trip() -> Operation {
    Operation::Trip {
        seen: None,
        failure_count: 5,
        opened_at: 1_000,
        expires_at: 4_630,
        hints: Hints::NONE,
    }
}

async fn read(store: &DynamoDbStore) -> StoreError {
    store.read(&circuit(), Consistency::Strong).await.unwrap_err()
}

async fn write(store: &DynamoDbStore) -> StoreError {
    store.write(&circuit(), &trip()).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn every_fault_has_its_kind() {
    let engine = Engine::new();
    let store = engine.store("A");
    let network = engine.network("A");
    let html = "<html>Service Unavailable</html>";
    let faults: [(Event, StoreErrorKind); 21] = [
        (Event::LoseRequest, Timeout),
        (Event::LoseAnswer, Timeout),
        (Event::DelayAfter(Duration::from_secs(1)), Timeout),
        (Event::RefuseConnection, Unavailable),
        (Event::ResetAfter, Unavailable),
        (Event::Error("InternalServerError"), Unavailable),
        (Event::Error("ServiceUnavailable"), Unavailable),
        (Event::Error("TransactionConflictException"), Throttled),
        (Event::Answer(503, html), Unavailable),
        (Event::Answer(429, ""), Throttled),
        (Event::Error("ThrottlingException"), Throttled),
        (Event::Error("ProvisionedThroughputExceededException"), Throttled),
        (Event::Error("RequestLimitExceeded"), Throttled),
        (Event::Error("ResourceNotFoundException"), Misconfigured),
        (Event::Error("AccessDeniedException"), Misconfigured),
        (Event::Error("ValidationException"), Misconfigured),
        (Event::Error("UnrecognizedClientException"), Misconfigured),
        (Event::Error("ExpiredTokenException"), Misconfigured),
        (Event::Answer(200, ""), BadAnswer),
        (Event::Answer(200, html), BadAnswer),
        (Event::Answer(404, html), BadAnswer),
    ];
    for (event, kind) in faults {
        engine.delete_item("payments");
        network.always(event.clone());
        let begun = now();
        for error in [read(&store).await, write(&store).await] {
            assert_eq!(error.kind(), kind, "{event:?}: {error}");
            let message = error.to_string();
            assert!(message.contains("circuit \"payments\" in table \"circuits\""), "{message}");
        }
        assert!(begun.elapsed() <= Duration::from_millis(2_010), "{event:?}");
        network.heal();
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_wrong_types_is_bad() {
    let engine = Engine::new();
    let wrong = r#"{"Item":{"state":{"S":5}},"Attributes":[]}"#;
    engine.network("A").always(Event::Answer(200, wrong));
    assert_eq!(read(&engine.store("A")).await.kind(), BadAnswer);
    assert_eq!(write(&engine.store("A")).await.kind(), BadAnswer);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_given_up_after_a_second() {
    let engine = Engine::new();
    engine.network("A").always(Event::LoseRequest);
    let begun = now();
    assert_eq!(read(&engine.store("A")).await.kind(), Timeout);
    let waited = begun.elapsed().as_millis();
    assert!((999..=1_001).contains(&waited), "{waited} ms");
    assert_eq!(engine.count("GetItem"), 3);
}

#[tokio::test(start_paused = true)]
async fn the_limits_hold_whatever_the_client_is_set_to() {
    let engine = Engine::new();
    let config = engine
        .client("A")
        .config()
        .to_builder()
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .build();
    let store = DynamoDbStore::new(Client::from_conf(config), TABLE);
    engine.network("A").always(Event::LoseRequest);
    let begun = now();
    assert_eq!(read(&store).await.kind(), Timeout);
    assert!(begun.elapsed() <= Duration::from_millis(1_001));
    assert_eq!(engine.count("GetItem"), 3);
}

#[tokio::test(start_paused = true)]
async fn limits_can_be_set() {
    let engine = Engine::new();
    let store = engine
        .store_builder("A", TABLE)
        .operation_timeout(Duration::from_millis(125))
        .max_attempts(1)
        .build()
        .unwrap();
    engine.network("A").always(Event::LoseRequest);
    let begun = now();
    assert_eq!(read(&store).await.kind(), Timeout);
    assert!(begun.elapsed() <= Duration::from_millis(51));
    assert_eq!(engine.count("GetItem"), 1);
}

/// A store whose operations take no longer than this.
fn limited(engine: &Engine, limit: Duration) -> Result<DynamoDbStore, ConfigError> {
    engine.store_builder("A", TABLE).operation_timeout(limit).build()
}

#[tokio::test(start_paused = true)]
async fn case_91_limits_of_zero_are_refused() {
    let engine = Engine::new();
    let builder = || engine.store_builder("A", TABLE);
    for (refused, field) in [
        (limited(&engine, Duration::ZERO), "operation_timeout"),
        (builder().max_attempts(0).build(), "max_attempts"),
    ] {
        assert_eq!(refused.unwrap_err().field(), field);
    }
}

#[tokio::test(start_paused = true)]
async fn case_91_limits_of_a_nanosecond_end_what_hangs_at_once() {
    let engine = Engine::new();
    let store = limited(&engine, Duration::from_nanos(1)).unwrap();
    engine.network("A").always(Event::LoseRequest);
    let begun = now();
    assert_eq!(read(&store).await.kind(), Timeout);
    assert_eq!(write(&store).await.kind(), Timeout);
    assert!(begun.elapsed() <= Duration::from_millis(10), "{:?}", begun.elapsed());
    assert!(engine.requests().len() <= 6, "{}", engine.requests().len());
}

#[tokio::test(start_paused = true)]
async fn case_91_limits_beyond_reason_are_refused() {
    let engine = Engine::new();
    let builder = || engine.store_builder("A", TABLE);
    let beyond = Duration::from_secs(3_600) + Duration::from_nanos(1);
    for (refused, field) in [
        (limited(&engine, beyond), "operation_timeout"),
        (limited(&engine, Duration::MAX), "operation_timeout"),
        (builder().max_attempts(101).build(), "max_attempts"),
        (builder().max_attempts(u32::MAX).build(), "max_attempts"),
    ] {
        assert_eq!(refused.unwrap_err().field(), field);
    }
}

#[tokio::test(start_paused = true)]
async fn case_91_limits_of_an_hour_are_limits() {
    let engine = Engine::new();
    let store = limited(&engine, Duration::from_secs(3_600)).unwrap();
    let found = store.read(&circuit(), Consistency::Strong).await.unwrap();
    assert_eq!(found, None);
    let written = store.write(&circuit(), &trip()).await.unwrap();
    assert!(matches!(written, Written::Applied(_)));
    // Whoever asks has a limit of its own, which counts.
    engine.network("A").always(Event::LoseRequest);
    let clock = VirtualClock::following_tokio(SystemTime::UNIX_EPOCH + Duration::from_secs(9));
    let builder = BreakerRegistry::builder(store).clock(&clock).disabled(false);
    let registry = builder.spawn().unwrap();
    let breaker = registry.breaker("payments").unwrap();
    let begun = now();
    assert_eq!(breaker.call(|| async { Ok::<_, ()>(42) }).await, Ok(42));
    assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_broken_connection_is_not_noticed() {
    let engine = Engine::new();
    engine.network("A").next(Event::RefuseConnection);
    let found = engine.store("A").read(&circuit(), Consistency::Eventual).await.unwrap();
    assert_eq!(found, None);
    assert_eq!(engine.count("GetItem"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_a_lost_answer_is_refused_and_shows_our_own_token() {
    let engine = Engine::new();
    let store = engine.store("A");
    engine.put_item("payments", &json!({"state": "OPEN", "opened_at": 1_000}));
    let seen = store.read(&circuit(), Consistency::Strong).await.unwrap().unwrap();
    engine.network("A").on("UpdateItem", 1, Event::LoseAnswer);
    let token = LeaseToken::new("ours");
    let elect =
        Operation::Elect { seen, token: token.clone(), lease_until: 1_060, expires_at: 4_660 };
    let Written::Refused(Some(record)) = store.write(&circuit(), &elect).await.unwrap() else {
        panic!("the retry was applied a second time");
    };
    assert_eq!(record.owner, token.as_owner());
    assert_eq!(engine.count("UpdateItem"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_missing_table_is_named_with_what_mends_it() {
    let engine = Engine::empty();
    let error = read(&engine.store("A")).await;
    assert_eq!(error.kind(), Misconfigured);
    let message = error.to_string();
    assert!(message.contains("in table \"circuits\": ResourceNotFoundException"), "{message}");
    assert!(message.contains("create the table"), "{message}");
    assert!(error.source().is_some());
    let message = write(&engine.store("A")).await.to_string();
    assert!(message.starts_with("trip of circuit \"payments\""), "{message}");
}

#[tokio::test(start_paused = true)]
async fn another_key_schema_is_named_with_what_mends_it() {
    let engine = Engine::empty();
    engine.create_table(TABLE, &["pk", "sk"]);
    for error in [read(&engine.store("A")).await, write(&engine.store("A")).await] {
        assert_eq!(error.kind(), Misconfigured);
        assert!(error.to_string().contains("check key_attr and sort_key_attr"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_credentials_nothing_is_sent() {
    let engine = Engine::new();
    let http = engine.client("A").config().http_client().unwrap();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .http_client(http)
        .build();
    let error = read(&DynamoDbStore::new(Client::from_conf(config), TABLE)).await;
    assert_eq!(error.kind(), Misconfigured, "{error}");
    assert!(error.to_string().contains("no provider of credentials (give this process"), "{error}");
    assert!(engine.requests().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_nobody_listens_on_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let store = DynamoDbStore::new(http_client(port), TABLE);
    assert_eq!(read(&store).await.kind(), Unavailable);
    assert_eq!(write(&store).await.kind(), Unavailable);
}

#[tokio::test]
async fn an_endpoint_that_does_not_speak_http_is_a_fault_of_configuration() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut server = tokio::task::JoinSet::new();
    server.spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 1_024];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(b"220 mail.example ESMTP\r\n").await;
        }
    });
    let store = DynamoDbStore::new(http_client(port), TABLE);
    let error = read(&store).await;
    assert_eq!(error.kind(), Misconfigured);
    assert!(error.to_string().contains("check region, endpoint, proxy and credentials"), "{error}");
}
