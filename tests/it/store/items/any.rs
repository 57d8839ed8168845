//! Any item whatever: operations mean on the engine what they mean in code.

use std::{cell::RefCell, collections::HashSet};

use fuseboard::store::{
    self, Change, Condition, Consistency, Hints, LeaseToken, Operation, Record, Store, Written,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    circuit, elect, elect_absent, give_back, hand_over, hold, hold_closed, release, renew,
    take_over, trip,
};
use crate::support::engine::Engine;

fn any_number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0_i64..3_000).prop_map(|number| number.to_string()),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => any::<u64>().prop_map(|number| number.to_string()),
        1 => "-?[1-9][0-9]{0,30}\\.[0-9]{1,5}",
        1 => "-?[1-9]E[+-]?[0-9]{1,2}",
        1 => Just("-0".to_owned()),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any_number().prop_map(|number| json!({ "N": number })),
        "\\PC{0,8}".prop_map(|text| json!({ "S": text })),
        any::<bool>().prop_map(|yes| json!({ "BOOL": yes })),
        Just(json!({"NULL": true})),
        Just(json!({"B": "AP8="})),
        Just(json!({"SS": ["b", "a", "\"\\\n"]})),
        Just(json!({"NS": ["3", "-1", "2.50"]})),
        Just(json!({"BS": ["AP8=", "AA=="]})),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|values| json!({ "L": values })),
            prop::collection::hash_map("[a-z]{1,3}", inner, 0..3)
                .prop_map(|map| json!({ "M": map })),
        ]
    })
}

fn or_any(fitting: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![1 => Just(None), 5 => fitting.prop_map(Some), 2 => any_value().prop_map(Some)]
}

/// An item in which each attribute is missing, fitting or anything.
fn any_item() -> impl Strategy<Value = Value> {
    let state = prop::sample::select(vec!["CLOSED", "OPEN", "HALF_OPEN", "HALF_OPEN"]);
    let owner = prop::sample::select(vec!["a", "a", "b", "", "hold#x"]);
    let number = || (1_000_i64..1_004).prop_map(|number| json!({"N": number.to_string()}));
    let texts = (
        or_any(state.prop_map(|word| json!({ "S": word }))),
        or_any(owner.prop_map(|word| json!({ "S": word }))),
    );
    let counts = (or_any(number()), or_any(number()));
    let hints = (or_any(number()), or_any(number()));
    let stamps = (or_any(number()), or_any(number()), or_any(number()), or_any(number()));
    let text =
        || prop::sample::select(vec!["closed", "open", ""]).prop_map(|text| json!({"S": text}));
    let outage = (or_any(number()), or_any(text()));
    let hold = (or_any(text()), or_any(number()), or_any(text()), or_any(text()));
    let rest = (hints, outage, hold);
    (texts, counts, stamps, rest).prop_map(|(texts, (failures, successes), stamps, rest)| {
        let (hints, (since, cause), (hold, hold_until, hold_by, hold_reason)) = rest;
        let ((state, owner), (opened, lease, ttl, released)) = (texts, stamps);
        let fields = [
            ("state", state),
            ("half_open_owner", owner),
            ("failure_count", failures),
            ("opened_at", opened),
            ("probe_lease_expiry", lease),
            ("expiration", ttl),
            ("success_count", successes),
            ("released", released),
            ("failed_probes", hints.0),
            ("open_until", hints.1),
            ("down_since", since),
            ("cause", cause),
            ("hold", hold),
            ("hold_until", hold_until),
            ("hold_by", hold_by),
            ("hold_reason", hold_reason),
        ];
        let item: Map<_, _> = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        Value::Object(item)
    })
}

