//! The order of an operator, as an older version of the crate gives it: `.ci/older` puts this file
//! beside that version's `interop_env`, which takes no such orders.
//!
//! Arguments: endpoint, table, circuit, the time in seconds since the Unix epoch, and `release`, or
//! `hold` and for how many seconds. Only what all those versions have is used.

use std::{
    env,
    error::Error,
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
};
use fuseboard::{BreakerRegistry, Clock, DynamoDbStore, VirtualClock};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [endpoint, table, circuit, now, order @ ..] = args.as_slice() else {
        return Err("wanted: endpoint, table, circuit, time, order".into());
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.parse()?);
    // The clock is told from outside, and is not the server's.
    let store = DynamoDbStore::builder(client(endpoint), table).server_time(false).build()?;
    let clock = VirtualClock::standing_at(now);
    let registry =
        BreakerRegistry::builder(store).clock(Clock::from(&clock)).disabled(false).spawn()?;
    let breaker = registry.breaker(circuit.as_str())?;
    match order {
        [word, seconds] if word == "hold" => {
            breaker.hold(now + Duration::from_secs(seconds.parse()?), "older").await?;
        }
        [word] if word == "release" => breaker.release().await?,
        _ => return Err("an order is `hold SECONDS` or `release`".into()),
    }
    Ok(())
}

fn client(endpoint: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "operator"))
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}
