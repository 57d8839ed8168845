//! Troubles, scraped: a store that cannot be reached, one without a table, a slow subscriber.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test: it fails by what it does not expect, and its servers end with it"
)]

#[path = "page/scrape.rs"]
mod scrape;

use std::time::{Duration, SystemTime};

use fuseboard::{
    Breaker, BreakerRegistry, CallError, DynamoDbStore, Hold, Lagged, MemoryStore, RegistryBuilder,
    VirtualClock,
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

use self::scrape::{Page, client, engine};

const TABLE: &str = "CircuitBreakerState";

/// A process whose circuits are kept behind an endpoint.
fn process(endpoint: &str) -> RegistryBuilder {
    BreakerRegistry::builder(DynamoDbStore::new(client(endpoint), TABLE)).disabled(false)
}

async fn call(breaker: &Breaker, result: Result<(), &'static str>) {
    let called = breaker.call(|| async { result }).await;
    assert_eq!(called, result.map_err(CallError::Inner), "the call runs, whatever the store says");
}

/// Nothing listens where the store should be.
async fn out_of_reach(recorder: &PrometheusHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let registry = process(&endpoint).spawn().unwrap();
    let payments = registry.breaker("out of reach").unwrap();
    let page = Page::of(&registry, recorder).await;

    call(&payments, Ok(())).await;
    let unread = page.scrape().await;
    let circuit = "circuit=\"out of reach\"";
    assert_eq!(unread.value("fuseboard_failing_open", &[circuit]), 1.0);
    assert!(unread.value("fuseboard_snapshot_age_seconds", &[circuit]).is_nan(), "never read");
    let read = ["operation=\"read\"", "kind=\"unavailable\""];
    assert_eq!(unread.value("fuseboard_store_faults_total", &read), 1.0);
    assert_eq!(unread.value("fuseboard_store_misconfigured", &[]), 0.0);

    for _ in 0..5 {
        call(&payments, Err("503")).await;
    }
    let open = page.scrape().await;
    assert_eq!((open.state(), open.value("fuseboard_failing_open", &[circuit])), ("OPEN", 0.0));
    let opened = [circuit, "to=\"OPEN\"", "origin=\"without_store\""];
    assert_eq!(open.value("fuseboard_transitions_total", &opened), 1.0);
    let made = open.value("fuseboard_store_seconds_count", &[]);
    let unavailable = open.value("fuseboard_store_faults_total", &["kind=\"unavailable\""]);
    assert!(made >= 2.0 && unavailable == made, "{unavailable} of {made} have failed");
}

/// The engine answers, and has no table.
async fn without_a_table(recorder: &PrometheusHandle) {
    let endpoint = engine().await;
    let clock = VirtualClock::standing_at(SystemTime::now());
    let registry = process(&endpoint).clock(&clock).spawn().unwrap();
    let payments = registry.breaker("without a table").unwrap();
    let page = Page::of(&registry, recorder).await;

    call(&payments, Ok(())).await;
    let refused = page.scrape().await;
    let circuit = "circuit=\"without a table\"";
    assert_eq!(refused.value("fuseboard_store_misconfigured", &[]), 1.0);
    assert_eq!(refused.value("fuseboard_failing_open", &[circuit]), 1.0);
    let read = ["operation=\"read\"", "kind=\"misconfigured\""];
    assert_eq!(refused.value("fuseboard_store_faults_total", &read), 1.0);

    DynamoDbStore::new(client(&endpoint), TABLE).create_table().await.unwrap();
    // The back-off of what only a person can mend.
    clock.advance(Duration::from_secs(61));
    call(&payments, Ok(())).await;
    let mended = page.scrape().await;
    assert_eq!(mended.value("fuseboard_store_misconfigured", &[]), 0.0);
    assert_eq!(mended.value("fuseboard_failing_open", &[circuit]), 0.0);
    assert_eq!(mended.value("fuseboard_store_faults_total", &read), 1.0);
}

/// A subscriber with room for one transition sleeps through eight.
async fn slow_subscriber(recorder: &PrometheusHandle) {
    let builder = BreakerRegistry::builder(MemoryStore::new()).transition_capacity(1);
    let registry = builder.disabled(false).spawn().unwrap();
    let page = Page::of(&registry, recorder).await;
    let mut transitions = registry.subscribe();
    let payments = registry.breaker("slow subscriber").unwrap();
    for _ in 0..4 {
        let until = SystemTime::now().checked_add(Duration::from_secs(60)).unwrap();
        payments.hold(Hold::open(until).reason("maintenance")).await.unwrap();
        payments.release().await.unwrap();
    }
    let before = page.scrape().await;
    assert!(before.has("fuseboard_lagged_total"), "`increase` misses the first value of a series");
    assert_eq!(before.value("fuseboard_lagged_total", &[]), 0.0, "it has not learned of it");
    assert_eq!(transitions.recv().await, Some(Err(Lagged(7))));
    let lagged = page.scrape().await;
    assert_eq!(lagged.value("fuseboard_lagged_total", &[]), 7.0);
    let made = ["circuit=\"slow subscriber\"", "origin=\"local\""];
    assert_eq!(lagged.value("fuseboard_transitions_total", &made), 8.0, "none is missing here");
}

/// One after the other: they share the recorder of the process.
#[tokio::test]
async fn case_191_a_scrape_tells_what_is_wrong_with_the_store_and_with_a_subscriber() {
    let recorder = prometheus::install_recorder().unwrap();
    out_of_reach(&recorder).await;
    without_a_table(&recorder).await;
    slow_subscriber(&recorder).await;
}
