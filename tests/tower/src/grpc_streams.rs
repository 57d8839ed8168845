//! Calls of gRPC that end in their trailers, after good frames.

use std::{net::SocketAddr, pin::Pin};

use fuseboard::{
    CircuitState,
    tower::{BreakerLayer, GrpcStatus},
};
use futures::{Stream, stream};
use http::{HeaderMap, Response};
use tokio::net::TcpListener;
use tonic::{
    Code, Request, Status,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_client::HealthClient,
    health_server::{Health, HealthServer},
};
use tower::ServiceBuilder;

use crate::{
    grpc::{channel, request},
    world::World,
};

/// Streams two good messages, and then ends with a code.
struct EndsWith(Code);

type Answer = Result<HealthCheckResponse, Status>;

#[tonic::async_trait]
impl Health for EndsWith {
    type WatchStream = Pin<Box<dyn Stream<Item = Answer> + Send>>;

    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        Err(Status::unimplemented("streams alone"))
    }

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, Status> {
        let mut answers = vec![Ok(HealthCheckResponse::default()); 2];
        if self.0 != Code::Ok {
            answers.push(Err(Status::new(self.0, "in the trailers")));
        }
        Ok(tonic::Response::new(Box::pin(stream::iter(answers))))
    }
}

async fn serving(ends_with: Code) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_service(HealthServer::new(EndsWith(ends_with)));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

/// Reads whole streams, until the circuit is open or ten have ended; returns how many have.
async fn streams_until_open(world: &World, address: SocketAddr, code: Code) -> u32 {
    let layer = BreakerLayer::new(world.breaker.clone()).classified_by(GrpcStatus);
    let service =
        ServiceBuilder::new().layer(layer.through_trailers(GrpcStatus)).service(channel(address));
    let mut client = HealthClient::new(service);
    for ended in 0..10 {
        if world.state() == CircuitState::Open {
            return ended;
        }
        let mut answers = client.watch(request("")).await.unwrap().into_inner();
        for _ in 0..2 {
            assert!(answers.message().await.unwrap().is_some());
        }
        match answers.message().await {
            Ok(end) => assert_eq!((end, code), (None, Code::Ok)),
            Err(status) => assert_eq!(status.code(), code),
        }
        world.flush().await;
    }
    10
}

#[tokio::test]
async fn case_187_a_stream_that_ends_with_trouble_in_its_trailers_is_a_failure() {
    for code in [Code::Unavailable, Code::DeadlineExceeded, Code::ResourceExhausted] {
        let world = World::new();
        assert_eq!(streams_until_open(&world, serving(code).await, code).await, 5, "{code:?}");
    }
}

#[tokio::test]
async fn a_stream_that_ends_well_or_with_an_answer_is_a_success() {
    for code in [Code::Ok, Code::NotFound, Code::Internal, Code::Unknown] {
        let world = World::new();
        assert_eq!(streams_until_open(&world, serving(code).await, code).await, 10, "{code:?}");
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_before_its_trailers_is_no_verdict() {
    let world = World::new();
    let layer = BreakerLayer::new(world.breaker.clone()).classified_by(GrpcStatus);
    let address = serving(Code::Unavailable).await;
    let service =
        ServiceBuilder::new().layer(layer.through_trailers(GrpcStatus)).service(channel(address));
    let mut client = HealthClient::new(service);
    for _ in 0..10 {
        let mut answers = client.watch(request("")).await.unwrap().into_inner();
        assert!(answers.message().await.unwrap().is_some());
    }
    assert_eq!(world.failures_to_trip().await, 5);
}

#[test]
fn a_code_is_read_wherever_it_stands() {
    use fuseboard::{Classify as _, Outcome, tower::ClassifyTrailers as _};

    let judged = |code: Option<&str>, status: u16| {
        let mut head = Response::builder().status(status);
        let mut trailers = HeaderMap::new();
        if let Some(code) = code {
            head = head.header("grpc-status", code);
            trailers.insert("grpc-status", code.parse().unwrap());
        }
        let head = Ok::<_, std::io::Error>(head.body(()).unwrap());
        (GrpcStatus.classify(&head), GrpcStatus.classify_trailers(&trailers))
    };
    for code in 0..=16 {
        let outcome = if matches!(code, 4 | 8 | 14) { Outcome::Failure } else { Outcome::Success };
        assert_eq!(judged(Some(&code.to_string()), 200), (outcome, outcome), "{code}");
    }
    assert_eq!(judged(Some("14 "), 200).0, Outcome::Success, "no code");
    assert_eq!(judged(None, 200), (Outcome::Success, Outcome::Success));
    assert_eq!(judged(None, 404).0, Outcome::Success);
    assert_eq!(judged(None, 503).0, Outcome::Failure);
    assert_eq!(judged(None, 429).0, Outcome::Failure);
    let broken: Result<Response<()>, _> = Err(std::io::Error::other("reset"));
    assert_eq!(GrpcStatus.classify(&broken), Outcome::Failure);
}
