//! gRPC by tonic behind a breaker: `cargo run -p clients --bin tonic`

#![expect(clippy::print_stdout, reason = "what it prints is what it shows")]

use std::{error::Error, time::Duration};

use clients::Rpc;
use fuseboard::{BreakerRegistry, ByError, CallError, CircuitState, Config, MemoryStore, Outcome};
use tokio::time::sleep;
use tonic::{Code, Request, Status, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt as _;

/// The rule: what counts against a service.
fn rpc_faults(status: &Status) -> Outcome {
    let is_fault = matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted
    );
    // The service has sent no such status. The transport here has made it of its own error: of a
    // connection that broke, or of `Endpoint::timeout`, which it tells as CANCELLED.
    let is_of_the_transport = status.source().is_some();
    // When to come back: in `grpc-status-details-bin`.
    let retry_delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
    match retry_delay {
        Some(delay) if is_fault => Outcome::OpenFor(delay),
        _ if is_fault || is_of_the_transport => Outcome::Failure,
        // NOT_FOUND, INVALID_ARGUMENT, ...: the service has answered.
        _ => Outcome::Success,
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = Rpc::start()?;
    // A limit for each call: one that hangs is no failure until it ends.
    let endpoint = Endpoint::from_shared(service.url())?.timeout(Duration::from_millis(500));
    let client = HealthClient::new(endpoint.connect_lazy());
    let config = Config::builder().recovery_timeout(Duration::from_secs(1)).build()?;
    // `DynamoDbStore::from_env("CircuitBreakerState").await` shares circuits with other processes.
    let registry = BreakerRegistry::builder(MemoryStore::new()).config(config).spawn()?;
    // Serves calls of every method: their error is one type.
    let health = registry.breaker("health-service")?.classified_by(ByError(rpc_faults));

    let check = async || {
        // A client is cheap to clone, and its methods want it to themselves.
        let mut client = client.clone();
        let request = Request::new(HealthCheckRequest::default());
        health.call(|| async move { client.check(request).await }).await
    };

    for next in TROUBLE {
        service.says(next);
        println!("{next:?}: {}; {}", said(&check().await), health.breaker().state());
    }
    service.says(Code::Ok);
    while health.breaker().state() != CircuitState::Closed {
        let called = check().await;
        if let Err(CallError::Open(open)) = called {
            // Comes back when a call may run again.
            sleep(open.retry_after().max(Duration::from_millis(10))).await;
        } else {
            println!("a probe: {}; {}", said(&called), health.breaker().state());
        }
    }
    Ok(())
}

fn said<T>(called: &Result<T, CallError<Status>>) -> String {
    match called {
        Ok(_) => "answered".to_owned(),
        Err(CallError::Inner(status)) => format!("failed ({:?})", rpc_faults(status)),
        Err(error @ (CallError::Open(_) | CallError::TimedOut(_))) => error.to_string(),
    }
}

/// What the service says at each call: two answers, three failures, one that says when to come back,
/// and one that is rejected.
const TROUBLE: [Code; 7] = [
    Code::Ok,
    Code::NotFound,
    Code::Unavailable,
    Code::DeadlineExceeded,
    Code::Unavailable,
    Code::ResourceExhausted,
    Code::ResourceExhausted,
];
