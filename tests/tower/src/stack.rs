//! With tower's own layers: retry outside, timeout inside.

use std::{
    future::{Ready, ready},
    time::Duration,
};

use fuseboard::{
    CircuitState, OpenError,
    tower::{BoxError, BreakerLayer},
};
use tower::{ServiceBuilder, ServiceExt as _, retry::Policy, timeout::error::Elapsed};

use crate::{
    services::{Eager, Hangs},
    world::World,
};

/// Retries what the circuit let through.
#[derive(Clone)]
struct Attempts(u32);

impl<Q: Clone, T> Policy<Q, T, BoxError> for Attempts {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Q, result: &mut Result<T, BoxError>) -> Option<Ready<()>> {
        let is_over = match result {
            Ok(_) => true,
            Err(error) => error.is::<OpenError>(),
        };
        self.0 = self.0.checked_sub(1)?;
        (!is_over).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Q) -> Option<Q> {
        Some(request.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_of_a_retry_is_counted_and_a_rejection_ends_them() {
    let world = World::new();
    let eager = Eager::default();
    let service = ServiceBuilder::new()
        .retry(Attempts(100))
        .layer(BreakerLayer::new(world.breaker.clone()))
        .service(eager.clone());
    let rejected = service.oneshot(Err("down")).await.unwrap_err();
    assert!(rejected.is::<OpenError>());
    assert_eq!(eager.calls(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_inside_is_a_failure() {
    let world = World::new();
    let service = ServiceBuilder::new()
        .layer(BreakerLayer::new(world.breaker.clone()))
        .timeout(Duration::from_secs(1))
        .service(Hangs);
    for _ in 0..5 {
        assert!(service.clone().oneshot(()).await.unwrap_err().is::<Elapsed>());
    }
    assert_eq!(world.state(), CircuitState::Open);
    assert!(service.oneshot(()).await.unwrap_err().is::<OpenError>());
}
