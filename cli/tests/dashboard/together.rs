//! Orders of a page over the hold of somebody else, and of circuits that it does not show.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    shown::{Alone, Answer, Dashboard},
    world::{World, now, open},
};

const WIDE: [u32; 2] = [1_280, 800];

/// A hold for two hours by the page, with what else the order says.
fn hold(verb: &str, by: &str, more: &Value) -> Value {
    let mut order =
        json!({"verb": verb, "name": "payments", "lasts": "2h", "reason": by, "by": by});
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    order
}

/// A table whose circuit is held open by anna, and a dashboard of it by somebody else.
async fn held_by_anna() -> (World, Dashboard) {
    let world = World::new().await;
    world.put("payments", &open(now()));
    let line = ["hold", "payments", "--for", "1h", "--reason", "bank is down", "--by", "anna"];
    assert_eq!(world.run(&line).await.status, 0);
    let dashboard = Dashboard::of(&world, &["--allow-changes", "--by", "desk"]).await;
    (world, dashboard)
}

/// The order was refused: anna holds the circuit open. Returns what it has to say to end that.
fn refused(answer: &Answer) -> Value {
    assert_eq!(answer.status, 409, "{answer:?}");
    let told = answer.json();
    let error = told["error"].as_str().unwrap();
    assert!(error.starts_with("anna holds payments open until 2"), "{error}");
    assert!(error.ends_with("): bank is down. Nothing was written."), "{error}");
    told["ends"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_the_page_ends_no_hold_that_it_does_not_name() {
    let (world, dashboard) = held_by_anna().await;
    let before = world.item("payments");
    let mut ends = Value::Null;
    let other = json!({"kind": "open", "until": 7, "by": "anna", "reason": "bank is down"});
    for order in [
        hold("hold", "bela", &json!({})),
        hold("disable", "bela", &json!({})),
        hold("hold", "", &json!({})),
        hold("hold", "bela", &json!({"ends": other})),
        json!({"verb": "release", "name": "payments"}),
        json!({"verb": "release", "name": "payments", "by": "anna", "ends": other}),
    ] {
        let mut order = order;
        if order["reason"] == "" {
            order["reason"] = json!("not told by whom");
        }
        ends = refused(&dashboard.order(&order).await);
    }
    assert_eq!(world.item("payments"), before);
    let until = before.unwrap()["hold_until"]["N"].as_str().unwrap().parse::<u64>().unwrap();
    let named = json!({"kind": "open", "until": until, "by": "anna", "reason": "bank is down"});
    assert_eq!(ends, named);

    let done = dashboard.order(&hold("disable", "bela", &json!({"ends": ends}))).await;
    assert_eq!(done.status, 200, "{done:?}");
    let was = done.json()["before"].as_str().unwrap().to_owned();
    assert!(was.starts_with("held open (anna: bank is down), until 2"), "{was}");
    // What was named has been replaced.
    let late = dashboard.order(&hold("hold", "cleo", &json!({"ends": ends}))).await;
    assert!(late.status == 409 && late.body.contains("bela holds payments closed"), "{late:?}");
    // Nor is it ended by somebody of the same name who has not seen it.
    let same = dashboard.order(&hold("hold", "bela", &json!({}))).await;
    assert!(same.status == 409 && same.body.contains("bela holds payments closed"), "{same:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_visitors_without_a_name_the_second_is_told_of_the_hold_of_the_first() {
    let world = World::new().await;
    world.put("payments", &open(now()));
    let dashboard = Dashboard::of(&world, &["--allow-changes", "--by", "desk"]).await;
    let order =
        |reason: &str| json!({"verb": "hold", "name": "payments", "lasts": "2h", "reason": reason});
    assert_eq!(dashboard.order(&order("the provider moves")).await.status, 200);
    let second = dashboard.order(&order("load test")).await;
    assert_eq!(second.status, 409, "{second:?}");
    assert!(second.body.contains("desk holds payments open until 2"), "{second:?}");
    assert_eq!(world.item("payments").unwrap()["hold_reason"]["S"], "the provider moves");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_writes_down_who_has_ordered_what() {
    let (world, dashboard) = held_by_anna().await;
    let release = json!({"verb": "release", "name": "payments", "by": "bela\u{1b}[2J"});
    let ends = refused(&dashboard.order(&release).await);
    let mut release = release;
    release["ends"] = ends;
    assert_eq!(dashboard.order(&release).await.status, 200);
    assert_eq!(world.item("payments").unwrap()["state"]["S"], "CLOSED");
    let mut held = hold("hold", "", &json!({}));
    held["reason"] = json!("the provider moves");
    assert_eq!(dashboard.order(&held).await.status, 200);
    let unknown = json!({"verb": "release", "name": "\u{1b}[2J\n"});
    assert_eq!(dashboard.order(&unknown).await.status, 409);
    let said = dashboard.said().await;
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    let refused = "Z order: release of payments by bela\\u{1b}[2J; error: anna holds payments open";
    assert!(lines[0].contains(refused) && lines[0].ends_with("Nothing was written."), "{said}");
    let released = "Z order: release of payments by bela\\u{1b}[2J; before: held open (anna: bank";
    assert!(lines[1].contains(released), "{said}");
    assert!(lines[2].ends_with("Z order: hold of payments by desk; before: CLOSED"), "{said}");
    let unnamed = "Z order: release of \\u{1b}[2J\\n by desk; error: no item of";
    assert!(lines[3].contains(unnamed), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_carried_out_and_written_down_though_nobody_waits_for_it_any_more() {
    let world = World::new().await;
    world.put("payments", &open(now()));
    let dashboard = Dashboard::of(&world, &["--allow-changes", "--by", "desk"]).await;
    let mut order = hold("hold", "", &json!({}));
    order["reason"] = json!("the provider moves");
    let mut write = world.way.stop("UpdateItem");
    let tab = dashboard.begin_order(&order).await;
    write.arrived().await;
    drop(tab);
    // The tab's end has been seen when another is answered.
    dashboard.token().await;
    let end = dashboard.ended_on(Signal::TERM);
    let (said, ()) = tokio::join!(end, async { write.go_on() });
    assert!(
        said.ends_with("Z order: hold of payments by desk; before: OPEN (5 failures)\n"),
        "{said}"
    );
    assert_eq!(world.item("payments").unwrap()["hold_by"]["S"], "desk");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circuit_without_an_item_is_held_by_the_page_if_that_is_confirmed() {
    let world = World::new().await;
    world.put("search", &open(now()));
    let dashboard = Dashboard::of(&world, &["--allow-changes"]).await;
    let order = hold("hold", "bela", &json!({}));
    let answer = dashboard.order(&order).await;
    assert_eq!((answer.status, &answer.json()["new"]), (409, &json!(true)), "{answer:?}");
    assert!(answer.body.contains("no item of payments"), "{answer:?}");
    assert_eq!(world.item("payments"), None);
    // Nor among the items of another program.
    let other = World::new().await;
    other.put("order-7", &json!({"total": 12}));
    let of_other = Dashboard::of(&other, &["--allow-changes"]).await;
    let answer = of_other.order(&hold("hold", "bela", &json!({"new": true}))).await;
    assert!(answer.status == 409 && answer.body.contains("has no circuit"), "{answer:?}");
    assert_eq!(other.item("payments"), None);
    // There is nothing to release, and so nothing to confirm.
    let release = json!({"verb": "release", "name": "payments", "new": true});
    let answer = dashboard.order(&release).await;
    assert_eq!((answer.status, answer.json().get("new")), (409, None), "{answer:?}");
    let answer = dashboard.order(&hold("hold", "bela", &json!({"new": true}))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(world.item("payments").unwrap()["hold_by"]["S"], "bela");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_of_the_page_needs_a_name_where_the_dashboard_has_none() {
    let world = World::new().await;
    world.put("payments", &open(now()));
    let mut command = world.command(&["dashboard", "--json", "--listen", "127.0.0.1:0"]);
    command.arg("--allow-changes").env_remove("USER");
    let dashboard = Dashboard::start(command).await;
    let mut order = hold("hold", "  ", &json!({}));
    order["reason"] = json!("move");
    let answer = dashboard.order(&order).await;
    assert!(answer.status == 409 && answer.body.contains("needs the name of who"), "{answer:?}");
    order["by"] = json!("bela");
    assert_eq!(dashboard.order(&order).await.status, 200);
    assert_eq!(world.item("payments").unwrap()["hold_by"]["S"], "bela");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_too_long_is_told_how_long_a_reason_may_be() {
    let world = World::new().await;
    world.put("payments", &open(now()));
    let before = world.item("payments");
    let dashboard = Dashboard::of(&world, &["--allow-changes"]).await;
    for length in [1_025, 16_400, 1_000_000] {
        let mut order = hold("hold", "bela", &json!({}));
        order["reason"] = json!("x".repeat(length));
        let answer = dashboard.order(&order).await;
        assert!([409, 413].contains(&answer.status), "{answer:?}");
        let told = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(told.contains("reason") && told.contains("at most 1,024 bytes"), "{told}");
        assert!(!told.contains("buffer"), "{told}");
    }
    assert_eq!(world.item("payments"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dialog_tells_whose_hold_is_ended_also_of_one_that_began_meanwhile() {
    let Some(alone) = Alone::start().await else { return };
    let (world, dashboard) = held_by_anna().await;
    let page = alone.browser.open(&dashboard.url, WIDE).await;
    page.until("document.querySelector('[data-name=payments]')?.dataset.look === 'held_open'")
        .await;
    page.click("[data-name=payments] [data-order=hold]").await;
    page.until("document.querySelector('dialog').open").await;
    let told = page.value("document.querySelector('#order-over').innerText").await;
    let told = told.as_str().unwrap();
    assert!(told.starts_with("anna holds it open until "), "{told}");
    assert!(told.ends_with(": bank is down. This ends that hold."), "{told}");
    assert_eq!(page.value("document.querySelector('#order-name').offsetHeight").await, 0);
    page.click("[name=reason]").await;
    page.type_in("mine").await;
    // Somebody is faster.
    let line = ["disable", "payments", "--for", "1h", "--reason", "test", "--by", "bela"];
    assert_eq!(world.run(&[&line[..], &["--replace"]].concat()).await.status, 0);
    page.click("#order-go").await;
    let error = "document.querySelector('#order-error').innerText";
    page.until(&format!("{error}.startsWith('bela holds payments closed until ')")).await;
    page.until("document.querySelector('#order-go').innerText === 'Replace that hold'").await;
    assert_eq!(world.item("payments").unwrap()["hold_by"]["S"], "bela");
    page.picture("replace.png").await;
    page.click("#order-go").await;
    page.until("!document.querySelector('dialog').open").await;
    assert_eq!(world.item("payments").unwrap()["hold_by"]["S"], "desk");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circuit_that_the_page_does_not_show_is_held_by_its_name() {
    let Some(alone) = Alone::start().await else { return };
    let world = World::new().await;
    world.put("search", &open(now()));
    world.put("healthy-onex#dry-run", &open(now()));
    let dashboard = Dashboard::of(&world, &["--allow-changes"]).await;
    let page = alone.browser.open(&dashboard.url, WIDE).await;
    page.until("document.querySelector('[data-name=search]') !== null").await;
    page.click("#order-another").await;
    page.click("[name=name]").await;
    page.type_in("healthy-one").await;
    page.click("[name=reason]").await;
    page.type_in("upkeep").await;
    page.click("#order-go").await;
    let error = "document.querySelector('#order-error').innerText";
    page.until(&format!("{error}.startsWith('no item of healthy-one')")).await;
    page.until("document.querySelector('#order-go').innerText === 'Hold it all the same'").await;
    page.picture("another.png").await;
    // Another name has to be confirmed again.
    page.click("[name=name]").await;
    page.type_in("x").await;
    page.until("document.querySelector('#order-go').innerText === 'Hold'").await;
    page.until("document.querySelector('#order-error').hidden").await;
    page.click("#order-go").await;
    page.until(&format!("{error}.startsWith('no item of healthy-onex')")).await;
    assert_eq!(world.item("healthy-onex"), None);
    page.click("#order-go").await;
    page.until("document.querySelector('[data-name=healthy-onex]')?.dataset.look === 'held_open'")
        .await;
    assert_eq!(world.item("healthy-onex").unwrap()["hold_reason"]["S"], "upkeep");
    // Some processes try it out, which the page tells before it closes the dialog.
    let over = "document.querySelector('#order-over').innerText";
    page.until(&format!("{over}.startsWith('Done, but processes that only try healthy-onex')"))
        .await;
    page.picture("tried.png").await;
    page.click("#order-cancel").await;
    page.until("!document.querySelector('dialog').open").await;
    assert_eq!(world.item("healthy-one"), None);
}
