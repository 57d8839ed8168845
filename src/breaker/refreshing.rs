//! Reads the shared item now, for who looks at a circuit and does not call through it.

use std::sync::Arc;

use super::Breaker;
use crate::{
    protocol::answer::StoreErrorKind,
    runtime::circuit::message::{LookResult, Message},
    runtime::sync::oneshot,
    snapshot::Snapshot,
};

/// What a refresh may take: an operation that is under way, a read, and one more if the process
/// was frozen meanwhile.
const OPERATIONS: u32 = 3;

/// Why a refresh has read nothing. The snapshot is unchanged, and says how old it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// The store failed.
    #[error("the store failed ({0:?})")]
    Store(StoreErrorKind),
    /// The store failed a moment ago, and is left alone for now.
    #[error("the store failed a moment ago, and is left alone for now")]
    BackedOff,
    /// The registry was shut down, dropped or disabled.
    #[error("the circuit's registry is shut down, dropped or disabled")]
    Gone,
    /// There was no answer in time, or the registry ended in the meantime.
    #[error("no answer to the refresh")]
    NoAnswer,
}

impl Breaker {
    /// Reads the shared item now, and returns what this process then knows.
    ///
    /// A process reads when calls need it. Use this where there are none: in a health page, a
    /// dashboard, or before `observe` at a scrape (feature `metrics`). Each refresh is one
    /// consistent read; those of one circuit that overlap share it, and one that finds another
    /// operation of the circuit under way waits for that instead, since every answer shows
    /// the item.
    ///
    /// Waits at most three times (`store_timeout` and 0.1 s). What the read shows is acted upon
    /// as if a call had read it: a circuit that others opened is open here from now on, and
    /// subscribers hear of it. No probe is begun.
    ///
    /// # Errors
    ///
    /// - [`RefreshError::Store`]: the store failed.
    /// - [`RefreshError::BackedOff`]: the store failed a moment ago, and is left alone for now:
    ///   nothing was sent. Try again later.
    /// - [`RefreshError::Gone`]: the registry was shut down, dropped or disabled.
    /// - [`RefreshError::NoAnswer`]: no answer within the wait above, or the registry ended
    ///   meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops the waiting: a read that has begun goes on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, CircuitState, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// assert_eq!(payments.snapshot().as_of(), None, "no call has read yet");
    ///
    /// let snapshot = payments.refresh().await?;
    /// assert_eq!(snapshot.state(), CircuitState::Closed);
    /// assert!(snapshot.as_of().is_some());
    /// # Ok(()) }
    /// ```
    pub async fn refresh(&self) -> Result<Arc<Snapshot>, RefreshError> {
        let circuit = &*self.circuit;
        let (reply, answer) = oneshot::channel();
        let message = Message::Look { at: circuit.now(), reply };
        let asked = async {
            circuit.mailbox.send_async(message).await.map_err(|_| RefreshError::Gone)?;
            match answer.await {
                Ok(LookResult::Shown) => Ok(circuit.snapshot.load_full()),
                Ok(LookResult::Failed(kind)) => Err(RefreshError::Store(kind)),
                Ok(LookResult::BackedOff) => Err(RefreshError::BackedOff),
                Err(_) => Err(RefreshError::NoAnswer),
            }
        };
        let limit = circuit.patience().saturating_mul(OPERATIONS);
        let answered = circuit.clock.within(limit, Box::pin(asked)).await;
        answered.unwrap_or(Err(RefreshError::NoAnswer))
    }
}
