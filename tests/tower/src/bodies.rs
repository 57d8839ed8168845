//! The verdict at the end of a body.

use std::{convert::Infallible, future::ready, io, pin::pin};

use bytes::Bytes;
use fuseboard::{
    Breaker, CircuitState, Outcome,
    tower::{BreakerBody, BreakerLayer, ServerErrors},
};
use futures::FutureExt as _;
use http::{HeaderMap, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody, combinators::BoxBody};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::world::World;

type Inner = BoxBody<Bytes, io::Error>;

/// The response to one call whose body is this.
async fn response(breaker: &Breaker, status: u16, body: Inner) -> Response<BreakerBody<Inner>> {
    let layer = BreakerLayer::new(breaker.clone()).classified_by(ServerErrors).through_body();
    let mut body = Some(body);
    let inner = service_fn(move |()| {
        let response = Response::builder().status(status).body(body.take().unwrap()).unwrap();
        ready(Ok::<_, Infallible>(response))
    });
    // An inner service that is not `Clone`: its one body is not.
    let mut service = layer.never_waiting().layer(inner);
    service.ready().await.unwrap();
    tower::Service::call(&mut service, ()).await.unwrap()
}

fn frames(frames: Vec<Result<Frame<Bytes>, io::Error>>) -> Inner {
    StreamBody::new(futures::stream::iter(frames)).boxed()
}

fn data(text: &'static str) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

fn broken() -> Inner {
    frames(vec![data("half"), Err(io::ErrorKind::ConnectionReset.into())])
}

#[tokio::test(start_paused = true)]
async fn case_187_a_body_that_breaks_off_is_a_failure() {
    let world = World::closed().await;
    for _ in 0..5 {
        assert_eq!(world.state(), CircuitState::Closed);
        let response = response(&world.breaker, 200, broken()).await;
        response.into_body().collect().await.unwrap_err();
    }
    world.flush().await;
    assert_eq!(world.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn case_187_a_body_that_is_dropped_is_no_verdict() {
    let world = World::closed().await;
    for _ in 0..10 {
        drop(response(&world.breaker, 200, broken()).await);
    }
    assert_eq!(world.failures_to_trip().await, 5);
}

#[tokio::test(start_paused = true)]
async fn case_187_a_dropped_body_gives_the_right_of_a_probe_back() {
    let world = World::due().await;
    let layer = BreakerLayer::new(world.breaker.clone()).through_body();
    let inner = service_fn(|()| ready(Ok::<_, Infallible>(Response::new(broken()))));
    let response = layer.layer(inner).oneshot(()).await.unwrap();
    assert!(world.breaker.admit().await.is_err(), "the body is the probe's");
    drop(response);
    world.flush().await;
    assert!(world.breaker.admit().await.unwrap().is_probe());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_read_to_its_end_is_a_success() {
    let world = World::closed().await;
    for _ in 0..4 {
        world.breaker.admit().await.unwrap().failure().settled().await;
    }
    let body = frames(vec![data("all"), data(" of it")]);
    let body = response(&world.breaker, 200, body).await.into_body();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "all of it");
    assert_eq!(world.failures_to_trip().await, 5, "the streak has ended");
}

#[tokio::test(start_paused = true)]
async fn a_body_without_frames_is_a_success_that_nobody_polls() {
    let world = World::closed().await;
    for _ in 0..4 {
        world.breaker.admit().await.unwrap().failure().settled().await;
    }
    let empty = Empty::new().map_err(|never: Infallible| match never {}).boxed();
    drop(response(&world.breaker, 204, empty).await);
    assert_eq!(world.failures_to_trip().await, 5, "the streak has ended");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_may_stop_as_soon_as_the_body_says_that_it_has_ended() {
    let world = World::closed().await;
    for _ in 0..4 {
        world.breaker.admit().await.unwrap().failure().settled().await;
    }
    let full = Full::new(Bytes::from_static(b"all")).map_err(|never| match never {}).boxed();
    let mut body = response(&world.breaker, 200, full).await.into_body();
    assert_eq!(body.size_hint().exact(), Some(3));
    assert!(!body.is_end_stream());
    assert!(body.frame().await.unwrap().unwrap().is_data());
    assert!(body.is_end_stream());
    drop(body);
    assert_eq!(world.failures_to_trip().await, 5, "the streak has ended");
}

#[tokio::test(start_paused = true)]
async fn a_told_length_is_no_end_where_trailers_matter() {
    let world = World::closed().await;
    let layer = BreakerLayer::new(world.breaker.clone());
    let judge = |trailers: &HeaderMap| match trailers.get("checksum") {
        Some(_) => Outcome::Success,
        None => Outcome::Failure,
    };
    let inner = service_fn(|()| {
        let body = frames(vec![data("all"), Ok(Frame::trailers(HeaderMap::new()))]);
        let response = Response::builder().header("content-length", 3).body(body).unwrap();
        ready(Ok::<_, Infallible>(response))
    });
    let service = layer.through_trailers(judge).layer(inner);
    for _ in 0..5 {
        assert_eq!(world.state(), CircuitState::Closed);
        let body = service.clone().oneshot(()).await.unwrap().into_body();
        body.collect().await.unwrap();
        world.flush().await;
    }
    assert_eq!(world.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn trailers_are_passed_on() {
    let world = World::closed().await;
    let mut trailers = HeaderMap::new();
    trailers.insert("checksum", "7".parse().unwrap());
    let body = frames(vec![data("all"), Ok(Frame::trailers(trailers.clone()))]);
    let body = response(&world.breaker, 200, body).await.into_body();
    assert_eq!(body.collect().await.unwrap().trailers(), Some(&trailers));
}

#[tokio::test(start_paused = true)]
async fn a_bad_status_is_a_failure_before_its_body_is_read() {
    let world = World::closed().await;
    let response = response(&world.breaker, 503, broken()).await;
    assert_eq!(world.failures_to_trip().await, 4);
    // The body of a call that is judged already counts no second time.
    pin!(response.into_body().collect()).now_or_never().unwrap().unwrap_err();
}
