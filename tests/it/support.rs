//! What the tests stand on.

pub(crate) mod engine;
pub(crate) mod world;
