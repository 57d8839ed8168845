//! Answers that engines give otherwise than DynamoDB, and writes that meet
//! somebody else's.

use std::time::Duration;

use fuseboard::{
    CallError, CircuitName, CircuitState,
    store::{
        Consistency, Hints, LeaseToken, Operation, Store,
        StoreErrorKind::{BadAnswer, Throttled},
        Written,
    },
};
use serde_json::json;

use crate::support::{
    dynamodb::World,
    engine::{Engine, Event, now},
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

/// The engine refuses writes without showing the item, as those do that ignore
/// `ReturnValuesOnConditionCheckFailure`.
fn shows_nothing(engine: &Engine, label: &str) {
    engine.network(label).always_on("UpdateItem", Event::PassUnshown);
}

#[tokio::test(start_paused = true)]
async fn case_166_a_refusal_that_shows_nothing_is_followed_by_a_consistent_read() {
    let engine = Engine::new();
    shows_nothing(&engine, "A");
    engine.put_item("payments", &json!({"state": "OPEN", "opened_at": 7, "expiration": 3_700}));
    engine.freeze_stale_reads();
    engine.put_item("payments", &json!({"state": "OPEN", "opened_at": 900, "expiration": 4_600}));
    let written = engine.store("A").write(&circuit(), &trip()).await.unwrap();
    let Written::Refused(Some(record)) = written else { panic!("{written:?}") };
    assert_eq!((record.state, record.opened_at), (CircuitState::Open.into(), 900.into()));
    let requests = engine.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].body["ConsistentRead"], json!(true));
}

#[tokio::test(start_paused = true)]
async fn case_166_what_is_shown_is_believed_and_not_read_again() {
    let engine = Engine::new();
    engine.put_item("payments", &json!({"state": "OPEN", "opened_at": 900, "expiration": 4_600}));
    let written = engine.store("A").write(&circuit(), &trip()).await.unwrap();
    assert!(matches!(written, Written::Refused(Some(_))), "{written:?}");
    assert_eq!(engine.count("GetItem"), 0);
}

#[tokio::test(start_paused = true)]
async fn case_166_an_item_that_was_deleted_is_shown_as_none() {
    let engine = Engine::new();
    let close = Operation::Close { token: LeaseToken::new("mine"), expires_at: 4_630 };
    let written = engine.store("A").write(&circuit(), &close).await.unwrap();
    assert_eq!(written, Written::Refused(None));
    assert_eq!(engine.count("GetItem"), 1);
}

