//! The exact requests that each read and operation sends.

mod probes;

use std::sync::Arc;

use fuseboard::{
    CircuitName, CircuitState, DynamoDbStore,
    store::{Consistency, Hints, LeaseToken, Operation, Record, Store},
};
use serde_json::{Map, Value, json};

use crate::support::engine::Engine;

fn circuit() -> CircuitName {
    CircuitName::new("payments").unwrap()
}

fn token() -> LeaseToken {
    LeaseToken::new("token-a")
}

fn record(state: CircuitState) -> Record {
    let mut record = Record::empty();
    record.state = state.into();
    record.failure_count = 5.into();
    record.expires_at = 4_630.into();
    record
}

fn open() -> Record {
    let mut record = record(CircuitState::Open);
    record.opened_at = 1_000.into();
    record
}

fn half_open() -> Record {
    let mut record = record(CircuitState::HalfOpen);
    record.owner = Arc::<str>::from("theirs").into();
    record.lease_until = 1_030.into();
    record.success_count = 1.into();
    record
}

/// The body of the one write that an operation sends; its answer is of no
/// interest, nor is the read after a refusal that shows no item.
async fn sent(engine: &Engine, store: &DynamoDbStore, operation: &Operation) -> Value {
    engine.clear();
    let _ = store.write(&circuit(), operation).await;
    let mut requests = engine.requests();
    requests.retain(|request| request.operation != "GetItem");
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].operation, "UpdateItem");
    requests[0].body.clone()
}

/// What an update of this circuit looks like with default names. `names` are
/// the attributes that it mentions.
fn update(update: &str, condition: &str, names: &[&str], values: Value) -> Value {
    let mut placeholders = Map::new();
    for name in names {
        let placeholder = if *name == "id" { "#key".to_owned() } else { format!("#{name}") };
        placeholders.insert(placeholder, json!(name));
    }
    json!({
        "TableName": "circuits",
        "Key": {"id": {"S": "payments"}},
        "UpdateExpression": update,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": placeholders,
        "ExpressionAttributeValues": values,
        "ReturnValues": "ALL_NEW",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    })
}

async fn sends(operation: &Operation, expected: Value) {
    let engine = Engine::new();
    let found = sent(&engine, &engine.store("A"), operation).await;
    assert_eq!(found, expected);
}

const BECOME_OPEN: &str = "SET #state = :state, #failure_count = :failure_count, \
    #opened_at = :opened_at, #expiration = :expiration \
    REMOVE #half_open_owner, #probe_lease_expiry, #success_count";

const ALL: [&str; 7] = [
    "state",
    "failure_count",
    "opened_at",
    "half_open_owner",
    "probe_lease_expiry",
    "expiration",
    "success_count",
];

#[tokio::test(start_paused = true)]
async fn a_read_asks_for_the_consistency_that_is_needed() {
    let engine = Engine::new();
    let store = engine.store("A");
    store.read(&circuit(), Consistency::Eventual).await.unwrap();
    store.read(&circuit(), Consistency::Strong).await.unwrap();
    let bodies: Vec<_> = engine.requests().into_iter().map(|request| request.body).collect();
    let body = |consistent: bool| {
        json!({
            "TableName": "circuits",
            "Key": {"id": {"S": "payments"}},
            "ConsistentRead": consistent,
        })
    };
    assert_eq!(bodies, [body(false), body(true)]);
}

#[tokio::test(start_paused = true)]
async fn a_trip_without_a_record_requires_that_there_is_none() {
    let trip = Operation::Trip {
        seen: None,
        failure_count: 5,
        opened_at: 1_000,
        expires_at: 4_630,
        hints: Hints::NONE,
    };
    let names = [&["id"], &ALL[..]].concat();
    let values = json!({
        ":state": {"S": "OPEN"},
        ":failure_count": {"N": "5"},
        ":opened_at": {"N": "1000"},
        ":expiration": {"N": "4630"},
    });
    sends(&trip, update(BECOME_OPEN, "attribute_not_exists(#key)", &names, values)).await;
}

#[tokio::test(start_paused = true)]
async fn a_trip_of_a_closed_record_names_its_state_and_expiry() {
    let seen = Some(record(CircuitState::Closed));
    let trip = Operation::Trip {
        seen,
        failure_count: 5,
        opened_at: 2_000,
        expires_at: 5_630,
        hints: Hints::NONE,
    };
    let values = json!({
        ":state": {"S": "OPEN"},
        ":failure_count": {"N": "5"},
        ":opened_at": {"N": "2000"},
        ":expiration": {"N": "5630"},
        ":seen_state": {"S": "CLOSED"},
        ":seen_expiration": {"N": "4630"},
    });
    let condition = "#state = :seen_state AND #expiration = :seen_expiration";
    sends(&trip, update(BECOME_OPEN, condition, &ALL, values)).await;
}

