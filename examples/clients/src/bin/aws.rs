//! The AWS SDK behind a breaker, in two ways: `cargo run -p clients --bin aws`

#![expect(clippy::print_stdout, reason = "what it prints is what it shows")]

use std::{error::Error, time::Duration};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    types::AttributeValue,
};
use clients::{Dependency, Mood};
use fuseboard::{
    Breaker, BreakerRegistry, CircuitState, MemoryStore, OpenError,
    aws::{BreakerInterceptor, SdkFaults},
};
use tokio::time::sleep;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dynamodb = Dependency::start().await?;
    let settings = fuseboard::Config::builder().recovery_timeout(Duration::from_secs(1)).build()?;
    // `DynamoDbStore::new(client.clone(), "CircuitBreakerState")` shares circuits with other
    // processes, by the same client if you like.
    let registry = BreakerRegistry::builder(MemoryStore::new()).config(settings).spawn()?;
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "example"))
        .endpoint_url(dynamodb.url())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::standard().with_max_attempts(1));
    let id = || AttributeValue::S("order 7".to_owned());

    // One handle for every operation, of every service.
    let orders = registry.breaker("orders-table")?.classified_by(SdkFaults);
    let client = Client::from_conf(config.clone().build());
    println!("by calls");
    play(&dynamodb, orders.breaker(), async || {
        let call = || client.get_item().table_name("orders").key("id", id()).send();
        let called = orders.call(call).await;
        said(&called)
    })
    .await;

    // For services: the calls are as they were, and none of them waits for a store.
    let orders = registry.breaker("orders-table-of-a-service")?;
    let interceptor = BreakerInterceptor::new(orders.clone());
    let client = Client::from_conf(config.interceptor(interceptor).build());
    println!("by the client");
    play(&dynamodb, &orders, async || {
        let called = client.get_item().table_name("orders").key("id", id()).send().await;
        // A service goes on. This program has to see the trip that is under way.
        let _ = registry.flush(Duration::from_secs(1)).await;
        said(&called)
    })
    .await;
    Ok(())
}

type Said = Result<&'static str, Duration>;

fn said<T, E: Error + 'static>(called: &Result<T, E>) -> Said {
    match called {
        Ok(_) => Ok("answered"),
        Err(error) => OpenError::find(error).map_or(Ok("failed"), |open| Err(open.retry_after())),
    }
}

/// DynamoDB fails for a while: two answers, five failures, and a call that is rejected.
async fn play(dynamodb: &Dependency, breaker: &Breaker, call: impl AsyncFn() -> Said) {
    use Mood::{BreakingOff, Busy, Failing, Unknown, Well};
    for mood in [Well, Unknown, BreakingOff, Busy, Failing, Failing, Failing, Failing] {
        dynamodb.is(mood);
        println!("{mood:?}: {}; {}", call().await.unwrap_or("rejected"), breaker.state());
    }
    dynamodb.is(Well);
    while breaker.state() != CircuitState::Closed {
        match call().await {
            // Comes back when a call may run again.
            Err(retry_after) => sleep(retry_after.max(Duration::from_millis(10))).await,
            Ok(said) => println!("a probe: {said}; {}", breaker.state()),
        }
    }
}
