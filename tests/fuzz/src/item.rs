//! Items with any value of any DynamoDB type for each attribute.

use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use serde_json::{Map, Value, json};

/// The attributes that the store reads, its key, and one that it does not know.
const ATTRIBUTES: [&str; 10] = [
    "state",
    "failure_count",
    "opened_at",
    "half_open_owner",
    "probe_lease_expiry",
    "expiration",
    "success_count",
    "released",
    "id",
    "note",
];

/// How deep lists and maps of many members go.
const BRANCHING: u8 = 3;

/// How many lists and maps may stand around a value: more than the SDK reads,
/// and far more than the 32 levels that DynamoDB allows.
const MAX_NESTING: u8 = 140;

/// An item in DynamoDB's JSON.
#[derive(Clone, Debug)]
pub struct Item(Map<String, Value>);

impl Item {
    /// Returns the attribute's value, in DynamoDB's JSON.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether it has no attribute.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The body of an answer that carries the item under this member.
    #[must_use]
    pub fn body(&self, member: &str) -> Vec<u8> {
        json!({ member: self.0 }).to_string().into_bytes()
    }

    /// The body of a refusal that shows the item.
    #[must_use]
    pub fn refusal(&self) -> Vec<u8> {
        let kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
        json!({ "__type": kind, "message": "refused", "Item": self.0 }).to_string().into_bytes()
    }
}

impl<'a> Arbitrary<'a> for Item {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut item = Map::new();
        for name in ATTRIBUTES {
            if let Some(value) = attribute(u, name)? {
                item.insert(name.to_owned(), value);
            }
        }
        Ok(Self(item))
    }
}

/// Half of the choices are of the type that the attribute should have, so that
/// whole records are as likely as broken ones.
fn attribute(u: &mut Unstructured<'_>, name: &str) -> Result<Option<Value>> {
    Ok(Some(match (u.int_in_range(0..=7_u8)?, name) {
        (0, _) => return Ok(None),
        (1..=4, "state") => json!({ "S": u.choose(&["CLOSED", "OPEN", "HALF_OPEN"])? }),
        (1..=4, "id" | "note") | (1..=2, "half_open_owner") => {
            json!({ "S": u.arbitrary::<&str>()? })
        }
        (3..=4, "half_open_owner") => json!({ "S": format!("hold#{}", u.arbitrary::<&str>()?) }),
        (1..=2, _) => json!({ "N": u.arbitrary::<i64>()?.to_string() }),
        (3..=4, _) => json!({ "N": u.arbitrary::<u32>()?.to_string() }),
        (5, _) => nested(u)?,
        (_, _) => value(u, BRANCHING)?,
    }))
}

fn value(u: &mut Unstructured<'_>, depth: u8) -> Result<Value> {
    let kinds = if depth == 0 { 7 } else { 9 };
    Ok(match u.int_in_range(0..=kinds)? {
        0 => json!({ "S": u.arbitrary::<&str>()? }),
        1 => json!({ "N": number(u)? }),
        2 => json!({ "B": base64(u.arbitrary()?) }),
        3 => json!({ "BOOL": u.arbitrary::<bool>()? }),
        4 => json!({ "NULL": u.arbitrary::<bool>()? }),
        5 => json!({ "SS": many(u, |u| Ok(u.arbitrary::<&str>()?.to_owned()))? }),
        6 => json!({ "NS": many(u, number)? }),
        7 => json!({ "BS": many(u, |u| Ok(base64(u.arbitrary()?)))? }),
        8 => json!({ "L": many(u, |u| value(u, depth - 1))? }),
        _ => {
            let members =
                many(u, |u| Ok((u.arbitrary::<&str>()?.to_owned(), value(u, depth - 1)?)))?;
            json!({ "M": members.into_iter().collect::<Map<_, _>>() })
        }
    })
}

/// A value within many lists and maps.
fn nested(u: &mut Unstructured<'_>) -> Result<Value> {
    let mut around = value(u, 0)?;
    for _ in 0..u.int_in_range(0..=MAX_NESTING)? {
        around = match u.ratio(1, 2_u8)? {
            true => json!({ "L": [around] }),
            false => json!({ "M": { "": around } }),
        };
    }
    Ok(around)
}

fn number(u: &mut Unstructured<'_>) -> Result<String> {
    Ok(match u.int_in_range(0..=3_u8)? {
        0 => u.arbitrary::<i64>()?.to_string(),
        1 => u.arbitrary::<u64>()?.to_string(),
        2 => u.arbitrary::<&str>()?.to_owned(),
        _ => (*u.choose(&["", "-0", "+1", "007", "1.5", "1E+2", "18446744073709551616", "NaN"])?)
            .to_owned(),
    })
}

fn many<T>(
    u: &mut Unstructured<'_>,
    mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    (0..u.int_in_range(0..=3_u8)?).map(|_| one(u)).collect()
}

fn base64(bytes: &[u8]) -> String {
    aws_smithy_types::base64::encode(bytes)
}
