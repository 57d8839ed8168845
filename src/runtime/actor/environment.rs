//! What the actors of one registry share.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::{
    clock::Clock, runtime::circuit::Pending, runtime::queue::StoreQueue,
    runtime::reachability::Reachability, store::ErasedStore, transition::CircuitTransition,
};

/// What the actors of one registry share.
pub(crate) struct Environment {
    pub(crate) store: Arc<dyn ErasedStore>,
    /// What all circuits know of the store.
    pub(crate) reachability: Reachability,
    /// Where operations wait while as many are under way as may be.
    pub(crate) queue: Arc<StoreQueue>,
    pub(crate) clock: Clock,
    pub(crate) pending: Arc<Pending>,
    /// Rights to probe that this process holds and has not settled.
    pub(crate) rights: Arc<Pending>,
    pub(crate) transitions: broadcast::Sender<CircuitTransition>,
}

impl Environment {
    /// How many outcomes and rights to probe may still lead to a write.
    pub(crate) fn outstanding(&self) -> usize {
        self.pending.count().saturating_add(self.rights.count())
    }
}
