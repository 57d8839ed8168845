//! A service of axum whose calls of a dependency go through a circuit. It runs by itself: its
//! dependency works, dies and recovers, and each answer of the service is printed.

mod dependency;

use std::time::Duration;

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
// breaker: begin
use fuseboard::{
    BreakerRegistry, CircuitState, Config, MemoryStore,
    tower::{BoxError, BreakerLayer, ServerErrors},
};
// breaker: end
use tower::{Service as _, ServiceBuilder, ServiceExt as _, util::BoxCloneSyncService};

use self::dependency::Dependency;

/// What handlers call the dependency with.
type Client = BoxCloneSyncService<reqwest::Request, Response, BoxError>;

fn client(registry: &BreakerRegistry) -> Result<Client, BoxError> {
    // breaker: begin
    let breaker = BreakerLayer::new(registry.breaker("stock")?)
        .classified_by(ServerErrors)
        .respond_with(|open| {
            let seconds = open.retry_after().as_secs().saturating_add(1);
            let retry_after = [("retry-after", seconds.to_string())];
            (StatusCode::SERVICE_UNAVAILABLE, retry_after, "come back later").into_response()
        });
    // breaker: end
    let client = ServiceBuilder::new()
        // breaker: begin
        .layer(breaker)
        // breaker: end
        .timeout(Duration::from_secs(2))
        .map_response(|response: reqwest::Response| {
            axum::http::Response::<reqwest::Body>::from(response).map(axum::body::Body::new)
        })
        .service(reqwest::Client::new());
    Ok(BoxCloneSyncService::new(client))
}

/// Asks the dependency what is in stock.
async fn stock(State((mut client, url)): State<(Client, reqwest::Url)>) -> Response {
    let request = reqwest::Request::new(reqwest::Method::GET, url);
    let answer = match client.ready().await {
        Ok(client) => client.call(request).await,
        Err(error) => Err(error),
    };
    answer.unwrap_or_else(|_| (StatusCode::BAD_GATEWAY, "no answer").into_response())
}

/// Serves a router on a free port, and returns its address.
async fn serve(router: Router) -> Result<std::net::SocketAddr, BoxError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// Calls the service, and prints what it answers.
async fn show(url: &str, times: u32) -> Result<(), BoxError> {
    for _ in 0..times {
        let response = reqwest::get(url).await?;
        let status = response.status().as_u16();
        println!("  {status} {}", response.text().await?);
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // breaker: begin
    // `DynamoDbStore::from_env("CircuitBreakerState").await` shares circuits with other processes.
    let config = Config::builder().recovery_timeout(Duration::from_secs(1)).build()?;
    let registry = BreakerRegistry::builder(MemoryStore::new()).config(config).spawn()?;
    // breaker: end
    let dependency = Dependency::default();
    let url = format!("http://{}/", serve(dependency.router()).await?).parse()?;
    let state = (client(&registry)?, url);
    let router = Router::new().route("/stock", get(stock)).with_state(state);
    let url = format!("http://{}/stock", serve(router).await?);

    println!("the dependency works:");
    show(&url, 2).await?;
    dependency.die();
    println!("it dies:");
    show(&url, 7).await?;
    println!("it was called {} times", dependency.calls());
    dependency.recover();
    let breaker = registry.breaker("stock")?;
    while breaker.state() != CircuitState::Closed {
        tokio::time::sleep(Duration::from_millis(50)).await;
        reqwest::get(&url).await?;
    }
    println!("it recovers:");
    show(&url, 2).await?;
    println!("the circuit is {}", breaker.state());
    Ok(())
}
