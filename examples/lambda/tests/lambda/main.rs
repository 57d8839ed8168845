//! The function as a real process under the real runtime: each environment has a mock of the
//! Runtime API, and all share a DynamoDB engine and a partner, over loopback.
//!
//! The clocks are the system's, since a freeze moves nothing else. A test waits for what it is
//! told, and for a time only where that is what passes in an environment that is frozen.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that meets what it does not expect has failed"
)]

mod concurrent;
mod cut;
mod emulator;
mod ending;
mod environment;
mod frozen;
mod page;
mod partner;
mod runtime_api;
mod stage;
mod table;
mod written;
