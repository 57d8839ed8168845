//! The tower layer: around services of our own, and inside what its users have.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test that meets what it does not expect has failed"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "servers and callers are tasks of the tests; the library's own are in one place"
)]

mod axum_router;
mod bodies;
mod clients;
mod grpc;
mod grpc_streams;
mod retry_after;
mod servers;
mod service;
mod services;
mod stack;
mod world;
