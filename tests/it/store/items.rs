//! Items as they are found: ours, the reference's, and anything else.

mod any;

use std::sync::Arc;

use fuseboard::{
    CircuitName, CircuitState, DynamoDbStore, MemoryStore,
    store::{Consistency, Field, Hints, HoldTerms, LeaseToken, Operation, Record, Store, Written},
};
use serde_json::{Value, json};

use crate::support::engine::Engine;

fn circuit() -> CircuitName {
    CircuitName::new("payments").unwrap()
}

fn token(name: &str) -> LeaseToken {
    LeaseToken::new(name)
}

async fn read(store: &DynamoDbStore) -> Option<Record> {
    store.read(&circuit(), Consistency::Strong).await.unwrap()
}

/// Applies an operation that is made from the record as it stands.
async fn apply(store: &DynamoDbStore, make: impl FnOnce(Option<Record>) -> Operation) -> Record {
    let operation = make(read(store).await);
    match store.write(&circuit(), &operation).await.unwrap() {
        Written::Applied(record) => record,
        Written::Refused(record) => panic!("{operation:?} was refused by {record:?}"),
    }
}

fn trip(seen: Option<Record>) -> Operation {
    Operation::Trip {
        seen,
        failure_count: 5,
        opened_at: 1_000,
        expires_at: 4_630,
        hints: Hints::NONE,
    }
}

fn elect(seen: Option<Record>) -> Operation {
    let seen = seen.unwrap();
    Operation::Elect { seen, token: token("a"), lease_until: 1_060, expires_at: 4_660 }
}

fn elect_absent() -> Operation {
    Operation::ElectAbsent {
        token: token("a"),
        opened_at: 1_000,
        lease_until: 1_060,
        expires_at: 4_660,
        hints: Hints::NONE,
    }
}

fn take_over(seen: Option<Record>) -> Operation {
    let seen = seen.unwrap();
    Operation::TakeOver { seen, token: token("b"), lease_until: 1_099, expires_at: 4_669 }
}

fn renew(token: LeaseToken) -> Operation {
    Operation::Renew { token, lease_until: 1_200, expires_at: 4_700, starts_probe: true }
}

fn hand_over(token: LeaseToken, seen: Option<Record>) -> Operation {
    Operation::HandOver {
        token,
        known_lease: seen.unwrap().lease_until,
        success_count: 2,
        lease_until: 1_061,
        expires_at: 4_661,
    }
}

fn give_back(token: LeaseToken, seen: Option<Record>) -> Operation {
    Operation::GiveBack {
        token,
        known_lease: seen.unwrap().lease_until,
        success_count: 0,
        lease_until: 1_062,
        expires_at: 4_662,
    }
}

fn hold(seen: Option<Record>) -> Operation {
    let terms = HoldTerms { until: 9_030, by: None, reason: Arc::from("x") };
    let (opened_at, expires_at, hints) = (9_000, 12_630, Hints::NONE);
    Operation::Hold { seen, terms, opened_at, expires_at, hints }
}

fn hold_closed(seen: Option<Record>) -> Operation {
    let terms = HoldTerms { until: 9_030, by: Some(Arc::from("y")), reason: Arc::from("x") };
    Operation::HoldClosed { seen, terms, held_at: 1_112, expires_at: 12_630 }
}

fn release(seen: Option<Record>) -> Operation {
    Operation::Release { seen: seen.unwrap(), released_at: 1_111, expires_at: 4_990 }
}

