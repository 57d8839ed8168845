//! Leave for one call: one report, or a drop.

mod admitted;
pub(crate) mod limited;
mod rare;
mod settling;
mod slow;

use std::{fmt, future::Future, time::Duration};

pub(crate) use self::admitted::{Admitted, Underway, judged};
pub(crate) use self::rare::Rare;
pub use self::settling::Settling;
pub(crate) use self::slow::Timers;
use crate::{
    classifier::{Classify, EveryError},
    error::CallError,
    limit::Limit,
    outcome::Outcome,
    protocol::machine::{CallEnd, CallId},
    runtime::circuit::{Circuit, Handle},
};

impl From<Outcome> for CallEnd {
    #[inline]
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Failure => Self::Failure,
            Outcome::Ignored => Self::Ignored,
            Outcome::OpenFor(time) => Self::open_for(time),
        }
    }
}

/// Leave for one call, borrowed from its [`Breaker`](crate::Breaker).
///
/// Have it run the call with [`run`](Self::run), or report how the call ended with [`success`](Self::success),
/// [`failure`](Self::failure) or [`ignore`](Self::ignore). A permit that is
/// dropped instead says nothing about the dependency, unless it was armed with
/// [`or_failure`](Self::or_failure), the thread is panicking, or the circuit counts cancelled
/// calls: then it is a failure. A permit that is leaked delays recovery until its `probe_lease`
/// has ended.
///
/// A report of a call that was admitted before the circuit changed its state
/// changes nothing. [`slow_after`](crate::ConfigBuilder::slow_after) holds for [`run`](Self::run) and
/// its variants: a permit that you report has no timer.
#[must_use = "a permit that is dropped reports nothing about the call"]
pub struct Permit<'a>(Admitted<&'a Circuit>);

impl<'a> Permit<'a> {
    #[inline]
    pub(crate) fn new(circuit: &'a Circuit, id: CallId) -> Self {
        Self(Admitted::new(circuit, id))
    }

    pub(crate) fn asked(circuit: &'a Circuit, asked: (CallId, Duration)) -> Self {
        Self(Admitted::asked(circuit, asked))
    }

    /// Reports that the dependency answered well.
    ///
    /// Free on a closed circuit without recent failures, and counted by this thread
    /// alone on one with some. Nothing is sent, unless the call is a probe.
    #[inline]
    pub fn success(self) -> Settling {
        self.0.end(CallEnd::Success)
    }

    /// Reports that the dependency failed. The failure is counted when this returns.
    /// A trip that it causes takes effect, and is written, later: await
    /// [`Settling::settled`] for that.
    pub fn failure(self) -> Settling {
        self.0.end(CallEnd::Failure)
    }

    /// Reports that the dependency is not to be called before this time has passed. Opens the
    /// circuit at once: see [`Outcome::OpenFor`].
    pub fn open_for(self, time: Duration) -> Settling {
        self.0.end(CallEnd::open_for(time))
    }

    /// Reports that the call says nothing about the dependency.
    pub fn ignore(self) -> Settling {
        self.0.end(CallEnd::Ignored)
    }

    /// Reports an [`Outcome`].
    #[inline]
    pub fn report(self, outcome: Outcome) -> Settling {
        self.0.end(outcome.into())
    }

    /// Arms the permit: if it is dropped without a report, the call is a failure. It may be
    /// dropped by an early return with `?`, by the end of a cancelled task, or by a panic of any
    /// code. Use it where a call that does not reach its report has failed:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{Breaker, BreakerRegistry, CircuitState, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// # async fn charge() -> Result<(), std::io::Error> { Err(std::io::Error::other("down")) }
    /// async fn pay(payments: &Breaker) -> Result<(), Box<dyn std::error::Error>> {
    ///     let permit = payments.admit().await?.or_failure();
    ///     charge().await?;
    ///     permit.success();
    ///     Ok(())
    /// }
    ///
    /// for _ in 0..5 {
    ///     assert!(pay(&payments).await.is_err());
    /// }
    /// # registry.flush(std::time::Duration::from_secs(1)).await?;
    /// assert_eq!(payments.state(), CircuitState::Open);
    /// # Ok(()) }
    /// ```
    ///
    /// A probe that is dropped like this opens the circuit again. A report counts as it does for
    /// any permit, [`ignore`](Self::ignore) and that of [`run`](Self::run) included. A future of
    /// `run` that is dropped before its end is a failure. The trip that a drop causes is written
    /// in the background: on AWS Lambda await
    /// [`BreakerRegistry::flush`](crate::BreakerRegistry::flush) before the response.
    pub fn or_failure(self) -> Self {
        Self(self.0.arm())
    }

