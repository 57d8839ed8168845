//! Holds and releases by clicks, where they are allowed.

use serde_json::json;

use crate::{
    shown::{Alone, Dashboard},
    world::{World, now, open},
};

const WIDE: [u32; 2] = [1_280, 800];
const LOOK: &str = "document.querySelector('[data-name=payments]')?.dataset.look";

#[tokio::test(flavor = "multi_thread")]
async fn a_circuit_is_held_and_released_by_clicks_where_that_is_allowed() {
    let Some(alone) = Alone::start().await else { return };
    let world = World::new().await;
    world.put("payments", &open(now()));
    let dashboard = Dashboard::of(&world, &["--allow-changes"]).await;
    let page = alone.browser.open(&dashboard.url, WIDE).await;
    page.until(&format!("{LOOK} === 'open'")).await;

    page.click("[data-name=payments] [data-order=hold]").await;
    page.until("document.querySelector('dialog').open").await;
    // A length that nobody can read is told, and the circuit stays.
    page.value("document.querySelector('[name=lasts]').select()").await;
    page.type_in("2").await;
    page.click("[name=reason]").await;
    page.type_in("the provider moves").await;
    page.click("#order-go").await;
    page.until("document.querySelector('#order-error').innerText.includes('like 2h')").await;
    assert_eq!(world.item("payments").unwrap().get("hold_until"), None);
    page.value("document.querySelector('[name=lasts]').select()").await;
    page.type_in("2h").await;
    page.picture("order.png").await;
    page.click("#order-go").await;
    page.until(&format!("{LOOK} === 'held_open' && !document.querySelector('dialog').open")).await;
    let told = page.value("document.querySelector('#held').innerText").await;
    assert!(told.as_str().unwrap().contains("anna: the provider moves"), "{told}");
    // Its second may just have begun.
    let left = ["2 h left", "1 h 59 min left"];
    assert!(left.iter().any(|left| told.as_str().unwrap().contains(left)), "{told}");
    assert_eq!(world.item("payments").unwrap()["hold_by"], json!({"S": "anna"}));

    // The other way, and by another name.
    page.click("[data-name=payments] [data-order=hold]").await;
    page.click("[value=disable]").await;
    page.click("[name=reason]").await;
    page.type_in("load test").await;
    page.click("[name=by]").await;
    page.type_in("bela").await;
    page.click("#order-go").await;
    page.until(&format!("{LOOK} === 'held_closed'")).await;
    assert_eq!(world.item("payments").unwrap()["hold_by"], json!({"S": "bela"}));

    page.click("[data-name=payments] [data-order=release]").await;
    page.until("document.querySelector('dialog').open").await;
    page.click("#order-go").await;
    page.until(&format!("{LOOK} === 'closed'")).await;
    assert_eq!(world.item("payments").unwrap()["state"], json!({"S": "CLOSED"}));
    // The browser itself notes the answer to the order that made no sense.
    let complaints = page.complaints();
    assert!(complaints.len() == 1 && complaints[0].contains("409 (Conflict)"), "{complaints:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_being_allowed_there_are_no_buttons_and_no_orders() {
    let world = World::new().await;
    world.put("payments", &open(now()));
    let before = world.item("payments");
    let dashboard = Dashboard::of(&world, &[]).await;
    let host = format!("host: {}", dashboard.host());
    let origin = format!("origin: {}", dashboard.url);
    let kind = "content-type: application/json";
    let token = format!("x-fuseboard-token: {}", "0".repeat(32));
    let heads = [host.as_str(), &origin, kind, &token];
    let order = json!({"verb": "release", "name": "payments"}).to_string();
    let answer = dashboard.ask("POST /order", &heads, &order).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.body.contains("--allow-changes"), "{answer:?}");
    let page = dashboard.ask("GET /", &[&host], "").await;
    assert!(page.status == 200 && !page.body.contains("data-token"), "{page:?}");
    assert!(!page.body.contains("changes.js"), "{page:?}");
    assert_eq!(world.item("payments"), before);
    assert!(!world.way.asked().contains(&"UpdateItem".to_owned()));

    let Some(alone) = Alone::start().await else { return };
    let page = alone.browser.open(&dashboard.url, WIDE).await;
    page.until(&format!("{LOOK} === 'open'")).await;
    assert_eq!(page.value("document.querySelectorAll('[data-order], dialog').length").await, 0);
    assert_eq!(page.complaints(), Vec::<String>::new());
}
