//! <https://crates.io/crates/throttle-net>

use std::sync::Arc;

use throttle_net::{CircuitBreaker, Decision, Limiter, ThrottleError, Trip};

use crate::{
    peer::{Built, Peer},
    subject::{LONG, Lane, THRESHOLD, async_lane, is_some_time, lane, ready_success, success},
};

/// By `try_acquire` and the borrowed permit, on failures in a row. Its breaker
/// needs a limiter to wrap; this one says yes, so that only the breaker is
/// measured. A rejection tells when to come back.
pub(crate) struct ThrottleNet;

/// A limiter that limits nothing.
struct Unlimited;

impl Limiter for Unlimited {
    fn peek(&self, _cost: u32) -> Decision {
        Decision::Acquired
    }

    fn acquire_cost(&self, _cost: u32) -> Decision {
        Decision::Acquired
    }

    fn available(&self) -> u32 {
        u32::MAX
    }

    fn capacity(&self) -> u32 {
        u32::MAX
    }
}

type Circuit = Arc<CircuitBreaker<Unlimited>>;

fn circuit() -> Circuit {
    let builder = CircuitBreaker::builder().trip(Trip::Consecutive(THRESHOLD.into()));
    Arc::new(builder.cooldown(LONG).build(Unlimited))
}

fn fail(circuit: &mut Circuit) {
    if let Ok(Some(permit)) = circuit.try_acquire() {
        permit.failure();
    }
}

impl Peer for ThrottleNet {
    fn name(&self) -> &'static str {
        "throttle-net"
    }

    fn closed(&self, users: usize) -> Built<Vec<Lane>> {
        let circuit = circuit();
        let call = |circuit: &mut Circuit| {
            let Ok(Some(permit)) = circuit.try_acquire() else { return false };
            let done = success().is_ok();
            permit.success();
            done
        };
        Ok((0..users).map(|_| lane(Arc::clone(&circuit), call, fail)).collect())
    }

    fn call(&self) -> Built<Lane> {
        let call = async |circuit: &mut Circuit| circuit.call(ready_success).await.is_ok();
        Ok(async_lane(circuit(), call, fail))
    }

    fn rejected(&self) -> Built<Lane> {
        let call = |circuit: &mut Circuit| match circuit.try_acquire() {
            Err(ThrottleError::CircuitOpen { retry_after }) => is_some_time(retry_after),
            Ok(Some(permit)) => {
                permit.success();
                false
            }
            _ => false,
        };
        Ok(lane(circuit(), call, fail))
    }
}
