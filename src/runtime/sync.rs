//! The types by which threads share a circuit. Normally those of the libraries; under loom, which
//! tries every interleaving and every value that a load may see (`gate::tests::loom`), types
//! that loom can follow.
//!
//! Every promise about threads rests on types from here, or loom would not check it: the atomics
//! of the gate and of the slots, the counting's mutex, the count of pending outcomes, the
//! mailbox, and the channels to callers.

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
