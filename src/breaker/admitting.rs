//! The way in: permits, and the calls about which the gate cannot decide.

use std::time::Duration;

use super::{Breaker, Rejection};
use crate::{
    error::OpenError,
    permit::{OwnedPermit, Permit},
    protocol::machine::CallId,
    runtime::circuit::Circuit,
    runtime::circuit::message::{Message, Reply},
    runtime::gate::{Decision, RampShare},
    runtime::sync::oneshot,
    state::CircuitState,
};

impl Breaker {
    /// Asks for leave to make one call. If the circuit is closed and was read within
    /// `local_cache_max_age`, returns at once.
    ///
    /// Otherwise, and if this call may be the next probe, waits for the store: at most
    /// `store_timeout` and 0.1 s in all. If there is no answer by then, the state that this process
    /// knows decides: the call is rejected if that state is still fresh and not closed, and admitted
    /// otherwise. So a call whose election is too slow is rejected. If the registry has ended, the
    /// call is admitted.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: the circuit is open, or half-open with somebody else's
    /// probe under way, or on a [ramp](crate::ConfigBuilder::ramp).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: a permit that nobody receives gives
    /// its right back.
    ///
    /// Make the call in the arm of the permit, and a rejection loses nothing of what the call
    /// consumes:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// # let mut queue = Vec::new();
    /// async fn charge(order: String) -> Result<String, std::io::Error> {
    ///     Ok(format!("charged {order}"))
    /// }
    ///
    /// let order = String::from("order 7");
    /// match payments.admit().await {
    ///     Ok(permit) => println!("{}", permit.run(charge(order)).await?),
    ///     // The order was not moved.
    ///     Err(open) => queue.push((order, open.retry_after())),
    /// }
    /// # assert!(queue.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// Or report the outcome by hand:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// let permit = payments.admit().await?;
    /// // ... the call ...
    /// permit.success();
    /// # Ok(()) }
    /// ```
    #[inline]
    pub async fn admit(&self) -> Result<Permit<'_>, OpenError> {
        match self.circuit.check() {
            Decision::Admit { epoch } => Ok(self.permit(CallId { epoch, probe: None })),
            Decision::Reject { retry_after_ms } => Err(self.open_error(retry_after_ms)),
            Decision::AskActor { share } => {
                let asked = Box::pin(ask(&self.circuit, share)).await?;
                Ok(Permit::asked(&self.circuit, asked))
            }
        }
    }

    /// Asks for leave to make one call, in a permit that can be moved into a
    /// task. See [`admit`](Self::admit).
    ///
    /// # Errors
    ///
    /// As for [`admit`](Self::admit).
    ///
    /// # Cancel safety
    ///
    /// As for [`admit`](Self::admit).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// let permit = payments.admit_owned().await?;
    /// let mut tasks = tokio::task::JoinSet::new();
    /// tasks.spawn(async move {
    ///     // ... the call ...
    ///     permit.success().settled().await;
    /// });
    /// # tasks.join_all().await;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub async fn admit_owned(&self) -> Result<OwnedPermit, OpenError> {
        let id = match self.circuit.check() {
            Decision::Admit { epoch } => CallId { epoch, probe: None },
            Decision::Reject { retry_after_ms } => return Err(self.open_error(retry_after_ms)),
            Decision::AskActor { share } => {
                let asked = Box::pin(ask(&self.circuit, share)).await?;
                return Ok(OwnedPermit::asked(self.circuit.clone(), asked));
            }
        };
        Ok(OwnedPermit::new(self.circuit.clone(), id))
    }

    /// Asks for leave to make one call, without waiting for anything.
    ///
    /// Where [`admit`](Self::admit) would wait, this decides by the state that this process
    /// knows, however old, and starts a read in the background for later calls. A closed
    /// circuit admits, but for its ramp, as does one that was never read; an open one rejects. If a
    /// probe is due, this call is rejected. The right to probe is then won in the
    /// background, and a later call gets it, so that the circuit recovers although no call
    /// waits. If no call of this process comes within two thirds of
    /// `probe_lease`, the right is given back and other processes may probe. So where
    /// calls are rarer than that in each process, or where an AWS Lambda environment is
    /// frozen between them, `try_admit` alone does not recover a circuit: use `call` or
    /// `admit`.
    ///
    /// # Errors
    ///
    /// [`Rejection`]: the circuit is open, half-open or on a ramp, as far as this process knows.
    /// It borrows from the breaker; `?` turns it into an [`OpenError`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// match payments.try_admit() {
    ///     Ok(permit) => { permit.success(); }
    ///     Err(rejection) => eprintln!("retry in {:?}", rejection.retry_after()),
    /// }
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_admit(&self) -> Result<Permit<'_>, Rejection<'_>> {
        match self.circuit.check() {
            Decision::Admit { epoch } => Ok(self.permit(CallId { epoch, probe: None })),
            Decision::Reject { retry_after_ms } => {
                Err(Rejection::new(&self.circuit, retry_after_ms))
            }
            Decision::AskActor { share } => self.try_ask(share).map(|id| self.permit(id)),
        }
    }

    /// Asks for leave to make one call, without waiting for anything, in a permit that can be
    /// moved: for hooks that are synchronous, as those of a client. See
    /// [`try_admit`](Self::try_admit).
    ///
    /// # Errors
    ///
    /// As for [`try_admit`](Self::try_admit).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{Breaker, BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// use fuseboard::{OpenError, OwnedPermit};
    ///
    /// /// What a client keeps of a request that is under way.
    /// struct UnderWay(OwnedPermit);
    ///
    /// fn before_request(payments: &Breaker) -> Result<UnderWay, OpenError> {
    ///     Ok(UnderWay(payments.try_admit_owned()?))
    /// }
    ///
    /// let request = before_request(&payments)?;
    /// // ... the response comes ...
    /// request.0.success();
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_admit_owned(&self) -> Result<OwnedPermit, Rejection<'_>> {
        let id = match self.circuit.check() {
            Decision::Admit { epoch } => CallId { epoch, probe: None },
            Decision::Reject { retry_after_ms } => {
                return Err(Rejection::new(&self.circuit, retry_after_ms));
            }
            Decision::AskActor { share } => self.try_ask(share)?,
        };
        Ok(OwnedPermit::new(self.circuit.clone(), id))
    }

    #[inline]
    fn permit(&self, id: CallId) -> Permit<'_> {
        Permit::new(&self.circuit, id)
    }

    pub(super) fn open_error(&self, retry_after_ms: u64) -> OpenError {
        self.circuit.open_error(Duration::from_millis(retry_after_ms))
    }

    #[cold]
    #[inline(never)]
    pub(super) fn try_ask(&self, share: RampShare) -> Result<CallId, Rejection<'_>> {
        let decided = self.try_ask_enforced(share);
        decided.or_else(|rejection| self.circuit.try_rejection().ok_or(rejection))
    }

    fn try_ask_enforced(&self, share: RampShare) -> Result<CallId, Rejection<'_>> {
        let circuit = &*self.circuit;
        if let Some(id) = circuit.take_offered_probe() {
            return Ok(id);
        }
        let (epoch, state) = circuit.gate.epoch_and_state();
        match state {
            CircuitState::Closed => circuit.send_for_a_read(),
            CircuitState::Open | CircuitState::HalfOpen => {
                let (at, reply) = (circuit.now(), Reply::OfferedProbe);
                // A full mailbox has the actor at work already.
                let _ = circuit.mailbox.try_send(Message::Admit { at, reply, is_failing: false });
            }
        }
        let is_gone = circuit.mailbox.is_disconnected();
        if is_gone {
            circuit.pending.ending.found_by(&circuit.name);
        }
        if state == CircuitState::Closed
            && !is_gone
            && let Some(retry_after_ms) = circuit.reject_on_ramp(share)
        {
            return Err(Rejection::new(circuit, retry_after_ms));
        }
        if state == CircuitState::Closed || is_gone {
            return Ok(CallId { epoch, probe: None });
        }
        Err(Rejection::new(circuit, circuit.reject()))
    }
}

