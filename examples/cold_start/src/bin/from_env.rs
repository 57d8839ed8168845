//! The crate as its smallest example has it.

use cold_start::{CIRCUIT, Start, TABLE};
use fuseboard::{BreakerRegistry, DynamoDbStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut start = Start::begun();
    let store = DynamoDbStore::from_env(TABLE).await;
    start.spawning();
    let registry = BreakerRegistry::builder(store).spawn()?;
    let payments = registry.breaker(CIRCUIT)?;
    let permit = payments.admit().await?;
    start.admitted()?;
    permit.success();
    Ok(())
}
