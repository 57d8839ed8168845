//! Tasks, atomics and channels: what runs the protocol, and what callers meet of it.

pub(crate) mod actor;
pub(crate) mod circuit;
pub(crate) mod ending;
pub(crate) mod gate;
pub(crate) mod heartbeat;
pub(crate) mod key_prefix;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod queue;
pub(crate) mod reachability;
pub(crate) mod slots;
pub(crate) mod sync;
