//! What is misconfigured is named, all of it at once, with what mends it.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Config, Region},
};
use aws_smithy_async::time::StaticTimeSource;
use fuseboard::{
    DynamoDbStore,
    store::{Misconfiguration, NotChecked, StoreErrorKind, VerifyError},
};
use serde_json::json;

use crate::support::engine::{Engine, Event, TABLE};

/// What the clock shows that requests are signed by.
const NOW: u64 = 1_700_000_000;

/// A store whose table is as it should be, with a clock that is right.
async fn sound(engine: &Engine) -> DynamoDbStore {
    let store = store(engine);
    store.create_table().await.unwrap();
    engine.clear();
    store
}

fn store(engine: &Engine) -> DynamoDbStore {
    engine.set_clock(|| at(NOW));
    DynamoDbStore::new(client(engine), TABLE)
}

/// A client that signs by a clock that shows [`NOW`].
fn client(engine: &Engine) -> Client {
    let config = engine.client("A").config().to_builder();
    Client::from_conf(config.time_source(StaticTimeSource::from_secs(NOW)).build())
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_table_that_was_just_created_may_not_be_seen_yet() {
    let engine = Engine::empty();
    let store = store(&engine);
    for times in 1..=2 {
        engine.network("A").on("DescribeTable", times, Event::Error("ResourceNotFoundException"));
    }
    store.create_table().await.unwrap();
    assert!(engine.count("DescribeTable") >= 3);
    assert!(store.verify().await.is_ok());
}

/// What is wrong with a store, checked for naming everything and writing nothing.
async fn wrong(engine: &Engine, store: &DynamoDbStore) -> VerifyError {
    let error = store.verify().await.unwrap_err();
    let message = error.to_string();
    for fault in error.faults() {
        assert!(message.contains(&fault.to_string()), "{message}");
    }
    assert_eq!(engine.items(), 0);
    error
}

/// The one fault of a store that could be looked at whole.
async fn fault(engine: &Engine, store: &DynamoDbStore) -> Misconfiguration {
    let error = wrong(engine, store).await;
    assert_eq!(error.not_checked(), [], "{error}");
    only(&error)
}

/// The one fault.
fn only(error: &VerifyError) -> Misconfiguration {
    assert!(error.unreachable().is_none(), "{error}");
    let [fault] = error.faults() else { panic!("more than one, or none: {error}") };
    fault.clone()
}

fn says(fault: &Misconfiguration, words: &[&str]) {
    let message = fault.to_string();
    for words in words {
        assert!(message.contains(words), "{message} does not say {words:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sound_store_is_asked_four_times_and_written_to_never() {
    let engine = Engine::empty();
    let store = sound(&engine).await;
    let verified = store.verify().await.unwrap();
    assert_eq!(verified.not_checked(), []);
    assert_eq!(engine.items(), 0);
    let asked: Vec<_> = engine.requests().into_iter().map(|request| request.operation).collect();
    assert_eq!(asked, ["GetItem", "UpdateItem", "GetItem", "DescribeTimeToLive"]);
}

#[tokio::test(start_paused = true)]
async fn case_69_get_and_update_are_enough_and_what_was_not_looked_at_is_told() {
    let engine = Engine::empty();
    let store = sound(&engine).await;
    engine.set_headers(Vec::new);
    engine.allow_only(&["GetItem", "UpdateItem"]);
    let verified = store.verify().await.unwrap();
    let why = "dynamodb:DescribeTimeToLive is denied (AccessDeniedException: injected)".to_owned();
    assert_eq!(verified.not_checked(), [NotChecked::Expiry { why }, NotChecked::Clock]);
    let told = verified.not_checked()[0].to_string();
    assert!(told.starts_with("time-to-live was not checked: dynamodb:Describe"), "{told}");
    assert_eq!(engine.items(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_missing_table_is_named_with_its_region() {
    let engine = Engine::empty();
    let fault = fault(&engine, &store(&engine)).await;
    let (table, region) = (TABLE.to_owned(), "eu-central-1".to_owned());
    assert_eq!(fault, Misconfiguration::NoTable { table, region });
    says(&fault, &["no table \"circuits\" in region \"eu-central-1\"", "create the table"]);
}

#[tokio::test(start_paused = true)]
async fn another_key_is_named_beside_the_configured_one() {
    let engine = Engine::empty();
    let other = DynamoDbStore::builder(client(&engine), TABLE).key_attr("pk").sort_key_attr("sk");
    other.build().unwrap().create_table().await.unwrap();
    let fault = fault(&engine, &store(&engine)).await;
    let found = "the partition key \"pk\" and the sort key \"sk\"".to_owned();
    let configured = "the partition key \"id\"".to_owned();
    assert_eq!(fault, Misconfiguration::OtherKey { found, configured });
    says(&fault, &["the table has the partition key \"pk\"", "set key_attr and sort_key_attr"]);
}

#[tokio::test(start_paused = true)]
async fn another_key_is_told_by_who_may_not_look_at_it() {
    let engine = Engine::empty();
    engine.create_table(TABLE, &["pk", "sk"]);
    engine.allow_only(&["GetItem", "UpdateItem"]);
    let error = wrong(&engine, &store(&engine)).await;
    let fault = only(&error);
    assert!(matches!(fault, Misconfiguration::KeyRefused { .. }), "{fault}");
    says(&fault, &["does not have the partition key \"id\"", "set key_attr", "DescribeTable"]);
    says(&fault, &["The provided key element does not match the schema"]);
    let why = "dynamodb:DescribeTable is denied (AccessDeniedException: injected)".to_owned();
    assert_eq!(error.not_checked()[0], NotChecked::Key { why });
}

#[tokio::test(start_paused = true)]
async fn a_key_of_another_type_is_another_key() {
    let engine = Engine::empty();
    let table = json!({
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "N"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    });
    engine.ask("CreateTable", &table);
    let error = wrong(&engine, &store(&engine)).await;
    says(&error.faults()[0], &["the table has the partition key \"id\" of type N", "of type S"]);
}

#[tokio::test(start_paused = true)]
async fn time_to_live_that_is_off_is_a_fault() {
    let engine = Engine::new();
    let fault = fault(&engine, &store(&engine)).await;
    assert_eq!(fault, Misconfiguration::ExpiryOff { attribute: "expiration".to_owned() });
    says(&fault, &["time-to-live is off", "enable it on \"expiration\""]);
}

#[tokio::test(start_paused = true)]
async fn time_to_live_on_another_attribute_is_a_fault() {
    let engine = Engine::empty();
    let store = sound(&engine).await;
    store.verify().await.unwrap();
    let other = DynamoDbStore::builder(client(&engine), TABLE).expiry_attr("ttl").build().unwrap();
    let fault = fault(&engine, &other).await;
    let (found, configured) = ("expiration".to_owned(), "ttl".to_owned());
    assert_eq!(fault, Misconfiguration::OtherExpiry { found, configured });
    says(&fault, &["time-to-live is on \"expiration\"", "set expiry_attr to \"expiration\""]);
}

#[tokio::test(start_paused = true)]
async fn reading_and_writing_are_denied_apart() {
    let engine = Engine::empty();
    let store = sound(&engine).await;
    for (allowed, missing) in
        [("UpdateItem", "dynamodb:GetItem"), ("GetItem", "dynamodb:UpdateItem")]
    {
        engine.allow_only(&[allowed, "DescribeTimeToLive"]);
        let fault = fault(&engine, &store).await;
        let message = "injected".to_owned();
        assert_eq!(fault, Misconfiguration::Denied { permission: missing, message });
        says(&fault, &[&format!("{missing} is denied: allow it"), "DynamoDB says: injected"]);
    }
    engine.allow_only(&[]);
    let error = wrong(&engine, &store).await;
    assert_eq!((error.faults().len(), error.not_checked().len()), (2, 2), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_far_off_is_told_by_how_much_and_which_way() {
    let engine = Engine::empty();
    let store = sound(&engine).await;
    for bearable in [NOW - 30, NOW + 30] {
        engine.set_clock(move || at(bearable));
        store.verify().await.unwrap();
    }
    engine.set_clock(|| at(NOW + 31));
    let behind = fault(&engine, &store).await;
    assert_eq!(behind, Misconfiguration::ClockBehind { by: Duration::from_secs(31) });
    says(&behind, &["31 s behind DynamoDB's: set it", "beyond five minutes"]);
    engine.set_clock(|| at(NOW - 3_600));
    let silent = DynamoDbStore::builder(client(&engine), TABLE).server_time(false);
    let ahead = fault(&engine, &silent.build().unwrap()).await;
    assert_eq!(ahead, Misconfiguration::ClockAhead { by: Duration::from_secs(3_600) });
    says(&ahead, &["3600 s ahead of DynamoDB's: set it", "registries correct their stamps"]);
}

const NOT_YET: &str = r#"{
    "__type": "com.amazon.coral.service#InvalidSignatureException",
    "message": "Signature not yet current: 20231114T222000Z is still later than 20231114T221820Z"
}"#;

const EXPIRED: &str = r#"{
    "__type": "com.amazon.coral.service#InvalidSignatureException",
    "message": "Signature expired: 20231114T221320Z is now earlier than 20231114T222000Z"
}"#;

#[tokio::test(start_paused = true)]
async fn a_signature_that_is_refused_for_its_time_is_a_fault_of_the_clock() {
    let engine = Engine::empty();
    let store = sound(&engine).await;
    engine.set_headers(Vec::new);
    let errors = ["RequestTimeTooSkewed", "RequestExpired"].map(Event::Error);
    for event in [EXPIRED, NOT_YET].map(|text| Event::Answer(400, text)).into_iter().chain(errors) {
        engine.network("A").always(event);
        let fault = fault(&engine, &store).await;
        assert!(matches!(fault, Misconfiguration::ClockRefused { .. }), "{fault}");
        says(&fault, &["too far from DynamoDB's for its signatures: set it"]);
        engine.network("A").heal();
    }
    let date = "Tue, 14 Nov 2023 22:20:00 GMT";
    let headers = [("date", date), ("x-amzn-requestid", "ENGINE")];
    engine.set_headers(move || headers.map(|(name, value)| (name, value.to_owned())).to_vec());
    engine.network("A").always(Event::Answer(400, EXPIRED));
    let fault = fault(&engine, &store).await;
    assert_eq!(fault, Misconfiguration::ClockBehind { by: Duration::from_secs(400) });
}

#[tokio::test(start_paused = true)]
async fn credentials_that_are_not_accepted_are_named_once() {
    let engine = Engine::empty();
    let store = sound(&engine).await;
    let codes = [
        "UnrecognizedClientException",
        "ExpiredTokenException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "IncompleteSignatureException",
    ];
    for code in codes {
        engine.network("A").always(Event::Error(code));
        let fault = fault(&engine, &store).await;
        let message = "injected".to_owned();
        assert_eq!(fault, Misconfiguration::Credentials { code: code.to_owned(), message });
        says(&fault, &[code, "correct the credentials of this process"]);
        engine.network("A").heal();
    }
}

#[tokio::test(start_paused = true)]
async fn the_lack_of_credentials_is_named() {
    let engine = Engine::empty();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .http_client(engine.client("A").config().http_client().unwrap());
    let store = DynamoDbStore::new(Client::from_conf(config.build()), TABLE);
    let fault = only(&wrong(&engine, &store).await);
    assert!(matches!(fault, Misconfiguration::NoCredentials { .. }), "{fault}");
    says(
        &fault,
        &["has no credentials (the client has no provider", "give this process credentials"],
    );
    assert!(engine.requests().is_empty());
}

const NO_NAME: &str = r#"{
    "__type": "com.amazon.coral.validate#ValidationException",
    "message": "1 validation error detected: Value 'a b' at 'tableName' failed to satisfy constraint"
}"#;

#[tokio::test(start_paused = true)]
async fn what_dynamodb_alone_understands_is_passed_on() {
    let engine = Engine::empty();
    engine.network("A").always(Event::Answer(400, NO_NAME));
    let fault = only(&wrong(&engine, &DynamoDbStore::new(client(&engine), "a b")).await);
    assert!(matches!(fault, Misconfiguration::Refused { .. }), "{fault}");
    says(&fault, &["refuses with ValidationException: correct what it names", "'tableName'"]);
}

#[tokio::test(start_paused = true)]
async fn all_faults_are_told_at_once() {
    let engine = Engine::empty();
    let other = DynamoDbStore::builder(client(&engine), TABLE).key_attr("pk").expiry_attr("ttl");
    other.build().unwrap().create_table().await.unwrap();
    let store = store(&engine);
    engine.set_clock(|| at(NOW + 90));
    engine.allow_only(&["GetItem", "DescribeTable", "DescribeTimeToLive"]);
    let error = wrong(&engine, &store).await;
    let [denied, key, expiry, clock] = error.faults() else { panic!("{error}") };
    assert!(matches!(denied, Misconfiguration::Denied { .. }), "{denied}");
    assert!(matches!(key, Misconfiguration::OtherKey { .. }), "{key}");
    assert!(matches!(expiry, Misconfiguration::OtherExpiry { .. }), "{expiry}");
    assert!(matches!(clock, Misconfiguration::ClockBehind { .. }), "{clock}");

    // As a `main` that returns it shows it.
    let shown: Box<dyn Error> = error.into();
    let shown = format!("{shown:?}");
    assert!(shown.contains("table \"circuits\"") && shown.contains("set it, by NTP"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_reached_is_no_fault_and_is_asked_no_more() {
    let engine = Engine::empty();
    let store = sound(&engine).await;
    engine.network("A").always(Event::LoseRequest);
    let error = wrong(&engine, &store).await;
    assert_eq!(error.faults(), []);
    assert_eq!(error.unreachable().unwrap().kind(), StoreErrorKind::Timeout);
    assert!(error.source().unwrap().to_string().contains("no answer in time"), "{error}");
    assert!(error.to_string().contains("could not be reached: read of circuit"), "{error}");
    assert_eq!(engine.count("GetItem"), engine.requests().len());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_lost_does_not_hide_the_faults() {
    let engine = Engine::new();
    let store = store(&engine);
    engine.network("A").always_on("UpdateItem", Event::RefuseConnection);
    let error = wrong(&engine, &store).await;
    assert_eq!(error.unreachable().unwrap().kind(), StoreErrorKind::Unavailable);
    assert!(matches!(error.faults(), [Misconfiguration::ExpiryOff { .. }]), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_at_for_a_while_is_no_fault() {
    let engine = Engine::empty();
    let store = sound(&engine).await;
    engine.network("A").always_on("DescribeTimeToLive", Event::Error("ThrottlingException"));
    let verified = store.verify().await.unwrap();
    let [expiry] = verified.not_checked() else { panic!("{verified:?}") };
    assert!(expiry.to_string().contains("ThrottlingException"), "{expiry}");
}

#[tokio::test]
async fn a_real_server_is_looked_at_whole() {
    let engine = Engine::empty();
    let server = engine.serve_http().await;
    let store = DynamoDbStore::new(server.client(), TABLE);
    store.create_table().await.unwrap();
    assert_eq!(store.verify().await.unwrap().not_checked(), []);
    assert_eq!(engine.items(), 0);
    drop(store);
    server.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn case_175_time_to_live_that_is_not_found_while_reads_work_was_not_checked() {
    for (code, message) in [
        ("ResourceNotFoundException", "Requested resource not found: Table: circuits not found"),
        ("UnknownOperationException", ""),
        ("AccessDeniedException", "... because no service control policy allows the action"),
        ("UnrecognizedClientException", "The security token included in the request is invalid."),
        ("InternalServerError", "Internal server error"),
    ] {
        let engine = Engine::empty();
        let store = sound(&engine).await;
        engine.network("A").always_on("DescribeTimeToLive", Event::Refuse(code, message));
        let verified = store.verify().await.unwrap();
        let [told @ NotChecked::Expiry { .. }] = verified.not_checked() else {
            panic!("{code}: {verified:?}")
        };
        let told = told.to_string();
        assert!(told.starts_with("time-to-live was not checked: "), "{told}");
        assert!(told.contains(code) && told.contains(message), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_175_a_table_that_nothing_finds_is_one_fault() {
    let engine = Engine::empty();
    let store = store(&engine);
    let missing = Event::Refuse("ResourceNotFoundException", "Requested resource not found");
    engine.network("A").always(missing);
    let error = store.verify().await.unwrap_err();
    assert!(matches!(error.faults(), [Misconfiguration::NoTable { .. }]), "{error}");
    assert_eq!(error.not_checked(), []);
}
