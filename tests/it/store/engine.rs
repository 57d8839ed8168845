//! The stand-in itself: what its one-line faults do.

use std::time::Duration;

use fuseboard::{
    CircuitName,
    store::{Consistency, Hints, Operation, Store, Written},
};
use serde_json::json;
use tokio::time::timeout;

use crate::support::engine::{Engine, Event, Fate, TABLE, now};

const SECOND: Duration = Duration::from_secs(1);

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

#[tokio::test(start_paused = true)]
async fn requests_are_logged_by_client_with_their_fate() {
    let engine = Engine::new();
    engine.store("A").read(&circuit(), Consistency::Strong).await.unwrap();
    engine.store("B").write(&circuit(), &trip()).await.unwrap();
    engine.store("B").write(&circuit(), &trip()).await.unwrap();

    assert_eq!(engine.count("UpdateItem"), 2);
    assert_eq!(engine.count_of("A", "UpdateItem"), 0);
    assert_eq!(engine.count_of("A", "GetItem"), 1);
    let fates: Vec<_> = engine.requests().into_iter().map(|request| request.fate).collect();
    let code = "ConditionalCheckFailedException".to_owned();
    assert_eq!(fates, [Fate::Applied, Fate::Applied, Fate::Refused { status: 400, code }]);
    engine.clear();
    assert!(engine.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_is_not_applied_and_a_lost_answer_is() {
    let engine = Engine::new();
    let store = engine.store("A");
    engine.network("A").next(Event::LoseRequest);
    assert!(timeout(SECOND / 5, store.write(&circuit(), &trip())).await.is_err());
    assert_eq!(engine.get_item("payments"), None);
    assert_eq!(engine.requests()[0].fate, Fate::Lost);

    engine.network("A").next(Event::LoseAnswer);
    assert!(timeout(SECOND / 5, store.write(&circuit(), &trip())).await.is_err());
    assert_eq!(engine.get_item("payments").unwrap()["state"], "OPEN");
    engine.delete_item("payments");
    assert_eq!(engine.get_item("payments"), None);
}

#[tokio::test(start_paused = true)]
async fn a_request_can_be_applied_after_its_client_has_given_up() {
    let engine = Engine::new();
    let store = engine.store("A");
    engine.network("A").next(Event::ApplyLater(SECOND * 60));
    assert!(timeout(SECOND / 5, store.write(&circuit(), &trip())).await.is_err());
    tokio::time::sleep(SECOND * 59).await;
    assert_eq!(engine.get_item("payments"), None);
    tokio::time::sleep(SECOND * 2).await;
    assert!(engine.get_item("payments").is_some());

    engine.delete_item("payments");
    engine.network("A").next(Event::HoldBack);
    assert!(timeout(SECOND / 5, store.write(&circuit(), &trip())).await.is_err());
    assert_eq!(engine.get_item("payments"), None);
    assert_eq!(engine.release_held(), 1);
    assert!(engine.get_item("payments").is_some());
}

#[tokio::test(start_paused = true)]
async fn delays_are_virtual_and_events_wait_for_their_operation() {
    let engine = Engine::new();
    let store = engine.store("A");
    let network = engine.network("A");
    network.on("UpdateItem", 1, Event::DelayBefore(SECOND / 10)).on(
        "GetItem",
        1,
        Event::DelayAfter(SECOND / 5),
    );
    let begun = now();
    store.read(&circuit(), Consistency::Strong).await.unwrap();
    assert_eq!(begun.elapsed().as_millis(), 200);
    store.write(&circuit(), &trip()).await.unwrap();
    assert_eq!(begun.elapsed().as_millis(), 300);

    network.next_n(2, Event::Pass).always_on("GetItem", Event::RefuseConnection);
    store.read(&circuit(), Consistency::Strong).await.unwrap();
    store.write(&circuit(), &trip()).await.unwrap();
    store.write(&circuit(), &trip()).await.unwrap();
    assert!(store.read(&circuit(), Consistency::Strong).await.is_err());
    network.heal();
    assert!(store.read(&circuit(), Consistency::Strong).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn stale_reads_show_the_past_and_consistent_ones_the_present() {
    let engine = Engine::new();
    let store = engine.store("A");
    engine.put_item("payments", &json!({"state": "CLOSED", "expiration": 7}));
    engine.freeze_stale_reads();
    engine.put_item("payments", &json!({"state": "OPEN", "opened_at": 9}));
    engine.put_item("orders", &json!({"state": "OPEN", "opened_at": 9}));

    let read = async |name: &str, consistency| {
        let circuit = CircuitName::new(name).unwrap();
        let record = store.read(&circuit, consistency).await.unwrap()?;
        record.state.valid().map(|state| state.as_str())
    };
    assert_eq!(read("payments", Consistency::Eventual).await, Some("CLOSED"));
    assert_eq!(read("orders", Consistency::Eventual).await, None);
    assert_eq!(read("payments", Consistency::Strong).await, Some("OPEN"));
    engine.thaw_stale_reads();
    assert_eq!(read("payments", Consistency::Eventual).await, Some("OPEN"));
}

#[tokio::test(start_paused = true)]
async fn items_are_put_and_shown_in_short_form() {
    let engine = Engine::new();
    let item = json!({"state": "OPEN", "opened_at": 9, "note": null, "ratio": {"N": "0.5"}});
    engine.put_item("payments", &item);
    assert_eq!(engine.get_item("payments"), Some(item));
    let raw = engine.get_raw(TABLE, &json!({"id": {"S": "payments"}})).unwrap();
    assert_eq!(raw["opened_at"], json!({"N": "9"}));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_allowed_is_denied() {
    let engine = Engine::new();
    engine.allow_only(&["GetItem"]);
    let store = engine.store("A");
    store.read(&circuit(), Consistency::Strong).await.unwrap();
    let error = store.write(&circuit(), &trip()).await.unwrap_err();
    assert!(error.to_string().contains("AccessDeniedException"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_doubled_request_arrives_again_and_its_client_sees_the_first() {
    let engine = Engine::new();
    engine.record();
    engine.network("A").next(Event::Doubled(SECOND));
    let written = engine.store("A").write(&circuit(), &trip()).await.unwrap();
    assert!(matches!(written, Written::Applied(_)));
    engine.delete_item("payments");
    tokio::time::sleep(SECOND * 2).await;
    assert!(engine.get_item("payments").is_some(), "the second one found no item either");
    let writes = engine.history().writes;
    let clients: Vec<_> = writes.iter().map(|write| &*write.client).collect();
    assert_eq!(clients, ["A", "", "A"]);
    assert_eq!(writes[1].before, writes[0].after);
    assert_eq!((&writes[0].before, &writes[1].after), (&None, &None));
}

#[tokio::test(start_paused = true)]
async fn a_read_may_show_the_item_as_it_was_a_while_ago() {
    let engine = Engine::new();
    engine.record();
    let store = engine.store("A");
    tokio::time::sleep(SECOND).await;
    store.write(&circuit(), &trip()).await.unwrap();
    tokio::time::sleep(SECOND).await;
    engine.network("A").next_n(3, Event::StaleBy(SECOND * 3 / 2));
    assert_eq!(store.read(&circuit(), Consistency::Eventual).await.unwrap(), None);
    assert!(store.read(&circuit(), Consistency::Strong).await.unwrap().is_some());
    tokio::time::sleep(SECOND).await;
    assert!(store.read(&circuit(), Consistency::Eventual).await.unwrap().is_some());
    let versions: Vec<_> = engine.history().shown.iter().map(|(_, _, version)| *version).collect();
    assert_eq!(versions, [1, 0, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn the_weather_meets_what_no_other_event_waits_for() {
    let engine = Engine::new();
    let store = engine.store("A");
    let network = engine.network("A");
    network.weather(|operation| match operation {
        "GetItem" => Event::Error("AccessDeniedException"),
        _ => Event::Pass,
    });
    network.next(Event::Pass);
    assert!(store.read(&circuit(), Consistency::Strong).await.is_ok());
    assert!(store.read(&circuit(), Consistency::Strong).await.is_err());
    assert!(store.write(&circuit(), &trip()).await.is_ok());
    network.heal();
    assert!(store.read(&circuit(), Consistency::Strong).await.is_ok());
}
