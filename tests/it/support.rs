//! What the tests stand on.

pub(crate) mod calls;
#[cfg(feature = "dynamodb")]
pub(crate) mod dynamodb;
#[cfg(feature = "dynamodb")]
pub(crate) mod engine;
pub(crate) mod faulty;
pub(crate) mod jitter;
pub(crate) mod log;
pub(crate) mod memory;
#[cfg(feature = "dynamodb")]
pub(crate) mod wire;
pub(crate) mod world;