#[tokio::test(start_paused = true)]
async fn case_70_every_write_keeps_attributes_that_it_does_not_know() {
    let engine = Engine::new();
    let store = engine.store("A");
    let unknown = json!({"team": "payments", "since": 3, "note": null, "tags": {"SS": ["a", "b"]}});
    let mut item = unknown.clone();
    item["state"] = json!("CLOSED");
    engine.put_item("payments", &item);
    let kept = || {
        let item = engine.get_item("payments").unwrap();
        for (name, value) in unknown.as_object().unwrap() {
            assert_eq!(item[name], *value, "{name} in {item}");
        }
    };
    apply(&store, trip).await;
    kept();
    apply(&store, elect).await;
    kept();
    apply(&store, |_| renew(token("a"))).await;
    kept();
    apply(&store, |seen| hand_over(token("a"), seen)).await;
    kept();
    apply(&store, take_over).await;
    kept();
    apply(&store, |seen| give_back(token("b"), seen)).await;
    kept();
    let reopen = Operation::Reopen {
        token: token("b"),
        opened_at: 1_100,
        expires_at: 4_730,
        hints: Hints::NONE,
    };
    apply(&store, |_| reopen).await;
    kept();
    apply(&store, elect).await;
    apply(&store, |_| Operation::Close { token: token("a"), expires_at: 4_800 }).await;
    kept();
    apply(&store, hold).await;
    kept();
    apply(&store, hold_closed).await;
    kept();
    apply(&store, release).await;
    kept();
}

/// The reference writes no `success_count`; all else is what its functions
/// write and read.
#[tokio::test(start_paused = true)]
async fn case_71_custom_names_and_a_composite_key_make_the_reference_rows() {
    let engine = Engine::empty();
    engine.create_table("shared", &["pk", "sk"]);
    let store = engine
        .store_builder("A", "shared")
        .key_attr("pk")
        .sort_key_attr("sk")
        .state_attr("status")
        .failure_count_attr("failures")
        .opened_at_attr("opened")
        .half_open_owner_attr("owner")
        .probe_lease_expiry_attr("lease")
        .expiry_attr("ttl")
        .build()
        .unwrap();
    let function = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
    let partition = format!("circuit_breaker#{function}");
    let key = json!({"pk": {"S": partition}, "sk": {"S": "payments"}});
    let row = || engine.get_raw("shared", &key).unwrap();

    apply(&store, trip).await;
    let mut open = json!({
        "status": {"S": "OPEN"}, "failures": {"N": "5"}, "opened": {"N": "1000"},
        "ttl": {"N": "4630"},
    });
    open.as_object_mut().unwrap().extend(key.as_object().unwrap().clone());
    assert_eq!(row(), open);

    apply(&store, elect).await;
    let mut half_open = json!({
        "status": {"S": "HALF_OPEN"}, "failures": {"N": "0"}, "opened": {"N": "1000"},
        "owner": {"S": "a"}, "lease": {"N": "1060"}, "success_count": {"N": "0"},
        "ttl": {"N": "4660"},
    });
    half_open.as_object_mut().unwrap().extend(key.as_object().unwrap().clone());
    assert_eq!(row(), half_open);

    apply(&store, |_| Operation::Close { token: token("a"), expires_at: 4_800 }).await;
    let mut closed =
        json!({"status": {"S": "CLOSED"}, "failures": {"N": "0"}, "ttl": {"N": "4800"}});
    closed.as_object_mut().unwrap().extend(key.as_object().unwrap().clone());
    assert_eq!(row(), closed);
}

#[tokio::test(start_paused = true)]
async fn a_row_of_the_reference_is_read_whole() {
    let engine = Engine::new();
    engine.put_item(
        "payments",
        &json!({
            "state": "HALF_OPEN", "failure_count": 0, "half_open_owner": "env-1",
            "probe_lease_expiry": 1_060, "expiration": 4_660,
        }),
    );
    let record = read(&engine.store("A")).await.unwrap();
    assert_eq!(record.state, Field::Valid(CircuitState::HalfOpen));
    assert_eq!(record.failure_count, Field::Valid(0));
    assert_eq!(record.opened_at, Field::Absent);
    assert_eq!(record.owner, Field::Valid(Arc::from("env-1")));
    assert_eq!(record.lease_until, Field::Valid(1_060));
    assert_eq!(record.expires_at, Field::Valid(4_660));
    assert_eq!(record.success_count, Field::Absent);
    assert_eq!(record.defect(), None);
}

/// Values that are not what an attribute should have.
fn absurd() -> [Value; 8] {
    [
        json!({"BOOL": true}),
        json!(null),
        json!({"L": [{"N": "1"}, {"M": {"a": {"B": "AAE="}}}]}),
        json!({"NS": ["3", "1", "2.5"]}),
        json!({"BS": ["AAE=", "AA=="]}),
        json!({"N": "12.5"}),
        json!({"N": "1e30"}),
        json!({"M": {}}),
    ]
}

