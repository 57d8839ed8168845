//! A breaker that judges the whole result of a call.

use std::{convert::identity, future::Future};

use super::{Breaker, into_call_result};
use crate::{
    classifier::Classifier,
    error::{CallError, OpenError},
};

/// A [`Breaker`] that judges results by a [`Classifier`].
///
/// For a call that is made by hand, take a permit of [`breaker`](Self::breaker), and run
/// the call by [`Permit::run_judged`](crate::Permit::run_judged) or report what
/// [`Classifier::judge`] says of its result.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fuseboard::{BreakerRegistry, Classifier, CircuitState, MemoryStore};
/// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
/// let judge = Classifier::builder()
///     .count_if(|answer: &Result<u16, std::io::Error>| matches!(answer, Ok(500..) | Err(_)))
///     .build()?;
/// let payments = registry.breaker("payment-backend")?.with_classifier(judge);
/// for _ in 0..5 {
///     let answer = payments.call(|| async { Ok(503) }).await;
///     assert_eq!(answer.ok(), Some(503));
/// }
/// assert_eq!(payments.breaker().snapshot().state(), CircuitState::Open);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct ClassifiedBreaker<T, E> {
    pub(super) breaker: Breaker,
    pub(super) classifier: Classifier<T, E>,
}

impl<T, E> ClassifiedBreaker<T, E> {
    /// Returns the breaker itself.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
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
    pub fn call<F, Fut>(&self, call: F) -> impl Future<Output = Result<T, CallError<E>>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let judge = |result: &Result<T, E>| self.classifier.judge(result);
        self.breaker.run(call, judge, into_call_result)
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
    pub async fn call_or_else<F, Fut, G, Gut>(&self, call: F, fallback: G) -> Result<T, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        G: FnOnce(OpenError) -> Gut,
        Gut: Future<Output = Result<T, E>>,
    {
        let judge = |result: &Result<T, E>| self.classifier.judge(result);
        match self.breaker.run(call, judge, identity).await {
            Ok(result) => result,
            Err(open) => fallback(open).await,
        }
    }
}

impl<T, E> Clone for ClassifiedBreaker<T, E> {
    fn clone(&self) -> Self {
        Self { breaker: self.breaker.clone(), classifier: self.classifier.clone() }
    }
}
