//! What the store's own clock showed, by the answers' `Date`.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use fuseboard::{
    CircuitName, DynamoDbStore, MemoryStore, VirtualClock,
    store::{Consistency, Hints, Operation, ServerTime, Store},
};

use crate::support::engine::{Engine, Event, TABLE};

const SECOND: Duration = Duration::from_secs(1);

fn circuit() -> CircuitName {
    CircuitName::new("payments").unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// What the store tells after one more read, however that ended.
async fn after_a_read(store: &DynamoDbStore) -> Option<ServerTime> {
    let _ = store.read(&circuit(), Consistency::Strong).await;
    store.server_time()
}

fn shown(seconds: u64, answers: u64) -> Option<ServerTime> {
    Some(ServerTime::new(at(seconds), SECOND, answers))
}

#[tokio::test(start_paused = true)]
async fn every_answer_tells_the_time_whether_success_refusal_or_error() {
    let engine = Engine::new();
    let clock = VirtualClock::standing_at(at(1_700_000_000) + SECOND / 2);
    let hands = clock.clone();
    engine.set_clock(move || hands.wall());
    let store = engine.store("A");
    assert_eq!(store.server_time(), None);

    assert_eq!(after_a_read(&store).await, shown(1_700_000_000, 1));
    clock.advance(SECOND * 7);
    let trip = Operation::Trip {
        seen: None,
        failure_count: 5,
        opened_at: 1_000,
        expires_at: 4_630,
        hints: Hints::NONE,
    };
    for answers in 2..=3 {
        store.write(&circuit(), &trip).await.unwrap();
        assert_eq!(store.server_time(), shown(1_700_000_007, answers));
    }
    clock.advance(SECOND * 7);
    engine.network("A").next(Event::Error("ResourceNotFoundException"));
    assert_eq!(after_a_read(&store).await, shown(1_700_000_014, 4));
    engine.network("A").next_n(3, Event::Error("InternalServerError"));
    assert_eq!(after_a_read(&store).await, shown(1_700_000_014, 7), "one for every attempt");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_is_believed() {
    let engine = Engine::new();
    let store = engine.store("A");
    engine.set_clock(|| at(1_700_000_000));
    after_a_read(&store).await;
    engine.set_clock(|| at(1_600_000_000));
    assert_eq!(after_a_read(&store).await, shown(1_600_000_000, 2));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_tells_no_time_leaves_the_reading_as_it_was() {
    let engine = Engine::new();
    let store = engine.store("A");
    engine.set_headers(Vec::new);
    assert_eq!(after_a_read(&store).await, None);
    engine.set_clock(|| at(1_700_000_000));
    assert_eq!(after_a_read(&store).await, shown(1_700_000_000, 1));

    engine.set_headers(Vec::new);
    assert_eq!(after_a_read(&store).await, shown(1_700_000_000, 1));
    for text in ["", "yesterday", "2023-11-14T22:13:27Z", "Thu, 01 Jan 1970 00:00:00 GMT"] {
        engine.set_headers(move || vec![("date", text.to_owned())]);
        assert_eq!(after_a_read(&store).await, shown(1_700_000_000, 1), "{text}");
    }
    engine.set_headers(|| vec![("date", "Tue, 14 Nov 2023 22:13:27 GMT".to_owned())]);
    assert_eq!(after_a_read(&store).await, shown(1_700_000_007, 2));
}

#[tokio::test(start_paused = true)]
async fn only_an_answer_of_dynamodb_itself_tells_the_time() {
    let engine = Engine::new();
    let store = engine.store("A");
    engine.set_clock(|| at(1_700_000_000));
    engine.network("A").always(Event::Answer(503, "<html>Service Unavailable</html>"));
    assert_eq!(after_a_read(&store).await, None);
    engine.network("A").heal();
    engine.network("A").always(Event::Answer(200, "{}"));
    assert_eq!(after_a_read(&store).await, None);
    engine.network("A").heal();

    let kept = |age: &str| {
        let date = "Tue, 14 Nov 2023 22:13:27 GMT".to_owned();
        vec![("date", date), ("age", age.to_owned())]
    };
    engine.set_headers(move || kept("60"));
    assert_eq!(after_a_read(&store).await, None, "it lay in a cache");
    engine.set_clock(|| at(1_700_000_000));
    assert_eq!(after_a_read(&store).await, shown(1_700_000_000, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_came_in_tells_no_time() {
    let engine = Engine::new();
    let store = engine.store("A");
    engine.set_clock(|| at(1_700_000_000));
    for event in [Event::LoseRequest, Event::LoseAnswer, Event::ResetAfter] {
        engine.network("A").always(event);
        assert_eq!(after_a_read(&store).await, None);
        engine.network("A").heal();
    }
}

#[tokio::test(start_paused = true)]
async fn clones_and_shared_stores_tell_the_same_time_and_other_stores_their_own() {
    let engine = Engine::new();
    let store = engine.store("A");
    engine.set_clock(|| at(1_700_000_000));
    after_a_read(&store).await;
    assert_eq!(store.clone().server_time(), shown(1_700_000_000, 1));
    assert_eq!(Arc::new(store).server_time(), shown(1_700_000_000, 1));
    assert_eq!(engine.store("A").server_time(), None);
    assert_eq!(MemoryStore::new().server_time(), None);
}

#[tokio::test(start_paused = true)]
async fn a_store_can_be_told_not_to_tell_the_time() {
    let engine = Engine::new();
    engine.set_clock(|| at(1_700_000_000));
    let store = engine.store_builder("A", TABLE).server_time(false).build().unwrap();
    assert_eq!(after_a_read(&store).await, None);
    let store = engine.store_builder("A", TABLE).build().unwrap();
    assert_eq!(after_a_read(&store).await, shown(1_700_000_000, 1));
}

#[tokio::test]
async fn a_real_server_tells_real_time() {
    let engine = Engine::new();
    let server = engine.serve_http().await;
    let store = DynamoDbStore::new(server.client(), TABLE);
    let time = after_a_read(&store).await.unwrap();
    assert_eq!((time.answers(), time.resolution()), (1, SECOND));
    let ours = Duration::from_secs(60 * 60 * 24);
    assert!(time.at() > at(1_790_000_000) - ours, "{time:?}");
    drop(store);
    server.shutdown().await;
}
