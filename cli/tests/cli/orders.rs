//! `hold`, `disable` and `release` do what a breaker's own methods do.

use fuseboard::{Breaker, BreakerRegistry, CircuitState, Hold, HoldKind};
use serde_json::{Value, json};

use crate::world::{World, closed, ended, half_open_by_python, now, open};

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
    assert!(ran.err.starts_with("before: held open (ops: move), until 2"), "{ran:?}");
    library.release().await.unwrap();
    let [by_command, by_library] = items();
    assert_eq!(by_command, by_library);
    breaker.refresh().await.unwrap();
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_disable_does_what_the_library_does_over_any_item() {
    let held = json!({"state": "CLOSED", "failure_count": 0, "expiration": now() + 3_600,
        "hold": "closed", "hold_until": now() + 60, "hold_by": "ops", "hold_reason": "test"});
    let items = [Some(closed()), Some(open(now())), Some(half_open_by_python(now() + 30))];
    for item in items.into_iter().chain([Some(held), None]) {
        let world = World::new().await;
        for name in ["by-command", "by-library"] {
            if let Some(item) = &item {
                world.put(name, item);
            }
        }
        let line = ["disable", "by-command", "--for", "2h", "--reason", "load", "--by", "ops"];
        let more = if item.is_none() { &["--new"][..] } else { &[] };
        let ran = world.run(&[&line[..], more].concat()).await;
        assert_eq!(ran.status, 0, "{ran:?}");
        assert!(ran.out.contains("  state          held closed\n"), "{ran:?}");
        let (_registry, library) = process(&world, "by-library").await;
        let hold = Hold::closed_for(std::time::Duration::from_secs(7_200));
        library.hold(hold.reason("load").by("ops")).await.unwrap();
        let [by_command, by_library] =
            ["by-command", "by-library"].map(|name| lasting(world.item(name).unwrap()));
        assert_eq!(by_command, by_library, "over {item:?}");
    }
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
async fn a_hold_needs_a_name_and_a_release_tells_whose_it_is() {
    let world = World::new().await;
    world.put("payments", &open(now()));
    let nobody = async |line: &[&str], user: Option<&str>| {
        let mut command = world.command(line);
        command.env_remove("USER");
        if let Some(user) = user {
            command.env("USER", user);
        }
        ended(command).await
    };
    let hold = ["hold", "payments", "--for", "1h", "--reason", "x"];
    let asked = world.way.asked().len();
    let ran = nobody(&hold, None).await;
    assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran:?}");
    assert!(ran.err.contains("--by") && ran.err.contains("$USER is not set"), "{ran:?}");
    for by in ["", "  "] {
        let ran = nobody(&[&hold[..], &["--by", by]].concat(), Some("anna")).await;
        assert!(ran.status == 2 && ran.err.contains("must name somebody"), "{ran:?}");
    }
    let ran = nobody(&hold, Some("")).await;
    assert!(ran.status == 2 && ran.err.contains("must name somebody"), "{ran:?}");
    assert_eq!(world.way.asked().len(), asked, "nothing was sent");

    let named = [&hold[..], &["--by", "ops"]].concat();
    assert_eq!(nobody(&named, None).await.status, 0);
    // Nobody is kept from a release.
    let ran = nobody(&["release", "payments"], None).await;
    assert!(ran.status == 0 && !ran.err.contains("released by"), "{ran:?}");
    assert_eq!(nobody(&named, Some("")).await.status, 0);
    let ran = nobody(&["release", "payments"], Some("")).await;
    assert!(ran.status == 0 && !ran.err.contains("released by"), "{ran:?}");
    assert_eq!(world.run(&named).await.status, 0);
    let line = ["release", "payments", "--reason", "the bank is back\u{1b}[2J", "--by", "bela"];
    let ran = world.run(&line).await;
    let told = "\nreleased by bela: the bank is back\\u{1b}[2J\n";
    assert!(ran.status == 0 && ran.err.ends_with(told), "{ran:?}");
    // It is closed: nobody has released it.
    let ran = world.run(&line).await;
    assert_eq!((ran.status, ran.err.contains("released by")), (0, false), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_says_that_processes_in_dry_run_do_not_read_it() {
    let world = World::new().await;
    world.put("quotes#dry-run", &open(now()));
    let told = "processes that only try quotes out (dry run) do not read this: they go by \
                quotes#dry-run (OPEN), and admit every call\n";
    for line in [
        &["hold", "quotes", "--for", "1h", "--reason", "x"][..],
        &["disable", "quotes", "--for", "1h", "--reason", "x"],
        &["release", "quotes"],
    ] {
        let ran = world.run(line).await;
        assert_eq!(ran.status, 3, "{ran:?}");
        assert!(ran.err.contains("quotes is only tried out (dry run)"), "{ran:?}");
    }
    let ran = world.run(&["show", "quotes"]).await;
    let shown = "quotes (in a dry run: every call runs)\n  state          OPEN\n";
    assert!(ran.status == 0 && ran.out.starts_with(shown), "{ran:?}");
    assert_eq!(world.json(&["show", "quotes"]).await["key"], "quotes#dry-run");
    let before = world.item("quotes#dry-run");
    for line in [
        &["hold", "quotes", "--for", "1h", "--reason", "x", "--new"][..],
        &["disable", "quotes", "--for", "1h", "--reason", "x"],
        &["release", "quotes"],
    ] {
        let ran = world.run(line).await;
        assert!(ran.status == 0 && ran.err.ends_with(told), "{ran:?}");
    }
    assert_eq!(world.item("quotes#dry-run"), before);
    // Where nobody tries it out, nothing is said.
    world.remove("quotes#dry-run");
    let ran = world.run(&["hold", "quotes", "--for", "1h", "--reason", "x"]).await;
    assert_eq!((ran.status, ran.err.as_str()), (0, "before: CLOSED\n"), "{ran:?}");
}
