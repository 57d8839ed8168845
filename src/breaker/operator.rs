//! The commands of operators: to hold a circuit open or closed, and to release it.

use super::Breaker;
use crate::{
    error::OperatorError,
    hold::Hold,
    protocol::machine::{Command, CommandResult, Ends, Order},
    protocol::record::{HoldTerms, Record},
    runtime::circuit::message::Message,
    runtime::sync::oneshot,
};

/// The operations that a command may take: a read and up to five writes, each with the store's
/// limit.
const OPERATIONS: u32 = 6;

impl Breaker {
    /// Holds the circuit in the whole fleet, open or closed, until the end of the [`Hold`],
    /// whatever state it is in. A second hold replaces the first, whoever's it was
    /// ([`hold_seen`](Self::hold_seen) does not). Reason and name are for people who look: they stand in the item, and every process tells subscribers and the log of them
    /// once, also where its state stays the same, and of the end of the hold
    /// ([`CircuitTransition::hold`](crate::CircuitTransition::hold) and
    /// [`ended_hold`](crate::CircuitTransition::ended_hold)).
    ///
    /// In a [dry run](crate::ConfigBuilder::dry_run) it holds the circuit of all processes in a dry
    /// run, and of no others. Calls run under a hold open, too.
    ///
    /// Other processes learn of it when they read the item next: with traffic,
    /// within `local_cache_max_age`. Each ends it at its end, whatever its own
    /// `recovery_timeout`.
    ///
    /// - Held open, calls are rejected with [`Reason::Held`](crate::Reason::Held). Calls that are
    ///   under way when the hold begins do not end it. After its end this crate probes the
    ///   dependency and recovers as from any other opening.
    /// - Held closed, calls run, and failures trip nothing: where they would have, subscribers
    ///   are told once ([`Cause::WouldOpen`](crate::Cause::WouldOpen)). A process that has not
    ///   read it yet may open for itself: its write is refused, and it closes again. After the
    ///   end failures trip as ever.
    /// - Python functions that share the table go on rejecting a circuit that is held open until
    ///   it is released, or a process of this crate has recovered it. They do not know of a
    ///   hold closed: their trip overwrites it.
    /// - A process that cannot read the store does not hear of the hold. One that has
    ///   read it keeps to it until it ends, also while the store cannot be read.
    ///
    /// Waits for the command to be carried out: for a read and up to five writes, at
    /// most six times (`store_timeout` and 0.1 s).
    ///
    /// # Errors
    ///
    /// - [`OperatorError::Invalid`]: the end is not in the future, or the reason or the name
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
    /// use fuseboard::Hold;
    ///
    /// let until = SystemTime::now() + Duration::from_secs(3_600);
    /// payments.hold(Hold::open(until).reason("maintenance").by("ops")).await?;
    /// assert_eq!(payments.snapshot().state(), CircuitState::Open);
    ///
    /// payments.release().await?;
    /// assert_eq!(payments.snapshot().state(), CircuitState::Closed);
    /// # Ok(()) }
    /// ```
    pub async fn hold(&self, hold: Hold) -> Result<(), OperatorError> {
        let command = self.command_of(hold)?;
        self.order(command, Ends::Any).await.map(drop)
    }

    /// Holds the circuit as [`hold`](Self::hold) does, but ends no hold other than that of the
    /// record `seen`: for commands and pages whose user has seen the circuit. With `None`, or a
    /// record that is not held, it ends none.
    ///
    /// Returns the record that the write replaced, which may differ from `seen` in all but its
    /// hold; `None` if there was none.
    ///
    /// # Errors
    ///
    /// - [`OperatorError::Held`]: the item carries another hold, which is not over. Nothing was
    ///   written.
    /// - All others: as for [`hold`](Self::hold). After those that say that the hold may have been
    ///   written, another try with the same `seen` may find it, and be refused by it: compare.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes the command back, unless its write is under way by then.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use fuseboard::{BreakerRegistry, Hold, MemoryStore, OperatorError};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// let hour = || Hold::open_for(Duration::from_secs(3_600));
    /// payments.hold(hour().reason("maintenance").by("anna")).await?;
    /// match payments.hold_seen(hour().by("bela"), None).await {
    ///     Err(OperatorError::Held(hold)) => assert_eq!(hold.by.as_deref(), Some("anna")),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn hold_seen(
        &self,
        hold: Hold,
        seen: Option<&Record>,
    ) -> Result<Option<Record>, OperatorError> {
        let command = self.command_of(hold)?;
        self.order(command, only(seen)).await
    }

    /// Closes the circuit in the whole fleet: ends a hold of either kind, or overrules an
    /// opening that an operator knows to be over. If the item is closed and not held, an opening
    /// that this process alone has decided is ended, and nothing is written, unless the circuit
    /// closed after failed probes: then its [`open_backoff`](crate::ConfigBuilder::open_backoff)
    /// begins again.
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
        self.order(Command::Release, Ends::Any).await.map(drop)
    }

    /// Closes the circuit as [`release`](Self::release) does, but ends no hold other than that of
    /// the record `seen`. With one that is not held it ends none, so that it overrules an opening
    /// alone.
    ///
    /// Returns the record that the write replaced, which may differ from `seen` in all but its
    /// hold; `None` if nothing was written.
    ///
    /// # Errors
    ///
    /// - [`OperatorError::Held`]: the item carries another hold, which is not over. Nothing was
    ///   written.
    /// - All others: as for [`release`](Self::release).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes the command back, unless its write is under way by then.
    pub async fn release_seen(&self, seen: &Record) -> Result<Option<Record>, OperatorError> {
        self.order(Command::Release, only(Some(seen))).await
    }

    fn command_of(&self, hold: Hold) -> Result<Command, OperatorError> {
        let now = self.circuit.now();
        let (kind, lasts) = (hold.kind(), hold.lasts(now.wall())?);
        let (by, reason) = hold.into_texts()?;
        Ok(Command::Hold(kind, HoldTerms { until: now.unix_ceil(lasts), by, reason }))
    }

    async fn order(&self, command: Command, ends: Ends) -> Result<Option<Record>, OperatorError> {
        let circuit = &*self.circuit;
        let (reply, answer) = oneshot::channel();
        let order = Box::new(Order { command, ends });
        let message = Message::Command { at: circuit.now(), order, reply };
        let asked = async {
            if circuit.mailbox.send_async(message).await.is_err() {
                circuit.pending.ending.found_by(&circuit.name);
                return Err(OperatorError::Gone);
            }
            answer.await.map_err(|_| OperatorError::NoAnswer)
        };
        let limit = circuit.patience().saturating_mul(OPERATIONS);
        match circuit.clock.within(limit, Box::pin(asked)).await {
            Some(Ok(CommandResult::Done(replaced))) => Ok(replaced.map(|record| *record)),
            Some(Ok(CommandResult::Held(hold))) => Err(OperatorError::Held(hold)),
            Some(Ok(CommandResult::Replaced)) => Err(OperatorError::Replaced),
            Some(Ok(CommandResult::Contended)) => Err(OperatorError::Contended),
            Some(Ok(CommandResult::Failed(kind))) => Err(OperatorError::Store(kind)),
            Some(Err(error)) => Err(error),
            None => Err(OperatorError::NoAnswer),
        }
    }
}

fn only(seen: Option<&Record>) -> Ends {
    Ends::Only(seen.cloned().map(Box::new))
}
