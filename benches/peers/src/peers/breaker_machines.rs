//! <https://crates.io/crates/breaker-machines>

use std::sync::Arc;

use breaker_machines::{AsyncCircuitBreaker, CircuitBreaker, CircuitBuilder, CircuitError};

use crate::{
    peer::{Built, Peer},
    subject::{
        Failed, LONG, Lane, THRESHOLD, async_lane, failure, finish, lane, ready_success, success,
    },
};

/// For one user by `CircuitBreaker::call`, which takes it by `&mut` and so needs
/// no lock; for two by `AsyncCircuitBreaker`, which can be shared. With its own
/// storage in memory. A rejection tells when the circuit opened.
pub(crate) struct BreakerMachines;

type Shared = Arc<AsyncCircuitBreaker>;

fn circuit() -> CircuitBuilder {
    CircuitBreaker::builder("peer")
        .failure_threshold(THRESHOLD.into())
        .half_open_timeout_secs(LONG.as_secs_f64())
}

fn fail(circuit: &mut CircuitBreaker) {
    let _ = circuit.call(failure);
}

fn user(circuit: Shared) -> Lane {
    let call = async |circuit: &mut Shared| circuit.call(ready_success).await.is_ok();
    let fail = |circuit: &mut Shared| {
        let _ = finish(circuit.call(|| std::future::ready(failure())));
    };
    async_lane(circuit, call, fail)
}

impl Peer for BreakerMachines {
    fn name(&self) -> &'static str {
        "breaker-machines"
    }

    fn closed(&self, users: usize) -> Built<Vec<Lane>> {
        if users == 1 {
            let call = |circuit: &mut CircuitBreaker| circuit.call(success).is_ok();
            return Ok(vec![lane(circuit().build(), call, fail)]);
        }
        let circuit = Arc::new(circuit().build_async());
        Ok((0..users).map(|_| user(Arc::clone(&circuit))).collect())
    }

    fn call(&self) -> Built<Lane> {
        Ok(user(Arc::new(circuit().build_async())))
    }

    fn rejected(&self) -> Built<Lane> {
        let call = |circuit: &mut CircuitBreaker| {
            matches!(circuit.call(success), Err::<u64, _>(CircuitError::<Failed>::Open { .. }))
        };
        Ok(lane(circuit().build(), call, fail))
    }
}
