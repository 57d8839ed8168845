//! The table, past every breaker.

use std::{collections::HashMap, env};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, SharedHttpClient, retry::RetryConfig},
    types::AttributeValue,
};
use fuseboard::{ConfigError, DynamoDbStore};
use serde_json::{Map, Value, json};

use crate::{
    answer::Failure,
    args::Args,
    attribute::{lengthen, shorten},
};

type Item = HashMap<String, AttributeValue>;

/// Reads and writes items as they stand. Never counted, never failed.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    args: Args,
    client: Client,
}

impl Rows {
    pub(crate) fn new(args: &Args) -> Self {
        let http = aws_smithy_http_client::Builder::new().build_http();
        Self { args: args.clone(), client: client(args, http) }
    }

    pub(crate) async fn create_table(&self) -> Result<(), Failure> {
        let store = store(&self.args, self.client.clone())?;
        store.create_table().await.map_err(|error| Failure::of("StoreError", error))
    }

    /// An item by the reference's attribute names, whatever they are here.
    pub(crate) async fn show(&self, circuit: &str) -> Result<Value, Failure> {
        let request = self.client.get_item().table_name(&self.args.table).consistent_read(true);
        let answer = request.set_key(Some(self.key(circuit))).send().await.map_err(failed)?;
        Ok(answer.item.as_ref().map_or(Value::Null, |item| self.by_reference(item)))
    }

    pub(crate) async fn put(
        &self,
        circuit: &str,
        fields: &HashMap<String, Value>,
    ) -> Result<(), Failure> {
        let mut item = self.key(circuit);
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            let why = || Failure::of("BadRequest", format!("{name} cannot be {value}"));
            item.insert(name.clone(), lengthen(value).ok_or_else(why)?);
        }
        let request = self.client.put_item().table_name(&self.args.table);
        request.set_item(Some(item)).send().await.map_err(failed)?;
        Ok(())
    }

    pub(crate) async fn delete(&self, circuit: &str) -> Result<(), Failure> {
        let request = self.client.delete_item().table_name(&self.args.table);
        request.set_key(Some(self.key(circuit))).send().await.map_err(failed)?;
        Ok(())
    }

    fn key(&self, circuit: &str) -> Item {
        let names = &self.args.names;
        let circuit = AttributeValue::S(circuit.to_owned());
        let Some(sort_key) = &names.sort_key_attr else {
            return HashMap::from([(names.key_attr.clone(), circuit)]);
        };
        let partition = names.static_pk_value.clone().unwrap_or_else(|| {
            let function = env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
            format!("circuit_breaker#{function}")
        });
        HashMap::from([
            (names.key_attr.clone(), AttributeValue::S(partition)),
            (sort_key.clone(), circuit),
        ])
    }

    fn by_reference(&self, item: &Item) -> Value {
        let names = &self.args.names;
        let known = [
            ("state", &names.state_attr),
            ("failure_count", &names.failure_count_attr),
            ("opened_at", &names.opened_at_attr),
            ("half_open_owner", &names.half_open_owner_attr),
            ("probe_lease_expiry", &names.probe_lease_expiry_attr),
            ("expiration", &names.expiry_attr),
        ];
        let mut row = Map::new();
        for (word, name) in known {
            row.insert(word.to_owned(), item.get(name).map_or(Value::Null, shorten));
        }
        let is_known = |name: &String| {
            known.iter().any(|(_, known)| *known == name)
                || *name == names.key_attr
                || Some(name) == names.sort_key_attr.as_ref()
        };
        let extra = item.iter().filter(|(name, _)| !is_known(name));
        let extra: Map<_, _> = extra.map(|(name, value)| (name.clone(), shorten(value))).collect();
        row.insert("extra".to_owned(), json!(extra));
        Value::Object(row)
    }
}

/// The store that circuits meet in.
pub(crate) fn store(args: &Args, client: Client) -> Result<DynamoDbStore, ConfigError> {
    let names = &args.names;
    let mut store = DynamoDbStore::builder(client, &args.table)
        .key_attr(&names.key_attr)
        .state_attr(&names.state_attr)
        .failure_count_attr(&names.failure_count_attr)
        .opened_at_attr(&names.opened_at_attr)
        .half_open_owner_attr(&names.half_open_owner_attr)
        .probe_lease_expiry_attr(&names.probe_lease_expiry_attr)
        .expiry_attr(&names.expiry_attr)
        .operation_timeout(args.operation_timeout())
        .max_attempts(args.max_attempts)
        // The clock is told from outside, and is not the server's.
        .server_time(false);
    if let Some(sort_key) = &names.sort_key_attr {
        store = store.sort_key_attr(sort_key);
    }
    if let Some(value) = &names.static_pk_value {
        store = store.static_pk_value(value);
    }
    store.build()
}

/// A client with any credentials: whoever speaks plain HTTP is a stand-in.
pub(crate) fn client(args: &Args, http: SharedHttpClient) -> Client {
    let set = |name: &str| env::var(name).unwrap_or_else(|_| "test".to_owned());
    let (key, secret) = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY"));
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(args.region.clone()))
        .credentials_provider(Credentials::new(key, secret, None, None, "interop_env"))
        .endpoint_url(&args.endpoint_url)
        .retry_config(RetryConfig::disabled())
        .http_client(http)
        .build();
    Client::from_conf(config)
}

fn failed(error: impl Into<aws_sdk_dynamodb::Error>) -> Failure {
    Failure::of("StoreError", error.into())
}