    /// Returns `true` if this call probes a circuit that is not closed.
    #[inline]
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.0.is_probe()
    }

    /// Says that the call still runs, so that a probe keeps its lease. Call it
    /// at least every third of `probe_lease` for probes that may outlast it;
    /// [`run`](Self::run) does so by itself. Does nothing for other calls.
    pub fn keep_alive(&self) {
        self.0.keep_alive();
    }

    /// Runs a call, and reports how it ended: every `Err` counts as a failure.
    ///
    /// This is what [`Breaker::call`](crate::Breaker::call) does with a call that it
    /// admitted. While the call of a probe runs, its lease is renewed. The call whose
    /// failure trips the circuit returns after the trip is written, or `store_timeout` is
    /// spent, what it has waited for the permit included; see [`await_trip_write`](crate::ConfigBuilder::await_trip_write). If the call
    /// panics as it is polled, that is a failure, and the panic goes on.
    ///
    /// # Errors
    ///
    /// The call's own error. A fault of the store never shows here.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the call. That says nothing about the dependency, unless
    /// the circuit counts cancelled calls; a probe gives its right back at once. So does a
    /// panic of other code in the same task.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// let permit = payments.admit().await?;
    /// // The call is made only now that it is known to run.
    /// let charged = permit.run(async { Ok::<_, std::io::Error>(42) }).await?;
    /// assert_eq!(charged, 42);
    /// # Ok(()) }
    /// ```
    pub fn run<T, E>(
        self,
        call: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, E>> {
        self.run_classified(call, EveryError)
    }

    /// Runs a call, and reports what a classifier says of its result; [`run`](Self::run) says
    /// all else. A panic of the classifier says nothing about the call.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// As for [`run`](Self::run).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore, Outcome};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// let by_status = |answer: &Result<u16, std::io::Error>| match answer {
    ///     Ok(..500) => Outcome::Success,
    ///     Ok(_) | Err(_) => Outcome::Failure,
    /// };
    /// let permit = payments.admit().await?;
    /// let status = permit.run_classified(async { Ok(503) }, by_status).await?;
    /// assert_eq!(status, 503);
    /// # Ok(()) }
    /// ```
    pub fn run_classified<T, E>(
        self,
        call: impl Future<Output = Result<T, E>>,
        classifier: impl Classify<T, E>,
    ) -> impl Future<Output = Result<T, E>> {
        self.0.run(call, move |result| classifier.classify(result))
    }

    /// Runs a call that is cut at a limit, and reports how it ended: every `Err`, and a call that
    /// is cut, counts as a failure. [`Breaker::call_within`](crate::Breaker::call_within) says
    /// how a limit is counted, and [`run`](Self::run) all else.
    ///
    /// # Errors
    ///
    /// - [`CallError::TimedOut`]: the call was cut. What it asked for may have happened.
    /// - [`CallError::Inner`]: the call's own error.
    ///
    /// Never [`CallError::Open`].
    ///
    /// # Cancel safety
    ///
    /// As for [`run`](Self::run).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{Breaker, BreakerRegistry, CallError, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// use std::time::Duration;
    ///
    /// async fn charge(order: String) -> Result<usize, std::io::Error> {
    ///     Ok(order.len())
    /// }
    ///
    /// async fn pay(payments: &Breaker, order: String) -> Result<usize, CallError<std::io::Error>> {
    ///     let permit = payments.admit().await?;
    ///     permit.run_within(Duration::from_secs(2), charge(order)).await
    /// }
    ///
    /// assert_eq!(pay(&payments, "order 7".to_owned()).await?, 7);
    /// # Ok(()) }
    /// ```
    pub fn run_within<T, E>(
        self,
        limit: impl Into<Limit>,
        call: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, CallError<E>>> {
        self.0.run_within(limit.into(), call, EveryError)
    }

    /// Runs a call that is cut at a limit, and reports what a classifier says of its result:
    /// [`run_within`](Self::run_within) and [`run_classified`](Self::run_classified) in one. A call
    /// that is cut is a failure; there is nothing to classify.
    ///
    /// # Errors
    ///
    /// As for [`run_within`](Self::run_within).
    ///
    /// # Cancel safety
    ///
    /// As for [`run`](Self::run).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore, Outcome};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// use std::time::Duration;
    ///
    /// let by_status = |answer: &Result<u16, std::io::Error>| match answer {
    ///     Ok(..500) => Outcome::Success,
    ///     Ok(_) | Err(_) => Outcome::Failure,
    /// };
    /// let permit = payments.admit().await?;
    /// let call = async { Ok(503) };
    /// let status = permit.run_classified_within(Duration::from_secs(2), call, by_status).await?;
    /// assert_eq!(status, 503);
    /// # Ok(()) }
    /// ```
    pub fn run_classified_within<T, E>(
        self,
        limit: impl Into<Limit>,
        call: impl Future<Output = Result<T, E>>,
        classifier: impl Classify<T, E>,
    ) -> impl Future<Output = Result<T, CallError<E>>> {
        self.0.run_within(limit.into(), call, classifier)
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("circuit", &self.0.circuit().name)
            .field("is_probe", &self.is_probe())
            .finish_non_exhaustive()
    }
}

/// A [`Permit`] that owns a handle of its breaker, so that it can be moved into
/// a task. It costs two atomic operations more than a borrowed one.
#[must_use = "a permit that is dropped reports nothing about the call"]
pub struct OwnedPermit(Admitted<Handle>);

impl OwnedPermit {
    #[inline]
    pub(crate) fn new(circuit: Handle, id: CallId) -> Self {
        Self(Admitted::new(circuit, id))
    }

    pub(crate) fn asked(circuit: Handle, asked: (CallId, Duration)) -> Self {
        Self(Admitted::asked(circuit, asked))
    }

    /// Reports a success. See [`Permit::success`].
    #[inline]
    pub fn success(self) -> Settling {
        self.0.end(CallEnd::Success)
    }

    /// Reports a failure. See [`Permit::failure`].
    pub fn failure(self) -> Settling {
        self.0.end(CallEnd::Failure)
    }

    /// Reports for how long the circuit is to be open. See [`Permit::open_for`].
    pub fn open_for(self, time: Duration) -> Settling {
        self.0.end(CallEnd::open_for(time))
    }

    /// Reports a call that shows nothing. See [`Permit::ignore`].
    pub fn ignore(self) -> Settling {
        self.0.end(CallEnd::Ignored)
    }

    /// Reports an outcome. See [`Permit::report`].
    #[inline]
    pub fn report(self, outcome: Outcome) -> Settling {
        self.0.end(outcome.into())
    }

    /// Arms the permit. See [`Permit::or_failure`].
    pub fn or_failure(self) -> Self {
        Self(self.0.arm())
    }

    /// Returns `true` for a probe. See [`Permit::is_probe`].
    #[inline]
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.0.is_probe()
    }

    /// Keeps the lease of a probe. See [`Permit::keep_alive`].
    pub fn keep_alive(&self) {
        self.0.keep_alive();
    }

    /// Runs a call. See [`Permit::run`]. The future borrows nothing, so that it can be spawned, or
    /// be that of a service.
    ///
    /// # Errors
    ///
    /// As for [`Permit::run`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Permit::run`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// let permit = payments.admit_owned().await?;
    /// let charged = tokio::spawn(permit.run(async { Ok::<_, std::io::Error>(42) })).await??;
    /// assert_eq!(charged, 42);
    /// # Ok(()) }
    /// ```
    pub fn run<T, E>(
        self,
        call: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, E>> {
        self.run_classified(call, EveryError)
    }

    /// Runs a call under a classifier. See [`Permit::run_classified`].
    ///
    /// # Errors
    ///
    /// As for [`Permit::run`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Permit::run`].
    pub fn run_classified<T, E>(
        self,
        call: impl Future<Output = Result<T, E>>,
        classifier: impl Classify<T, E>,
    ) -> impl Future<Output = Result<T, E>> {
        self.0.run(call, move |result| classifier.classify(result))
    }

    /// Runs a call that is cut at a limit. See [`Permit::run_within`].
    ///
    /// # Errors
    ///
    /// As for [`Permit::run_within`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Permit::run`].
    pub fn run_within<T, E>(
        self,
        limit: impl Into<Limit>,
        call: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, CallError<E>>> {
        self.0.run_within(limit.into(), call, EveryError)
    }

    /// Runs a call that is cut at a limit, under a classifier. See
    /// [`Permit::run_classified_within`].
    ///
    /// # Errors
    ///
    /// As for [`Permit::run_within`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Permit::run`].
    pub fn run_classified_within<T, E>(
        self,
        limit: impl Into<Limit>,
        call: impl Future<Output = Result<T, E>>,
        classifier: impl Classify<T, E>,
    ) -> impl Future<Output = Result<T, CallError<E>>> {
        self.0.run_within(limit.into(), call, classifier)
    }
}

impl fmt::Debug for OwnedPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit")
            .field("circuit", &self.0.circuit().name)
            .field("is_probe", &self.is_probe())
            .finish_non_exhaustive()
    }
}
