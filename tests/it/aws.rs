//! Clients of the AWS SDK behind a breaker: the real SDK over an engine in this process.

mod attempts;
mod client;
mod ended;
mod rules;
mod shared;