#[tokio::test(start_paused = true)]
async fn case_96_an_unreadable_mark_of_a_release_counts_as_one_and_is_no_defect() {
    let engine = Engine::new();
    let store = engine.store("A");
    for value in absurd().into_iter().chain([json!(1_500), json!("soon")]) {
        let mut item = json!({"state": "CLOSED", "failure_count": 0, "expiration": 4_000});
        engine.put_item("payments", &item);
        assert!(!read(&store).await.unwrap().is_released());
        item["released"] = value.clone();
        for next in [trip, hold] {
            engine.put_item("payments", &item);
            let seen = read(&store).await.unwrap();
            assert!(seen.is_released() && seen.defect().is_none(), "{value}");
            assert_eq!(apply(&store, next).await.released, Field::Absent, "{value}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn case_68_a_malformed_attribute_is_decoded_named_and_healed_by_the_next_write() {
    let engine = Engine::new();
    let store = engine.store("A");
    let numbers = ["failure_count", "opened_at", "probe_lease_expiry", "expiration"];
    let attributes = ["state", "half_open_owner", "success_count", "failed_probes", "open_until"];
    for attribute in numbers.into_iter().chain(attributes) {
        for value in absurd().into_iter().chain([json!({"N": "-1"}), json!("soon")]) {
            let fits = match (attribute, &value) {
                ("half_open_owner", value) => value.is_string(),
                ("opened_at" | "probe_lease_expiry" | "expiration" | "open_until", value) => {
                    *value == json!({"N": "-1"})
                }
                _ => false,
            };
            let mut item = json!({"state": "CLOSED", "failure_count": 0, "expiration": 4_000});
            item[attribute] = value.clone();
            engine.put_item("payments", &item);
            let seen = read(&store).await.unwrap();
            assert_eq!(seen.defect(), (!fits).then_some(attribute), "{value}");

            engine.put_item("payments", &json!({"state": "CLOSED", attribute: "another"}));
            let written = store.write(&circuit(), &hold(Some(seen.clone()))).await.unwrap();
            assert!(matches!(written, Written::Refused(Some(_))), "{attribute} {value}");

            engine.put_item("payments", &item);
            let record = apply(&store, hold).await;
            assert_eq!(record.defect(), None, "{attribute} {value}");
            engine.put_item("payments", &item);
            assert_eq!(apply(&store, trip).await.defect(), None, "{attribute} {value}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn case_68_a_missing_attribute_is_absent_and_healed_by_the_next_write() {
    let engine = Engine::new();
    let store = engine.store("A");
    engine.put_item("payments", &json!({}));
    assert_eq!(read(&store).await, Some(Record::empty()));
    assert_eq!(apply(&store, trip).await.defect(), None);

    engine.put_item("payments", &json!({"state": "OPEN", "expiration": 4_000}));
    assert_eq!(read(&store).await.unwrap().defect(), Some("opened_at"));
    apply(&store, elect).await;

    engine.put_item("payments", &json!({"state": "HALF_OPEN", "expiration": 4_000}));
    assert_eq!(read(&store).await.unwrap().defect(), Some("probe_lease_expiry"));
    assert_eq!(apply(&store, take_over).await.defect(), None);
}

#[tokio::test(start_paused = true)]
async fn a_record_of_another_store_is_refused_without_a_request() {
    let engine = Engine::new();
    let mut seen = Record::empty();
    seen.state = Field::Malformed(fuseboard::store::Malformed::new("not this store's text"));
    let memory = MemoryStore::new();
    memory.set_record(circuit(), Some(seen.clone()));
    assert!(memory.write(&circuit(), &trip(Some(seen.clone()))).await.is_ok());

    let error = engine.store("A").write(&circuit(), &trip(Some(seen))).await.unwrap_err();
    assert!(error.to_string().contains("was not read from DynamoDB"), "{error}");
    assert!(engine.requests().is_empty());
}
