//! Settings of the store, and making its table.

use std::time::Duration;

use fuseboard::{
    CircuitName,
    store::{
        Consistency, DynamoDbStoreBuilder, Hints, Operation, Store,
        StoreErrorKind::{Misconfigured, Timeout},
    },
};
use serde_json::json;

use crate::support::engine::{Engine, Event, TABLE, now};

/// The message of the error that a setting leads to.
async fn refused(set: impl FnOnce(DynamoDbStoreBuilder) -> DynamoDbStoreBuilder) -> String {
    let builder = Engine::new().store_builder("A", TABLE);
    set(builder).build().unwrap_err().to_string()
}

#[tokio::test(start_paused = true)]
async fn case_71_equal_key_attributes_are_refused() {
    assert_eq!(
        refused(|builder| builder.key_attr("id").sort_key_attr("id")).await,
        "sort_key_attr must be another attribute than key_attr, got \"id\""
    );
}

#[tokio::test(start_paused = true)]
async fn case_77_settings_that_cannot_work_are_refused_by_name() {
    assert_eq!(
        refused(|builder| builder.state_attr("expiration")).await,
        "expiry_attr must be another attribute than all the others, got \"expiration\""
    );
    assert_eq!(
        refused(|builder| builder.half_open_owner_attr("")).await,
        "half_open_owner_attr must not be empty, got \"\""
    );
    let empty = refused(|builder| builder.sort_key_attr("sk").static_pk_value("")).await;
    assert_eq!(empty, "static_pk_value must not be empty, got \"\"");
    let long = "x".repeat(2_049);
    let long = refused(|builder| builder.sort_key_attr("sk").static_pk_value(long)).await;
    assert!(long.contains("at most 2,048 bytes"), "{long}");
    assert!(long.ends_with("got 2049 bytes"), "{long}");
    assert_eq!(
        refused(|builder| builder.max_attempts(0)).await,
        "max_attempts must be between 1 and 100, got 0"
    );
    assert_eq!(
        refused(|builder| builder.operation_timeout(Duration::ZERO)).await,
        "operation_timeout must be more than 0, got 0ns"
    );
    let nameless = Engine::empty().store_builder("A", "").build().unwrap_err();
    assert_eq!(nameless.field(), "table");
}

#[tokio::test(start_paused = true)]
async fn a_static_partition_value_without_a_sort_key_is_ignored() {
    let engine = Engine::new();
    let store = engine.store_builder("A", TABLE).static_pk_value("unused").build().unwrap();
    let circuit = CircuitName::new("payments").unwrap();
    store.read(&circuit, Consistency::Strong).await.unwrap();
    let body = &engine.requests()[0].body;
    assert_eq!(body["Key"], json!({"id": {"S": "payments"}}));
}

