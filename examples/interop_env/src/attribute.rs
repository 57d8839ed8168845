//! Attribute values as JSON, in DynamoDB's form and in a short one.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

/// The short form: text and numbers as they are; of other values, what is in
/// them.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "AttributeValue is not exhaustive, and circuits have no binary"
)]
pub(crate) fn shorten(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!(text),
        AttributeValue::N(number) => number
            .parse::<i64>()
            .map(|whole| json!(whole))
            .or_else(|_| number.parse::<f64>().map(|number| json!(number)))
            .unwrap_or_else(|_| json!(number)),
        AttributeValue::Bool(yes) | AttributeValue::Null(yes) => json!(yes),
        AttributeValue::Ss(texts) | AttributeValue::Ns(texts) => json!(texts),
        AttributeValue::L(values) => values.iter().map(shorten).collect(),
        AttributeValue::M(map) => {
            map.iter().map(|(name, value)| (name.clone(), shorten(value))).collect()
        }
        other => json!(format!("{other:?}")),
    }
}

/// Reads the short form of text and numbers, or DynamoDB's own form.
pub(crate) fn lengthen(value: &Value) -> Option<AttributeValue> {
    match value {
        Value::String(text) => Some(AttributeValue::S(text.clone())),
        Value::Number(number) => Some(AttributeValue::N(number.to_string())),
        Value::Object(fields) if fields.len() == 1 => {
            let (kind, value) = fields.iter().next()?;
            own_form(kind, value)
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn own_form(kind: &str, value: &Value) -> Option<AttributeValue> {
    Some(match kind {
        "S" => AttributeValue::S(value.as_str()?.to_owned()),
        "N" => AttributeValue::N(value.as_str()?.to_owned()),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "NULL" => AttributeValue::Null(value.as_bool()?),
        "SS" => AttributeValue::Ss(texts(value)?),
        "NS" => AttributeValue::Ns(texts(value)?),
        "L" => AttributeValue::L(value.as_array()?.iter().map(lengthen).collect::<Option<_>>()?),
        "M" => {
            let mut map = HashMap::new();
            for (name, value) in value.as_object()? {
                map.insert(name.clone(), lengthen(value)?);
            }
            AttributeValue::M(map)
        }
        _ => return None,
    })
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| Some(text.as_str()?.to_owned())).collect()
}
