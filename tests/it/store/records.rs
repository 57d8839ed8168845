//! The list of a table's circuits, for operators.

use std::collections::BTreeMap;

use fuseboard::{
    CircuitState, DynamoDbStore,
    store::{CircuitRecord, Consistency, Field, OtherItem, Records, RecordsPage, StoreErrorKind},
};
use serde_json::{Value, json};

use crate::support::{
    dynamodb::{Call, World, seconds},
    engine::{Engine, Event, Request, TABLE},
};

/// What the role of operators may do.
const OPERATORS: [&str; 4] = ["Scan", "Query", "GetItem", "UpdateItem"];

async fn pages(mut records: Records) -> Vec<RecordsPage> {
    let mut pages = Vec::new();
    while let Some(page) = records.next_page().await.unwrap() {
        pages.push(page);
    }
    assert_eq!(records.next_page().await.unwrap(), None, "the end stays the end");
    pages
}

/// All that is in a store's table, as one page.
async fn listed(store: &DynamoDbStore) -> RecordsPage {
    let mut all = RecordsPage::default();
    for page in pages(store.records()).await {
        all.circuits.extend(page.circuits);
        all.dry_runs.extend(page.dry_runs);
        all.others.extend(page.others);
    }
    all
}

/// The item of the circuit with this number: as this crate writes it, or as Powertools does.
fn item(number: u32) -> Value {
    let expiration = 1_800_000_000 + number;
    match number % 5 {
        0 => {
            json!({"state": "OPEN", "failure_count": 5, "opened_at": number, "expiration": expiration})
        }
        1 => {
            json!({"state": "CLOSED", "failure_count": 0, "expiration": expiration, "released": number})
        }
        2 => {
            json!({"state": "OPEN", "failure_count": 0, "opened_at": number, "half_open_owner": "hold#work", "expiration": expiration})
        }
        3 => json!({
            "state": "HALF_OPEN", "failure_count": 0, "opened_at": number, "success_count": 1,
            "half_open_owner": "task-7/8d0f", "probe_lease_expiry": number, "expiration": expiration,
        }),
        // Powertools' own: its owner is a process id and a UUID.
        _ => json!({
            "state": "HALF_OPEN", "failure_count": 5, "opened_at": number,
            "half_open_owner": "17#0b5e", "probe_lease_expiry": number, "expiration": expiration,
        }),
    }
}

