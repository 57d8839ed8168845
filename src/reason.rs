//! Why a circuit rejects calls.

use std::{fmt, sync::Arc};

/// Why a circuit rejects calls. Displays as `tripped`, `probing`, `held` or `ramping`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fuseboard::{BreakerRegistry, MemoryStore};
/// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
/// # let payments = registry.breaker("payment-backend")?;
/// use fuseboard::Reason;
/// # for _ in 0..5 { payments.admit().await?.failure().settled().await; }
///
/// if let Err(open) = payments.admit().await {
///     let banner = match open.reason() {
///         Reason::Held { reason } => format!("closed for {reason}"),
///         _ => format!("try again in {:?}", open.retry_after()),
///     };
///     assert!(banner.starts_with("try again in"));
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The circuit is open: its dependency fails.
    Tripped,
    /// The circuit is half-open: another call probes the dependency, or soon will.
    Probing,
    /// An operator holds the circuit open.
    Held {
        /// The operator's reason, as the shared item carries it. May be empty.
        reason: Arc<str>,
    },
    /// The circuit has closed, and admits a share of the calls that grows to all: see
    /// [`ramp`](crate::ConfigBuilder::ramp).
    Ramping,
}

impl Reason {
    /// Returns the word for this reason, as metrics carry it.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Tripped => "tripped",
            Self::Probing => "probing",
            Self::Held { .. } => "held",
            Self::Ramping => "ramping",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
