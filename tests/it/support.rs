//! What the tests stand on.

#[cfg(feature = "dynamodb")]
pub(crate) mod engine;
pub(crate) mod faulty;
pub(crate) mod fleet;
#[cfg(feature = "dynamodb")]
pub(crate) mod jitter;
pub(crate) mod log;
#[cfg(feature = "dynamodb")]
pub(crate) mod wire;
#[cfg(feature = "dynamodb")]
pub(crate) mod world;
