//! <https://crates.io/crates/tower-resilience-circuitbreaker>

use tower_resilience_circuitbreaker::{CircuitBreakerError, CircuitBreakerLayer};

use crate::{
    layered::{self, Answering},
    peer::{Built, Peer},
    subject::{Failed, LONG, Lane, THRESHOLD, async_lane, finish},
};

/// By `poll_ready` and `call` of the tower service, which is all there is: it
/// boxes its future, and is asynchronous only, so its column of closed circuits
/// is that of calls. Trips on failures in a row alone; without a name, which is
/// cloned for each event (the one it gives itself as well); every user has a clone
/// of the service, as tower wants it. A rejection does not tell when to come back.
pub(crate) struct TowerResilience;

fn circuit() -> Built<impl Answering<CircuitBreakerError<Failed>> + Clone> {
    let layer = CircuitBreakerLayer::builder()
        .consecutive_failures(THRESHOLD.into())
        .wait_duration_in_open(LONG)
        .name("")
        .build()?;
    Ok(layer.layer_fn(layered::answering()))
}

/// Trips on half of all calls since the state changed, of at least 100: its window over calls does not
/// slide. Its windows over a time keep every call, and count them all
/// at each, which no loop can bear.
fn circuit_with_rates() -> Built<impl Answering<CircuitBreakerError<Failed>> + Clone> {
    let layer = CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(100)
        .minimum_number_of_calls(20)
        .wait_duration_in_open(LONG)
        .name("")
        .build()?;
    Ok(layer.layer_fn(layered::answering()))
}

impl Peer for TowerResilience {
    fn name(&self) -> &'static str {
        "tower-resilience-circuitbreaker"
    }

    fn closed(&self, users: usize) -> Built<Vec<Lane>> {
        let circuit = circuit()?;
        Ok((0..users).map(|_| layered::user(circuit.clone())).collect())
    }

    fn ruled(&self, users: usize) -> Built<Vec<Lane>> {
        let circuit = circuit_with_rates()?;
        Ok((0..users).map(|_| layered::user(circuit.clone())).collect())
    }

    fn call(&self) -> Built<Lane> {
        Ok(layered::user(circuit()?))
    }

    fn layer(&self) -> Built<Option<Lane>> {
        Ok(Some(layered::user(circuit()?)))
    }

    fn rejected(&self) -> Built<Lane> {
        let rejected = async |circuit: &mut _| {
            matches!(layered::call(circuit, true).await, Err(CircuitBreakerError::OpenCircuit))
        };
        let fail = |circuit: &mut _| {
            let _ = finish(layered::call(circuit, false));
        };
        Ok(async_lane(circuit()?, rejected, fail))
    }
}