#[tokio::test(start_paused = true)]
async fn case_166_an_engine_that_refuses_what_its_item_permits_is_told() {
    let engine = Engine::new();
    let refuse = Event::Error("ConditionalCheckFailedException");
    engine.network("A").always_on("UpdateItem", refuse);
    let error = engine.store("A").write(&circuit(), &trip()).await.unwrap_err();
    assert_eq!(error.kind(), BadAnswer);
    let message = error.to_string();
    assert!(message.contains("trip of circuit \"payments\" in table \"circuits\""), "{message}");
    assert!(message.contains("refused without showing the item"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn case_166_a_read_that_fails_after_a_refusal_leaves_it_open_what_the_item_is() {
    let engine = Engine::new();
    engine.put_item("payments", &json!({"state": "OPEN", "opened_at": 900, "expiration": 4_600}));
    shows_nothing(&engine, "A");
    engine.network("A").always_on("GetItem", Event::Error("ThrottlingException"));
    let error = engine.store("A").write(&circuit(), &trip()).await.unwrap_err();
    assert_eq!(error.kind(), Throttled);
}

#[tokio::test(start_paused = true)]
async fn case_166_a_process_over_an_engine_that_shows_nothing_learns_what_others_opened() {
    let world = World::new();
    let (one, other) = (world.named("A"), world.named("B"));
    for label in ["A", "B"] {
        shows_nothing(&world.engine, label);
    }
    let (one, other) = (one.registry.breaker("p").unwrap(), other.registry.breaker("p").unwrap());
    for breaker in [&one, &other] {
        breaker.call(|| async { Ok::<_, ()>(()) }).await.unwrap();
    }
    for _ in 0..5 {
        let _ = one.call(|| async { Err::<(), _>("down") }).await;
    }
    assert_eq!(world.engine.get_item("p").unwrap()["state"], "OPEN");
    let mut through = 0;
    while through < 100 {
        if let Err(CallError::Open(_)) = other.call(|| async { Err::<(), _>("down") }).await {
            break;
        }
        through += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(through <= 5, "{through} failing calls were let through");
}

#[tokio::test(start_paused = true)]
async fn case_166_a_process_over_an_engine_that_refuses_everything_protects_itself() {
    let world = World::new();
    let a = world.named("A");
    let refuse = Event::Error("ConditionalCheckFailedException");
    world.engine.network("A").always_on("UpdateItem", refuse);
    let breaker = a.registry.breaker("p").unwrap();
    let mut through = 0;
    for _ in 0..20 {
        if let Err(CallError::Inner(_)) = breaker.call(|| async { Err::<(), _>("down") }).await {
            through += 1;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(through, 5);
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn case_178_a_conflict_with_a_transaction_is_tried_again_at_once() {
    for code in ["TransactionConflictException", "ReplicatedWriteConflictException"] {
        let engine = Engine::new();
        let busy = Event::Refuse(code, "Transaction is ongoing for the item");
        engine.network("A").on("UpdateItem", 2, busy);
        let begun = now();
        let written = engine.store("A").write(&circuit(), &trip()).await.unwrap();
        assert!(matches!(written, Written::Applied(_)), "{code}: {written:?}");
        assert_eq!(engine.count("UpdateItem"), 3);
        assert!(begun.elapsed() <= Duration::from_millis(100), "{code}: {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn case_178_circuits_in_transactions_keep_no_other_from_being_written() {
    let world = World::new();
    let a = world.named("A");
    let busy = Event::Refuse("TransactionConflictException", "Transaction is ongoing for the item");
    for name in ["busy-0", "busy-1"] {
        world.engine.network("A").always_about(name, busy.clone());
    }
    let trip = |name: &'static str| {
        let breaker = a.registry.breaker(name).unwrap();
        async move {
            for _ in 0..5 {
                let _ = breaker.call(|| async { Err::<(), _>("down") }).await;
            }
        }
    };
    trip("busy-0").await;
    trip("busy-1").await;
    trip("quiet").await;
    assert_eq!(world.engine.get_item("quiet").unwrap()["state"], "OPEN");
}

#[tokio::test(start_paused = true)]
async fn case_179_an_engine_that_sends_no_request_id_is_read_and_written() {
    let engine = Engine::new();
    engine.network("A").always(Event::PassWithoutId);
    let store = engine.store("A");
    assert_eq!(store.read(&circuit(), Consistency::Strong).await.unwrap(), None);
    store.write(&circuit(), &trip()).await.unwrap();
    let record = store.read(&circuit(), Consistency::Eventual).await.unwrap().unwrap();
    assert_eq!(record.state, CircuitState::Open.into());
    store.verify().await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn case_179_an_empty_answer_is_none_whatever_it_is_to() {
    let engine = Engine::new();
    engine.network("A").always(Event::Answer(200, ""));
    let store = engine.store("A");
    for error in [
        store.read(&circuit(), Consistency::Strong).await.unwrap_err(),
        store.write(&circuit(), &trip()).await.unwrap_err(),
        store.create_table().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), BadAnswer, "{error}");
        assert!(error.to_string().contains("neither a request id nor a JSON object"), "{error}");
    }
    assert_eq!(engine.requests().len(), 3, "such an answer is not asked for again");
}

#[tokio::test(start_paused = true)]
async fn case_179_a_json_object_that_shows_no_item_written_is_no_answer_to_a_write() {
    let engine = Engine::new();
    engine.network("A").always(Event::Answer(200, "{}"));
    let error = engine.store("A").write(&circuit(), &trip()).await.unwrap_err();
    assert_eq!(error.kind(), BadAnswer);
}
