//! What threads that share a circuit meet at: the libraries' own, or, under the
//! checker that tries every interleaving and every value a load may see
//! (`gate::tests::loom`), what that checker can follow.
//!
//! Whatever a promise about threads rests on is taken from here: the atomics of the
//! gate and of the slots, the counting's mutex, the count of what is pending, the
//! mailbox, and the answers to callers.

#[cfg(fuseboard_loom)]
mod for_tests;

#[cfg(not(fuseboard_loom))]
pub(crate) use {
    ::flume,
    std::sync::{
        Mutex, MutexGuard, OnceLock,
        atomic::{AtomicU64, AtomicUsize},
    },
    tokio::sync::{Notify, oneshot},
};

#[cfg(fuseboard_loom)]
pub(crate) use {
    self::for_tests::{AtomicU64, AtomicUsize, Notify, OnceLock, flume, oneshot},
    ::loom::sync::{Mutex, MutexGuard},
};
