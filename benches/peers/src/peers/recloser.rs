//! <https://crates.io/crates/recloser>

use std::sync::Arc;

use recloser::{AsyncRecloser, Error, Recloser as Circuit};

use crate::{
    peer::{Built, Peer},
    subject::{Failed, LONG, Lane, async_lane, failure, finish, lane, success},
};

/// By `call`, the asynchronous one around `std::future::Ready`, which it runs
/// cheaper than an `async fn`. It knows only failure rates, of so many last calls; how many does
/// not change the price. A rejection does not tell when to come back.
pub(crate) struct Recloser;

fn circuit() -> Circuit {
    circuit_of_last(10)
}

fn circuit_of_last(calls: usize) -> Circuit {
    Circuit::custom().error_rate(0.5).closed_len(calls).half_open_len(10).open_wait(LONG).build()
}

fn users(circuit: Circuit, users: usize) -> Vec<Lane> {
    let circuit = Arc::new(circuit);
    let user = |_| lane(Arc::clone(&circuit), |circuit| circuit.call(success).is_ok(), fail);
    (0..users).map(user).collect()
}

fn fail(circuit: &mut Arc<Circuit>) {
    let _ = circuit.call(failure);
}

impl Peer for Recloser {
    fn name(&self) -> &'static str {
        "recloser"
    }

    fn closed(&self, count: usize) -> Built<Vec<Lane>> {
        Ok(users(circuit(), count))
    }

    /// Half of the last 100.
    fn ruled(&self, count: usize) -> Built<Vec<Lane>> {
        Ok(users(circuit_of_last(100), count))
    }

    fn call(&self) -> Built<Lane> {
        let call = async |circuit: &mut AsyncRecloser| {
            circuit.call(std::future::ready(success())).await.is_ok()
        };
        let fail = |circuit: &mut AsyncRecloser| {
            let _ = finish(circuit.call(std::future::ready(failure())));
        };
        Ok(async_lane(AsyncRecloser::from(circuit()), call, fail))
    }

    fn rejected(&self) -> Built<Lane> {
        let call = |circuit: &mut Arc<Circuit>| {
            matches!(circuit.call(success), Err::<u64, Error<Failed>>(Error::Rejected))
        };
        Ok(lane(Arc::new(circuit()), call, fail))
    }
}
