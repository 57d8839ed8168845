//! The crate without AWS.

use cold_start::{CIRCUIT, Start};
use fuseboard::{BreakerRegistry, MemoryStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut start = Start::begun();
    let store = MemoryStore::new();
    start.spawning();
    let registry = BreakerRegistry::builder(store).spawn()?;
    let payments = registry.breaker(CIRCUIT)?;
    let permit = payments.admit().await?;
    start.admitted()?;
    permit.success();
    Ok(())
}
