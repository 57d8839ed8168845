//! Whatever goes wrong is told with all its causes, and with a mend that is
//! right or none.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    config::{Credentials, Region},
};
use aws_smithy_http_client::{Connector, proxy::ProxyConfig};
use fuseboard::{
    CircuitName, DynamoDbStore,
    store::{
        Consistency, Hints, Misconfiguration, Operation, Store, StoreError,
        StoreErrorKind::{Misconfigured, Timeout, Unavailable},
    },
};

use tracing::Level;

use crate::support::{
    dynamodb::World,
    engine::{Engine, Event, TABLE, http_client},
    log::Lines,
};

fn circuit() -> CircuitName {
    CircuitName::new("payments").unwrap()
}

fn trip() -> Operation {
    Operation::Trip {
        seen: None,
        failure_count: 5,
        opened_at: 1_000,
        expires_at: 4_630,
        hints: Hints::NONE,
    }
}

/// What each way of using a store says of its fault.
async fn told(store: &DynamoDbStore) -> [String; 4] {
    let read = store.read(&circuit(), Consistency::Strong).await.unwrap_err();
    let write = store.write(&circuit(), &trip()).await.unwrap_err();
    let created = store.create_table().await.unwrap_err();
    let verified = store.verify().await.unwrap_err();
    [read.to_string(), write.to_string(), created.to_string(), verified.to_string()]
}

async fn all_tell(store: &DynamoDbStore, words: &[&str]) {
    for text in told(store).await {
        for words in words {
            assert!(text.contains(words), "{words:?} is not in: {text}");
        }
    }
}

async fn read(store: &DynamoDbStore) -> StoreError {
    store.read(&circuit(), Consistency::Strong).await.unwrap_err()
}

#[tokio::test]
async fn case_172_a_port_where_nobody_listens_is_told_with_all_causes() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let store = DynamoDbStore::new(http_client(port), TABLE);
    assert_eq!(read(&store).await.kind(), Unavailable);
    all_tell(&store, &["the connection failed: ", "tcp connect error", "Connection refused"]).await;
}

#[tokio::test]
async fn case_172_a_proxy_where_nobody_listens_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = ProxyConfig::http(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let http = aws_smithy_http_client::Builder::new().build_with_connector_fn(move |_, _| {
        Connector::builder().proxy_config(proxy.clone()).build_http()
    });
    // The proxy is what is asked, so that the endpoint's name need not exist.
    let config = http_client(9).config().to_builder().http_client(http);
    let config = config.endpoint_url("http://dynamodb.invalid:8000").build();
    let store = DynamoDbStore::new(Client::from_conf(config), TABLE);
    assert_eq!(read(&store).await.kind(), Unavailable);
    all_tell(&store, &["the connection failed: ", "tcp connect error", "Connection refused"]).await;
}

#[tokio::test]
async fn case_172_a_name_that_is_not_known_is_told() {
    let config = http_client(9).config().to_builder();
    // A label of 64 letters is none, so that no resolver has to be asked.
    let url = format!("http://{}.invalid:8000", "x".repeat(64));
    let store = DynamoDbStore::new(Client::from_conf(config.endpoint_url(url).build()), TABLE);
    assert_eq!(read(&store).await.kind(), Unavailable);
    all_tell(&store, &["the connection failed: ", "dns error", "failed to lookup address"]).await;
}

