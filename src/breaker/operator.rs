//! The commands of operators: to hold a circuit open, and to release it.

use std::time::SystemTime;

use super::Breaker;
use crate::{
    error::{ConfigError, OperatorError},
    protocol::machine::{Command, CommandResult},
    protocol::record::HOLD_PREFIX,
    runtime::circuit::message::Message,
    runtime::sync::oneshot,
};

/// The operations that a command may take: a read and up to five writes, each with the store's
/// limit.
const OPERATIONS: u32 = 6;

/// The longest reason of a hold, in bytes.
const MOST_REASON_BYTES: usize = 1_024;

impl Breaker {
    /// Holds the circuit open in the whole fleet, until the given time by this
    /// process's wall clock, whatever state it is in. A second hold replaces the
    /// first. The reason is for people who look at the item: it stands in its owner
    /// attribute.
    ///
    /// Other processes learn of it when they read the item next: with traffic,
    /// within `local_cache_max_age`. Calls that are under way when the hold begins do
    /// not end it. After `until` this crate probes the dependency and recovers as
    /// from any other opening.
    ///
    /// - Python functions that share the table go on rejecting until the circuit is
    ///   released, or a process of this crate has recovered it.
    /// - A process that cannot read the store does not hear of the hold. One that has
    ///   read it rejects calls until it ends, also while the store cannot be read.
    /// - The item carries a time of opening, not `until`: a process with another
    ///   `recovery_timeout` ends the hold earlier or later, by the difference.
    ///
    /// Waits for the command to be carried out: for a read and up to five writes, at
    /// most six times (`store_timeout` and 0.1 s).
    ///
    /// # Errors
    ///
    /// - [`OperatorError::Invalid`]: `until` is not in the future, or the reason
    ///   is longer than 1,024 bytes. Nothing was written.
    /// - [`OperatorError::Contended`]: other processes changed the item at each of five
    ///   tries. Nothing was written; try again.
    /// - [`OperatorError::Store`]: the store failed. The hold may have been written:
    ///   look at the item, or try again once the store works.
    /// - [`OperatorError::Replaced`]: a later command of this process for the circuit came before
    ///   this one had begun. Nothing was written for this one.
    /// - [`OperatorError::Gone`]: the registry was shut down, dropped or disabled. Nothing
    ///   was written.
    /// - [`OperatorError::NoAnswer`]: no answer within the wait above, or the registry
    ///   ended meanwhile. The hold may still be written; to try again does no harm.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes the command back, unless its write is under way by then.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::{Duration, SystemTime};
    /// # use fuseboard::{BreakerRegistry, CircuitState, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// payments.hold(SystemTime::now() + Duration::from_secs(3_600), "maintenance").await?;
    /// assert_eq!(payments.snapshot().state(), CircuitState::Open);
    ///
    /// payments.release().await?;
    /// assert_eq!(payments.snapshot().state(), CircuitState::Closed);
    /// # Ok(()) }
    /// ```
    pub async fn hold(&self, until: SystemTime, reason: &str) -> Result<(), OperatorError> {
        let until_wall = until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = self.circuit.now();
        if until_wall <= now.wall() {
            let ago = now.wall().saturating_sub(until_wall);
            let requirement = "must lie in the future (given is how long ago it was)";
            return Err(ConfigError::new("until", ago, requirement).into());
        }
        if reason.len() > MOST_REASON_BYTES {
            let bytes = reason.len();
            return Err(ConfigError::new("reason", bytes, "must have at most 1,024 bytes").into());
        }
        let owner = format!("{HOLD_PREFIX}{reason}").into();
        let until = now.unix_ceil(until_wall.saturating_sub(now.wall()));
        self.command(Command::Hold { owner, until }).await
    }

    /// Closes the circuit in the whole fleet: ends a hold, or overrules an
    /// opening that an operator knows to be over. If the item is not open, nothing
    /// is written; an opening that this process alone has decided is ended.
    ///
    /// Waits as [`hold`](Self::hold) does; other processes learn of it as they do of
    /// a hold.
    ///
    /// # Errors
    ///
    /// - [`OperatorError::Contended`]: other processes changed the item at each of five
    ///   tries. Nothing was written; try again.
    /// - [`OperatorError::Store`]: the store failed. The circuit may have been closed.
    /// - [`OperatorError::Replaced`]: a later command of this process for the circuit came before
    ///   this one had begun. Nothing was written for this one.
    /// - [`OperatorError::Gone`]: the registry was shut down, dropped or disabled. Nothing
    ///   was written.
    /// - [`OperatorError::NoAnswer`]: no answer in time, or the registry ended meanwhile.
    ///   The circuit may still be closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes the command back, unless its write is under way by then.
    pub async fn release(&self) -> Result<(), OperatorError> {
        self.command(Command::Release).await
    }

    async fn command(&self, command: Command) -> Result<(), OperatorError> {
        let circuit = &*self.circuit;
        let (reply, answer) = oneshot::channel();
        let message = Message::Command { at: circuit.now(), command, reply };
        let asked = async {
            if circuit.mailbox.send_async(message).await.is_err() {
                circuit.pending.ending.found_by(&circuit.name);
                return Err(OperatorError::Gone);
            }
            answer.await.map_err(|_| OperatorError::NoAnswer)
        };
        let limit = circuit.patience().saturating_mul(OPERATIONS);
        match circuit.clock.within(limit, Box::pin(asked)).await {
            Some(Ok(CommandResult::Done)) => Ok(()),
            Some(Ok(CommandResult::Replaced)) => Err(OperatorError::Replaced),
            Some(Ok(CommandResult::Contended)) => Err(OperatorError::Contended),
            Some(Ok(CommandResult::Failed(kind))) => Err(OperatorError::Store(kind)),
            Some(Err(error)) => Err(error),
            None => Err(OperatorError::NoAnswer),
        }
    }
}
