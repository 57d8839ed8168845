//! The ways in for a service, whose futures are named and own what they need.

use std::{future::Future, ops::Deref, pin::Pin, sync::Arc, time::Duration};

use super::{Breaker, admitting::ask};
use crate::{
    error::OpenError,
    permit::Admitted,
    protocol::machine::CallId,
    runtime::{
        circuit::Circuit,
        gate::{Decision, RampShare},
    },
    state::CircuitState,
};

/// A share of one breaker: what a layer, its services and their calls hold.
///
/// A call that had a breaker of its own would count two things up, and down at its end: the
/// reference to the circuit, and the handle. A share counts one.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Breaker>);

/// The answer of an actor that was asked.
pub(crate) type Asked = Pin<Box<dyn Future<Output = Result<Admitted<Shared>, OpenError>> + Send>>;

impl Shared {
    pub(crate) fn new(breaker: Breaker) -> Self {
        Self(Arc::new(breaker))
    }

    pub(crate) fn breaker(&self) -> &Breaker {
        &self.0
    }

    /// Whether the gate admits calls for as long as what is known is fresh, which this does not
    /// look at: it reads no clock, and a call does.
    #[inline]
    pub(crate) fn admits_while_fresh(&self) -> bool {
        self.gate.is_quiet()
    }

    /// Whether the circuit is closed, and what is known of it fresh. Nothing is reserved, and nothing
    /// is counted: on a ramp a call may be rejected all the same.
    pub(crate) fn admits_at_once(&self) -> bool {
        let now_ms = self.clock.coarse_wall_ms();
        matches!(self.gate.state_if_fresh(now_ms), (_, Some(CircuitState::Closed)))
    }

    /// Whether the circuit was closed when this process last saw it.
    pub(crate) fn is_known_closed(&self) -> bool {
        self.gate.state() == CircuitState::Closed
    }

    /// A call that the gate admitted, while it is made: what panics then is the call.
    #[inline]
    pub(crate) fn making(&self, epoch: u64) -> Admitted<&Circuit> {
        Admitted::new(self, CallId { epoch, probe: None })
    }

    /// A call that the gate admitted.
    #[inline]
    pub(crate) fn admitted(&self, epoch: u64) -> Admitted<Self> {
        Admitted::new(self.clone(), CallId { epoch, probe: None })
    }

    /// What becomes of a call that cannot wait, by what the gate said of it.
    ///
    /// # Errors
    ///
    /// As for [`Breaker::try_admit`].
    pub(crate) fn without_waiting(&self, said: Decision) -> Result<Admitted<Self>, OpenError> {
        match said {
            Decision::Admit { epoch } => Ok(self.admitted(epoch)),
            Decision::Reject { retry_after_ms } => Err(self.rejected(retry_after_ms)),
            Decision::AskActor { share } => Ok(Admitted::new(self.clone(), self.0.try_ask(share)?)),
        }
    }

    #[cold]
    pub(crate) fn rejected(&self, retry_after_ms: u64) -> OpenError {
        self.0.open_error(retry_after_ms)
    }

    #[cold]
    pub(crate) fn ask_owned(&self, share: RampShare) -> Asked {
        let shared = self.clone();
        Box::pin(async move {
            let asked = ask(&shared, share).await?;
            Ok(Admitted::asked(shared, asked))
        })
    }

    /// The rejection of a call whose service was not ready as the circuit was not closed.
    #[cold]
    pub(crate) fn rejected_unready(&self) -> OpenError {
        self.open_error(Duration::from_millis(self.reject()))
    }
}

impl Deref for Shared {
    type Target = Circuit;

    #[inline]
    fn deref(&self) -> &Circuit {
        &self.0.circuit
    }
}
