//! The atomics of the gate: the standard library's, or, under the checker that
//! tries every interleaving and every value a load may see, the checker's.

#[cfg(fuseboard_loom)]
pub(super) use ::loom::sync::atomic::AtomicU64;
#[cfg(not(fuseboard_loom))]
pub(super) use std::sync::atomic::AtomicU64;
