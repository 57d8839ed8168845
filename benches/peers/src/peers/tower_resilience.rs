//! <https://crates.io/crates/tower-resilience-circuitbreaker>

use std::future::poll_fn;

use tower::{Service, service_fn};
use tower_resilience_circuitbreaker::{CircuitBreakerError, CircuitBreakerLayer};

use crate::{
    peer::{Built, Peer},
    subject::{Failed, LONG, Lane, THRESHOLD, async_lane, failure, finish, success},
};

/// By `poll_ready` and `call` of the tower service, which is all there is: it
/// boxes its future, and is asynchronous only, so its column of closed circuits
/// is that of calls. Trips on failures in a row alone; without a name, which is
/// cloned for each event (the one it gives itself as well); every user has a clone
/// of the service, as tower wants it. A rejection does not tell when to come back.
pub(crate) struct TowerResilience;

type Answer = Result<u64, CircuitBreakerError<Failed>>;

/// The service calls well, or fails, as it is asked to.
trait Circuit:
    Service<bool, Response = u64, Error = CircuitBreakerError<Failed>, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S> Circuit for S where
    S: Service<bool, Response = u64, Error = CircuitBreakerError<Failed>, Future: Send>
        + Clone
        + Send
        + 'static
{
}

async fn answer(well: bool) -> Result<u64, Failed> {
    if well { success() } else { failure() }
}

fn circuit() -> Built<impl Circuit> {
    let layer = CircuitBreakerLayer::builder()
        .consecutive_failures(THRESHOLD.into())
        .wait_duration_in_open(LONG)
        .name("")
        .build()?;
    Ok(layer.layer_fn(service_fn(answer)))
}

async fn call(circuit: &mut impl Circuit, well: bool) -> Answer {
    poll_fn(|context| circuit.poll_ready(context)).await?;
    circuit.call(well).await
}

fn fail(circuit: &mut impl Circuit) {
    let _ = finish(call(circuit, false));
}

fn user(circuit: impl Circuit) -> Lane {
    async_lane(circuit, async |circuit: &mut _| call(circuit, true).await.is_ok(), fail)
}

impl Peer for TowerResilience {
    fn name(&self) -> &'static str {
        "tower-resilience-circuitbreaker"
    }

    fn closed(&self, users: usize) -> Built<Vec<Lane>> {
        let circuit = circuit()?;
        Ok((0..users).map(|_| user(circuit.clone())).collect())
    }

    fn call(&self) -> Built<Lane> {
        Ok(user(circuit()?))
    }

    fn rejected(&self) -> Built<Lane> {
        let rejected = async |circuit: &mut _| {
            matches!(call(circuit, true).await, Err(CircuitBreakerError::OpenCircuit))
        };
        Ok(async_lane(circuit()?, rejected, fail))
    }
}
