//! Around the clients of reqwest and hyper, over loopback.

use std::time::Duration;

use bytes::Bytes;
use fuseboard::{
    CircuitState, OpenError,
    tower::{BoxError, BreakerLayer, ServerErrors},
};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Service as _, ServiceBuilder, ServiceExt as _};

use crate::{servers, world::World};

fn request(address: std::net::SocketAddr, path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://{address}{path}")).body(Empty::new()).unwrap()
}

async fn read(
    response: Response<impl http_body::Body<Error: Into<BoxError>>>,
) -> Result<(), BoxError> {
    response.into_body().collect().await.map(drop).map_err(Into::into)
}

/// Calls hyper through a layer until the circuit is open, and says how often.
async fn hyper_until_open(world: &World, address: std::net::SocketAddr, path: &str) -> u32 {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let layer = BreakerLayer::new(world.breaker.clone());
    let mut service = ServiceBuilder::new()
        .layer(layer.classified_by(ServerErrors).through_body())
        .timeout(Duration::from_millis(50))
        .service(client);
    for calls in 0..10 {
        match service.ready().await.unwrap().call(request(address, path)).await {
            Ok(response) => drop(read(response).await),
            Err(error) if error.is::<OpenError>() => return calls,
            Err(_) => {}
        }
        world.flush().await;
    }
    10
}

#[tokio::test]
async fn hyper_trips_on_a_server_that_is_dead_slow_bad_or_cuts_bodies_short() {
    let servers = [
        (servers::dead().await, "/"),
        (servers::slow().await, "/"),
        (servers::answering().await, "/bad"),
    ];
    for (address, path) in servers {
        let world = World::new();
        assert_eq!(hyper_until_open(&world, address, path).await, 5, "{address}{path}");
    }
}

#[tokio::test]
async fn case_187_hyper_trips_on_a_server_that_cuts_bodies_short() {
    let world = World::new();
    assert_eq!(hyper_until_open(&world, servers::cutting().await, "/").await, 5);
}

#[tokio::test]
async fn hyper_never_trips_on_a_server_that_answers() {
    let world = World::new();
    let address = servers::answering().await;
    assert_eq!(hyper_until_open(&world, address, "/").await, 10);
    assert_eq!(hyper_until_open(&world, address, "/not-there").await, 10);
}

#[tokio::test]
async fn a_circuit_around_reqwest_opens_and_recovers() {
    let world = World::new();
    let mut service = ServiceBuilder::new()
        .layer(BreakerLayer::new(world.breaker.clone()))
        .service(reqwest::Client::new());
    let get = |address| {
        let url = format!("http://{address}/").parse().unwrap();
        reqwest::Request::new(reqwest::Method::GET, url)
    };
    let dead = servers::dead().await;
    for _ in 0..5 {
        let failed = service.ready().await.unwrap().call(get(dead)).await.unwrap_err();
        assert!(failed.downcast::<reqwest::Error>().unwrap().is_connect());
    }
    let rejected = service.ready().await.unwrap().call(get(dead)).await.unwrap_err();
    assert!(rejected.is::<OpenError>());

    let alive = servers::answering().await;
    world.clock.advance(Duration::from_secs(31));
    for _ in 0..3 {
        let response = service.ready().await.unwrap().call(get(alive)).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "fine");
    }
    assert_eq!(world.state(), CircuitState::Closed);
}

#[tokio::test]
async fn case_187_reqwest_is_judged_through_the_body_as_a_response_of_http() {
    let world = World::new();
    let layer = BreakerLayer::new(world.breaker.clone()).classified_by(ServerErrors);
    let mut service = ServiceBuilder::new()
        .layer(layer.through_body())
        .map_response(Response::<reqwest::Body>::from)
        .service(reqwest::Client::new());
    let url: reqwest::Url = format!("http://{}/", servers::cutting().await).parse().unwrap();
    for _ in 0..5 {
        let request = reqwest::Request::new(reqwest::Method::GET, url.clone());
        let response = service.ready().await.unwrap().call(request).await.unwrap();
        read(response).await.unwrap_err();
    }
    world.flush().await;
    assert_eq!(world.state(), CircuitState::Open);
}
