//! <https://crates.io/crates/failsafe>

use std::{iter::Repeat, time::Duration};

use failsafe::{
    CircuitBreaker as _, Config, Error, StateMachine, backoff,
    failure_policy::{
        ConsecutiveFailures, SuccessRateOverTimeWindow, consecutive_failures,
        success_rate_over_time_window,
    },
};

use crate::{
    peer::{Built, Peer},
    subject::{Failed, LONG, Lane, THRESHOLD, async_lane, failure, lane, ready_success, success},
};

/// By `call`, which is `is_call_permitted` and `on_success` around a closure,
/// and with the policy that has least to keep: failures in a row. A rejection
/// does not tell when to come back.
pub(crate) struct Failsafe;

type Circuit = StateMachine<ConsecutiveFailures<Repeat<Duration>>, ()>;
type Ruled = StateMachine<SuccessRateOverTimeWindow<Repeat<Duration>>, ()>;

fn circuit() -> Circuit {
    let policy = consecutive_failures(THRESHOLD.into(), backoff::constant(LONG));
    Config::new().failure_policy(policy).build()
}

fn fail(circuit: &mut Circuit) {
    let _ = circuit.call(failure);
}

/// Half of at least 20 calls, of a moving average over a second: it trips on nothing before its
/// window has passed once, and how long that is does not change the price.
fn circuit_with_rates() -> Ruled {
    let window = Duration::from_secs(1);
    let policy = success_rate_over_time_window(0.5, 20, window, backoff::constant(LONG));
    Config::new().failure_policy(policy).build()
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

    fn ruled(&self, users: usize) -> Built<Vec<Lane>> {
        let fail = |circuit: &mut Ruled| {
            let _ = circuit.call(failure);
        };
        let circuit = circuit_with_rates();
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
