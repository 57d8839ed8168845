//! Processes as real processes, which are frozen (SIGSTOP) and killed
//! (SIGKILL) at chosen steps, over one DynamoDB engine that serves HTTP.
//!
//! The clocks are the system's, since a freeze moves nothing else. A test waits
//! for what it is told, by a process or by its relay, and for nothing less.

mod between;
mod child;
mod cut_off;
mod fleet;
mod killed;
mod limited;
mod probing;
mod process;
mod reading;
mod relay;
mod slow;
mod words;
mod world;
