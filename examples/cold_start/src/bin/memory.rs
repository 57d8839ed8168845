//! The crate without AWS.

use cold_start::{CIRCUIT, Start};
use fuseboard::{BreakerRegistry, MemoryStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut start = Start::begun();
    let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    let payments = registry.breaker(CIRCUIT)?;
    start.ready();
    let permit = payments.admit().await?;
    start.admitted()?;
    permit.success();
    Ok(())
}
