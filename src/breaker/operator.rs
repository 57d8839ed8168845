//! What operators may order: to hold a circuit open, and to release it.

use std::time::SystemTime;

use tokio::sync::oneshot;

use super::Breaker;
use crate::{
    actor::message::Message,
    error::{ConfigError, OrderError},
    machine::{Order, Ordered},
    record::HOLD_PREFIX,
};

/// The longest reason of a hold, in bytes.
const MOST_REASON_BYTES: usize = 1_024;

impl Breaker {
    /// Holds the circuit open in the whole fleet, until the given time. The
    /// reason is for whoever looks at the item: it stands in its owner attribute.
    ///
    /// Other processes learn of it when they read the item next, at the latest
    /// after `local_cache_max_age` of traffic; Python functions that share the
    /// table reject as well, until the circuit is released or a process of this
    /// crate has recovered it. The time is by this process's wall clock. Calls that are
    /// under way when the hold begins do not end it. After `until` this crate
    /// probes the dependency and recovers as from any other opening.
    ///
    /// # Errors
    ///
    /// - [`OrderError::Invalid`]: `until` is not in the future, or the reason
    ///   is longer than 1,024 bytes.
    /// - [`OrderError::Contended`], [`OrderError::Store`],
    ///   [`OrderError::NoAnswer`]: try again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not take the order back.
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
    pub async fn hold(&self, until: SystemTime, reason: &str) -> Result<(), OrderError> {
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
        self.order(Order::Hold { owner, until }).await
    }

    /// Closes the circuit in the whole fleet: ends a hold, or overrules an
    /// opening that an operator knows to be over.
    ///
    /// # Errors
    ///
    /// [`OrderError::Contended`], [`OrderError::Store`],
    /// [`OrderError::NoAnswer`]: try again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not take the order back.
    pub async fn release(&self) -> Result<(), OrderError> {
        self.order(Order::Release).await
    }

    async fn order(&self, order: Order) -> Result<(), OrderError> {
        let circuit = &*self.circuit;
        let (reply, answer) = oneshot::channel();
        let message = Message::Order { at: circuit.now(), order, reply };
        let asked = async {
            circuit.mailbox.send_async(message).await.ok()?;
            answer.await.ok()
        };
        // A read and a few writes, each with the store's limit.
        let limit = circuit.patience().saturating_mul(6);
        match circuit.clock.within(limit, Box::pin(asked)).await.flatten() {
            Some(Ordered::Done) => Ok(()),
            Some(Ordered::Contended) => Err(OrderError::Contended),
            Some(Ordered::Failed(kind)) => Err(OrderError::Store(kind)),
            None => Err(OrderError::NoAnswer),
        }
    }
}