#[tokio::test(start_paused = true)]
async fn a_trip_that_has_no_count_of_failed_probes_removes_that_of_the_outage_before() {
    let mut seen = record(CircuitState::Closed);
    seen.failed_probes = 3.into();
    let trip = |failed_probes| Operation::Trip {
        seen: Some(seen.clone()),
        failure_count: 5,
        opened_at: 2_000,
        expires_at: 5_630,
        hints: Hints { failed_probes, open_until: None },
    };
    let mut values = json!({
        ":state": {"S": "OPEN"},
        ":failure_count": {"N": "5"},
        ":opened_at": {"N": "2000"},
        ":expiration": {"N": "5630"},
        ":seen_state": {"S": "CLOSED"},
        ":seen_expiration": {"N": "4630"},
    });
    let condition = "#state = :seen_state AND #expiration = :seen_expiration";
    let names = [&ALL[..], &["failed_probes"]].concat();
    let removed = format!("{BECOME_OPEN}, #failed_probes");
    sends(&trip(None), update(&removed, condition, &names, values.clone())).await;

    let counted =
        BECOME_OPEN.replace(":expiration", ":expiration, #failed_probes = :failed_probes");
    values[":failed_probes"] = json!({"N": "4"});
    sends(&trip(Some(4)), update(&counted, condition, &names, values)).await;
}

#[tokio::test(start_paused = true)]
async fn a_trip_of_a_record_without_state_and_expiry_requires_that_they_are_still_absent() {
    let seen = Some(Record::empty());
    let trip = Operation::Trip {
        seen,
        failure_count: 5,
        opened_at: 2_000,
        expires_at: 5_630,
        hints: Hints::NONE,
    };
    let values = json!({
        ":state": {"S": "OPEN"},
        ":failure_count": {"N": "5"},
        ":opened_at": {"N": "2000"},
        ":expiration": {"N": "5630"},
    });
    let condition = "attribute_exists(#key) AND attribute_not_exists(#state) \
        AND attribute_not_exists(#expiration)";
    let names = [&["id"], &ALL[..]].concat();
    sends(&trip, update(BECOME_OPEN, condition, &names, values)).await;
}

const CLOSED: &str = "SET #state = :state, #failure_count = :failure_count, \
    #expiration = :expiration \
    REMOVE #opened_at, #half_open_owner, #probe_lease_expiry, #success_count";

const UNCHANGED: &str = "#state = :seen_state AND #failure_count = :seen_failure_count \
    AND attribute_not_exists(#opened_at) AND #half_open_owner = :seen_half_open_owner \
    AND #probe_lease_expiry = :seen_probe_lease_expiry AND #expiration = :seen_expiration \
    AND #success_count = :seen_success_count";

#[tokio::test(start_paused = true)]
async fn an_operator_names_everything_that_was_seen() {
    let held = "SET #state = :state, #failure_count = :failure_count, #opened_at = :opened_at, \
        #expiration = :expiration, #half_open_owner = :half_open_owner \
        REMOVE #probe_lease_expiry, #success_count";
    let hold = |seen| Operation::Hold {
        seen,
        owner: Arc::from("hold#deploy"),
        opened_at: 9_000,
        expires_at: 12_630,
    };
    let mut values = json!({
        ":state": {"S": "OPEN"},
        ":failure_count": {"N": "0"},
        ":opened_at": {"N": "9000"},
        ":expiration": {"N": "12630"},
        ":half_open_owner": {"S": "hold#deploy"},
    });
    let names = [&["id"], &ALL[..]].concat();
    let absent = update(held, "attribute_not_exists(#key)", &names, values.clone());
    sends(&hold(None), absent).await;

    let seen = json!({
        ":seen_state": {"S": "HALF_OPEN"},
        ":seen_failure_count": {"N": "5"},
        ":seen_half_open_owner": {"S": "theirs"},
        ":seen_probe_lease_expiry": {"N": "1030"},
        ":seen_expiration": {"N": "4630"},
        ":seen_success_count": {"N": "1"},
    });
    let seen = seen.as_object().unwrap();
    values.as_object_mut().unwrap().extend(seen.clone());
    sends(&hold(Some(half_open())), update(held, UNCHANGED, &ALL, values)).await;

    let mut values = json!({
        ":state": {"S": "CLOSED"},
        ":failure_count": {"N": "0"},
        ":expiration": {"N": "4660"},
        ":released": {"N": "1015"},
    });
    values.as_object_mut().unwrap().extend(seen.clone());
    let released = CLOSED
        .replace("#expiration = :expiration", "#expiration = :expiration, #released = :released");
    let names = [&ALL[..], &["released"]].concat();
    let release = Operation::Release { seen: half_open(), released_at: 1_015, expires_at: 4_660 };
    sends(&release, update(&released, UNCHANGED, &names, values)).await;
}