#[tokio::test(start_paused = true)]
async fn a_created_table_is_paid_per_request_and_expires_its_items() {
    let engine = Engine::empty();
    let store = engine.store("A");
    store.create_table().await.unwrap();
    store.create_table().await.unwrap();
    store.verify().await.unwrap();

    let table = engine.ask("DescribeTable", &json!({ "TableName": TABLE }));
    let table = &table["Table"];
    assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table["KeySchema"], json!([{"AttributeName": "id", "KeyType": "HASH"}]));
    let expiry = engine.ask("DescribeTimeToLive", &json!({ "TableName": TABLE }));
    let expected = json!({"AttributeName": "expiration", "TimeToLiveStatus": "ENABLED"});
    assert_eq!(expiry["TimeToLiveDescription"], expected);
    assert_eq!(engine.count("UpdateTimeToLive"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_created_table_has_the_configured_names() {
    let engine = Engine::empty();
    let store = engine
        .store_builder("A", "shared")
        .key_attr("pk")
        .sort_key_attr("sk")
        .expiry_attr("ttl")
        .build()
        .unwrap();
    store.create_table().await.unwrap();
    store.verify().await.unwrap();
    let table = engine.ask("DescribeTable", &json!({"TableName": "shared"}));
    let key = json!([
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]);
    assert_eq!(table["Table"]["KeySchema"], key);
    let expiry = engine.ask("DescribeTimeToLive", &json!({"TableName": "shared"}));
    assert_eq!(expiry["TimeToLiveDescription"]["AttributeName"], "ttl");
}

#[tokio::test(start_paused = true)]
async fn a_table_with_another_key_or_another_expiry_is_not_taken_for_ours() {
    let engine = Engine::empty();
    engine.create_table(TABLE, &["pk", "sk"]);
    let error = engine.store("A").create_table().await.unwrap_err();
    assert_eq!(error.kind(), Misconfigured);
    let found = "has the partition key \"pk\" and the sort key \"sk\"";
    assert!(error.to_string().contains(found), "{error}");

    let engine = Engine::empty();
    engine.store("A").create_table().await.unwrap();
    let other = engine.store_builder("A", TABLE).expiry_attr("ttl").build().unwrap();
    let error = other.create_table().await.unwrap_err();
    assert_eq!(error.kind(), Misconfigured);
    assert!(error.to_string().contains("time-to-live is on \"expiration\""), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_name_too_long_for_a_sort_key_is_refused_without_asking() {
    let engine = Engine::empty();
    engine.create_table("shared", &["pk", "sk"]);
    let builder = engine.store_builder("A", "shared").key_attr("pk").sort_key_attr("sk");
    let store = builder.static_pk_value("x".repeat(2_048)).build().unwrap();
    let trip = Operation::Trip {
        seen: None,
        failure_count: 5,
        opened_at: 1_000,
        expires_at: 4_630,
        hints: Hints::NONE,
    };

    let long = CircuitName::new("ö".repeat(512) + "x").unwrap();
    let read = store.read(&long, Consistency::Eventual).await.unwrap_err();
    let write = store.write(&long, &trip).await.unwrap_err();
    for error in [read, write] {
        assert_eq!(error.kind(), Misconfigured);
        let message = error.to_string();
        assert!(message.contains("the name has 1025 bytes"), "{message}");
        assert!(message.contains("a sort key, here \"sk\", to 1024: shorten it"), "{message}");
    }
    assert!(engine.requests().is_empty());

    let longest = CircuitName::new("ö".repeat(512)).unwrap();
    store.write(&longest, &trip).await.unwrap();
    assert!(store.read(&longest, Consistency::Strong).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn the_longest_name_of_all_is_a_partition_key() {
    let engine = Engine::new();
    let longest = CircuitName::new("x".repeat(2_048)).unwrap();
    engine.store("A").read(&longest, Consistency::Strong).await.unwrap();
}

/// What `DescribeTable` says of a table with the store's key, in this status.
macro_rules! in_status {
    ($status:literal) => {
        concat!(
            r#"{"Table":{"TableName":"circuits","TableStatus":""#,
            $status,
            r#"","KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"#,
            r#""AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}]}}"#
        )
    };
}

#[tokio::test(start_paused = true)]
async fn case_176_a_table_that_is_being_updated_is_there() {
    let engine = Engine::empty();
    let store = engine.store("A");
    store.create_table().await.unwrap();
    engine.clear();
    engine.network("A").always_on("DescribeTable", Event::Text(in_status!("UPDATING")));
    let begun = now();
    store.create_table().await.unwrap();
    assert!(begun.elapsed() <= Duration::from_millis(1), "{:?}", begun.elapsed());
    assert_eq!(engine.count("UpdateTimeToLive"), 0);
}

#[tokio::test(start_paused = true)]
async fn case_176_a_table_that_never_gets_active_is_told_with_its_status() {
    let engine = Engine::new();
    let store = engine.store("A");
    for (text, kind, soon) in [
        (in_status!("CREATING"), Timeout, false),
        (in_status!("DELETING"), Misconfigured, true),
        (in_status!("INACCESSIBLE_ENCRYPTION_CREDENTIALS"), Misconfigured, true),
        (in_status!("ARCHIVED"), Misconfigured, true),
    ] {
        engine.network("A").always_on("DescribeTable", Event::Text(text));
        let begun = now();
        let error = store.create_table().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let status = text.split("TableStatus\":\"").nth(1).unwrap().split('"').next().unwrap();
        let told = format!("the status of the table is {status}");
        assert!(error.to_string().contains(&told), "{error}");
        assert_eq!(begun.elapsed() < Duration::from_secs(1), soon, "{status}");
        engine.network("A").heal();
    }
}

const OFF: &str = r#"{"TimeToLiveDescription":{"TimeToLiveStatus":"DISABLED"}}"#;
const ENABLED: &str = "TimeToLive is already enabled";

#[tokio::test(start_paused = true)]
async fn case_176_time_to_live_that_another_process_enables_first_is_on() {
    let engine = Engine::empty();
    engine.store("B").create_table().await.unwrap();
    // What it was before the other process.
    engine.network("A").on("DescribeTimeToLive", 1, Event::Text(OFF));
    let refused = Event::Refuse("ValidationException", ENABLED);
    engine.network("A").on("UpdateTimeToLive", 1, refused);
    engine.store("A").create_table().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn case_176_time_to_live_that_is_seen_late_is_on() {
    let engine = Engine::empty();
    engine.store("B").create_table().await.unwrap();
    engine.network("A").always_on("DescribeTimeToLive", Event::Text(OFF));
    engine
        .network("A")
        .always_on("UpdateTimeToLive", Event::Refuse("ValidationException", ENABLED));
    engine.store("A").create_table().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn case_176_time_to_live_that_may_not_be_enabled_is_told() {
    let engine = Engine::new();
    let often = "Time to live has been modified multiple times within a fixed interval";
    engine.network("A").always_on("UpdateTimeToLive", Event::Refuse("ValidationException", often));
    let error = engine.store("A").create_table().await.unwrap_err();
    assert_eq!(error.kind(), Misconfigured);
    assert!(error.to_string().ends_with(often), "{error}");
}

#[tokio::test(start_paused = true)]
async fn case_176_a_table_that_is_being_changed_is_waited_for() {
    let engine = Engine::new();
    let busy = Event::Refuse("ResourceInUseException", "Table is being updated");
    engine.network("A").on("UpdateTimeToLive", 5, busy);
    let store = engine.store("A");
    store.create_table().await.unwrap();
    store.verify().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn case_176_processes_that_create_the_table_at_the_same_time_all_succeed() {
    let engine = Engine::empty();
    let late = |millis| Event::DelayBefore(Duration::from_millis(millis));
    for (number, label) in ["A", "B", "C", "D"].into_iter().enumerate() {
        let number = u64::try_from(number).unwrap();
        engine.network(label).on("CreateTable", 1, late(number));
        engine.network(label).on("UpdateTimeToLive", 1, late(10 - number));
    }
    let stores = ["A", "B", "C", "D"].map(|label| engine.store(label));
    for made in futures::future::join_all(stores.iter().map(|store| store.create_table())).await {
        made.unwrap();
    }
    stores[0].verify().await.unwrap();
}
