//! Around a channel of tonic, and around its server.

use std::net::SocketAddr;

use fuseboard::{
    CircuitState,
    tower::{BreakerLayer, GrpcStatus},
};
use tokio::net::TcpListener;
use tonic::{
    Code,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::ServiceBuilder;

use crate::{servers, world::World};

pub(crate) fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy()
}

pub(crate) fn request(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

/// A server of health checks, whose circuit is that of the world if there is one.
async fn serving(world: Option<&World>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = TcpIncoming::from(listener);
    let (_reporter, health) = tonic_health::server::health_reporter();
    match world {
        None => {
            tokio::spawn(Server::builder().add_service(health).serve_with_incoming(incoming));
        }
        Some(world) => {
            let layer = BreakerLayer::new(world.breaker.clone())
                .classified_by(GrpcStatus)
                .respond_with(|open| tonic::Status::unavailable(open.to_string()).into_http());
            let server = Server::builder().layer(layer).add_service(health);
            tokio::spawn(server.serve_with_incoming(incoming));
        }
    }
    address
}

#[tokio::test]
async fn a_channel_to_a_dead_server_trips() {
    let world = World::new();
    let service = ServiceBuilder::new()
        .layer(BreakerLayer::new(world.breaker.clone()).classified_by(GrpcStatus))
        .service(channel(servers::dead().await));
    let mut client = HealthClient::new(service);
    for _ in 0..5 {
        assert_eq!(client.check(request("")).await.unwrap_err().code(), Code::Unavailable);
    }
    assert_eq!(world.state(), CircuitState::Open);
    let rejected = client.check(request("")).await.unwrap_err();
    assert!(rejected.message().contains("circuit \"dependency\" is OPEN"), "{rejected}");
}

#[tokio::test]
async fn an_answer_of_grpc_that_is_an_error_is_no_failure_unless_it_says_trouble() {
    let world = World::new();
    let layer = BreakerLayer::new(world.breaker.clone());
    let service = ServiceBuilder::new()
        .layer(layer.classified_by(GrpcStatus).through_trailers(GrpcStatus))
        .service(channel(serving(None).await));
    let mut client = HealthClient::new(service);
    client.check(request("")).await.unwrap();
    for _ in 0..10 {
        assert_eq!(client.check(request("unknown")).await.unwrap_err().code(), Code::NotFound);
    }
    assert_eq!(world.state(), CircuitState::Closed);
}

#[tokio::test]
async fn a_server_of_tonic_behind_a_circuit_answers_and_rejects() {
    let world = World::new();
    let mut client = HealthClient::new(channel(serving(Some(&world)).await));
    client.check(request("")).await.unwrap();
    world.failures_to_trip().await;
    let rejected = client.check(request("")).await.unwrap_err();
    assert_eq!(rejected.code(), Code::Unavailable);
    assert!(rejected.message().contains("OPEN"), "{rejected}");
}