#[tokio::test(start_paused = true)]
async fn case_96_what_follows_a_release_removes_its_mark_and_only_an_operator_names_it() {
    let mut seen = record(CircuitState::Closed);
    seen.released = 1_015.into();
    let names = [&ALL[..], &["released"]].concat();
    let open = format!("{BECOME_OPEN}, #released");
    let trip = Operation::Trip {
        seen: Some(seen.clone()),
        failure_count: 5,
        opened_at: 2_000,
        expires_at: 5_630,
        hints: Hints::NONE,
    };
    let mut values = json!({
        ":state": {"S": "OPEN"},
        ":failure_count": {"N": "5"},
        ":opened_at": {"N": "2000"},
        ":expiration": {"N": "5630"},
        ":seen_state": {"S": "CLOSED"},
        ":seen_expiration": {"N": "4630"},
    });
    let condition = "#state = :seen_state AND #expiration = :seen_expiration";
    sends(&trip, update(&open, condition, &names, values.clone())).await;

    let owner = Arc::from("hold#deploy");
    let hold = Operation::Hold { seen: Some(seen), owner, opened_at: 2_000, expires_at: 5_630 };
    let held = open
        .replace("REMOVE #half_open_owner, ", "REMOVE ")
        .replace(":expiration", ":expiration, #half_open_owner = :half_open_owner");
    values[":failure_count"] = json!({"N": "0"});
    values[":half_open_owner"] = json!({"S": "hold#deploy"});
    values[":seen_failure_count"] = json!({"N": "5"});
    values[":seen_released"] = json!({"N": "1015"});
    let unchanged = "#state = :seen_state AND #failure_count = :seen_failure_count \
        AND attribute_not_exists(#opened_at) AND attribute_not_exists(#half_open_owner) \
        AND attribute_not_exists(#probe_lease_expiry) AND #expiration = :seen_expiration \
        AND attribute_not_exists(#success_count) AND #released = :seen_released";
    sends(&hold, update(&held, unchanged, &names, values)).await;
}

#[tokio::test(start_paused = true)]
async fn renamed_attributes_and_a_composite_key_change_names_only() {
    let engine = Engine::empty();
    engine.create_table("shared", &["pk", "sk"]);
    let store = engine
        .store_builder("A", "shared")
        .key_attr("pk")
        .sort_key_attr("sk")
        .static_pk_value("circuit_breaker#checkout")
        .state_attr("a")
        .failure_count_attr("b")
        .opened_at_attr("c")
        .half_open_owner_attr("d")
        .probe_lease_expiry_attr("e")
        .expiry_attr("f")
        .success_count_attr("g")
        .released_attr("h")
        .build()
        .unwrap();
    let trip = Operation::Trip {
        seen: None,
        failure_count: 5,
        opened_at: 1_000,
        expires_at: 4_630,
        hints: Hints::NONE,
    };
    let body = sent(&engine, &store, &trip).await;
    let names = json!({
        "#key": "pk", "#state": "a", "#failure_count": "b", "#opened_at": "c",
        "#half_open_owner": "d", "#probe_lease_expiry": "e", "#expiration": "f",
        "#success_count": "g",
    });
    assert_eq!(body["UpdateExpression"], BECOME_OPEN);
    assert_eq!(body["ExpressionAttributeNames"], names);
    let release = Operation::Release { seen: open(), released_at: 1_015, expires_at: 4_660 };
    let sent = sent(&engine, &store, &release).await;
    assert_eq!(sent["ExpressionAttributeNames"]["#released"], "h");
    let key = json!({"pk": {"S": "circuit_breaker#checkout"}, "sk": {"S": "payments"}});
    assert_eq!(body["Key"], key);

    engine.clear();
    store.read(&circuit(), Consistency::Strong).await.unwrap();
    assert_eq!(engine.requests()[0].body["Key"], key);
}
