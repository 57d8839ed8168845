//! What has to hold for every record, however it was read.

use fuseboard::{
    CircuitState,
    store::{Field, Hints, HoldTerms, LeaseToken, Operation, Record},
};
use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use serde_json::Value;

use crate::{Item, Sent};

/// What the operations write, and which one is sent.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Which of the operations is sent.
    pub operation: u8,
    /// Whether the answer says that it was applied.
    pub applied: bool,
    /// Every time that is written.
    pub at: i64,
    /// Every count that is written.
    pub count: u64,
    /// Whether the operations come from another than the holder of the lease.
    pub foreign: bool,
}

impl<'a> Arbitrary<'a> for Choice {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            operation: u.arbitrary()?,
            applied: u.arbitrary()?,
            at: u.arbitrary()?,
            count: u.arbitrary()?,
            foreign: u.ratio(1, 8_u8)?,
        })
    }
}

/// One operation of each kind, as it would follow from the record.
#[must_use]
pub fn operations(record: &Record, choice: &Choice) -> Vec<Operation> {
    let owner = record.owner.valid().filter(|_| !choice.foreign);
    let token = || LeaseToken::new(owner.map_or("another", |owner| owner));
    let seen = || record.clone();
    let known_lease = record.lease_until.clone();
    let (failure_count, success_count) = (choice.count, choice.count);
    let (opened_at, lease_until, expires_at) = (choice.at, choice.at, choice.at);
    vec![
        Operation::Trip {
            seen: Some(seen()),
            failure_count,
            opened_at,
            expires_at,
            hints: Hints::NONE,
        },
        Operation::Elect { seen: seen(), token: token(), lease_until, expires_at },
        Operation::TakeOver { seen: seen(), token: token(), lease_until, expires_at },
        Operation::Renew { token: token(), lease_until, expires_at, starts_probe: choice.applied },
        Operation::HandOver {
            token: token(),
            known_lease: known_lease.clone(),
            success_count,
            lease_until,
            expires_at,
        },
        Operation::GiveBack { token: token(), known_lease, success_count, lease_until, expires_at },
        Operation::Close { token: token(), expires_at },
        Operation::Reopen { token: token(), opened_at, expires_at, hints: Hints::NONE },
        Operation::Hold {
            seen: Some(seen()),
            terms: terms(opened_at),
            opened_at,
            expires_at,
            hints: Hints::NONE,
        },
        Operation::HoldClosed {
            seen: Some(seen()),
            terms: terms(opened_at),
            held_at: choice.at,
            expires_at,
        },
        Operation::Release { seen: seen(), released_at: choice.at, expires_at },
        Operation::ElectAbsent {
            token: token(),
            opened_at,
            lease_until,
            expires_at,
            hints: Hints::NONE,
        },
    ]
}

/// A hold for 30 s after this.
fn terms(at: i64) -> HoldTerms {
    HoldTerms { until: at.saturating_add(30), by: Some("fuzz".into()), reason: "fuzz".into() }
}

/// Applies an operation that was made of the record, and checks the result.
///
/// An election and what follows under its token leave some attributes as they
/// are, so they keep a defect of those; none may make one.
pub fn check_applied(record: &Record, operation: &Operation) {
    let Some(after) = operation.apply(Some(record)) else {
        let applies = matches!(
            operation,
            Operation::Trip { .. }
                | Operation::Hold { .. }
                | Operation::HoldClosed { .. }
                | Operation::Release { .. }
        );
        assert!(!applies, "{operation:?} is refused by the record that it has seen");
        return;
    };
    if record.defect().is_none() || is_whole(operation) {
        // What comes under a token keeps what its election has removed.
        let is_under_token =
            matches!(operation, Operation::Close { .. } | Operation::Reopen { .. });
        let left = after.defect().filter(|name| {
            !(is_under_token && ["failed_probes", "open_until", "hold_until"].contains(name))
        });
        assert_eq!(left, None, "{operation:?} over {record:?}");
    }
    assert!(after.state.valid().is_some(), "{after:?}");
    if after.state == Field::Valid(CircuitState::HalfOpen) {
        assert!(after.lease_until.valid().is_some() && after.owner.valid().is_some(), "{after:?}");
    }
    kept(&after.failure_count, &record.failure_count);
    kept(&after.opened_at, &record.opened_at);
    kept(&after.expires_at, &record.expires_at);
    kept(&after.success_count, &record.success_count);
    kept(&after.released, &record.released);
    match operation {
        Operation::HoldClosed { .. } | Operation::Release { .. } => {
            assert!(after.is_released(), "{after:?}")
        }
        Operation::Trip { .. }
        | Operation::Hold { .. }
        | Operation::Elect { .. }
        | Operation::TakeOver { .. } => assert_eq!(after.released, Field::Absent, "{after:?}"),
        _ => {}
    }
}