#[cfg(feature = "aws-config")]
#[tokio::test]
async fn case_172_an_endpoint_that_does_not_speak_tls_is_told() {
    let engine = Engine::new();
    let server = engine.serve_http().await;
    let url = server.endpoint().replace("http:", "https:");
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "tests"))
        .endpoint_url(url);
    let store = DynamoDbStore::new(Client::from_conf(config.build()), TABLE);
    assert_eq!(read(&store).await.kind(), Unavailable);
    all_tell(&store, &["the connection failed: ", "InvalidContentType"]).await;
    drop(store);
    server.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn case_172_a_region_with_a_space_is_told() {
    let engine = Engine::new();
    let config = engine.client("A").config().to_builder();
    let config = config.region(Region::new(" eu-central-1"));
    let store = DynamoDbStore::new(Client::from_conf(config.build()), TABLE);
    assert_eq!(read(&store).await.kind(), Misconfigured);
    all_tell(&store, &["could not be built: ", "`region` - must be a valid host label"]).await;
    assert!(engine.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn case_172_a_limit_that_ran_out_is_named_with_its_value() {
    let engine = Engine::new();
    engine.network("A").always(Event::LoseRequest);
    let builder = || engine.store_builder("A", TABLE);
    let by_default = builder().build().unwrap();
    let one_attempt = builder().max_attempts(1).operation_timeout(Duration::from_secs(2));
    for (store, words) in [
        (by_default, "no answer in time: operation_timeout, 1s, ran out"),
        (
            one_attempt.build().unwrap(),
            "no answer in time: an attempt took longer than 800ms, two fifths of operation_timeout",
        ),
    ] {
        assert_eq!(read(&store).await.kind(), Timeout);
        all_tell(&store, &[words]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn case_172_the_log_tells_causes_and_the_limit_that_ran_out() {
    for (event, words) in [
        (Event::RefuseConnection, "the connection failed: connection refused"),
        (Event::LoseRequest, "1s, ran out"),
    ] {
        let world = World::new();
        let a = world.named("A");
        world.engine.network("A").always(event);
        let lines = Lines::of(Level::WARN);
        a.registry.breaker("p").unwrap().call(|| async { Ok::<_, ()>(()) }).await.unwrap();
        let lines = lines.take_texts();
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(line.contains(words), "{line}");
    }
}

/// A store whose credentials the SDK panics over.
fn with_a_line_break(engine: &Engine) -> DynamoDbStore {
    let odd = Credentials::new("AKID\nX", "secret", None, None, "tests");
    let config = engine.client("A").config().to_builder().credentials_provider(odd);
    DynamoDbStore::new(Client::from_conf(config.build()), TABLE)
}

#[tokio::test(start_paused = true)]
async fn case_174_an_sdk_that_panics_is_an_error_with_its_text() {
    let engine = Engine::new();
    let store = with_a_line_break(&engine);
    assert_eq!(read(&store).await.kind(), Misconfigured);
    all_tell(&store, &["the AWS SDK panicked: ", "credentials"]).await;
    let error = store.verify().await.unwrap_err();
    assert!(matches!(error.faults(), [Misconfiguration::NotSent { .. }]), "{error}");
}

#[tokio::test(start_paused = true)]
async fn case_174_a_registry_over_an_sdk_that_panics_protects_its_process() {
    let world = World::new();
    let config = fuseboard::Config::default();
    let process = world.over(with_a_line_break(&world.engine), config);
    let breaker = process.registry.breaker("p").unwrap();
    let mut through = 0;
    for _ in 0..20 {
        let call = breaker.call(|| async { Err::<(), _>("down") });
        through += usize::from(matches!(call.await, Err(fuseboard::CallError::Inner(_))));
    }
    assert_eq!(through, 5);
}

const USER: &str = "User: arn:aws:sts::111122223333:assumed-role/pay/pay is not authorized to \
    perform: ";

/// Of AWS's own texts for `AccessDeniedException`: those that a policy of this
/// process's role mends, and those that it does not.
#[tokio::test(start_paused = true)]
async fn case_177_a_denial_has_a_mend_that_is_right_or_none() {
    let ours = [
        "dynamodb:GetItem on resource: arn:aws:dynamodb:eu-central-1:111122223333:table/circuits",
        "dynamodb:GetItem on resource: arn:aws:dynamodb:eu-central-1:111122223333:table/circuits \
            because no identity-based policy allows the dynamodb:GetItem action",
    ];
    let others = [
        "kms:Decrypt on resource: arn:aws:kms:eu-central-1:111122223333:key/abc",
        "dynamodb:GetItem on resource: arn:aws:dynamodb:eu-central-1:111122223333:table/circuits \
            because no VPC endpoint policy allows the dynamodb:GetItem action",
        "dynamodb:GetItem on resource: arn:aws:dynamodb:eu-central-1:111122223333:table/circuits \
            because no permissions boundary allows the dynamodb:GetItem action",
        "dynamodb:GetItem on resource: arn:aws:dynamodb:eu-central-1:111122223333:table/circuits \
            because no session policy allows the dynamodb:GetItem action",
        "dynamodb:GetItem on resource: arn:aws:dynamodb:eu-central-1:111122223333:table/circuits \
            with an explicit deny in a service control policy",
        "dynamodb:GetItem on resource: arn:aws:dynamodb:eu-central-1:111122223333:table/circuits \
            with an explicit deny in an identity-based policy",
    ];
    let ours = ours.map(|text| (format!("{USER}{text}"), true));
    let others = others.map(|text| (format!("{USER}{text}"), false));
    let of_kms = "KMS key access denied error: com.amazonaws.services.kms.model.AWSKMSException: \
        The ciphertext refers to a customer master key that does not exist, does not exist in this \
        region, or you are not allowed to access. (Service: AWSKMS; Status Code: 400; Error Code: \
        AccessDeniedException)";
    for (text, has_mend) in ours.into_iter().chain(others).chain([(of_kms.to_owned(), false)]) {
        let text: &'static str = text.leak();
        mends("AccessDeniedException", text, has_mend, "allow").await;
    }
}

/// Of AWS's own texts for `ValidationException`, likewise.
#[tokio::test(start_paused = true)]
async fn case_177_a_validation_has_a_mend_that_is_right_or_none() {
    for (text, has_mend) in [
        ("The provided key element does not match the schema", true),
        ("One or more parameter values were invalid: Missing the key pk in the item", true),
        (
            "One or more parameter values were invalid: Type mismatch for key id expected: N actual: S",
            true,
        ),
        (
            "One or more parameter values were invalid: Cannot update attribute state. This attribute is part of the key",
            true,
        ),
        (
            "One or more parameter values were invalid: Type mismatch for Index Key state Expected: N Actual: S IndexName: by-state",
            false,
        ),
        ("Item size to update has exceeded the maximum allowed size", false),
        (
            "1 validation error detected: Value 'a b' at 'tableName' failed to satisfy constraint",
            false,
        ),
        ("The table does not support tagging", false),
    ] {
        mends("ValidationException", text, has_mend, "key_attr").await;
    }
}

/// AWS's own text stands in what is told, with a mend or alone.
async fn mends(code: &'static str, text: &'static str, has_mend: bool, mend: &str) {
    let engine = Engine::new();
    engine.network("A").always(Event::Refuse(code, text));
    let store = engine.store("A");
    let error = read(&store).await;
    assert_eq!(error.kind(), Misconfigured);
    let told = error.to_string();
    let end = told.split_once(text).unwrap_or_else(|| panic!("without {text}: {told}")).1;
    assert_eq!(end.contains(mend), has_mend, "{told}");
    assert_eq!(end.is_empty(), !has_mend, "{told}");

    let error = store.verify().await.unwrap_err();
    for fault in error.faults() {
        let is_own = matches!(fault, Misconfiguration::Refused { .. });
        assert_eq!(is_own, !has_mend, "{fault}");
        assert!(fault.to_string().contains(text), "{fault}");
    }
}
