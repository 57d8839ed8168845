//! The crate over a client that is made by hand, from what AWS Lambda puts into
//! the environment.

use std::env;

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
};
use cold_start::{CIRCUIT, Start, TABLE};
use fuseboard::{BreakerRegistry, DynamoDbStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut start = Start::begun();
    let registry = BreakerRegistry::builder(DynamoDbStore::new(client()?, TABLE)).spawn()?;
    let payments = registry.breaker(CIRCUIT)?;
    start.ready();
    let permit = payments.admit().await?;
    start.admitted()?;
    permit.success();
    Ok(())
}

fn client() -> Result<Client, env::VarError> {
    let credentials = Credentials::new(
        env::var("AWS_ACCESS_KEY_ID")?,
        env::var("AWS_SECRET_ACCESS_KEY")?,
        env::var("AWS_SESSION_TOKEN").ok(),
        None,
        "environment",
    );
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(env::var("AWS_REGION")?))
        .credentials_provider(credentials);
    config.set_endpoint_url(env::var("AWS_ENDPOINT_URL").ok());
    Ok(Client::from_conf(config.build()))
}
