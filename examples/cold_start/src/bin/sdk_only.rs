//! The AWS SDK without the crate, for one read: what a function that uses
//! DynamoDB pays anyway.

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use cold_start::{CIRCUIT, Start, TABLE};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut start = Start::begun();
    let client = Client::new(&aws_config::load_defaults(BehaviorVersion::latest()).await);
    start.spawning();
    let key = AttributeValue::S(CIRCUIT.to_owned());
    let read = client.get_item().table_name(TABLE).key("id", key).send().await?;
    start.admitted()?;
    read.item.map(|_| ()).ok_or_else(|| "the item is not there".into())
}
