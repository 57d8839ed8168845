//! The user's handle to one circuit.

mod admitting;
mod classified;
mod operator;
mod refreshing;
mod rejection;

use std::{convert::identity, future::Future, pin::pin, sync::Arc, time::Duration};

use self::admitting::ask;
pub use self::{classified::ClassifiedBreaker, refreshing::RefreshError, rejection::Rejection};
use crate::{
    classifier::Classifier,
    error::{CallError, OpenError},
    name::CircuitName,
    outcome::Outcome,
    permit::{Admitted, OwnedPermit, Permit, every_error},
    protocol::machine::CallId,
    runtime::circuit::message::{Message, Reply},
    runtime::circuit::{Circuit, Handle},
    runtime::gate::Decision,
    snapshot::Snapshot,
    state::CircuitState,
};

/// A handle to one circuit. Get it from
/// [`BreakerRegistry::breaker`](crate::BreakerRegistry::breaker), keep it, and
/// clone it into whatever calls the dependency.
///
/// On a closed circuit that was read within `local_cache_max_age` a call costs a
/// few nanoseconds: nothing is sent, nothing is awaited and nothing is allocated.
/// The first call, and one after a longer pause, waits for a read of the store.
///
/// A circuit without handles is forgotten; a streak of failures is kept for
/// `recovery_timeout` after the last call. A breaker whose registry is gone, or
/// whose runtime is shutting down, answers by what it last knew for as long as
/// that is fresh, and lets every call through from then on.
#[derive(Clone, Debug)]
pub struct Breaker {
    circuit: Handle,
}

impl Breaker {
    pub(crate) fn new(circuit: Arc<Circuit>) -> Self {
        Self { circuit: Handle::new(circuit) }
    }

    /// Returns the circuit's name.
    #[must_use]
    pub fn name(&self) -> &CircuitName {
        &self.circuit.name
    }

