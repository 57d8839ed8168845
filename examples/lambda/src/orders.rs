//! Orders that are kept for later. Here in a table, to be run without further services; put
//! an SQS queue in its place, from which a function charges them when the partner is back.

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use lambda_runtime::Error;
use serde::{Deserialize, Serialize};

/// The event. Its id makes charging it twice harmless: Lambda, and who reads what was kept, retry.
#[derive(Deserialize, Serialize)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) cents: u64,
}

pub(crate) struct Orders {
    dynamodb: Client,
    table: String,
}

impl Orders {
    pub(crate) fn new(dynamodb: Client, table: &str) -> Self {
        Self { dynamodb, table: table.to_owned() }
    }

    pub(crate) async fn keep(&self, order: &Order) -> Result<(), Error> {
        let put = self.dynamodb.put_item().table_name(&self.table);
        put.item("id", AttributeValue::S(order.id.clone()))
            .item("cents", AttributeValue::N(order.cents.to_string()))
            .send()
            .await?;
        Ok(())
    }
}
