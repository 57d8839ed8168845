//! A store from the environment, in a process that has no other.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use fuseboard::{
    CircuitName, DynamoDbStore,
    store::{Consistency, Store, StoreErrorKind},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::engine::{Engine, TABLE};

/// Says to such a process what its error has to tell; nothing if the item has to
/// be there.
const EXPECTED: &str = "FUSEBOARD_TEST_EXPECTED";

/// The test that becomes such a process where [`EXPECTED`] is set.
const ENTRY: &str =
    "store::environment::a_store_has_region_credentials_and_endpoint_from_the_environment";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_has_region_credentials_and_endpoint_from_the_environment() {
    match env::var(EXPECTED) {
        Ok(expected) => read(&expected).await,
        Err(_) => check().await,
    }
}

async fn check() {
    let engine = Engine::new();
    let server = engine.serve_http().await;
    let put = server.client().put_item().table_name(TABLE);
    let item = [("id", "payments"), ("state", "OPEN")];
    let put = item
        .into_iter()
        .fold(put, |put, (name, value)| put.item(name, AttributeValue::S(value.to_owned())));
    put.send().await.unwrap();

    let endpoint = server.endpoint();
    let whole = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL_DYNAMODB", endpoint.as_str()),
    ];
    in_an_environment(&whole, "").await;
    in_an_environment(&without(&whole, "AWS_REGION"), "missing signing region").await;
    in_an_environment(&without(&whole, "AWS_ACCESS_KEY_ID"), "no credentials").await;
    server.shutdown().await;
}

/// The test that becomes such a process where [`EXPECTED`] is set.
const SLOW: &str = "store::environment::case_170_credentials_of_a_slow_agent_are_loaded_once";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_170_credentials_of_a_slow_agent_are_loaded_once() {
    match env::var(EXPECTED) {
        Ok(_) => read_at_last().await,
        Err(_) => play_an_agent().await,
    }
}

/// A container's agent that takes longer for credentials than a store operation
/// may take in all.
async fn play_an_agent() {
    let engine = Engine::new();
    let server = engine.serve_http().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let agent = format!("http://{}/", listener.local_addr().unwrap());
    let asked = Arc::<AtomicUsize>::default();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn({
        let asked = Arc::clone(&asked);
        async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                asked.fetch_add(1, Ordering::SeqCst);
                let mut request = [0; 4_096];
                let _ = socket.read(&mut request).await;
                tokio::time::sleep(Duration::from_millis(1_500)).await;
                let length = CREDENTIALS.len();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                let _ = socket.write_all(format!("{head}{CREDENTIALS}").as_bytes()).await;
            }
        }
    });
    let endpoint = server.endpoint();
    let variables = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.as_str()),
        ("AWS_ENDPOINT_URL_DYNAMODB", endpoint.as_str()),
    ];
    become_one(SLOW, &variables, "nothing").await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    server.shutdown().await;
}

const CREDENTIALS: &str = r#"{"AccessKeyId":"key","SecretAccessKey":"secret","Token":"token","Expiration":"2099-01-01T00:00:00Z"}"#;

async fn read_at_last() {
    let builder = DynamoDbStore::builder_from_env(TABLE).await;
    let store = builder.operation_timeout(Duration::from_secs(1)).build().unwrap();
    let circuit = CircuitName::new("payments").unwrap();
    let mut errors = Vec::new();
    while let Err(error) = store.read(&circuit, Consistency::Strong).await {
        assert_eq!(error.kind(), StoreErrorKind::Timeout, "{error}");
        assert!(error.to_string().contains("no credentials"), "{error}");
        errors.push(error);
    }
    assert!((1..=3).contains(&errors.len()), "{errors:?}");
}

type Variable<'a> = (&'static str, &'a str);

fn without<'a>(variables: &[Variable<'a>], name: &str) -> Vec<Variable<'a>> {
    variables.iter().filter(|variable| variable.0 != name).copied().collect()
}

async fn in_an_environment(variables: &[Variable<'_>], expected: &str) {
    become_one(ENTRY, variables, expected).await;
}

/// Runs a test in a process that has these variables and no others.
async fn become_one(entry: &str, variables: &[Variable<'_>], expected: &str) {
    // Without a root certificate the SDK's client panics in a debug build.
    let roots = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
    let output = tokio::process::Command::new(env::current_exe().unwrap())
        .args(["--exact", entry, "--nocapture"])
        .env_clear()
        .envs(roots.into_iter().filter_map(|name| Some((name, env::var_os(name)?))))
        .envs(variables.iter().copied())
        // Whatever this machine is, it is none of a cloud's.
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env(EXPECTED, expected)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{expected}: {said}");
}

async fn read(expected: &str) {
    let store = DynamoDbStore::from_env(TABLE).await;
    let circuit = CircuitName::new("payments").unwrap();
    let read = store.read(&circuit, Consistency::Strong).await;
    if expected.is_empty() {
        assert!(read.unwrap().is_some());
        return;
    }
    let error = read.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    assert!(error.to_string().contains(expected), "{error}");
}
