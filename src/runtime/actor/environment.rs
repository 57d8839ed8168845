//! The parts that all actors of one registry share.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::{
    clock::Clock, runtime::circuit::Pending, runtime::key_prefix::KeyPrefix, runtime::metrics,
    runtime::queue::StoreQueue, runtime::reachability::Reachability, store::ErasedStore,
    transition::CircuitTransition,
};

/// The parts that all actors of one registry share.
pub(crate) struct Environment {
    pub(crate) store: Arc<dyn ErasedStore>,
    /// What comes before a circuit's name in the key of its item.
    pub(crate) prefix: KeyPrefix,
    /// The name of this process, for who looks at the item and the log.
    pub(crate) instance: Option<Arc<str>>,
    /// Whether the gauges of circuits were ever set.
    pub(crate) observed: metrics::Observed,
    /// The failures of the store, over all circuits.
    pub(crate) reachability: Reachability,
    /// Limits the number of store operations that are under way.
    pub(crate) queue: Arc<StoreQueue>,
    pub(crate) clock: Clock,
    /// Outcomes and waiting calls that may still lead to a write.
    pub(crate) pending: Arc<Pending>,
    /// Rights to probe that this process holds and has not settled.
    pub(crate) rights: Arc<Pending>,
    pub(crate) transitions: broadcast::Sender<CircuitTransition>,
}

impl Environment {
    /// Returns the number of outcomes and rights to probe that may still lead to a write.
    pub(crate) fn outstanding(&self) -> usize {
        self.pending.count().saturating_add(self.rights.count())
    }
}
