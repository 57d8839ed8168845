//! <https://crates.io/crates/nobreak>

use std::sync::Arc;

use nobreak::{CircuitBreaker, CircuitError, builder};

use crate::{
    peer::{Built, Peer},
    subject::{Failed, LONG, Lane, THRESHOLD, async_lane, failure, lane, ready_success, success},
};

/// By `call`; there are no choices. A rejection does not tell when to come back.
pub(crate) struct NoBreak;

type Circuit = Arc<CircuitBreaker>;

fn circuit() -> Circuit {
    Arc::new(builder().with_failure_threshold(THRESHOLD.into()).with_open_duration(LONG).build())
}

fn fail(circuit: &mut Circuit) {
    let _ = circuit.call(failure);
}

impl Peer for NoBreak {
    fn name(&self) -> &'static str {
        "nobreak"
    }

    fn closed(&self, users: usize) -> Built<Vec<Lane>> {
        let circuit = circuit();
        let user = |_| lane(Arc::clone(&circuit), |circuit| circuit.call(success).is_ok(), fail);
        Ok((0..users).map(user).collect())
    }

    fn call(&self) -> Built<Lane> {
        let call = async |circuit: &mut Circuit| circuit.call_async(ready_success).await.is_ok();
        Ok(async_lane(circuit(), call, fail))
    }

    fn rejected(&self) -> Built<Lane> {
        let call = |circuit: &mut Circuit| {
            matches!(circuit.call(success), Err::<u64, CircuitError<Failed>>(CircuitError::Open))
        };
        Ok(lane(circuit(), call, fail))
    }
}
