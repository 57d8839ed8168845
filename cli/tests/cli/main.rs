//! The built command against the real SDK and a DynamoDB engine behind a socket.
//!
//! The clocks are the system's: processes are tested. A test waits for what it is told.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that meets what it does not expect has failed"
)]

mod listing;
mod orders;
mod refused;
mod relay;
mod runbook;
mod settings;
mod terminal;
mod together;
mod verbs;
mod watching;
mod world;
