//! Inside axum: around a router, and around some of its routes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use axum::{Router, body::Body, http::StatusCode, response::IntoResponse as _, routing::get};
use fuseboard::{
    CircuitState,
    tower::{BreakerLayer, ServerErrors},
};
use http::Request;
use tower::ServiceExt as _;

use crate::{servers, world::World};

/// A router whose handlers fail, or not, and how often they were called.
fn router() -> (Router, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let bad = move || {
        counted.fetch_add(1, SeqCst);
        async { StatusCode::BAD_GATEWAY }
    };
    let router = Router::new().route("/a", get(bad.clone())).route("/b", get(bad));
    (router, calls)
}

async fn status(router: &Router, path: &str) -> u16 {
    let request = Request::get(path).body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn case_186_there_is_one_circuit_however_often_axum_applies_the_layer() {
    for is_route_layer in [false, true] {
        let world = World::new();
        let layer = BreakerLayer::new(world.breaker.clone())
            .classified_by(ServerErrors)
            .respond_with(|open| {
                (StatusCode::SERVICE_UNAVAILABLE, open.to_string()).into_response()
            })
            .through_body();
        let (router, calls) = router();
        let router = if is_route_layer { router.route_layer(layer) } else { router.layer(layer) };
        for path in ["/a", "/b", "/a", "/b", "/a"] {
            assert_eq!(status(&router, path).await, 502);
        }
        assert_eq!(world.state(), CircuitState::Open);
        assert_eq!(status(&router, "/a").await, 503);
        assert_eq!(status(&router, "/b").await, 503);
        assert_eq!(calls.load(SeqCst), 5, "no handler was reached");
    }
}

#[tokio::test]
async fn a_router_behind_a_circuit_serves_over_loopback() {
    let world = World::new();
    let layer = BreakerLayer::new(world.breaker.clone())
        .classified_by(ServerErrors)
        .respond_with(|open| (StatusCode::SERVICE_UNAVAILABLE, open.to_string()).into_response())
        .through_body();
    let good = Router::new().route("/good", get(|| async { "fine" }));
    let address = servers::serving(router().0.merge(good).layer(layer)).await;
    let get = async |path| {
        let response = reqwest::get(format!("http://{address}{path}")).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(get("/good").await, (200, "fine".to_owned()));
    for _ in 0..5 {
        assert_eq!(get("/a").await.0, 502);
    }
    let (status, text) = get("/good").await;
    assert_eq!(status, 503);
    assert!(text.starts_with("circuit \"dependency\" is OPEN; retry in "), "{text}");
}

/// hyper's server does not ask such a body whether it has ended: it stops at the last byte.
#[tokio::test]
async fn a_stream_of_a_told_length_is_a_success_when_hyper_has_sent_it() {
    let world = World::closed().await;
    for _ in 0..4 {
        world.breaker.admit().await.unwrap().failure().settled().await;
    }
    let parts = || async {
        let parts = ["all", " of", " it"].map(Ok::<_, std::io::Error>);
        let body = Body::from_stream(futures::stream::iter(parts));
        ([("content-length", "9")], body)
    };
    let layer = BreakerLayer::new(world.breaker.clone())
        .respond_with(|open| (StatusCode::SERVICE_UNAVAILABLE, open.to_string()).into_response())
        .through_body();
    let address = servers::serving(Router::new().route("/", get(parts)).layer(layer)).await;
    let response = reqwest::get(format!("http://{address}/")).await.unwrap();
    assert_eq!(response.content_length(), Some(9));
    assert_eq!(response.text().await.unwrap(), "all of it");
    assert_eq!(world.failures_to_trip().await, 5, "the streak has ended");
}

/// The handler's stream breaks off before the length that it has told.
#[tokio::test]
async fn case_187_a_stream_that_ends_before_its_told_length_is_a_failure() {
    let world = World::closed().await;
    let parts = || async {
        let parts = [Ok::<_, std::io::Error>("half")];
        ([("content-length", "9")], Body::from_stream(futures::stream::iter(parts)))
    };
    let layer = BreakerLayer::new(world.breaker.clone())
        .respond_with(|open| (StatusCode::SERVICE_UNAVAILABLE, open.to_string()).into_response())
        .through_body();
    let address = servers::serving(Router::new().route("/", get(parts)).layer(layer)).await;
    for _ in 0..5 {
        // The head may have been sent by then, or not.
        if let Ok(response) = reqwest::get(format!("http://{address}/")).await {
            response.text().await.unwrap_err();
        }
    }
    world.flush().await;
    assert_eq!(world.state(), CircuitState::Open);
}