/// How long a call waits in all for news of a circuit that is closed and fresh, while
/// its failures say that others may have tripped it.
const PATIENCE_WHILE_FAILING: Duration = Duration::from_millis(100);

/// Asks the actor. Returns how long that has taken, too: what a call waits in all is bounded.
pub(super) async fn ask(
    circuit: &Circuit,
    share: RampShare,
) -> Result<(CallId, Duration), OpenError> {
    let asked_at = circuit.now();
    let id = match ask_actor(circuit, share).await {
        Ok(id) => id,
        Err(open) => circuit.try_rejection().ok_or(open)?,
    };
    Ok((id, circuit.waited_since(asked_at)))
}

/// The grant comes in the answer, so that an answer to a
/// caller who is gone gives itself back.
///
/// A call that is asked for only because it hurts would be admitted by what is known:
/// it waits for little, and then is. That the answer takes longer than that is no sign
/// of an actor that does not run.
async fn ask_actor(circuit: &Circuit, share: RampShare) -> Result<CallId, OpenError> {
    if let Some(id) = circuit.take_offered_probe() {
        return Ok(id);
    }
    // One caller that waits for an actor that does not run is enough. What it
    // asked still lies in the mailbox.
    if circuit.is_stalled() {
        return circuit.unanswered(share);
    }
    let turns = circuit.turns();
    let (reply, answer) = oneshot::channel();
    let is_asked_only_for_failing = circuit.is_asked_only_for_failing();
    let patience = if is_asked_only_for_failing {
        circuit.patience().min(PATIENCE_WHILE_FAILING)
    } else {
        circuit.patience()
    };
    let message = Message::Admit {
        at: circuit.now(),
        reply: Reply::Caller(reply, share),
        is_failing: circuit.gate.is_failing(),
    };
    let asked = async {
        circuit.mailbox.send_async(message).await.ok()?;
        answer.await.ok()
    };
    let asked = circuit.clock.within_awake(patience, asked).await;
    match asked {
        Some(Some(Ok(permit))) => Ok(permit.into_id()),
        Some(Some(Err(open))) => Err(open),
        // The actor is gone.
        Some(None) => circuit.unanswered(share),
        None => {
            if !is_asked_only_for_failing {
                circuit.mark_stalled(turns);
            }
            circuit.unanswered(share)
        }
    }
}