/// Whether the operation leaves nothing of what stood before.
fn is_whole(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Trip { .. }
            | Operation::Close { .. }
            | Operation::Reopen { .. }
            | Operation::Hold { .. }
            | Operation::HoldClosed { .. }
            | Operation::Release { .. }
    )
}

fn kept<T: PartialEq + std::fmt::Debug>(after: &Field<T>, before: &Field<T>) {
    assert!(!after.is_malformed() || after == before, "{after:?} was {before:?}");
}

/// Checks that an operation went out as one `UpdateItem`, followed at most by the read
/// after a refusal without an item, and, if its condition is all that was seen, that
/// it names each value as the item has it.
pub fn check_sent(sent: &[Sent], operation: &Operation, item: Option<&Item>) {
    let [update, reads @ ..] = sent else { panic!("{operation:?} is not sent") };
    assert_eq!(update.target, "DynamoDB_20120810.UpdateItem");
    assert!(reads.len() <= 1, "{operation:?}: {reads:?}");
    assert!(reads.iter().all(|read| read.target == "DynamoDB_20120810.GetItem"), "{reads:?}");
    let body = parse(&update.body);
    let names_all = matches!(
        operation,
        Operation::Hold { .. } | Operation::HoldClosed { .. } | Operation::Release { .. }
    );
    let (Some(item), true) = (item, names_all) else { return };
    let condition = body["ConditionExpression"].as_str().expect("every write has a condition");
    for (placeholder, name) in body["ExpressionAttributeNames"].as_object().into_iter().flatten() {
        // No condition names hints.
        let hints = ["#failed_probes", "#open_until", "#down_since", "#cause"];
        if placeholder == "#key" || hints.contains(&placeholder.as_str()) {
            continue;
        }
        let seen = body["ExpressionAttributeValues"].get(placeholder.replacen('#', ":seen_", 1));
        let shown = item.get(name.as_str().expect("a name is text"));
        assert_eq!(seen.map(normal), shown.map(normal), "{name} in {operation:?}");
        let is_set_unnamed = ["#released", "#hold_by", "#hold_reason"];
        if is_set_unnamed.contains(&placeholder.as_str()) && shown.is_none() {
            // An operator sets it; a condition names it only where it was seen.
            continue;
        }
        let absent = format!("attribute_not_exists({placeholder})");
        assert_eq!(condition.contains(&absent), shown.is_none(), "{condition}");
    }
}

fn parse(body: &[u8]) -> Value {
    let mut reader = serde_json::Deserializer::from_slice(body);
    // The SDK reads and writes deeper values than serde_json by default.
    reader.disable_recursion_limit();
    let value = <Value as serde::Deserialize>::deserialize(&mut reader).expect("a request is JSON");
    reader.end().expect("a request is one JSON value");
    value
}

/// A value without what DynamoDB does not compare: the order of a set, and how
/// the digits of a whole number are written.
fn normal(value: &Value) -> Value {
    let mut value = value.clone();
    for set in ["SS", "NS", "BS"] {
        if let Some(Value::Array(members)) = value.get_mut(set) {
            members.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
        }
    }
    if let Some(Value::Array(members)) = value.get_mut("L") {
        members.iter_mut().for_each(|member| *member = normal(member));
    }
    if let Some(Value::Object(members)) = value.get_mut("M") {
        members.values_mut().for_each(|member| *member = normal(member));
    }
    if let Some(Value::String(digits)) = value.get_mut("N")
        && let Ok(number) = digits.parse::<i128>()
    {
        *digits = number.to_string();
    }
    value
}
