//! The ways in for a service, whose futures are named and own what they need.

use std::{future::Future, pin::Pin, time::Duration};

use super::{Breaker, admitting::ask};
use crate::{
    error::OpenError,
    permit::Admitted,
    protocol::machine::CallId,
    runtime::{circuit::Handle, gate::Decision},
    state::CircuitState,
};

/// What the gate says of a call.
pub(crate) enum Leave {
    Admitted(Admitted<Handle>),
    Rejected(OpenError),
    /// The actor has to be asked.
    Ask,
}

/// The answer of an actor that was asked, and how long the call has waited for it.
pub(crate) type Asked =
    Pin<Box<dyn Future<Output = Result<(Admitted<Handle>, Duration), OpenError>> + Send>>;

impl Breaker {
    /// Whether the gate admits a call now. Nothing is reserved.
    #[inline]
    pub(crate) fn admits_at_once(&self) -> bool {
        matches!(self.circuit.check(), Decision::Admit { .. })
    }

    /// Whether the circuit was closed when this process last saw it.
    pub(crate) fn is_known_closed(&self) -> bool {
        self.circuit.gate.state() == CircuitState::Closed
    }

    #[inline]
    pub(crate) fn leave(&self) -> Leave {
        match self.circuit.check() {
            Decision::Admit { epoch } => {
                Leave::Admitted(Admitted::new(self.circuit.clone(), CallId { epoch, probe: None }))
            }
            Decision::Reject { retry_after_ms } => Leave::Rejected(self.open_error(retry_after_ms)),
            Decision::AskActor => Leave::Ask,
        }
    }

    /// As [`try_admit`](Self::try_admit), with a call that a handle holds.
    #[inline]
    pub(crate) fn try_leave(&self) -> Result<Admitted<Handle>, OpenError> {
        match self.leave() {
            Leave::Admitted(admitted) => Ok(admitted),
            Leave::Rejected(open) => Err(open),
            Leave::Ask => Ok(Admitted::new(self.circuit.clone(), self.try_ask()?)),
        }
    }

    #[cold]
    pub(crate) fn ask_owned(&self) -> Asked {
        let circuit = self.circuit.clone();
        Box::pin(async move {
            let asked_at = circuit.now();
            let id = ask(&circuit).await?;
            let waited = circuit.waited_since(asked_at);
            Ok((Admitted::new(circuit, id), waited))
        })
    }

    /// The rejection of a call whose service was not ready as the circuit was not closed.
    #[cold]
    pub(crate) fn rejected_unready(&self) -> OpenError {
        self.circuit.open_error(Duration::from_millis(self.circuit.reject()))
    }
}
