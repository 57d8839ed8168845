//! `list` and `show`: what is in the table, for people and for programs.

use serde_json::{Value, json};

use crate::world::{World, closed, half_open_by_python, now, open};

/// A circuit of a list by its name.
fn of<'a>(list: &'a Value, name: &str) -> &'a Value {
    let circuits = list["circuits"].as_array().unwrap();
    circuits.iter().find(|circuit| circuit["name"] == name).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    let circuits = list["circuits"].as_array().unwrap();
    circuits.iter().map(|circuit| circuit["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_list_tells_every_circuit_and_what_is_not_one() {
    let world = World::new().await;
    let since = now() - 150;
    world.put("payment-backend", &open(since));
    world.put("search", &half_open_by_python(now() + 30));
    world.put("quotes", &closed());
    world.put("quotes#dry-run", &open(since));
    world.put("quotes#votes", &json!({"votes": 3}));
    world.put("order-7", &json!({"state": "SHIPPED", "total": 12}));

    let ran = world.run(&["list"]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    let lines: Vec<_> = ran.out.lines().collect();
    assert!(lines[0].starts_with("CIRCUIT          STATE      SINCE"), "{ran:?}");
    // Those that reject calls come first.
    assert!(lines[1].starts_with("payment-backend  OPEN       2 min ago"), "{ran:?}");
    assert!(lines[1].ends_with("5 failures"), "{ran:?}");
    assert!(lines[2].starts_with("search           HALF_OPEN"), "{ran:?}");
    assert!(lines[2].ends_with("17#0b5e probes"), "{ran:?}");
    assert!(lines[3].starts_with("quotes           CLOSED"), "{ran:?}");
    assert_eq!(lines.len(), 4);
    assert!(ran.err.contains("dry run: quotes would be OPEN (5 failures, 2 min ago)\n"), "{ran:?}");
    assert!(ran.err.contains("not circuits': 1 item, such as \"order-7\""), "{ran:?}");

    let list = world.json(&["list"]).await;
    assert_eq!(names(&list), ["payment-backend", "quotes", "search"]);
    assert_eq!(list["table"], "circuits");
    assert_eq!(
        list["other_items"],
        json!({"votes": 1, "foreign": 1, "unnamed": 0, "of_other_prefixes": 0})
    );
    assert_eq!(list["dry_runs"][0]["name"], "quotes");
    assert_eq!(of(&list, "payment-backend")["state"], "OPEN");
    assert_eq!(of(&list, "search")["prober"]["owner"], "17#0b5e");

    let open = world.json(&["list", "--open"]).await;
    assert_eq!(names(&open), ["payment-backend", "search"]);
    assert!(world.way.asked().iter().all(|asked| asked != "GetItem"));
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_list_tells_by_its_status_whether_circuits_are_open() {
    let world = World::new().await;
    let ran = world.run(&["list", "--exit-code"]).await;
    assert_eq!((ran.status, ran.out.as_str()), (0, ""), "{ran:?}");
    assert!(ran.err.contains("no circuit has an item in table \"circuits\": all are closed"));
    world.put("quotes", &closed());
    let ran = world.run(&["list", "--open", "--exit-code"]).await;
    assert_eq!((ran.status, ran.out.as_str()), (0, ""), "{ran:?}");
    assert!(ran.err.contains("no circuit is open, of 1 that have an item"), "{ran:?}");
    world.put("search", &half_open_by_python(now()));
    for line in [&["list", "--exit-code"][..], &["list", "--exit-code", "--open", "--json"]] {
        let ran = world.run(line).await;
        assert_eq!((ran.status, ran.err.as_str()), (4, ""), "{ran:?}");
        assert!(ran.out.contains("search"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_show_tells_all_that_the_item_has() {
    let world = World::new().await;
    let since = now() - 3_700;
    let mut item = open(since);
    item["open_until"] = json!(since + 7_250);
    item["failed_probes"] = json!(2);
    world.put("payment-backend", &item);
    let ran = world.run(&["show", "payment-backend"]).await;
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{ran:?}");
    for line in
        ["payment-backend", "  state          OPEN", "  failures       5", "  failed probes  2"]
    {
        assert!(ran.out.lines().any(|found| found == line), "{line:?}: {}", ran.out);
    }
    assert!(ran.out.contains("(1 h 1 min ago)") && ran.out.contains("(in 59 min)"), "{}", ran.out);

    let shown = world.json(&["show", "payment-backend"]).await;
    assert_eq!(shown["failure_count"], 5);
    assert_eq!(shown["failed_probes"], 2);
    let opened_at = shown["opened_at"].as_str().unwrap();
    assert!(opened_at.ends_with('Z') && opened_at.len() == 20, "{opened_at}");
    assert_eq!(shown["since"], shown["opened_at"]);
    assert_eq!(shown["hold"], Value::Null);
    assert_eq!(shown["defect"], Value::Null);
    assert!(world.way.asked().iter().filter(|asked| *asked == "GetItem").count() >= 2);
    assert!(!world.way.asked().contains(&"Scan".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_circuit_tells_when_a_probe_is_due() {
    let world = World::new().await;
    let mut soon = open(now() - 10);
    soon["expiration"] = json!(now() + 60 + 3_600);
    world.put("soon", &soon);
    world.put("due", &open(now() - 95));
    let mut other = open(now() - 95);
    other["expiration"] = json!(now() * 1_000);
    world.put("other", &other);
    let ran = world.run(&["list"]).await;
    let line = |name: &str| ran.out.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("soon").contains("probe in "), "{ran:?}");
    assert!(line("due").contains("next call probes"), "{ran:?}");
    assert!(!line("other").contains("probe"), "{ran:?}");

    let ran = world.run(&["show", "soon"]).await;
    assert!(ran.out.contains("  next probe     2") && ran.out.contains("(in "), "{ran:?}");
    let ran = world.run(&["show", "due"]).await;
    assert!(ran.out.contains("  next probe     due since 2"), "{ran:?}");
    assert!(ran.out.contains("(1 min ago): the next call probes\n"), "{ran:?}");
    assert!(!world.run(&["show", "other"]).await.out.contains("probe"));

    let list = world.json(&["list"]).await;
    let next = |name: &str| of(&list, name)["next_probe"].clone();
    assert!(next("soon").as_str().unwrap() > next("due").as_str().unwrap(), "{list}");
    assert_eq!((next("other"), of(&list, "due")["until"].clone()), (Value::Null, Value::Null));
    assert_eq!(world.json(&["show", "due"]).await["next_probe"], next("due"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_has_ended_is_told_and_nobody_is_said_to_probe() {
    let world = World::new().await;
    world.put("payments", &half_open_by_python(now() - 125));
    world.put("search", &half_open_by_python(now() + 30));
    let ran = world.run(&["list"]).await;
    let line = |name: &str| ran.out.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("payments").ends_with("next call probes  the lease of 17#0b5e ended 2 min ago"));
    assert!(line("search").ends_with("17#0b5e probes"), "{ran:?}");
    let shown = world.run(&["show", "payments"]).await.out;
    for words in
        ["  until          2", " (2 min ago)\n", "prober         nobody: the lease of 17#0b5e"]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(shown.contains("(2 min ago): the next call probes\n"), "{shown}");
    let list = world.json(&["list"]).await;
    for (name, is_over) in [("payments", true), ("search", false)] {
        let prober = &of(&list, name)["prober"];
        assert_eq!((&prober["owner"], &prober["is_over"]), (&json!("17#0b5e"), &json!(is_over)));
        assert_eq!(prober["lease_until"], of(&list, name)["next_probe"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_has_ended_tells_what_it_was_and_what_is_next() {
    let world = World::new().await;
    world.put("payments", &open(now()));
    world.run(&["hold", "payments", "--for", "10m", "--reason", "bank is down"]).await;
    world.age("payments", 725);
    let ran = world.run(&["list"]).await;
    let told = "next call probes  anna: bank is down; the hold ended 2 min ago\n";
    assert!(ran.out.contains("payments  OPEN") && ran.out.ends_with(told), "{ran:?}");
    let shown = world.run(&["show", "payments"]).await.out;
    for words in [
        "  hold           ended 2",
        " (2 min ago) by anna: bank is down\n",
        "(2 min ago): the next call probes\n",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("opened"), "a hold has made that stamp: {shown}");
    let shown = world.json(&["show", "payments"]).await;
    assert_eq!((&shown["is_held"], &shown["hold"]["is_over"]), (&json!(false), &json!(true)));
    assert_eq!((&shown["status"], &shown["next_probe"]), (&json!("OPEN"), &shown["hold"]["until"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fields_of_a_circuit_are_those_that_the_readme_lists() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let (_, rows) = text.split_once("| field | |\n|---|---|\n").unwrap();
    let rows = rows.lines().take_while(|line| line.starts_with('|'));
    let mut listed: Vec<_> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
        .map(ToOwned::to_owned)
        .collect();
    let world = World::new().await;
    world.put("search", &half_open_by_python(now() + 30));
    world.put("payments", &open(now()));
    world.run(&["hold", "payments", "--for", "10m", "--reason", "bank is down"]).await;
    let list = world.json(&["list"]).await;
    let circuit = of(&list, "payments");
    let objects = [circuit, &circuit["hold"], &of(&list, "search")["prober"]];
    let mut found: Vec<_> =
        objects.iter().flat_map(|object| object.as_object().unwrap().keys().cloned()).collect();
    listed.sort();
    found.sort();
    assert_eq!(listed, found);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_put_before_names_and_hides_other_circuits() {
    let world = World::new().await;
    world.put("orders/db", &open(now()));
    world.put("billing/db", &closed());
    let list = world.json(&["list", "--prefix", "orders/"]).await;
    assert_eq!(names(&list), ["db"]);
    assert_eq!(list["circuits"][0]["key"], "orders/db");
    let shown = world.json(&["show", "db", "--prefix", "orders/"]).await;
    assert_eq!((&shown["name"], &shown["state"]), (&json!("db"), &json!("OPEN")));
    let ran = world.run(&["show", "db"]).await;
    assert_eq!(ran.status, 3);
    assert!(ran.err.contains("did you mean billing/db, orders/db?"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_that_hides_every_circuit_is_told() {
    let world = World::new().await;
    world.put("orders/db", &open(now()));
    world.put("billing/db", &closed());
    let told = "no circuit of prefix \"shop/\" has an item; 2 circuits of other prefixes have: is \
                the prefix right?\n";
    let ran = world.run(&["list", "--prefix", "shop/"]).await;
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, "", told));
    for options in [&["--exit-code"][..], &["--exit-code", "--json"]] {
        let ran = world.run(&[&["list", "--prefix", "shop/"], options].concat()).await;
        assert_eq!((ran.status, ran.err), (1, format!("error: {told}")));
    }
    let ran = world.run(&["list", "--prefix", "billing/", "--exit-code"]).await;
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_circuits_says_whether_it_is_empty_or_another_programs() {
    let world = World::new().await;
    for (options, told) in [
        (&[][..], "no circuit has an item in table \"circuits\": all are closed\n"),
        (
            &["--prefix", "shop/"],
            "no circuit of prefix \"shop/\" has an item in table \"circuits\": all are closed\n",
        ),
    ] {
        let ran = world.run(&[&["list"], options].concat()).await;
        assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, "", told));
    }
    world.put("order-7", &json!({"state": "SHIPPED", "total": 12}));
    world.put("order-8\u{1b}", &json!({"state": "SHIPPED", "total": 12}));
    let told = "no circuit has an item in table \"circuits\", which has 2 items of other programs, \
                such as \"order-7\": is it the table of circuits?\n";
    let other = told.replace("order-7", "order-8\\u{1b}");
    // A misspelt table must not read as if all were well.
    for options in [&[][..], &["--open"], &["--exit-code"], &["--json"]] {
        let ran = world.run(&[&["list"], options].concat()).await;
        let err = ran.err.strip_prefix("error: ").unwrap_or_else(|| panic!("{ran:?}"));
        assert_eq!((ran.status, ran.out.is_empty()), (1, options != ["--json"]), "{ran:?}");
        assert!([told, &other].contains(&err), "{ran:?}");
    }
    // One item of one's own is enough, of whatever kind.
    for key in ["quotes#dry-run", "quotes#votes", "quotes"] {
        world.put(key, &closed());
        let ran = world.run(&["list", "--exit-code"]).await;
        assert_eq!(ran.status, 0, "{key}: {ran:?}");
        world.remove(key);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_that_hides_dry_runs_alone_is_told_too() {
    let world = World::new().await;
    for key in ["orders/db#dry-run", "orders/db#votes"] {
        world.put(key, &open(now()));
        let ran = world.run(&["list", "--prefix", "order/", "--exit-code"]).await;
        let told = "error: no circuit of prefix \"order/\" has an item; 1 circuit of another \
                    prefix has: is the prefix right?\n";
        assert_eq!((ran.status, ran.err.as_str()), (1, told), "{key}");
    }
    // The right one has no circuit that is open, whatever others have.
    world.put("billing/db", &open(now()));
    let ran = world.run(&["list", "--prefix", "orders/", "--exit-code"]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.err.contains("in table \"circuits\": all are closed\ndry run: db"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_table_has_does_nothing_to_a_terminal_and_is_whole_in_json() {
    let world = World::new().await;
    let name = "a\u{1b}[2Jb\u{9b}\n\u{202e}c";
    let reason = "hold#\u{1b}]0;x\u{7}\u{9b}2J\nnext";
    let mut item = open(now());
    item["half_open_owner"] = json!(reason);
    world.put(name, &item);
    for line in [&["list"][..], &["show", name], &["list", "--json"], &["show", name, "--json"]] {
        let ran = world.run(line).await;
        assert_eq!(ran.status, 0, "{ran:?}");
        let is_harmful =
            |letter: &char| (letter.is_control() && *letter != '\n') || *letter == '\u{202e}';
        assert_eq!(ran.out.chars().find(is_harmful), None, "{line:?}: {ran:?}");
    }
    let list = world.json(&["list"]).await;
    assert_eq!(names(&list), [name]);
    assert_eq!(list["circuits"][0]["hold"]["reason"], reason.strip_prefix("hold#").unwrap());
    let ran = world.run(&["list"]).await;
    assert_eq!(ran.out.lines().count(), 2, "a name makes no line: {ran:?}");
    world.put("order\u{1b}[2J", &json!({"total": 12}));
    let ran = world.run(&["list"]).await;
    assert_eq!(ran.err, "not circuits': 1 item, such as \"order\\u{1b}[2J\"\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_cannot_be_used_says_which_attribute() {
    let world = World::new().await;
    world.put("mistyped", &json!({"state": "open", "failure_count": 5}));
    world.put("undated", &json!({"state": "OPEN", "failure_count": 5}));
    let ran = world.run(&["list"]).await;
    assert!(
        ran.out.contains("mistyped  unreadable")
            && ran.out.contains("its item has no usable state")
    );
    assert!(ran.out.contains("its item has no usable opened_at"), "{ran:?}");
    assert_eq!(world.json(&["show", "undated"]).await["defect"], "opened_at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_other_names_and_a_composite_key_is_read() {
    let world = World::empty().await;
    let options = [
        "--key-attr",
        "pk",
        "--sort-key-attr",
        "sk",
        "--static-pk-value",
        "circuits",
        "--attr",
        "state=status",
        "--attr",
        "opened_at=since",
    ];
    let run = async |line: &[&str]| world.run(&[line, &options].concat()).await;
    assert_eq!(run(&["create-table"]).await.status, 0);
    let held = run(&["hold", "payments", "--for", "2h", "--reason", "move", "--new"]).await;
    assert_eq!(held.status, 0, "{held:?}");
    let ran = run(&["list"]).await;
    assert!(ran.out.contains("payments  held open"), "{ran:?}");
    assert!(world.way.asked().contains(&"Query".to_owned()));
    let ran = run(&["list", "--attr", "colour=red"]).await;
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("a circuit's item has no \"colour\""), "{ran:?}");
}
