//! The crate from outside: over a store in memory, and against a DynamoDB
//! engine in this process.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::mem_forget,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that meets what it does not expect has failed"
)]

#[cfg(all(feature = "aws-sdk", feature = "dynamodb"))]
mod aws;
mod documents;
#[cfg(feature = "dynamodb")]
mod interop;
mod layers;
mod local;
#[cfg(feature = "dynamodb")]
mod outage;
#[cfg(all(unix, feature = "dynamodb"))]
mod processes;
#[cfg(feature = "dynamodb")]
mod protocol;
mod scenarios;
#[cfg(feature = "dynamodb")]
mod sim;
#[cfg(feature = "dynamodb")]
mod store;
mod support;
