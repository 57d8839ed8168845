//! What tonic makes of errors of its transport, on which the rule of its example relies.
#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

use std::{error::Error as _, time::Duration};

use clients::{Dependency, Mood};
use tonic::{Code, Status, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

async fn check(url: String) -> Status {
    let endpoint = Endpoint::from_shared(url).unwrap().timeout(Duration::from_millis(200));
    let mut client = HealthClient::new(endpoint.connect_lazy());
    client.check(HealthCheckRequest::default()).await.unwrap_err()
}

#[tokio::test]
async fn a_status_that_the_transport_has_made_has_a_source() {
    let service = Dependency::start().await.unwrap();
    service.is(Mood::Hanging);
    let timed_out = check(service.url()).await;
    assert_eq!(timed_out.code(), Code::Cancelled, "{timed_out:?}");
    assert!(timed_out.source().is_some(), "{timed_out:?}");

    // It does not speak HTTP/2.
    service.is(Mood::Well);
    let broken = check(service.url()).await;
    assert!(broken.source().is_some(), "{broken:?}");

    let gone = service.url();
    drop(service);
    let refused = check(gone).await;
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
}
