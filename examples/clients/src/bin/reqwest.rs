//! HTTP by reqwest behind a breaker: `cargo run -p clients --bin reqwest`

#![expect(clippy::print_stdout, reason = "what it prints is what it shows")]

use std::{error::Error, time::Duration};

use clients::{Dependency, Mood};
use fuseboard::{BreakerRegistry, ByError, CallError, CircuitState, Config, MemoryStore, Outcome};
use reqwest::{Client, StatusCode};
use tokio::time::sleep;

/// The rule: what counts against a service.
fn http_faults(error: &reqwest::Error) -> Outcome {
    match error.status() {
        // Too many requests are a failure: the circuit opens for `recovery_timeout`, and gives the
        // service a rest. Its `Retry-After` is not read.
        Some(StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => Outcome::Failure,
        Some(status) if status.is_server_error() => Outcome::Failure,
        // A 404 or a 409: the service has answered.
        Some(_) => Outcome::Success,
        // The program's own mistake: nothing was sent.
        None if error.is_builder() => Outcome::Ignored,
        // No connection, a timeout, a body that broke off or that cannot be read.
        None => Outcome::Failure,
    }
}

/// The call: to the end of the body, so that one that breaks off is a failure.
async fn price(client: &Client, url: &str) -> Result<String, reqwest::Error> {
    client.get(url).send().await?.error_for_status()?.text().await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = Dependency::start().await?;
    // A limit for each request: one that hangs is no failure until it ends.
    let client = Client::builder().timeout(Duration::from_millis(500)).build()?;
    let config = Config::builder().recovery_timeout(Duration::from_secs(1)).build()?;
    // `DynamoDbStore::from_env("CircuitBreakerState").await` shares circuits with other processes.
    let registry = BreakerRegistry::builder(MemoryStore::new()).config(config).spawn()?;
    // Serves calls of every type, as long as their error is reqwest's.
    let prices = registry.breaker("price-service")?.classified_by(ByError(http_faults));

    let url = service.url();
    for mood in TROUBLE {
        service.is(mood);
        let called = prices.call(|| price(&client, &url)).await;
        println!("{mood:?}: {}; {}", said(&called), prices.breaker().state());
    }
    println!("{} requests have reached the service", service.requests());
    service.is(Mood::Well);
    while prices.breaker().state() != CircuitState::Closed {
        let called = prices.call(|| price(&client, &url)).await;
        if let Err(CallError::Open(open)) = called {
            // Comes back when a call may run again.
            sleep(open.retry_after().max(Duration::from_millis(10))).await;
        } else {
            println!("a probe: {}; {}", said(&called), prices.breaker().state());
        }
    }
    Ok(())
}

fn said(called: &Result<String, CallError<reqwest::Error>>) -> String {
    match called {
        Ok(body) => format!("answered {body}"),
        Err(CallError::Inner(error)) => format!("failed ({:?})", http_faults(error)),
        Err(error @ (CallError::Open(_) | CallError::TimedOut(_))) => error.to_string(),
    }
}

/// What the service does at each call: two answers, five failures, and one that is rejected.
const TROUBLE: [Mood; 8] = [
    Mood::Well,
    Mood::Unknown,
    Mood::BreakingOff,
    Mood::Busy,
    Mood::Hanging,
    Mood::Failing,
    Mood::Failing,
    Mood::Failing,
];
