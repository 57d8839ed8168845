//! `hold`, `disable` and `release` do what a breaker's own methods do.

use fuseboard::{Breaker, BreakerRegistry, CircuitState, Hold, HoldKind};
use serde_json::{Value, json};

use crate::world::{World, closed, half_open_by_python, now, open};

/// A process that has this breaker, and knows its circuit as the table has it now.
async fn process(world: &World, name: &str) -> (BreakerRegistry, Breaker) {
    let builder = BreakerRegistry::builder(world.store()).disabled(false);
    let registry = builder.spawn().unwrap();
    let breaker = registry.breaker(name).unwrap();
    breaker.refresh().await.unwrap();
    (registry, breaker)
}

/// An item without what differs from second to second.
fn lasting(mut item: Value) -> Value {
    for name in ["opened_at", "expiration", "hold_until", "down_since", "released"] {
        if let Some(value) = item.get_mut(name) {
            assert!(value["N"].as_str().unwrap().parse::<u64>().unwrap() >= now() - 600, "{item}");
            item[name] = json!("a time");
        }
    }
    item
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_hold_and_release_do_what_the_library_does() {
    let world = World::new().await;
    for name in ["by-command", "by-library"] {
        world.put(name, &closed());
    }
    let line = ["hold", "by-command", "--for", "2h", "--reason", "move", "--by", "ops"];
    let ran = world.run(&line).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.out.contains("  state          held open\n"), "{ran:?}");
    let lines = ["  reason         move\n", "  by             ops\n", "  until          2"];
    assert!(lines.iter().all(|line| ran.out.contains(line)), "{ran:?}");
    assert!(ran.out.contains("(in 2 h)") || ran.out.contains("(in 1 h 59 min)"), "{ran:?}");
    assert_eq!(ran.err, "before: CLOSED\n");

    let (_registry, library) = process(&world, "by-library").await;
    let hold = Hold::open_for(std::time::Duration::from_secs(7_200)).reason("move").by("ops");
    library.hold(hold).await.unwrap();
    let items = || ["by-command", "by-library"].map(|name| lasting(world.item(name).unwrap()));
    let [by_command, by_library] = items();
    assert_eq!(by_command, by_library);

    // A process sees the command's hold as one.
    let (_other, breaker) = process(&world, "by-command").await;
    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.state(), CircuitState::Open);
    let told = snapshot.hold().unwrap();
    assert_eq!(
        (told.kind, &*told.reason, told.by.as_deref()),
        (HoldKind::Open, "move", Some("ops"))
    );
    assert!(breaker.try_admit().is_err());

    let ran = world.run(&["release", "by-command"]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.out.contains("  state          CLOSED\n"), "{ran:?}");
    assert!(ran.out.contains("  released       2") && !ran.out.contains("(in 1 s)"), "{ran:?}");
    assert_eq!(ran.err, "before: held open (ops: move)\n");
    library.release().await.unwrap();
    let [by_command, by_library] = items();
    assert_eq!(by_command, by_library);
    breaker.refresh().await.unwrap();
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_disable_holds_closed_and_json_tells_it() {
    let world = World::new().await;
    world.put("payments", &open(now()));
    let line = ["disable", "payments", "--for", "1h30m", "--reason", "load test"];
    let shown = world.json(&line).await;
    assert_eq!((&shown["state"], &shown["is_held"]), (&json!("CLOSED"), &json!(true)));
    let hold = &shown["hold"];
    assert_eq!(
        (&hold["kind"], &hold["by"], &hold["reason"]),
        (&json!("closed"), &json!("anna"), &json!("load test"))
    );
    assert_eq!(shown["until"], hold["until"]);
    let (_registry, breaker) = process(&world, "payments").await;
    assert_eq!(breaker.snapshot().hold().unwrap().kind, HoldKind::Closed);
    let list = world.run(&["list"]).await;
    assert!(list.out.contains("held closed") && list.out.contains("anna: load test"), "{list:?}");

    let released = world.json(&["release", "payments"]).await;
    assert_eq!((&released["is_held"], &released["hold"]), (&json!(false), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_a_table_of_python_functions_alone_is_held_and_released() {
    let world = World::new().await;
    world.put("payments", &half_open_by_python(now() + 30));
    world.put("search", &half_open_by_python(now() + 30));
    let list = world.run(&["list"]).await;
    assert_eq!(list.out.matches("17#0b5e probes").count(), 2, "{list:?}");
    let held = world.json(&["hold", "payments", "--for", "10m", "--reason", "move"]).await;
    assert_eq!((&held["state"], &held["hold"]["reason"]), (&json!("OPEN"), &json!("move")));
    // Python rejects by these.
    let item = world.item("payments").unwrap();
    assert_eq!(
        (&item["state"]["S"], &item["half_open_owner"]["S"]),
        (&json!("OPEN"), &json!("hold#move"))
    );
    let released = world.json(&["release", "payments"]).await;
    assert_eq!(released["state"], "CLOSED");
    assert_eq!(world.item("payments").unwrap().get("half_open_owner"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circuit_without_an_item_is_held_if_that_is_asked_for() {
    let world = World::new().await;
    let line = ["hold", "payments", "--for", "10m", "--reason", "move", "--prefix", "orders/"];
    assert_eq!(world.run(&line).await.status, 3);
    assert_eq!(world.item("orders/payments"), None);
    let held = world.json(&[&line[..], &["--new"]].concat()).await;
    assert_eq!((&held["name"], &held["key"]), (&json!("payments"), &json!("orders/payments")));
    assert!(world.item("orders/payments").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_nothing_to_release_where_a_circuit_is_closed() {
    let world = World::new().await;
    world.put("payments", &closed());
    let before = world.item("payments");
    let ran = world.run(&["release", "payments"]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(ran.err, "payments is closed: there is nothing to release\n");
    assert_eq!(world.item("payments"), before);
    assert!(!world.way.asked().contains(&"UpdateItem".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_operators_at_once_each_is_told_and_one_hold_stands_whole() {
    let world = World::new().await;
    world.put("payments", &open(now()));
    let operators = ["anna", "bela", "cleo", "dora"];
    let lines =
        operators.map(|name| ["hold", "payments", "--for", "1h", "--reason", name, "--by", name]);
    let [anna, bela, cleo, dora] = lines.each_ref().map(|line| world.run(line));
    let (anna, bela, cleo, dora) = tokio::join!(anna, bela, cleo, dora);
    for ran in [anna, bela, cleo, dora] {
        assert!(ran.status == 0 || (ran.status == 1 && ran.err.contains("try again")), "{ran:?}");
    }
    let hold = world.json(&["show", "payments"]).await["hold"].clone();
    assert!(operators.iter().any(|name| hold["by"] == *name), "{hold}");
    assert_eq!(hold["by"], hold["reason"]);

    // A second operator sees whose hold it was.
    let ran =
        world.run(&["hold", "payments", "--for", "1h", "--reason", "mine", "--by", "eva"]).await;
    let by = hold["by"].as_str().unwrap();
    assert_eq!(ran.err, format!("before: held open ({by}: {by})\n"));
}
