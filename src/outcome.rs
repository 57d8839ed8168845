//! The outcome of a call, as its caller observed it.

use std::time::Duration;

/// The verdict on one protected call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The dependency answered well: failures in a row end here.
    Success,
    /// The dependency failed: every rule counts it.
    Failure,
    /// The call shows nothing about the dependency: no rule counts it, and it decides no probe.
    Ignored,
    /// The dependency failed, and is not to be called before this time has passed: a status of
    /// 429 or 503 with `Retry-After`. Opens the circuit at once, for the whole fleet.
    ///
    /// The time is rounded up to whole seconds, is at least one, and at most
    /// [`open_for_at_most`](crate::ConfigBuilder::open_for_at_most). It may be shorter than
    /// `recovery_timeout`, but for Python functions, which wait for their own. The cause of
    /// the transition is [`Cause::OpenFor`](crate::Cause::OpenFor).
    ///
    /// | the call | opens the circuit |
    /// |---|---|
    /// | ran while the circuit was closed | for this time |
    /// | was a probe | for this time, and not before the end of the opening before it, within `open_for_at_most` of this process: one with shorter limits may have probed in the middle of it |
    /// | finds a trip under way, or was admitted before the state changed | not at all: the opening keeps its own time |
    /// | is of a process that others have contradicted ([`Cause::Refuted`](crate::Cause::Refuted)) | for this time, in this process alone |
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// use std::time::Duration;
    /// use fuseboard::{CircuitState, Outcome};
    ///
    /// #[derive(Debug)]
    /// struct Response {
    ///     status: u16,
    ///     retry_after: Option<u64>,
    /// }
    ///
    /// let payments = registry.breaker("payment-backend")?.classified_by(
    ///     |result: &Result<Response, std::io::Error>| match result {
    ///         Ok(Response { status: 429, retry_after: Some(seconds) }) => {
    ///             Outcome::OpenFor(Duration::from_secs(*seconds))
    ///         }
    ///         Ok(Response { status: 500.., .. }) | Err(_) => Outcome::Failure,
    ///         Ok(_) => Outcome::Success,
    ///     },
    /// );
    /// let throttled = || async { Ok(Response { status: 429, retry_after: Some(7) }) };
    /// let response = payments.call(throttled).await?;
    /// assert_eq!(response.status, 429);
    ///
    /// let rejected = payments.call(throttled).await.unwrap_err();
    /// let open = fuseboard::OpenError::find(&rejected).expect("the circuit is open");
    /// assert!(open.retry_after() > Duration::from_secs(6));
    /// # Ok(()) }
    /// ```
    OpenFor(Duration),
}
