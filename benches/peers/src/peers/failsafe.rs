//! <https://crates.io/crates/failsafe>

use std::iter::Repeat;

use failsafe::{
    CircuitBreaker as _, Config, Error, StateMachine, backoff,
    failure_policy::{ConsecutiveFailures, consecutive_failures},
};

use crate::{
    peer::{Built, Peer},
    subject::{Failed, LONG, Lane, THRESHOLD, async_lane, failure, lane, ready_success, success},
};

/// By `call`, which is `is_call_permitted` and `on_success` around a closure,
/// and with the policy that has least to keep: failures in a row. A rejection
/// does not tell when to come back.
pub(crate) struct Failsafe;

type Circuit = StateMachine<ConsecutiveFailures<Repeat<std::time::Duration>>, ()>;

fn circuit() -> Circuit {
    let policy = consecutive_failures(THRESHOLD.into(), backoff::constant(LONG));
    Config::new().failure_policy(policy).build()
}

fn fail(circuit: &mut Circuit) {
    let _ = circuit.call(failure);
}

impl Peer for Failsafe {
    fn name(&self) -> &'static str {
        "failsafe"
    }

    fn closed(&self, users: usize) -> Built<Vec<Lane>> {
        let circuit = circuit();
        let user = |_| lane(circuit.clone(), |circuit| circuit.call(success).is_ok(), fail);
        Ok((0..users).map(user).collect())
    }

    fn call(&self) -> Built<Lane> {
        let call = async |circuit: &mut Circuit| {
            failsafe::futures::CircuitBreaker::call(circuit, ready_success()).await.is_ok()
        };
        Ok(async_lane(circuit(), call, fail))
    }

    fn rejected(&self) -> Built<Lane> {
        let call = |circuit: &mut Circuit| {
            matches!(circuit.call(success), Err::<u64, Error<Failed>>(Error::Rejected))
        };
        Ok(lane(circuit(), call, fail))
    }
}
