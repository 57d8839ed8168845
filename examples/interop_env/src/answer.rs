//! What an answer looks like, whatever was asked.

use std::{collections::BTreeMap, fmt};

use fuseboard::{CircuitInfo, ConfigError};
use serde_json::{Map, Value, json};

/// Why a request could not be carried out. A rejected call is no failure.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: &'static str,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn of(kind: &'static str, error: impl fmt::Display) -> Self {
        Self { kind, message: error.to_string() }
    }

    pub(crate) fn as_json(&self) -> Value {
        json!({"type": self.kind, "message": self.message})
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::of("ConfigError", error)
    }
}

/// Adds what every answer has.
pub(crate) fn finish(
    result: Result<Value, Failure>,
    op: Option<&str>,
    label: &str,
    id: Option<&Value>,
) -> Value {
    let ok = result.is_ok();
    let fields = match result {
        Ok(fields) => fields,
        Err(failure) => json!({ "error": failure.as_json() }),
    };
    let mut answer = merge(json!({"op": op, "ok": ok, "label": label}), fields);
    if let (Some(answer), Some(id)) = (answer.as_object_mut(), id) {
        answer.insert("id".to_owned(), id.clone());
    }
    answer
}

/// The fields of both, those of the second where they have the same name.
pub(crate) fn merge(first: Value, second: Value) -> Value {
    let mut fields = Map::new();
    for part in [first, second] {
        if let Value::Object(part) = part {
            fields.extend(part);
        }
    }
    Value::Object(fields)
}

/// How often each word occurs.
pub(crate) fn counts(words: impl IntoIterator<Item = String>) -> Value {
    let mut counts = BTreeMap::<String, u64>::new();
    for word in words {
        let count = counts.entry(word).or_default();
        *count = count.saturating_add(1);
    }
    json!(counts)
}

/// What user code sees of a circuit.
pub(crate) fn circuit(info: &CircuitInfo) -> Value {
    json!({
        "name": info.name.as_str(),
        "state": info.state.as_str(),
        "failure_count": info.failure_count,
        "opened_at": info.opened_at,
    })
}
