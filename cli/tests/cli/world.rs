//! A table in an engine on loopback, and the command.

use std::{process::Stdio, time::Duration};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
};
use fuseboard::DynamoDbStore;
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command, task::JoinSet};

use crate::relay::{self, Way};

pub(crate) const TABLE: &str = "circuits";

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An engine, and the way of all requests to it.
pub(crate) struct World {
    database: dynoxide::Database,
    pub(crate) way: Way,
    pub(crate) endpoint: String,
    _tasks: JoinSet<()>,
}

/// What a command that has ended left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    /// An engine with a table that is as circuits need it.
    pub(crate) async fn new() -> Self {
        let world = Self::empty().await;
        world.store().create_table().await.unwrap();
        world
    }

    /// An engine without a table.
    pub(crate) async fn empty() -> Self {
        let database = dynoxide::Database::memory().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let engine = listener.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        let served = database.clone();
        tasks.spawn(async move {
            let never = std::future::pending();
            dynoxide::server::serve_with_shutdown(listener, served, never).await.unwrap();
        });
        let way = Way::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tasks.spawn(relay::serve(listener, engine, way.clone()));
        Self { database, way, endpoint, _tasks: tasks }
    }

    /// A store of a process, on the same way.
    pub(crate) fn store(&self) -> DynamoDbStore {
        store_at(&self.endpoint)
    }

    /// Sets the item with this key: text is `S`, a whole number `N`.
    pub(crate) fn put(&self, key: &str, short: &Value) {
        let long = |value: &Value| match value {
            Value::String(text) => json!({ "S": text }),
            Value::Number(number) => json!({"N": number.to_string()}),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                panic!("{value} has no short form")
            }
        };
        let attributes = short.as_object().unwrap().iter();
        let mut item: Value = attributes.map(|(name, value)| (name.clone(), long(value))).collect();
        item["id"] = json!({ "S": key });
        let request = json!({"TableName": TABLE, "Item": item});
        self.database.put_item(serde_json::from_value(request).unwrap()).unwrap();
    }

    /// Makes the item with this key as old as if so many seconds had passed since.
    pub(crate) fn age(&self, key: &str, seconds: u64) {
        let times = [
            "opened_at",
            "down_since",
            "open_until",
            "probe_lease_expiry",
            "hold_until",
            "released",
            "expiration",
        ];
        let mut item = self.item(key).unwrap();
        for time in times {
            if let Some(value) = item.get_mut(time) {
                let second: u64 = value["N"].as_str().unwrap().parse().unwrap();
                *value = json!({"N": (second - seconds).to_string()});
            }
        }
        item["id"] = json!({ "S": key });
        let request = json!({"TableName": TABLE, "Item": item});
        self.database.put_item(serde_json::from_value(request).unwrap()).unwrap();
    }

    /// Deletes the item with this key.
    pub(crate) fn remove(&self, key: &str) {
        let request = json!({"TableName": TABLE, "Key": {"id": {"S": key}}});
        self.database.delete_item(serde_json::from_value(request).unwrap()).unwrap();
    }

    /// The item with this key, in the engine's own form and without the key.
    pub(crate) fn item(&self, key: &str) -> Option<Value> {
        let request = json!({"TableName": TABLE, "Key": {"id": {"S": key}}});
        let answer = self.database.get_item(serde_json::from_value(request).unwrap()).unwrap();
        let mut item = serde_json::to_value(answer).unwrap().get_mut("Item").map(Value::take)?;
        item.as_object_mut()?.remove("id");
        Some(item)
    }

    /// The command, on this table and nobody else's environment.
    pub(crate) fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fuseboard"));
        command
            .env_clear()
            .envs([
                ("AWS_ACCESS_KEY_ID", "key"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("AWS_REGION", "eu-central-1"),
                ("AWS_CONFIG_FILE", "/dev/null"),
                ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
                ("FUSEBOARD_TABLE", TABLE),
                ("USER", "anna"),
                // A breaker of the command works all the same.
                ("POWERTOOLS_CIRCUIT_BREAKER_DISABLED", "true"),
            ])
            .args(["--endpoint-url", &self.endpoint, "--timeout", "20s"])
            .args(line)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs the command to its end.
    pub(crate) async fn run(&self, line: &[&str]) -> Ran {
        ended(self.command(line)).await
    }

    /// Runs the command, which does what it is asked for, and prints JSON.
    pub(crate) async fn json(&self, line: &[&str]) -> Value {
        let ran = self.run(&[line, &["--json"]].concat()).await;
        assert_eq!(ran.status, 0, "{ran:?}");
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }
}

/// A store of a process, on this way to an engine.
pub(crate) fn store_at(endpoint: &str) -> DynamoDbStore {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "tests"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let builder = DynamoDbStore::builder(Client::from_conf(config), TABLE);
    builder.operation_timeout(Duration::from_secs(20)).build().unwrap()
}

/// Runs a command to its end.
pub(crate) async fn ended(mut command: Command) -> Ran {
    // Not `output`, which has the output go nowhere else.
    let process = command.spawn().unwrap();
    let output = soon("the command ends", process.wait_with_output()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(!err.contains("panicked at"), "{err}");
    let status = output.status.code().unwrap_or_else(|| panic!("{:?}", output.status));
    Ran { status, out, err }
}

/// What comes to pass soon.
pub(crate) async fn soon<T>(what: &str, awaited: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, awaited).await;
    waited.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// An open circuit's item, since this second.
pub(crate) fn open(since: u64) -> Value {
    json!({"state": "OPEN", "failure_count": 5, "opened_at": since, "expiration": since + 3_630})
}

/// A half-open circuit's item as Powertools for AWS Lambda (Python) writes it.
pub(crate) fn half_open_by_python(until: u64) -> Value {
    json!({
        "state": "HALF_OPEN", "failure_count": 5, "opened_at": until - 60,
        "half_open_owner": "17#0b5e", "probe_lease_expiry": until, "expiration": until + 3_600,
    })
}

/// A closed circuit's item.
pub(crate) fn closed() -> Value {
    json!({"state": "CLOSED", "failure_count": 0, "expiration": now() + 3_600})
}

/// The seconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}
