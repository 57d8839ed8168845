//! The protocol from outside: processes over the real SDK and a real
//! expression engine, on tokio's paused clock.

mod clocks;
mod closed;
mod dry_run;
mod election;
mod fleet;
mod half_open;
mod holds;
mod http;
mod items;
mod live;
mod open;
mod operator;
pub(crate) mod rows;
mod sharing;
mod told_holds;
