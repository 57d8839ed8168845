//! A store that fails, wholly or in part, seen by callers, subscribers and
//! whoever reads the table: processes over the real SDK.

mod lost;
mod malformed;
mod matrix;
mod process;
mod reads;
mod socket;
mod verdicts;
mod writes;

use std::time::Duration;

use crate::support::{
    dynamodb::{Call, Process},
    world::timed,
};

/// The longest that a call may wait for the store with default settings, and
/// what tokio's timers round up.
const AT_MOST: Duration = Duration::from_millis(1_002);

/// A call that succeeds if it runs, and how long it took.
async fn timed_ok(process: &Process) -> (Call, Duration) {
    timed(process.ok()).await
}

/// A call that fails if it runs, and how long it took.
async fn timed_fail(process: &Process) -> (Call, Duration) {
    timed(process.fail()).await
}
