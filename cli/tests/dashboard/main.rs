//! The dashboard in a real browser: headless Chromium, against the real SDK and a DynamoDB engine
//! behind a socket.
//!
//! Where there is no Chromium, the tests that need it say so on their standard error and pass.
//! `FUSEBOARD_PICTURES` names a folder for pictures of what they saw.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that meets what it does not expect has failed"
)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they tell what they measure or skip"
)]

mod browser;
mod guarded;
mod orders;
#[expect(dead_code, reason = "the tests of the other verbs need more of it")]
#[path = "../cli/relay.rs"]
mod relay;
mod showing;
mod shown;
mod together;
#[expect(dead_code, reason = "the tests of the other verbs need more of it")]
#[path = "../cli/world.rs"]
mod world;