#[tokio::test(start_paused = true)]
async fn case_137_a_table_of_10_000_items_is_listed_once_each_with_its_state() {
    let engine = Engine::new();
    for number in 0..10_000 {
        engine.put_item(&format!("circuit-{number}"), &item(number));
    }
    engine.allow_only(&OPERATORS);
    let store = engine.store("operator");
    let pages = pages(store.records()).await;
    assert!(pages.len() >= 10, "{} pages", pages.len());
    assert_eq!(engine.count("Scan"), pages.len());
    assert!(pages.iter().all(|page| page.circuits.len() <= 1_000 && page.others.is_empty()));

    let circuits = pages.into_iter().flat_map(|page| page.circuits);
    let mut seen = BTreeMap::new();
    for circuit in circuits {
        let number: u32 = circuit.name.as_str().strip_prefix("circuit-").unwrap().parse().unwrap();
        assert_eq!(seen.insert(number, circuit.record), None, "{number} is listed twice");
    }
    assert_eq!(seen.len(), 10_000);
    for (number, record) in seen {
        let expected = item(number);
        let state = CircuitState::parse(expected["state"].as_str().unwrap()).unwrap();
        assert_eq!(record.state, Field::Valid(state), "{number}");
        assert_eq!(record.defect(), None, "{number}");
        assert_eq!(record.is_held(), number % 5 == 2, "{number}");
        assert_eq!(record.opened_at.valid().copied(), expected["opened_at"].as_i64());
        assert_eq!(
            record.owner.valid().map(|owner| &**owner),
            expected["half_open_owner"].as_str()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn case_137_the_role_of_a_process_is_refused_the_list_and_needs_no_more_than_before() {
    let world = World::new();
    world.engine.allow_only(&["GetItem", "UpdateItem"]);
    let a = world.named("A");
    a.trip().await;
    let store = world.engine.store("A");
    let mut records = store.records();
    let error = records.next_page().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    let told = error.to_string();
    assert!(told.contains("allow dynamodb:Scan on it, to a role of operators"), "{told}");
    assert!(told.starts_with("scan in table \"circuits\""), "{told}");
    seconds(30).await;
    for _ in 0..3 {
        assert_eq!(a.ok().await, Call::Ok);
    }
    store.verify().await.unwrap();
    let others = |sent: &Request| !["Scan", "GetItem", "UpdateItem"].contains(&&*sent.operation);
    let sent: Vec<_> = world.engine.requests().into_iter().filter(others).collect();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0].operation, "DescribeTimeToLive");
    // The same value goes on when the role has the permission.
    world.engine.allow_only(&OPERATORS);
    let page = records.next_page().await.unwrap().unwrap();
    assert_eq!(page.circuits.len(), 1);
    assert_eq!(page.circuits[0].record.state, Field::Valid(CircuitState::Closed));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_circuits_is_told_apart() {
    let engine = Engine::new();
    let open = json!({"state": "OPEN", "opened_at": 7, "failure_count": 5, "expiration": 9});
    engine.put_item("payments", &open);
    engine.put_item("payments#dry-run", &open);
    engine.put_item("payments#votes", &json!({"votes": 3, "expiration": 9}));
    engine.put_item("payments#dry-run#votes", &json!({"votes": 3, "expiration": 9}));
    engine.put_item("order-1", &json!({"state": "SHIPPED", "expiration": 9, "total": 12}));
    engine.put_item("ticket-1", &json!({"state": "OPEN", "title": "printer"}));
    engine.put_item("user-1", &json!({"mail": "a@example.org"}));
    engine.put_item("#votes", &json!({"votes": 3}));
    // Whoever wrote it, processes take it for a circuit's, which is then closed.
    engine.put_item("mistyped", &json!({"state": "open", "failure_count": 5}));
    engine.put_item("by-hand", &json!({"state": "OPEN", "expiration": 9}));
    let mut page = listed(&engine.store("operator")).await;
    page.circuits.sort_by(|one, other| one.name.cmp(&other.name));
    let defects: Vec<_> =
        page.circuits.iter().map(|found| (found.name.as_str(), found.record.defect())).collect();
    let expected =
        [("by-hand", Some("opened_at")), ("mistyped", Some("state")), ("payments", None)];
    assert_eq!(defects, expected);
    let [CircuitRecord { name, record }] = page.dry_runs.as_slice() else { panic!("{page:?}") };
    assert_eq!((name.as_str(), record), ("payments", &page.circuits[2].record));

    let mut told: Vec<_> = page
        .others
        .iter()
        .map(|other| match other {
            OtherItem::Votes(name) => format!("votes of {name}"),
            OtherItem::Foreign { key } => key.clone().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        ["#votes", "order-1", "ticket-1", "user-1", "votes of payments", "votes of payments"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_table_with_another_key_shows_items_without_a_name() {
    let engine = Engine::empty();
    engine.create_table(TABLE, &["pk"]);
    engine.ask("PutItem", &json!({"TableName": TABLE, "Item": {"pk": {"S": "a"}}}));
    let page = listed(&engine.store("operator")).await;
    assert_eq!(page.circuits, []);
    assert_eq!(page.others, [OtherItem::Foreign { key: None }]);
}

#[tokio::test(start_paused = true)]
async fn a_composite_key_is_queried_for_the_circuits_of_its_partition() {
    let engine = Engine::empty();
    engine.create_table("shared", &["pk", "sk"]);
    let builder = || {
        engine
            .store_builder("operator", "shared")
            .key_attr("pk")
            .sort_key_attr("sk")
            .state_attr("status")
            .static_pk_value("circuits")
    };
    let put = |partition: &str, name: String| {
        let item = json!({
            "pk": {"S": partition}, "sk": {"S": name}, "status": {"S": "OPEN"},
            "opened_at": {"N": "7"}, "failure_count": {"N": "5"}, "payload": {"S": "x".repeat(900)},
        });
        engine.ask("PutItem", &json!({"TableName": "shared", "Item": item}));
    };
    for number in 0..1_500 {
        put("circuits", format!("circuit-{number:04}"));
        put("orders", format!("order-{number}"));
    }
    engine.allow_only(&OPERATORS);
    let page = listed(&builder().build().unwrap()).await;
    assert_eq!(page.others, []);
    let names: Vec<_> = page.circuits.iter().map(|circuit| circuit.name.as_str()).collect();
    let expected: Vec<_> = (0..1_500).map(|number| format!("circuit-{number:04}")).collect();
    assert_eq!(names, expected);
    assert_eq!((engine.count("Query"), engine.count("Scan")), (2, 0));
    let sent = engine.requests();
    assert!(!sent[0].body.to_string().contains("payload"), "other attributes are not asked for");

    engine.allow_only(&["Scan"]);
    let error = builder().build().unwrap().records().next_page().await.unwrap_err().to_string();
    assert!(error.contains("allow dynamodb:Query on it"), "{error}");
    engine.allow_only(&OPERATORS);
    let other = builder().key_attr("id").build().unwrap();
    let error = other.records().next_page().await.unwrap_err().to_string();
    assert!(error.contains("check key_attr and sort_key_attr"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_failed_or_was_given_up_is_read_again() {
    let engine = Engine::new();
    for number in 0..1_100 {
        engine.put_item(&format!("circuit-{number}"), &item(number));
    }
    let store = engine.store("operator");
    let mut records = store.records().consistency(Consistency::Strong);
    let first = records.next_page().await.unwrap().unwrap();
    let network = engine.network("operator");
    network.on("Scan", 1, Event::Error("AccessDeniedException"));
    let error = records.next_page().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    network.on("Scan", 1, Event::LoseAnswer);
    let patience = std::time::Duration::from_millis(100);
    tokio::time::timeout(patience, records.next_page()).await.unwrap_err();
    let mut names: Vec<_> = first.circuits.into_iter().map(|circuit| circuit.name).collect();
    while let Some(page) = records.next_page().await.unwrap() {
        names.extend(page.circuits.into_iter().map(|circuit| circuit.name));
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 1_100);
    let sent = engine.requests();
    assert!(sent.iter().all(|request| request.body["ConsistentRead"] == json!(true)));
}
