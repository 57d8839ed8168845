//! HTTP by reqwest behind a breaker: `cargo run -p clients --bin reqwest`

#![expect(clippy::print_stdout, reason = "what it prints is what it shows")]

use std::{error::Error, fmt, time::Duration};

use clients::{Dependency, Mood};
use fuseboard::{
    BreakerRegistry, ByError, CallError, CircuitState, Config, MemoryStore, Outcome,
    tower::RetryAfter,
};
use reqwest::{Client, StatusCode};
use tokio::time::sleep;

/// An error of reqwest, and what the answer said of coming back, which reqwest's has no place for.
#[derive(Debug)]
struct HttpError {
    error: reqwest::Error,
    retry_after: Option<Duration>,
}

impl From<reqwest::Error> for HttpError {
    fn from(error: reqwest::Error) -> Self {
        Self { error, retry_after: None }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for HttpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// The rule: what counts against a service.
fn http_faults(HttpError { error, retry_after }: &HttpError) -> Outcome {
    use StatusCode as S;
    match error.status() {
        // Told when to come back, it opens the circuit until then. Else it is a failure.
        Some(S::TOO_MANY_REQUESTS | S::SERVICE_UNAVAILABLE) => {
            retry_after.map_or(Outcome::Failure, Outcome::OpenFor)
        }
        Some(S::REQUEST_TIMEOUT) => Outcome::Failure,
        Some(status) if status.is_server_error() => Outcome::Failure,
        // A 404 or a 409: the service has answered.
        Some(_) => Outcome::Success,
        // The program's own mistake: nothing was sent.
        None if error.is_builder() => Outcome::Ignored,
        // No connection, a timeout, a body that broke off or that cannot be read.
        None => Outcome::Failure,
    }
}

async fn price(client: &Client, url: &str) -> Result<String, HttpError> {
    let response = client.get(url).send().await?;
    let retry_after = RetryAfter::in_headers(response.headers());
    match response.error_for_status() {
        Ok(response) => Ok(response.text().await?),
        Err(error) => Err(HttpError { error, retry_after }),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = Dependency::start().await?;
    // A limit for each request: one that hangs is no failure until it ends.
    let client = Client::builder().timeout(Duration::from_millis(500)).build()?;
    let config = Config::builder().recovery_timeout(Duration::from_secs(1)).build()?;
    // `DynamoDbStore::from_env("CircuitBreakerState").await` shares circuits with other processes.
    let registry = BreakerRegistry::builder(MemoryStore::new()).config(config).spawn()?;
    // Serves calls of every type, as long as their error is this one.
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

fn said(called: &Result<String, CallError<HttpError>>) -> String {
    match called {
        Ok(body) => format!("answered {body}"),
        Err(CallError::Inner(error)) => format!("failed ({:?})", http_faults(error)),
        Err(error @ (CallError::Open(_) | CallError::TimedOut(_))) => error.to_string(),
    }
}

/// What the service does at each call: two answers, three failures, one that says when to come back,
/// and one that is rejected.
const TROUBLE: [Mood; 7] = [
    Mood::Well,
    Mood::Unknown,
    Mood::BreakingOff,
    Mood::Hanging,
    Mood::Failing,
    Mood::Busy,
    Mood::Busy,
];
