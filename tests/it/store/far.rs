//! A region that is far away: each round trip takes time, and so does making a
//! connection, of TCP and of TLS.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::{Client, config::SharedHttpClient};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use fuseboard::{
    CircuitName, Config, DynamoDbStore,
    store::{Consistency, Misconfiguration, Store, StoreErrorKind},
};

use crate::support::{
    dynamodb::World,
    engine::{Engine, Event, TABLE},
};

/// The SDK's HTTP client for an engine that is this far away.
#[derive(Clone)]
struct Far {
    engine: SharedHttpClient,
    round_trip: Duration,
    /// A connection is kept once it was made, unless its answer was not waited
    /// for.
    is_connected: Arc<AtomicBool>,
}

/// The same, under the limits of one request.
struct FarConnector {
    far: Far,
    connector: SharedHttpConnector,
    connect_timeout: Option<Duration>,
}

impl Far {
    fn client(engine: &Engine, round_trip: Duration) -> Client {
        let config = engine.client("A").config().clone();
        let http = config.http_client().unwrap();
        let far = Self { engine: http, round_trip, is_connected: Arc::default() };
        Client::from_conf(config.to_builder().http_client(far).build())
    }

    /// TCP takes one round trip, and TLS 1.2 two.
    async fn connect(&self, limit: Option<Duration>) -> Result<(), ConnectorError> {
        let needed = self.round_trip * 3;
        if let Some(limit) = limit.filter(|limit| *limit < needed) {
            tokio::time::sleep(limit).await;
            let words = format!("HTTP connect timeout occurred after {limit:?}");
            return Err(ConnectorError::timeout(words.into()));
        }
        tokio::time::sleep(needed).await;
        Ok(())
    }
}

impl fmt::Debug for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Far({:?})", self.round_trip)
    }
}

impl fmt::Debug for FarConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.far.fmt(f)
    }
}

impl HttpConnector for FarConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (far, connector) = (self.far.clone(), self.connector.clone());
        let limit = self.connect_timeout;
        HttpConnectorFuture::new(async move {
            if !far.is_connected.swap(false, Ordering::Relaxed) {
                far.connect(limit).await?;
            }
            tokio::time::sleep(far.round_trip).await;
            let answer = connector.call(request).await;
            far.is_connected.store(true, Ordering::Relaxed);
            answer
        })
    }
}

impl HttpClient for Far {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(FarConnector {
            far: self.clone(),
            connector: self.engine.http_connector(settings, components),
            connect_timeout: settings.connect_timeout(),
        })
    }
}

fn circuit() -> CircuitName {
    CircuitName::new("payments").unwrap()
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The timeout that `verify` names, of a table whose time-to-live is on.
async fn proposed(engine: &Engine, round_trip: Duration) -> (String, Duration) {
    let store = DynamoDbStore::new(Far::client(engine, round_trip), TABLE);
    let error = store.verify().await.unwrap_err();
    assert!(error.unreachable().is_none(), "{error}");
    let [fault] = error.faults() else { panic!("{error}") };
    let Misconfiguration::TimeoutTooShort { ran_out, operation_timeout } = fault else {
        panic!("{error}")
    };
    let named = format!("set operation_timeout to {operation_timeout:?}");
    assert!(error.to_string().contains(&named), "{error}");
    (ran_out.clone(), *operation_timeout)
}

#[tokio::test(start_paused = true)]
async fn case_173_in_a_region_200_ms_away_verify_says_which_limits_to_raise() {
    let engine = Engine::empty();
    engine.store("A").create_table().await.unwrap();
    let (ran_out, timeout) = proposed(&engine, millis(200)).await;
    assert_eq!(ran_out, "a connection took longer than 250ms, a quarter of operation_timeout");
    assert_eq!(timeout, millis(4_000));
}

#[tokio::test(start_paused = true)]
async fn case_173_the_limits_that_verify_names_work() {
    for round_trip in [millis(90), millis(150), millis(200), millis(300)] {
        let engine = Engine::empty();
        engine.store("A").create_table().await.unwrap();
        let (_, operation) = proposed(&engine, round_trip).await;
        let store = DynamoDbStore::builder(Far::client(&engine, round_trip), TABLE)
            .operation_timeout(operation)
            .build()
            .unwrap();
        store.read(&circuit(), Consistency::Strong).await.unwrap();
        store.verify().await.unwrap();

        let world = World::new();
        let store = DynamoDbStore::builder(Far::client(&world.engine, round_trip), TABLE)
            .operation_timeout(operation)
            .build()
            .unwrap();
        let config = Config::builder().store_timeout(operation).build().unwrap();
        let process = world.over(store, config);
        let breaker = process.registry.breaker("p").unwrap();
        for _ in 0..5 {
            let _ = breaker.call(|| async { Err::<(), _>("down") }).await;
        }
        assert_eq!(world.engine.get_item("p").unwrap()["state"], "OPEN", "{round_trip:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_173_in_a_region_80_ms_away_the_defaults_work() {
    let engine = Engine::empty();
    engine.store("A").create_table().await.unwrap();
    let store = DynamoDbStore::new(Far::client(&engine, millis(80)), TABLE);
    store.read(&circuit(), Consistency::Strong).await.unwrap();
    store.verify().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn case_173_a_store_that_does_not_answer_at_all_is_not_far_away() {
    let engine = Engine::new();
    engine.network("A").always(Event::LoseRequest);
    let error = engine.store("A").verify().await.unwrap_err();
    assert_eq!(error.faults(), []);
    let unreachable = error.unreachable().unwrap();
    assert_eq!(unreachable.kind(), StoreErrorKind::Timeout);
    assert!(unreachable.to_string().contains("operation_timeout, 1s, ran out"), "{unreachable}");
}
