//! A dependency that says when to come back, over a real server.

use std::time::Duration;

use axum::{Router, response::IntoResponse as _, routing::get};
use fuseboard::{
    CircuitState,
    tower::{BreakerLayer, RetryAfter},
};
use http::StatusCode;

use crate::{servers, world::World};

/// Asks a server once that answers with this status and these headers. Returns what a call is told
/// then: when to come back, if it is rejected.
async fn told(status: u16, retry_after: Option<&'static str>) -> (World, Option<Duration>) {
    let world = World::closed().await;
    let answer = move || async move {
        let status = StatusCode::from_u16(status).unwrap();
        match retry_after {
            Some(told) => (status, [("retry-after", told)]).into_response(),
            None => status.into_response(),
        }
    };
    let layer = BreakerLayer::new(world.breaker.clone())
        .classified_by(RetryAfter)
        .respond_with(|open| (StatusCode::IM_A_TEAPOT, open.to_string()).into_response());
    let address = servers::serving(Router::new().route("/", get(answer)).layer(layer)).await;
    let response = reqwest::get(format!("http://{address}/")).await.unwrap();
    assert_eq!(response.status().as_u16(), status, "the caller gets the response");
    world.flush().await;
    let rejected = world.breaker.admit().await.map(fuseboard::Permit::ignore).err();
    let retry_after = rejected.map(|open| open.retry_after());
    (world, retry_after)
}

#[tokio::test]
async fn case_121_a_response_that_says_when_to_come_back_opens_the_circuit_until_then() {
    for (status, told_seconds, opens_for) in [
        (429, "7", 7),
        (503, " 45 ", 45),
        (429, "0", 1),
        (429, "3155760000", 600),
        (429, "18446744073709551615", 600),
        // By the date that the server sends with its answer.
        (429, "Wed, 21 Oct 2015 07:28:00 GMT", 1),
        (503, "Friday, 31-Dec-60 23:59:59 GMT", 600),
        (503, "Fri Dec 31 23:59:59 9999", 600),
    ] {
        let (world, retry_after) = told(status, Some(told_seconds)).await;
        assert_eq!(world.state(), CircuitState::Open, "{told_seconds}");
        assert_eq!(retry_after, Some(Duration::from_secs(opens_for)), "{told_seconds}");
        let (_registry, other) = world.other();
        let open = other.admit().await.unwrap_err();
        assert_eq!(open.retry_after(), Duration::from_secs(opens_for), "the whole fleet");
    }
}

#[tokio::test]
async fn a_busy_response_that_says_no_time_is_a_failure() {
    for retry_after in [
        None,
        Some("soon"),
        Some("-1"),
        Some("18446744073709551616"),
        Some("Wed, 21 Oct 2015 07:28:00"),
    ] {
        let (world, rejected) = told(429, retry_after).await;
        assert_eq!(rejected, None, "{retry_after:?}");
        assert_eq!(world.failures_to_trip().await, 4, "{retry_after:?}");
    }
}

#[tokio::test]
async fn other_responses_are_judged_as_ever_whatever_their_headers() {
    for (status, failures) in [(200, 5), (404, 5), (500, 4)] {
        let (world, rejected) = told(status, Some("60")).await;
        assert_eq!(rejected, None, "{status}");
        assert_eq!(world.failures_to_trip().await, failures, "{status}");
    }
}
