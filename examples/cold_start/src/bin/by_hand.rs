//! The crate over a client that is made by hand, with aws-lc.

use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use cold_start::{CIRCUIT, Start, TABLE, client};
use fuseboard::{BreakerRegistry, DynamoDbStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut start = Start::begun();
    let store = DynamoDbStore::new(client::from_lambda(CryptoMode::AwsLc)?, TABLE);
    start.spawning();
    let registry = BreakerRegistry::builder(store).spawn()?;
    let payments = registry.breaker(CIRCUIT)?;
    let permit = payments.admit().await?;
    start.admitted()?;
    permit.success();
    Ok(())
}
