//! An incident, scraped: what the page says is what the item and the callers saw.
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    reason = "a test, in one go: it fails by what it does not expect, and its servers end with it"
)]

#[path = "page/scrape.rs"]
mod scrape;

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use fuseboard::{Breaker, BreakerRegistry, CallError, Config, DynamoDbStore, Hold};
use tokio::time::{sleep, timeout};

use self::scrape::{Page, client, engine};

const TABLE: &str = "CircuitBreakerState";

/// An attribute of the circuit's item, as the table has it.
async fn attribute(client: &Client, name: &str) -> Option<String> {
    let key = AttributeValue::S("shop/payments".to_owned());
    let read = client.get_item().table_name(TABLE).key("id", key).consistent_read(true);
    let item = read.send().await.unwrap().item?;
    let value = item.get(name)?;
    Some(value.as_s().or_else(|_| value.as_n()).unwrap().clone())
}

/// What the callers saw.
#[derive(Default)]
struct Callers {
    succeeded: u32,
    failed: u32,
    rejected: u32,
}

impl Callers {
    async fn call(&mut self, breaker: &Breaker, result: Result<(), &'static str>) {
        match breaker.call(|| async { result }).await {
            Ok(()) => self.succeeded += 1,
            Err(CallError::Inner(_) | CallError::TimedOut(_)) => self.failed += 1,
            Err(CallError::Open(_)) => self.rejected += 1,
        }
    }
}

#[tokio::test]
async fn case_191_a_scrape_during_an_incident_is_what_the_item_and_the_callers_saw() {
    let client = client(&engine().await);
    let recorder = prometheus::install_recorder().unwrap();
    let store = DynamoDbStore::new(client.clone(), TABLE);
    store.create_table().await.unwrap();
    let recovery = Duration::from_secs(1);
    let config = Config::builder().recovery_timeout(recovery).build().unwrap();
    let builder = BreakerRegistry::builder(store).config(config).disabled(false);
    let registry = builder.prefix("shop/").instance("task-1").spawn().unwrap();
    let payments = registry.breaker("payments").unwrap();
    let page = Page::of(&registry, &recorder).await;
    let mut callers = Callers::default();

    for _ in 0..20 {
        callers.call(&payments, Ok(())).await;
    }
    let healthy = page.scrape().await;
    assert_eq!((healthy.state(), attribute(&client, "state").await), ("CLOSED", None));
    assert_eq!(healthy.value("fuseboard_store_seconds_count", &["operation=\"read\""]), 1.0);
    assert!(healthy.value("fuseboard_snapshot_age_seconds", &[]) < 60.0);

    for _ in 0..5 {
        callers.call(&payments, Err("503")).await;
    }
    for _ in 0..7 {
        callers.call(&payments, Ok(())).await;
    }
    let open = page.scrape().await;
    assert_eq!(open.state(), attribute(&client, "state").await.unwrap());
    assert_eq!((callers.failed, open.value("fuseboard_failures_total", &[])), (5, 5.0));
    assert_eq!(callers.rejected, 7);
    assert_eq!(open.value("fuseboard_rejections_total", &["reason=\"tripped\""]), 7.0);
    assert_eq!(open.value("fuseboard_transitions_total", &["origin=\"local\""]), 1.0);
    assert_eq!(open.value("fuseboard_store_seconds_count", &["operation=\"trip\""]), 1.0);
    assert_eq!(open.value("fuseboard_circuit_down", &["why=\"failing\""]), 1.0);
    assert_eq!(open.value("fuseboard_circuit_down", &["why=\"throttled\""]), 0.0);
    let opened_at: f64 = attribute(&client, "opened_at").await.unwrap().parse().unwrap();
    let since = open.value("fuseboard_circuit_down_since_seconds", &[]);
    // The stamp was rounded up to a whole second.
    assert!((0.0..=1.0).contains(&(opened_at - since)), "{opened_at} and {since}");
    let retry_at = open.value("fuseboard_circuit_retry_at_seconds", &[]);
    assert!((1.0..=4.0).contains(&(retry_at - since)), "{since} to {retry_at}");

    let recovered = async {
        while callers.succeeded < 20 + 3 {
            callers.call(&payments, Ok(())).await;
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), recovered).await.unwrap();
    let closed = page.scrape().await;
    assert_eq!(closed.state(), attribute(&client, "state").await.unwrap());
    assert_eq!(closed.value("fuseboard_probes_total", &["outcome=\"success\""]), 3.0);
    let rejected = closed.value("fuseboard_rejections_total", &[]);
    assert_eq!(rejected, f64::from(callers.rejected), "each once, whatever its reason");
    assert_eq!(closed.value("fuseboard_transitions_total", &["origin=\"local\""]), 3.0);
    for gauge in ["down_since_seconds", "retry_at_seconds", "held", "down"] {
        assert_eq!(closed.value(&format!("fuseboard_circuit_{gauge}"), &[]), 0.0, "{gauge}");
    }

    let until = SystemTime::now() + Duration::from_secs(600);
    payments.hold(Hold::open(until).reason("maintenance")).await.unwrap();
    callers.call(&payments, Ok(())).await;
    let held = page.scrape().await;
    assert_eq!(held.state(), "OPEN");
    assert_eq!(attribute(&client, "half_open_owner").await.unwrap(), "hold#maintenance");
    assert_eq!(held.value("fuseboard_circuit_held", &[]), 1.0);
    assert_eq!(held.value("fuseboard_rejections_total", &["reason=\"held\""]), 1.0);
    assert_eq!(held.value("fuseboard_circuit_down", &[]), 0.0);
    assert_eq!(held.value("fuseboard_failing_open", &[]), 0.0);
    payments.release().await.unwrap();
    assert_eq!(page.scrape().await.state(), "CLOSED");
}
