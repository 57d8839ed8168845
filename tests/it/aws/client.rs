//! A program's own client, with a breaker among its interceptors.

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::SdkError,
    operation::get_item::{GetItemError, GetItemOutput},
    types::AttributeValue,
};
use fuseboard::{
    Breaker, BreakerRegistry, Clock, Hold, MemoryStore, OpenError, VirtualClock,
    aws::BreakerInterceptor,
};

use crate::support::{engine::Engine, world::START};

/// The program's own table, beside that of the circuits.
pub(super) const ORDERS: &str = "orders";

/// The label of the program's client.
pub(super) const PROGRAM: &str = "program";

pub(super) type Looked = Result<GetItemOutput, SdkError<GetItemError>>;

/// A client with this interceptor, which tries each request so often.
pub(super) fn client(engine: &Engine, interceptor: BreakerInterceptor, attempts: u32) -> Client {
    let timeouts = TimeoutConfig::builder()
        .operation_timeout(Duration::from_secs(120))
        .operation_attempt_timeout(Duration::from_secs(2))
        .build();
    let config = engine
        .client(PROGRAM)
        .config()
        .to_builder()
        .retry_config(RetryConfig::standard().with_max_attempts(attempts))
        .timeout_config(timeouts)
        .interceptor(interceptor);
    Client::from_conf(config.build())
}

/// The program looks for an order.
pub(super) async fn look(client: &Client) -> Looked {
    look_in(client, ORDERS).await
}

pub(super) async fn look_in(client: &Client, table: &str) -> Looked {
    let id = AttributeValue::S("order 7".to_owned());
    client.get_item().table_name(table).key("id", id).send().await
}

pub(super) fn is_rejected(looked: &Looked) -> bool {
    looked.as_ref().is_err_and(|error| OpenError::find(error).is_some())
}

/// An engine with the program's table, and a registry whose circuits are in memory.
pub(super) async fn program() -> (Engine, BreakerRegistry) {
    let engine = Engine::empty();
    engine.create_table(ORDERS, &["id"]);
    let clock = VirtualClock::following_tokio(start());
    let registry = BreakerRegistry::builder(MemoryStore::new()).clock(Clock::from(&clock));
    (engine, registry.disabled(false).spawn().unwrap())
}

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(START.unsigned_abs())
}

/// Holds a circuit open for as long as a test may take.
pub(super) async fn hold(breaker: &Breaker) {
    breaker.hold(Hold::open(start() + Duration::from_secs(3_600)).reason("tests")).await.unwrap();
}
