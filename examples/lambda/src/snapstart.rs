//! What SnapStart needs of the circuits.

use std::time::Duration;

use fuseboard::BreakerRegistry;
use lambda_runtime::{BoxFuture, Error, SnapStartResource};

/// What the start has left to write is written before the snapshot: every environment that is
/// restored would write it again.
pub(crate) struct Circuits(pub(crate) BreakerRegistry);

impl SnapStartResource for Circuits {
    fn before_snapshot(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(self.0.flush(Duration::from_secs(1)).await?) })
    }
}
