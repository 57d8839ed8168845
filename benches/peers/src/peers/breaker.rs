//! <https://crates.io/crates/breaker>

use breaker::{BackoffStrategy, CircuitBreaker, CircuitBreakerConfig, CircuitBreakerError};

use crate::{
    peer::{Built, Peer},
    subject::{Failed, LONG, Lane, THRESHOLD, async_lane, success},
};

/// By its asynchronous `call`: a future that is ready is polled once, which is
/// cheaper than `state` and `record_success` by hand, and takes the same two
/// locks. Around `std::future::Ready`, which it runs cheaper than an `async fn`.
/// Trips on failures in a row alone; it keeps a window of outcomes all
/// the same. A rejection does not tell when to come back.
pub(crate) struct BreakerCrate;

fn circuit() -> CircuitBreaker {
    let config = CircuitBreakerConfig::builder()
        .consecutive_failures(THRESHOLD.into())
        .failure_rate_threshold(0.0)
        .backoff(BackoffStrategy::Fixed(LONG))
        .build();
    CircuitBreaker::new(config)
}

fn circuit_with_rates() -> CircuitBreaker {
    let config = CircuitBreakerConfig::builder()
        .consecutive_failures(THRESHOLD.into())
        .failure_rate_threshold(0.5)
        .sliding_window_size(100)
        .minimum_calls(20)
        .backoff(BackoffStrategy::Fixed(LONG))
        .build();
    CircuitBreaker::new(config)
}

fn fail(circuit: &mut CircuitBreaker) {
    circuit.record_failure();
}

fn user(circuit: CircuitBreaker) -> Lane {
    let call = async |circuit: &mut CircuitBreaker| {
        circuit.call(|| std::future::ready(success())).await.is_ok()
    };
    async_lane(circuit, call, fail)
}

impl Peer for BreakerCrate {
    fn name(&self) -> &'static str {
        "breaker"
    }

    fn closed(&self, users: usize) -> Built<Vec<Lane>> {
        let circuit = circuit();
        Ok((0..users).map(|_| user(circuit.clone())).collect())
    }

    /// Half of the last 100, or failures in a row.
    fn ruled(&self, users: usize) -> Built<Vec<Lane>> {
        let circuit = circuit_with_rates();
        Ok((0..users).map(|_| user(circuit.clone())).collect())
    }

    fn call(&self) -> Built<Lane> {
        Ok(user(circuit()))
    }

    fn rejected(&self) -> Built<Lane> {
        let call = async |circuit: &mut CircuitBreaker| {
            let answer = circuit.call(|| std::future::ready(success())).await;
            matches!(
                answer,
                Err::<u64, CircuitBreakerError<Failed>>(CircuitBreakerError::CircuitOpen)
            )
        };
        Ok(async_lane(circuit(), call, fail))
    }
}
