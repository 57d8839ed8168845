//! The engine's own side: running requests, and items past every breaker.

use dynoxide::DynoxideError;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{Answer, Engine, TABLE, connector::refusal};

impl Engine {
    /// Runs a request that arrived, and notes its fate.
    pub(super) fn execute(&self, id: u64, operation: &str, body: &Value) -> Answer {
        let allowed = self.state().allowed.clone();
        let answer = if allowed.is_some_and(|allowed| !allowed.contains(&operation)) {
            refusal("AccessDeniedException")
        } else {
            match self.stale_answer(operation, body) {
                Some(stale) => (200, stale.to_string()),
                None => self.recorded(id, operation, body),
            }
        };
        self.state().log.answer(id, answer.0, &answer.1);
        answer
    }

    /// Runs a request past network and log; panics if it is refused.
    pub(crate) fn ask(&self, operation: &str, body: &Value) -> Value {
        let (status, answer) = self.recorded(0, operation, body);
        assert_eq!(status, 200, "{operation} {body}: {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// Replaces the item of a circuit in [`TABLE`], in short form: text is `S`,
    /// a whole number `N`, `null` is `NULL`, and DynamoDB's own form is kept.
    pub(crate) fn put_item(&self, circuit: &str, short: &Value) {
        let mut item = Map::new();
        for (name, value) in short.as_object().unwrap() {
            item.insert(name.clone(), lengthen(value));
        }
        item.insert("id".to_owned(), json!({ "S": circuit }));
        self.ask("PutItem", &json!({"TableName": TABLE, "Item": item}));
    }

    /// The item of a circuit in [`TABLE`] without its key, in short form.
    pub(crate) fn get_item(&self, circuit: &str) -> Option<Value> {
        let mut item = self.get_raw(TABLE, &json!({"id": {"S": circuit}}))?;
        let attributes = item.as_object_mut().unwrap();
        attributes.remove("id");
        for value in attributes.values_mut() {
            shorten(value);
        }
        Some(item)
    }

    /// An item of any table, in DynamoDB's own form.
    pub(crate) fn get_raw(&self, table: &str, key: &Value) -> Option<Value> {
        let mut answer = self.ask("GetItem", &json!({"TableName": table, "Key": key}));
        answer.get_mut("Item").map(Value::take)
    }

    /// Deletes the item of a circuit in [`TABLE`].
    pub(crate) fn delete_item(&self, circuit: &str) {
        let key = json!({"id": {"S": circuit}});
        self.ask("DeleteItem", &json!({"TableName": TABLE, "Key": key}));
    }

    /// How many items there are, of whatever table.
    pub(crate) fn items(&self) -> usize {
        self.all_items().len()
    }

    /// Every item, with the name of its table.
    pub(super) fn all_items(&self) -> Vec<(String, Value)> {
        let tables = self.ask("ListTables", &json!({}));
        let mut items = Vec::new();
        for table in tables["TableNames"].as_array().unwrap() {
            let found = self.ask("Scan", &json!({ "TableName": table }));
            let name = table.as_str().unwrap();
            for item in found["Items"].as_array().unwrap() {
                items.push((name.to_owned(), item.clone()));
            }
        }
        items
    }

    fn stale_answer(&self, operation: &str, body: &Value) -> Option<Value> {
        if operation != "GetItem" || body["ConsistentRead"] == json!(true) {
            return None;
        }
        let state = self.state();
        let items = state.stale.as_ref()?;
        let key = body["Key"].as_object()?;
        let has_key = |item: &Value| key.iter().all(|(name, value)| item[name] == *value);
        let found =
            items.iter().find(|(table, item)| body["TableName"] == **table && has_key(item));
        Some(found.map_or_else(|| json!({}), |(_, item)| json!({ "Item": item })))
    }

    pub(super) fn run(&self, operation: &str, body: &Value) -> Answer {
        let database = &self.shared.database;
        match operation {
            "GetItem" => answer(body, |request| database.get_item(request)),
            "UpdateItem" => answer(body, |request| database.update_item(request)),
            "PutItem" => answer(body, |request| database.put_item(request)),
            "DeleteItem" => answer(body, |request| database.delete_item(request)),
            "Scan" => answer(body, |request| database.scan(request)),
            "Query" => answer(body, |request| database.query(request)),
            "CreateTable" => answer(body, |request| database.create_table(request)),
            "DescribeTable" => answer(body, |request| database.describe_table(request)),
            "ListTables" => answer(body, |request| database.list_tables(request)),
            "UpdateTimeToLive" => answer(body, |request| database.update_time_to_live(request)),
            "DescribeTimeToLive" => answer(body, |request| database.describe_time_to_live(request)),
            _ => refusal("UnknownOperationException"),
        }
    }
}

fn answer<Q: DeserializeOwned, A: Serialize>(
    body: &Value,
    run: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Answer {
    // From text and not from the value: the engine reads numbers as written.
    let request = match serde_json::from_str(&body.to_string()) {
        Ok(request) => request,
        Err(error) => {
            let kind = "com.amazon.coral.service#SerializationException";
            return (400, json!({"__type": kind, "Message": error.to_string()}).to_string());
        }
    };
    match run(request) {
        Ok(answer) => (200, serde_json::to_string(&answer).unwrap()),
        Err(error) => (error.status_code(), error.to_json()),
    }
}

fn lengthen(value: &Value) -> Value {
    match value {
        Value::String(text) => json!({ "S": text }),
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::Null => json!({"NULL": true}),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => value.clone(),
    }
}

fn shorten(value: &mut Value) {
    let short = match (value.get("S"), value.get("N").and_then(Value::as_str)) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(digits)) => digits.parse::<i64>().ok().map(|number| json!(number)),
        (None, None) if value.get("NULL").is_some() => Some(Value::Null),
        (None, None) => None,
    };
    if let Some(short) = short {
        *value = short;
    }
}
