//! <https://crates.io/crates/seatbelt>

use std::time::Duration;

use layered::{Execute, Service, Stack};
use seatbelt::{RecoveryInfo, ResilienceContext, breaker::Breaker};
use tick::Clock;

use crate::{
    peer::{Built, Peer},
    subject::{Failed, LONG, Lane, THRESHOLD, async_lane, failure, finish, success},
};

/// By `Service::execute` of its own `layered`, whose future is not boxed (that
/// of tower is), with the fast instants of its clock, without telemetry. It is
/// asynchronous only, so its column of closed circuits is that of calls. It
/// knows only failure rates. A rejection does not tell when to come back.
pub(crate) struct Seatbelt;

/// The service calls well, or fails, as it is asked to.
trait Circuit: Service<bool, Out = Result<u64, Failed>> + Clone + 'static {}

impl<S: Service<bool, Out = Result<u64, Failed>> + Clone + 'static> Circuit for S {}

fn circuit() -> impl Circuit {
    circuit_over(Duration::from_secs(30), THRESHOLD.into())
}

fn circuit_over(window: Duration, at_least: u32) -> impl Circuit {
    let clock = Clock::new_tokio().with_fast_instant(true);
    let context = ResilienceContext::new(&clock);
    let breaker = Breaker::layer("peer", &context)
        .failure_threshold(0.5)
        .sampling_duration(window)
        .min_throughput(at_least)
        .break_duration(LONG)
        .recovery_with(|answer: &Result<u64, Failed>, _| match answer {
            Ok(_) => RecoveryInfo::never(),
            Err(_) => RecoveryInfo::retry(),
        })
        .rejected_input_error(|_, _| Failed::Rejected);
    let dependency = Execute::new(async |well| if well { success() } else { failure() });
    (breaker, dependency).into_service()
}

fn user(circuit: impl Circuit) -> Lane {
    async_lane(circuit, async |circuit: &mut _| Service::execute(circuit, true).await.is_ok(), fail)
}

fn fail(circuit: &mut impl Circuit) {
    let _ = finish(circuit.execute(false));
}

impl Peer for Seatbelt {
    fn name(&self) -> &'static str {
        "seatbelt"
    }

    fn closed(&self, users: usize) -> Built<Vec<Lane>> {
        let circuit = circuit();
        Ok((0..users).map(|_| user(circuit.clone())).collect())
    }

    /// Half of at least 20 calls within a minute.
    fn ruled(&self, users: usize) -> Built<Vec<Lane>> {
        let circuit = circuit_over(Duration::from_secs(60), 20);
        Ok((0..users).map(|_| user(circuit.clone())).collect())
    }

    fn call(&self) -> Built<Lane> {
        Ok(user(circuit()))
    }

    fn rejected(&self) -> Built<Lane> {
        fn rejected(circuit: impl Circuit) -> Lane {
            let call = async |circuit: &mut _| {
                Service::execute(circuit, true).await == Err(Failed::Rejected)
            };
            async_lane(circuit, call, fail)
        }
        Ok(rejected(circuit()))
    }
}
