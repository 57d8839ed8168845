//! Announcements to subscribers: transitions, and that a circuit was forgotten.

use std::{sync::Arc, time::SystemTime};

use super::Actor;
use crate::{
    hold::HoldInfo,
    panics::caught,
    protocol::machine::{Detail, Opened},
    runtime::circuit::Circuit,
    runtime::log,
    runtime::metrics,
    state::CircuitState,
    transition::{Cause, CircuitTransition, Origin},
};

/// The last announcement of a circuit that was then forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastAnnounced {
    pub(crate) state: CircuitState,
    pub(crate) opened_at: Option<i64>,
    pub(crate) hold: Option<HoldInfo>,
}

impl Actor {
    /// Sets the last announcement of an earlier actor of this circuit, before this one runs.
    pub(crate) fn announced_earlier(&mut self, announced: Option<LastAnnounced>) {
        self.announced_before = announced.map(Box::new);
    }

    /// Announces a transition, unless an earlier actor announced the same opening: the first
    /// read of a new actor would otherwise announce it a second time.
    pub(super) fn announce(&mut self, transition: CircuitTransition) {
        let announced_before = self.announced_before.take();
        let is_repeated = announced_before.is_some_and(|announced| {
            transition.origin == Origin::Observed
                && announced.state == transition.to_state
                && announced.opened_at == transition.opened_at
                && announced.hold == transition.hold
        });
        if !is_repeated {
            self.tell(transition);
        }
    }

    fn tell(&self, transition: CircuitTransition) {
        log::transition(&transition, self.environment.instance.as_deref());
        metrics::transition(&transition);
        // There may be no subscriber. The wakers of subscribers are not our code.
        caught(|| drop(self.environment.transitions.send(transition)));
    }

    /// Removes the circuit from its registry if no handle is left. If the last announcement
    /// was not of a closed circuit, announces [`Cause::Forgotten`]: a subscriber that counts
    /// open circuits would otherwise count this one for ever.
    pub(super) fn leave(&self, circuit: &Arc<Circuit>, is_clean: &dyn Fn() -> bool) -> bool {
        let published = self.machine.published();
        let (outage, hold) = match self.machine.detail() {
            Detail::Opened(Opened { outage, hold }) => (Some(outage), hold),
            Detail::Closed | Detail::Ramping(_) | Detail::HeldClosed(_) => (None, None),
        };
        let announced = match published.state {
            CircuitState::Closed => None,
            state @ (CircuitState::Open | CircuitState::HalfOpen) => {
                Some(LastAnnounced { state, opened_at: published.opened_at, hold })
            }
        };
        let is_forgotten = (self.forget)(circuit, is_clean, announced.clone());
        if is_forgotten {
            circuit.counts.drain(&circuit.snapshot.load());
            self.environment.observed.forget(&circuit.label());
        }
        if let Some(LastAnnounced { state, opened_at, hold }) = announced
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
                down_since: outage.map(|outage| outage.since),
                outage_cause: outage.map(|outage| outage.cause.clone()),
                hold,
                ended_hold: None,
                dry_run: circuit.is_dry_run(),
            });
        }
        is_forgotten
    }
}
