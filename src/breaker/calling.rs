//! The calls that a breaker runs for its user.

use std::{convert::identity, future::Future};

use super::{Breaker, ClassifiedBreaker, running::into_call_result};
use crate::{
    classifier::{Classify as _, EveryError},
    error::{CallError, OpenError},
    limit::Limit,
};

impl Breaker {
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
    /// other code in the same task drops the call, as a cancellation does.) A call that hangs
    /// is no failure until it ends: [`call_within`](Self::call_within) cuts it, and with
    /// [`slow_after`](crate::ConfigBuilder::slow_after) it is one while it runs on.
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
    /// Dropping the future drops the call. By default that says nothing about the dependency,
    /// and a probe gives its right back at once. If the circuit
    /// [counts cancelled calls](crate::ConfigBuilder::count_cancelled) it is a failure, and a
    /// probe reopens the circuit.
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
        self.run(call, |result: &Result<T, E>| EveryError.classify(result), into_call_result)
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
        match self.run(call, |result: &Result<T, E>| EveryError.classify(result), identity).await {
            Ok(result) => result,
            Err(open) => fallback(open).await,
        }
    }

    /// Runs a call if the circuit admits it, and the recovery if there is no value: for a
    /// rejection *and* for a call that failed. The recovery's result is then the result.
    ///
    /// The recovery gets the error, and may return it. Both
    /// closures may borrow the same input. What the recovery returns is not counted; the
    /// call's own failure is. A call with a limit is recovered by a `match` on what
    /// [`call_within`](Self::call_within) returns, or by `.unwrap_or(old_value)`.
    ///
    /// # Errors
    ///
    /// The error of the recovery.
    ///
    /// # Cancel safety
    ///
    /// As for [`call`](Self::call).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, CallError, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let rates = registry.breaker("exchange-rates")?;
    /// let known = Some(1.09);
    /// let rate = rates
    ///     .call_or_recover(
    ///         || async { Err::<f64, _>(std::io::Error::other("down")) },
    ///         |error| async move { known.ok_or_else(|| std::io::Error::other(error)) },
    ///     )
    ///     .await?;
    /// assert_eq!(rate, 1.09, "an old rate is better than none");
    /// # Ok(()) }
    /// ```
    pub async fn call_or_recover<T, E, F, Fut, G, Gut>(&self, call: F, recover: G) -> Result<T, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        G: FnOnce(CallError<E>) -> Gut,
        Gut: Future<Output = Result<T, E>>,
    {
        match self.call(call).await {
            Ok(value) => Ok(value),
            Err(error) => recover(error).await,
        }
    }

    /// Runs a call if the circuit admits it, and cuts it at a limit: a
    /// [`Duration`](std::time::Duration), or a
    /// [`Limit`] with a deadline. Every `Err`, and a call that is cut, counts as a failure.
    ///
    /// The limit counts from when the call begins to run, and ends it. Two waits are not in it:
    /// before the call, that for its admission, and after it, that for the write of a trip or
    /// of a probe, together `store_timeout` and 0.1 s (1.1 s) at most. The time until a deadline
    /// is taken when the call begins; so the first wait shortens it, and the second is what the
    /// [margin](Limit::margin) is for.
    ///
    /// - A call that a freeze of the process (AWS Lambda, SIGSTOP) has cut does not count: the
    ///   answer may have come meanwhile. Freezes of three seconds or more are noticed, up to a
    ///   minute after the circuit was last used.
    /// - If the limit ran out in a freeze, or while the runtime was blocked for a second or more,
    ///   the call gets 0.1 s more, so that an answer that has arrived is returned.
    /// - A limit of less than a millisecond is one millisecond. A call that is cut at a limit of
    ///   zero does not count as a failure: the dependency had no time to answer.
    /// - A limit that is too long for a timer, such as [`Duration::MAX`](std::time::Duration::MAX),
    ///   limits nothing.
    ///
    /// # Errors
    ///
    /// - [`CallError::Open`]: the circuit rejected the call. Answer in another
    ///   way, or come back after [`OpenError::retry_after`].
    /// - [`CallError::TimedOut`]: the call was cut. The dependency may have done what it was asked to.
    /// - [`CallError::Inner`]: the call ran and this is its own error.
    ///
    /// # Cancel safety
    ///
    /// As for [`call`](Self::call). A call is cut by dropping its future.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, CallError, CircuitState, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// use std::time::Duration;
    ///
    /// let limit = Duration::from_secs(2);
    /// for _ in 0..5 {
    ///     let hangs = || std::future::pending::<Result<u32, std::io::Error>>();
    ///     let cut = payments.call_within(limit, hangs).await;
    ///     assert!(matches!(cut, Err(CallError::TimedOut(error)) if error.limit() == limit));
    /// }
    /// assert_eq!(payments.state(), CircuitState::Open);
    /// # Ok(()) }
    /// ```
    pub fn call_within<T, E, F, Fut>(
        &self,
        limit: impl Into<Limit>,
        call: F,
    ) -> impl Future<Output = Result<T, CallError<E>>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.run_within(limit.into(), call, |result| EveryError.classify(result))
    }

    /// Returns a handle that judges results by a classifier, which may be a closure. One handle
    /// serves all types of results that the classifier can judge.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore, Outcome};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// let payments = registry.breaker("payment-backend")?.classified_by(
    ///     |answer: &Result<u16, std::io::Error>| match answer {
    ///         Ok(..500) => Outcome::Success,
    ///         Ok(_) | Err(_) => Outcome::Failure,
    ///     },
    /// );
    /// let status = payments.call(|| async { Ok(503) }).await?;
    /// assert_eq!(status, 503, "a failure, and returned as it is");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn classified_by<C>(&self, classifier: C) -> ClassifiedBreaker<C> {
        ClassifiedBreaker { breaker: self.clone(), classifier }
    }
}
