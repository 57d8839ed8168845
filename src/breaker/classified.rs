//! A breaker that judges the whole result of a call.

use std::{convert::identity, fmt, future::Future};

use super::{Breaker, running::into_call_result};
use crate::{
    classifier::Classify,
    error::{CallError, OpenError},
    limit::Limit,
};

/// A [`Breaker`] that judges results by a classifier: it serves every type of results that the
/// classifier can judge. Get it from [`Breaker::classified_by`].
///
/// For a call that is made by hand, take a permit of [`breaker`](Self::breaker), and run
/// the call by [`Permit::run_classified`](crate::Permit::run_classified) or report what
/// [`Classify::classify`] says of its result.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fuseboard::{BreakerRegistry, CircuitState, MemoryStore, Outcome};
/// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
/// let payments = registry.breaker("payment-backend")?.classified_by(
///     |answer: &Result<u16, std::io::Error>| match answer {
///         Ok(..500) => Outcome::Success,
///         Ok(_) | Err(_) => Outcome::Failure,
///     },
/// );
/// for _ in 0..5 {
///     let answer = payments.call(|| async { Ok(503) }).await;
///     assert_eq!(answer.ok(), Some(503));
/// }
/// assert_eq!(payments.breaker().snapshot().state(), CircuitState::Open);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ClassifiedBreaker<C> {
    pub(super) breaker: Breaker,
    pub(super) classifier: C,
}

impl<C> ClassifiedBreaker<C> {
    /// Returns the breaker itself.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Returns the classifier.
    #[must_use]
    pub fn classifier(&self) -> &C {
        &self.classifier
    }

    /// Runs a call if the circuit admits it. See [`Breaker::call`].
    ///
    /// # Errors
    ///
    /// As for [`Breaker::call`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Breaker::call`].
    #[inline]
    pub fn call<T, E, F, Fut>(&self, call: F) -> impl Future<Output = Result<T, CallError<E>>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
    {
        let classify = |result: &Result<T, E>| self.classifier.classify(result);
        self.breaker.run(call, classify, into_call_result)
    }

    /// Runs a call if the circuit admits it, and the fallback if it does not.
    /// See [`Breaker::call_or_else`].
    ///
    /// # Errors
    ///
    /// The error of the call, or of the fallback.
    ///
    /// # Cancel safety
    ///
    /// As for [`Breaker::call`].
    pub async fn call_or_else<T, E, F, Fut, G, Gut>(&self, call: F, fallback: G) -> Result<T, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        G: FnOnce(OpenError) -> Gut,
        Gut: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
    {
        let classify = |result: &Result<T, E>| self.classifier.classify(result);
        match self.breaker.run(call, classify, identity).await {
            Ok(result) => result,
            Err(open) => fallback(open).await,
        }
    }

    /// Runs a call if the circuit admits it, and the recovery for a rejection and for a call
    /// that failed. See [`Breaker::call_or_recover`].
    ///
    /// The recovery is for every `Err` and for nothing else, whatever the classifier says of it.
    ///
    /// # Errors
    ///
    /// The error of the recovery.
    ///
    /// # Cancel safety
    ///
    /// As for [`Breaker::call`].
    pub async fn call_or_recover<T, E, F, Fut, G, Gut>(&self, call: F, recover: G) -> Result<T, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        G: FnOnce(CallError<E>) -> Gut,
        Gut: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
    {
        match self.call(call).await {
            Ok(value) => Ok(value),
            Err(error) => recover(error).await,
        }
    }

    /// Runs a call if the circuit admits it, and cuts it at a limit. See
    /// [`Breaker::call_within`]. A call that is cut is a failure; there is nothing to classify.
    ///
    /// # Errors
    ///
    /// As for [`Breaker::call_within`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Breaker::call`].
    pub fn call_within<T, E, F, Fut>(
        &self,
        limit: impl Into<Limit>,
        call: F,
    ) -> impl Future<Output = Result<T, CallError<E>>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
    {
        let classify = |result: &Result<T, E>| self.classifier.classify(result);
        self.breaker.run_within(limit.into(), call, classify)
    }
}

/// Shows the breaker: closures have nothing to show.
impl<C> fmt::Debug for ClassifiedBreaker<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClassifiedBreaker").field("breaker", &self.breaker).finish_non_exhaustive()
    }
}
