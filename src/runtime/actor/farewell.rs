//! What subscribers are told, and that a circuit is followed no longer.

use std::{sync::Arc, time::SystemTime};

use super::Actor;
use crate::{
    panics::caught,
    runtime::circuit::Circuit,
    runtime::log,
    runtime::metrics,
    state::CircuitState,
    transition::{Cause, CircuitTransition, Origin},
};

/// What subscribers were last told of a circuit that was then forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastTold {
    pub(crate) state: CircuitState,
    pub(crate) opened_at: Option<i64>,
}

impl Actor {
    /// Notes what an earlier actor of the circuit has told, before this one runs.
    pub(crate) fn follows(&mut self, told: Option<LastTold>) {
        self.told_before = told.map(Box::new);
    }

    /// Tells a transition, unless it is the one that an earlier actor told last.
    pub(super) fn announce(&mut self, transition: CircuitTransition) {
        let told_before = self.told_before.take();
        let is_retold = told_before.is_some_and(|told| {
            transition.origin == Origin::Observed
                && told.state == transition.to_state
                && told.opened_at == transition.opened_at
        });
        if !is_retold {
            self.tell(transition);
        }
    }

    fn tell(&self, transition: CircuitTransition) {
        log::transition(&transition);
        metrics::transition(&transition);
        // Nobody has to listen; the waker of who does is code of others.
        caught(|| self.environment.transitions.send(transition));
    }

    /// Takes the circuit out of its registry, if nobody holds it. Who heard that it is not
    /// closed hears that this process follows it no longer.
    pub(super) fn leave(&self, circuit: &Arc<Circuit>, is_clean: &dyn Fn() -> bool) -> bool {
        let digest = self.machine.digest();
        let told = match digest.state {
            CircuitState::Closed => None,
            state @ (CircuitState::Open | CircuitState::HalfOpen) => {
                Some(LastTold { state, opened_at: digest.opened_at })
            }
        };
        let is_forgotten = (self.forget)(circuit, is_clean, told);
        if let Some(LastTold { state, opened_at }) = told
            && is_forgotten
        {
            let now = self.clock().now().wall();
            self.tell(CircuitTransition {
                circuit_name: circuit.name.clone(),
                from_state: state,
                to_state: state,
                opened_at,
                cause: Cause::Forgotten,
                origin: Origin::Observed,
                at: SystemTime::UNIX_EPOCH.checked_add(now).unwrap_or(SystemTime::UNIX_EPOCH),
            });
        }
        is_forgotten
    }
}
