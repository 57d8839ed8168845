//! The exact requests that each read and operation sends.

mod operators;
mod probes;
mod votes;

use std::sync::Arc;

use fuseboard::{
    CircuitName, CircuitState, DynamoDbStore,
    store::{Consistency, Field, Hints, HoldTerms, LeaseToken, Operation, Record, Store},
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

/// What an outage began with, which every trip of a machine tells.
fn began() -> Hints {
    let mut hints = Hints::NONE;
    (hints.down_since, hints.cause) = (Some(990), Some(Arc::from("failure_threshold")));
    hints
}

fn with_began(update: &str) -> String {
    update.replace(" REMOVE", ", #down_since = :down_since, #cause = :cause REMOVE")
}

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
        hints: began(),
    };
    let names = [&["id", "down_since", "cause"], &ALL[..]].concat();
    let values = json!({
        ":state": {"S": "OPEN"},
        ":failure_count": {"N": "5"},
        ":opened_at": {"N": "1000"},
        ":expiration": {"N": "4630"},
        ":down_since": {"N": "990"},
        ":cause": {"S": "failure_threshold"},
    });
    let open = with_began(BECOME_OPEN);
    sends(&trip, update(&open, "attribute_not_exists(#key)", &names, values)).await;
}

#[tokio::test(start_paused = true)]
async fn a_trip_of_a_closed_record_names_its_state_its_expiry_and_the_end_of_a_hold() {
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
    let condition = "#state = :seen_state AND #expiration = :seen_expiration \
        AND attribute_not_exists(#hold_until)";
    let names = [&ALL[..], &["hold_until"]].concat();
    sends(&trip, update(BECOME_OPEN, condition, &names, values)).await;
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
        hints: Hints { failed_probes, ..Hints::NONE },
    };
    let mut values = json!({
        ":state": {"S": "OPEN"},
        ":failure_count": {"N": "5"},
        ":opened_at": {"N": "2000"},
        ":expiration": {"N": "5630"},
        ":seen_state": {"S": "CLOSED"},
        ":seen_expiration": {"N": "4630"},
    });
    let condition = "#state = :seen_state AND #expiration = :seen_expiration \
        AND attribute_not_exists(#hold_until)";
    let names = [&ALL[..], &["failed_probes", "hold_until"]].concat();
    let removed = format!("{BECOME_OPEN}, #failed_probes");
    sends(&trip(None), update(&removed, condition, &names, values.clone())).await;

    let counted =
        BECOME_OPEN.replace(":expiration", ":expiration, #failed_probes = :failed_probes");
    values[":failed_probes"] = json!({"N": "4"});
    sends(&trip(Some(4)), update(&counted, condition, &names, values)).await;
}

/// A call that asks for an open time has no say in how many probes have failed.
#[tokio::test(start_paused = true)]
async fn case_121_a_trip_for_a_time_writes_its_end_over_what_the_record_had() {
    let trip = |seen| Operation::Trip {
        seen,
        failure_count: 1,
        opened_at: 2_000,
        expires_at: 5_720,
        hints: Hints { open_until: Some(2_120), ..began() },
    };
    let open = with_began(BECOME_OPEN);
    let asked = ":expiration, #open_until = :open_until, #down_since";
    let written = open.replace(":expiration, #down_since", asked);
    let mut values = json!({
        ":state": {"S": "OPEN"},
        ":failure_count": {"N": "1"},
        ":opened_at": {"N": "2000"},
        ":expiration": {"N": "5720"},
        ":open_until": {"N": "2120"},
        ":down_since": {"N": "990"},
        ":cause": {"S": "failure_threshold"},
    });
    let hinted = [&ALL[..], &["open_until", "down_since", "cause"]].concat();
    let names = [&["id"], &hinted[..]].concat();
    let absent = update(&written, "attribute_not_exists(#key)", &names, values.clone());
    sends(&trip(None), absent).await;

    let mut seen = record(CircuitState::Closed);
    (seen.failed_probes, seen.open_until) = (3.into(), 1_500.into());
    (seen.down_since, seen.cause) = (800.into(), Field::Valid("open_for".into()));
    values[":seen_state"] = json!({"S": "CLOSED"});
    values[":seen_expiration"] = json!({"N": "4630"});
    let condition = "#state = :seen_state AND #expiration = :seen_expiration \
        AND attribute_not_exists(#hold_until)";
    let names = [&hinted[..], &["failed_probes", "hold_until"]].concat();
    let written = format!("{written}, #failed_probes");
    sends(&trip(Some(seen)), update(&written, condition, &names, values)).await;
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
        AND attribute_not_exists(#expiration) AND attribute_not_exists(#hold_until)";
    let names = [&["id", "hold_until"], &ALL[..]].concat();
    sends(&trip, update(BECOME_OPEN, condition, &names, values)).await;
}

const CLOSED: &str = "SET #state = :state, #failure_count = :failure_count, \
    #expiration = :expiration \
    REMOVE #opened_at, #half_open_owner, #probe_lease_expiry, #success_count, #down_since, #cause";

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
        .failed_probes_attr("i")
        .open_until_attr("j")
        .hold_attr("k")
        .hold_until_attr("l")
        .hold_by_attr("m")
        .hold_reason_attr("n")
        .down_since_attr("o")
        .cause_attr("p")
        .build()
        .unwrap();
    let trip = Operation::Trip {
        seen: None,
        failure_count: 5,
        opened_at: 1_000,
        expires_at: 4_630,
        hints: began(),
    };
    let body = sent(&engine, &store, &trip).await;
    let names = json!({
        "#key": "pk", "#state": "a", "#failure_count": "b", "#opened_at": "c",
        "#half_open_owner": "d", "#probe_lease_expiry": "e", "#expiration": "f",
        "#success_count": "g", "#down_since": "o", "#cause": "p",
    });
    assert_eq!(body["UpdateExpression"], with_began(BECOME_OPEN));
    assert_eq!(body["ExpressionAttributeNames"], names);
    let release = Operation::Release { seen: open(), released_at: 1_015, expires_at: 4_660 };
    let released = sent(&engine, &store, &release).await;
    assert_eq!(released["ExpressionAttributeNames"]["#released"], "h");
    let terms = HoldTerms { until: 60, by: Some(Arc::from("ops")), reason: Arc::from("") };
    let hold = Operation::HoldClosed { seen: None, terms, held_at: 7, expires_at: 9 };
    let held = sent(&engine, &store, &hold).await;
    for (name, renamed) in [("", "k"), ("_until", "l"), ("_by", "m"), ("_reason", "n")] {
        assert_eq!(held["ExpressionAttributeNames"][format!("#hold{name}")], renamed);
    }
    let key = json!({"pk": {"S": "circuit_breaker#checkout"}, "sk": {"S": "payments"}});
    assert_eq!(body["Key"], key);

    engine.clear();
    store.read(&circuit(), Consistency::Strong).await.unwrap();
    assert_eq!(engine.requests()[0].body["Key"], key);
}