/// Every operation that names a record, as whoever saw this one would send it.
fn operations(seen: &Record) -> Vec<Operation> {
    let some = || Some(seen.clone());
    let ours = || LeaseToken::new("a");
    let mut operations = vec![
        trip(None),
        trip(some()),
        elect(some()),
        elect_absent(),
        take_over(some()),
        hand_over(ours(), some()),
        give_back(ours(), some()),
        hold(None),
        hold(some()),
        hold_closed(None),
        hold_closed(some()),
        release(some()),
        Operation::Close { token: ours(), expires_at: 4_800 },
        Operation::Reopen {
            token: ours(),
            opened_at: 1_100,
            expires_at: 4_730,
            hints: Hints::NONE,
        },
    ];
    // A renewal over a lease that is no whole number differs: see
    // `expression::expressions`.
    if !seen.lease_until.is_malformed() {
        operations.push(renew(ours()));
    }
    operations
}

#[test]
fn an_operation_changes_an_attribute_once_and_compares_with_what_it_writes() {
    let mut seen = Record::empty();
    seen.released = 1.into();
    for operation in operations(&seen) {
        let changes = operation.changes();
        let changed: HashSet<_> = changes
            .iter()
            .map(|change| match change {
                Change::Set(attribute, _) | Change::Remove(attribute) => *attribute,
            })
            .collect();
        assert_eq!(changed.len(), changes.len(), "{operation:?}");
        for condition in operation.conditions() {
            // DynamoDB is sent one value for both.
            if let Condition::Below(attribute, limit) = condition {
                let written = Change::Set(attribute, store::Value::Number(limit.into()));
                assert!(changes.contains(&written), "{operation:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Seen as it is, or as another item was.
    #[test]
    fn an_operation_on_any_item_does_what_it_does_in_code(
        item in any_item(),
        other in any_item(),
    ) {
        thread_local! {
            static STAND: RefCell<Option<(tokio::runtime::Runtime, Engine)>> =
                const { RefCell::new(None) };
        }
        STAND.with_borrow_mut(|stand| {
            let (runtime, engine) = stand.get_or_insert_with(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .start_paused(true)
                    .build()
                    .unwrap();
                let engine = Engine::new();
                (runtime, engine)
            });
            runtime.block_on(compare(engine, &item, &other))
        })?;
    }
}

async fn compare(engine: &Engine, item: &Value, other: &Value) -> Result<(), TestCaseError> {
    let store = engine.store("A");
    let decoded = async |item: &Value| {
        engine.put_item("payments", item);
        store.read(&circuit(), Consistency::Strong).await.unwrap().unwrap()
    };
    let foreign = decoded(other).await;
    let current = decoded(item).await;
    for seen in [&current, &foreign] {
        for operation in operations(seen) {
            if matches!(operation, Operation::Renew { .. }) && current.lease_until.is_malformed() {
                continue;
            }
            engine.put_item("payments", item);
            let wanted = match operation.apply(Some(&current)) {
                Some(record) => Written::Applied(record),
                None => Written::Refused(Some(current.clone())),
            };
            let found = store.write(&circuit(), &operation).await;
            let found = found.unwrap();
            if let Written::Applied(after) = &found {
                let left = after.defect();
                // A bad hint that was not there when the writer looked stays: no condition names
                // hints, and they are believed up to a limit.
                let is_unseen_hint =
                    |name: &str| *seen != current && matches!(name, "failed_probes" | "open_until");
                let kept = left
                    .is_none_or(|name| keeps(&operation).contains(&name) || is_unseen_hint(name));
                prop_assert!(kept, "{:?} leaves a bad {:?} on {}", operation, left, item);
            }
            prop_assert_eq!(found, wanted, "{:?} on {}", operation, item);
        }
    }
    Ok(())
}

/// What stays as it was, and may be anything: who opens, closes or holds a
/// circuit writes its whole record, so that nothing bad is left of any item.
fn keeps(operation: &Operation) -> &'static [&'static str] {
    match operation.name() {
        "elect" | "take over" => &["opened_at"],
        "renew" => &["opened_at", "failure_count", "success_count", "failed_probes", "open_until"],
        "hand over" | "give back" => &["opened_at", "failure_count", "failed_probes", "open_until"],
        // Under a token, whose election has removed what is bad.
        "close" | "reopen" => &["failed_probes", "open_until", "hold_until"],
        _ => &[],
    }
}
