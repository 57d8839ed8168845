//! The crate from outside, against a DynamoDB engine in this process.
#![cfg(feature = "dynamodb")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::mem_forget,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that meets what it does not expect has failed"
)]

mod protocol;
mod store;
mod support;