    /// Returns the circuit as this process last saw it. It may be outdated, and
    /// asks nobody.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// assert_eq!(payments.snapshot().state().to_string(), "CLOSED");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.circuit.snapshot.load_full()
    }

    /// Returns the state as this process last saw it, without the rest of
    /// [`snapshot`](Self::snapshot): one load. It may be outdated, and asks nobody.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, CircuitState, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// assert_eq!(payments.state(), CircuitState::Closed);
    /// for _ in 0..5 {
    ///     payments.admit().await?.failure().settled().await;
    /// }
    /// assert_eq!(payments.state(), CircuitState::Open);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn state(&self) -> CircuitState {
        self.circuit.gate.state()
    }

    /// Runs a call if the circuit admits it: every `Err` counts as a failure.
    ///
    /// - Closed: the call runs. The call whose failure trips the circuit
    ///   returns after the trip is written, or `store_timeout` is spent; see
    ///   [`await_trip_write`](crate::ConfigBuilder::await_trip_write).
    /// - Open: the call is rejected without being run.
    /// - Half-open: one call at a time, in the whole fleet, runs as a probe; its
    ///   lease is renewed while it runs. All others are rejected.
    ///
    /// If the call panics, that is a failure, and the panic goes on. (A panic of
    /// other code in the same task drops the call, as a cancellation does.)
    ///
    /// # Errors
    ///
    /// - [`CallError::Open`]: the circuit rejected the call. Answer in another
    ///   way, or come back after [`OpenError::retry_after`].
    /// - [`CallError::Inner`]: the call ran and this is its own error. A fault
    ///   of the store never shows here. Where that error is a boxed or erased one,
    ///   put [`CallError::into_error`] before the `?`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the call. That says nothing about the
    /// dependency, unless the circuit counts cancelled calls; a probe gives its
    /// right back at once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use fuseboard::{BreakerRegistry, CallError, MemoryStore};
    ///
    /// let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// let payments = registry.breaker("payment-backend")?;
    ///
    /// let charged = payments.call(|| async { Ok::<_, std::io::Error>(42) }).await;
    /// assert_eq!(charged.ok(), Some(42));
    ///
    /// for _ in 0..5 {
    ///     let failed = payments.call(|| async { Err::<u32, _>("timed out") }).await;
    ///     assert_eq!(failed, Err(CallError::Inner("timed out")));
    /// }
    /// let rejected = payments.call(|| async { Ok::<u32, &str>(43) }).await;
    /// assert!(matches!(rejected, Err(CallError::Open(_))));
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn call<T, E, F, Fut>(&self, call: F) -> impl Future<Output = Result<T, CallError<E>>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.run(call, every_error, into_call_result)
    }

    /// Runs a call if the circuit admits it, and the fallback if it does not:
    /// the fallback's result is then the result.
    ///
    /// The fallback gets the rejection: the circuit, and how long until it may
    /// admit a probe. Both closures may borrow the same input. What the fallback
    /// returns is not counted.
    ///
    /// # Errors
    ///
    /// The error of the call, or of the fallback.
    ///
    /// # Cancel safety
    ///
    /// As for [`call`](Self::call).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// # for _ in 0..5 { payments.admit().await?.failure().settled().await; }
    /// let order = "order 7";
    /// let answer = payments
    ///     .call_or_else(
    ///         || async { Ok::<_, std::io::Error>(format!("charged {order}")) },
    ///         |open| async move { Ok(format!("queued {order}, {} is open", open.circuit().name)) },
    ///     )
    ///     .await?;
    /// assert_eq!(answer, "queued order 7, payment-backend is open");
    /// # Ok(()) }
    /// ```
    pub async fn call_or_else<T, E, F, Fut, G, Gut>(&self, call: F, fallback: G) -> Result<T, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        G: FnOnce(OpenError) -> Gut,
        Gut: Future<Output = Result<T, E>>,
    {
        match self.run(call, every_error, identity).await {
            Ok(result) => result,
            Err(open) => fallback(open).await,
        }
    }

    /// Returns a handle that judges results by a [`Classifier`].
    #[must_use]
    pub fn with_classifier<T, E>(&self, classifier: Classifier<T, E>) -> ClassifiedBreaker<T, E> {
        ClassifiedBreaker { breaker: self.clone(), classifier }
    }

    /// Asks for leave to make one call. Closed and fresh: at once.
    ///
    /// Waits for the store only if what is known is too old, or if this call
    /// may be the next probe, and never longer than `store_timeout` and a
    /// tenth of a second. If there is no answer by then, the call is rejected if
    /// what is known is fresh and not closed (an election that is too slow admits
    /// nobody), and admitted otherwise; if nobody is left to answer, it is admitted.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: the circuit is open, or half-open with somebody else's
    /// probe under way.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: a permit that nobody receives gives
    /// its right back.
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
            Decision::AskActor => Box::pin(ask(&self.circuit)).await.map(|id| self.permit(id)),
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
            Decision::AskActor => Box::pin(ask(&self.circuit)).await?,
        };
        Ok(OwnedPermit::new(self.circuit.clone(), id))
    }

    /// Asks for leave to make one call, without waiting for anything.
    ///
    /// Where [`admit`](Self::admit) would wait, this answers by what was last
    /// known, and has the actor find out more for the calls to come. A closed
    /// circuit admits, as does one that was never read; an open one rejects. If a
    /// probe is due this call is rejected, the right to probe is won in the
    /// background, and a later call gets it, so that a circuit recovers without
    /// anybody waiting. If no call of this process comes within two thirds of
    /// `probe_lease`, the right is given back and other processes may probe. So where
    /// calls are rarer than that in each process, or where an AWS Lambda environment is
    /// frozen between them, `try_admit` alone does not recover a circuit: use `call` or
    /// `admit`.
    ///
    /// # Errors
    ///
    /// [`Rejection`]: the circuit is, or was last known to be, open or half-open.
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
            Decision::AskActor => self.try_ask(),
        }
    }

    #[inline]
    fn permit(&self, id: CallId) -> Permit<'_> {
        Permit::new(&self.circuit, id)
    }

    fn open_error(&self, retry_after_ms: u64) -> OpenError {
        self.circuit.open_error(Duration::from_millis(retry_after_ms))
    }

    #[cold]
    #[inline(never)]
    fn try_ask(&self) -> Result<Permit<'_>, Rejection<'_>> {
        let circuit = &*self.circuit;
        if let Some(id) = circuit.take_offered_probe() {
            return Ok(self.permit(id));
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
        if state == CircuitState::Closed || is_gone {
            return Ok(self.permit(CallId { epoch, probe: None }));
        }
        Err(Rejection::new(circuit, circuit.reject()))
    }

    /// Runs a call if it is admitted, and makes of its output what the caller wants. What
    /// few calls need is boxed, so that every call's future stays small.
    ///
    /// Does what [`Admitted::run`] does, in its own words: one future within another costs
    /// each call more than the gate does. The closures are `Copy`, since a future notes in
    /// its memory of each value that it may have to drop whether it still has it.
    #[inline]
    async fn run<T, F, Fut, U>(
        &self,
        call: F,
        judge: impl Fn(&T) -> Outcome + Copy,
        finish: impl Fn(Result<T, OpenError>) -> U + Copy,
    ) -> U
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        let epoch = match self.circuit.check() {
            Decision::Admit { epoch } => epoch,
            Decision::Reject { retry_after_ms } => {
                return finish(Err(self.open_error(retry_after_ms)));
            }
            Decision::AskActor => return finish(Box::pin(self.run_asked(call, judge)).await),
        };
        // Before the call is made, so that a panic of `call` itself is a failure.
        let mut admitted = Admitted::new(&*self.circuit, CallId { epoch, probe: None });
        let called = pin!(call());
        let output = admitted.poll(called).await;
        let outcome = judge(&output);
        if admitted.report_silently(outcome) {
            return finish(Ok(output));
        }
        // Kept under another name, so that only outputs that wait are kept.
        let kept = output;
        if let Some(settled) = admitted.report_and_wait(outcome, Duration::ZERO) {
            settled.await;
        }
        finish(Ok(kept))
    }

    /// Runs a call that the actor admits.
    async fn run_asked<T, F, Fut>(
        &self,
        call: F,
        judge: impl FnOnce(&T) -> Outcome,
    ) -> Result<T, OpenError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        let asked_at = self.circuit.now();
        let id = ask(&self.circuit).await?;
        let now = self.circuit.now();
        // To stand still is not to wait: then the limit begins anew.
        let waited = if now.was_frozen_since(asked_at, self.circuit.patience()) {
            Duration::ZERO
        } else {
            now.mono().saturating_sub(asked_at.mono())
        };
        Ok(Admitted::new(&*self.circuit, id).run(call(), judge, waited).await)
    }
}

fn into_call_result<T, E>(ran: Result<Result<T, E>, OpenError>) -> Result<T, CallError<E>> {
    match ran {
        Ok(result) => result.map_err(CallError::Inner),
        Err(open) => Err(CallError::Open(open)),
    }
}
