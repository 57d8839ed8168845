//! DynamoDB: an engine in this process that answers over HTTP.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::stage::{serve, soon};

pub(crate) const CIRCUITS: &str = "Circuits";
pub(crate) const ORDERS: &str = "Orders";
const CIRCUIT: &str = "partner-api";

/// Both tables of the function. Clones are the same tables.
#[derive(Clone)]
pub(crate) struct Table {
    database: Database,
    /// Whether writes to circuits wait.
    held: watch::Sender<bool>,
    /// The operations that were applied, in their order.
    applied: Arc<Mutex<Vec<&'static str>>>,
}

impl Table {
    /// Returns the tables, and the endpoint that serves them.
    pub(crate) async fn serve() -> (Self, String) {
        let this = Self {
            database: Database::memory().unwrap(),
            held: watch::Sender::new(false),
            applied: Arc::default(),
        };
        for table in [CIRCUITS, ORDERS] {
            let request = json!({
                "TableName": table,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            });
            let (status, answer) = this.run("CreateTable", request.to_string().as_bytes());
            assert_eq!(status, 200, "{answer}");
        }
        let router = Router::new().fallback(answer).with_state(this.clone());
        (this, format!("http://{}", serve(router).await))
    }

    /// From now on writes to circuits wait, or do not.
    pub(crate) fn holds_writes(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// The operations that were applied since the last time.
    pub(crate) fn take_applied(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.applied.lock().unwrap())
    }

    /// Waits until the item of the circuit tells this state.
    pub(crate) async fn tells(&self, wanted: &str) {
        soon(wanted, async {
            while state(&self.circuit()) != Some(wanted) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// The item of the partner's circuit.
    pub(crate) fn circuit(&self) -> Option<Value> {
        self.item(CIRCUITS, CIRCUIT)
    }

    pub(crate) fn order(&self, id: &str) -> Option<Value> {
        self.item(ORDERS, id)
    }

    fn item(&self, table: &str, id: &str) -> Option<Value> {
        let request = json!({"TableName": table, "Key": {"id": {"S": id}}});
        let (_, answer) = self.run("GetItem", request.to_string().as_bytes());
        serde_json::from_str::<Value>(&answer).unwrap().get("Item").cloned()
    }

    fn run(&self, operation: &str, body: &[u8]) -> (u16, String) {
        let database = &self.database;
        match operation {
            "CreateTable" => apply(body, |request| database.create_table(request)),
            "GetItem" => apply(body, |request| database.get_item(request)),
            "PutItem" => apply(body, |request| database.put_item(request)),
            "UpdateItem" => apply(body, |request| database.update_item(request)),
            _ => panic!("the function needs no {operation}"),
        }
    }
}

/// Answers a request.
async fn answer(State(table): State<Table>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let target = headers.get("x-amz-target").unwrap().to_str().unwrap();
    let operation = match target.rsplit('.').next().unwrap() {
        "GetItem" => "GetItem",
        "PutItem" => "PutItem",
        "UpdateItem" => {
            table.held.subscribe().wait_for(|held| !held).await.unwrap();
            "UpdateItem"
        }
        other => panic!("the function needs no {other}"),
    };
    let (status, answer) = table.run(operation, &body);
    if status == 200 {
        table.applied.lock().unwrap().push(operation);
    }
    let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amzn-requestid", "ENGINE")];
    (StatusCode::from_u16(status).unwrap(), headers, answer)
}

fn apply<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    run: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> (u16, String) {
    match run(serde_json::from_slice(body).unwrap()) {
        Ok(answer) => (200, serde_json::to_string(&answer).unwrap()),
        Err(error) => (error.status_code(), error.to_json()),
    }
}

/// The state that an item of a circuit tells.
pub(crate) fn state(item: &Option<Value>) -> Option<&str> {
    item.as_ref()?["state"]["S"].as_str()
}
