//! The history of one item: every applied write, and what each client was shown.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Engine, now};

/// One write that the engine applied.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    /// How long after the start of the recording.
    pub(crate) at: Duration,
    /// The label of the client that sent it; empty if nobody did.
    pub(crate) client: String,
    /// What the SDK sent.
    pub(crate) body: Value,
    /// The item before and after it, in DynamoDB's own form.
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

/// What was recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) writes: Vec<Write>,
    /// Who was shown, or sent, how many writes' result, in order of time.
    pub(crate) shown: Vec<(Duration, String, usize)>,
}

pub(super) struct Tap {
    start: tokio::time::Instant,
    history: History,
}

impl Engine {
    /// From now on the history is recorded: of one item, whatever its key.
    pub(crate) fn record(&self) {
        self.state().tap = Some(Tap { start: now(), history: History::default() });
    }

    /// The history since [`record`](Self::record).
    pub(crate) fn history(&self) -> History {
        self.state().tap.as_ref().map(|tap| tap.history.clone()).unwrap_or_default()
    }

    /// Runs a request, and records what it did.
    pub(super) fn recorded(&self, id: u64, operation: &str, body: &Value) -> Answer {
        let reads = operation == "GetItem";
        let writes = matches!(operation, "UpdateItem" | "PutItem" | "DeleteItem");
        if self.state().tap.is_none() || !(reads || writes) {
            return self.run(operation, body);
        }
        let before = if writes { self.item_of(body) } else { None };
        let answer = self.run(operation, body);
        let after = if writes && answer.0 == 200 { self.item_of(body) } else { None };
        let mut state = self.state();
        let client = state.log.client(id).unwrap_or_default().to_owned();
        if let Some(tap) = &mut state.tap {
            let at = tap.start.elapsed();
            if writes && answer.0 == 200 {
                let (client, body) = (client.clone(), body.clone());
                tap.history.writes.push(Write { at, client, body, before, after });
            }
            let version = tap.history.writes.len();
            tap.history.shown.push((at, client, version));
        }
        answer
    }

    /// The answer of a replica that lags so far behind, to reads that allow it.
    pub(super) fn stale_by(
        &self,
        id: u64,
        operation: &str,
        body: &Value,
        age: Duration,
    ) -> Option<Answer> {
        if operation != "GetItem" || body["ConsistentRead"] == json!(true) {
            return None;
        }
        let mut state = self.state();
        let client = state.log.client(id).unwrap_or_default().to_owned();
        let tap = state.tap.as_mut()?;
        let at = tap.start.elapsed();
        let then = at.saturating_sub(age);
        let version = tap.history.writes.partition_point(|write| write.at <= then);
        if version == tap.history.writes.len() {
            return None;
        }
        let item = tap.history.writes[version].before.clone();
        tap.history.shown.push((at, client, version));
        let answer = item.map_or_else(|| json!({}), |item| json!({ "Item": item })).to_string();
        state.log.answer(id, 200, &answer);
        Some((200, answer))
    }

    /// The item that a request is about.
    fn item_of(&self, body: &Value) -> Option<Value> {
        let key = match body.get("Key") {
            Some(key) => key.clone(),
            None => json!({"id": body["Item"]["id"]}),
        };
        let (_, answer) = self.run("GetItem", &json!({"TableName": body["TableName"], "Key": key}));
        serde_json::from_str::<Value>(&answer).ok()?.get_mut("Item").map(Value::take)
    }
}
