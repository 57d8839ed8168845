//! A store that fails, wholly or in part, seen by callers, subscribers and
//! whoever reads the table: environments over the real SDK.

mod writes;

use std::time::Duration;

use crate::support::{
    fleet::timed,
    world::{Call, Environment},
};

/// The longest that a call may wait for the store, with default settings.
const STORE_TIMEOUT: Duration = Duration::from_secs(1);

/// A call that succeeds if it runs, and how long it took.
async fn timed_ok(environment: &Environment) -> (Call, Duration) {
    timed(environment.ok()).await
}

/// A call that fails if it runs, and how long it took.
async fn timed_fail(environment: &Environment) -> (Call, Duration) {
    timed(environment.fail()).await
}
