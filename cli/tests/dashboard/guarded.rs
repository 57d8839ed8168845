//! Who is answered, and what another page can do.

use serde_json::json;

use crate::{
    shown::{Alone, Dashboard},
    world::{World, now, open},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_another_host_or_origin_asks_for_is_refused() {
    let world = World::new().await;
    world.put("payments", &open(now()));
    let before = world.item("payments");
    let dashboard = Dashboard::of(&world, &["--allow-changes"]).await;
    let token = format!("x-fuseboard-token: {}", dashboard.token().await);
    let host = format!("host: {}", dashboard.host());
    let own = format!("origin: {}", dashboard.url);
    let json = "content-type: application/json";
    let order = json!({"verb": "release", "name": "payments"}).to_string();
    let stale = "x-fuseboard-token: 00000000000000000000000000000000";
    for (line, heads, status) in [
        ("GET /", &["host: attacker.example"][..], 403),
        ("GET /page.js", &["host: attacker.example"], 403),
        ("GET /events", &["host: attacker.example:80"], 403),
        ("GET /", &[&host, "origin: http://attacker.example"], 403),
        ("GET /events", &[&host, "sec-fetch-site: cross-site"], 403),
        (
            "POST /order",
            &["host: attacker.example", "origin: http://attacker.example", json, &token],
            403,
        ),
        ("POST /order", &[&host, "origin: http://attacker.example", json, &token], 403),
        ("POST /order", &[&host, "origin: http://127.0.0.1:1", json, &token], 403),
        ("POST /order", &[&host, "origin: null", json, &token], 403),
        ("POST /order", &[&host, json, &token], 403),
        ("POST /order", &[&host, &own, json], 403),
        ("POST /order", &[&host, &own, json, stale], 403),
        ("POST /order", &[&host, &own, "content-type: text/plain", &token], 415),
        ("GET /order", &[&host, json, &token], 405),
        ("POST /", &[&host, &own], 405),
        ("GET /elsewhere", &[&host], 404),
    ] {
        let answer = dashboard.ask(line, heads, &order).await;
        assert_eq!(answer.status, status, "{line} {heads:?}: {answer:?}");
        assert!(answer.heads.contains("content-security-policy: default-src 'none'"), "{answer:?}");
        assert!(!answer.heads.contains("access-control-allow"), "{answer:?}");
    }
    assert_eq!(world.item("payments"), before);
    assert!(!world.way.asked().contains(&"UpdateItem".to_owned()));
    // The same order is carried out for the page itself.
    let answer = dashboard.ask("POST /order", &[&host, &own, json, &token], &order).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(world.item("payments").unwrap()["state"], json!({"S": "CLOSED"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_make_no_sense_are_refused_with_why() {
    let world = World::new().await;
    world.put("payments", &open(now()));
    let before = world.item("payments");
    let dashboard = Dashboard::of(&world, &["--allow-changes"]).await;
    let token = format!("x-fuseboard-token: {}", dashboard.token().await);
    let host = format!("host: {}", dashboard.host());
    let own = format!("origin: {}", dashboard.url);
    let heads = [host.as_str(), &own, "content-type: application/json", &token];
    for (order, told) in [
        (
            json!({"verb": "hold", "name": "payments", "lasts": "2h", "reason": " ", "by": null}),
            "needs a reason",
        ),
        (
            json!({"verb": "hold", "name": "payments", "lasts": "2", "reason": "x", "by": null}),
            "like 2h",
        ),
        (
            json!({"verb": "hold", "name": "", "lasts": "2h", "reason": "x", "by": null}),
            "at least 1 byte",
        ),
        (
            json!({"verb": "hold", "name": "paymnets", "lasts": "2h", "reason": "x", "by": null}),
            "did you mean payments?",
        ),
        (
            json!({"verb": "hold", "name": "payments", "lasts": "2h", "reason": "x".repeat(1_025), "by": null}),
            "1,024",
        ),
        (json!({"verb": "delete", "name": "payments"}), "unknown variant"),
        (json!({"verb": "release", "name": "payments", "all": true}), "unknown field"),
    ] {
        let answer = dashboard.ask("POST /order", &heads, &order.to_string()).await;
        assert!((400..500).contains(&answer.status), "{order}: {answer:?}");
        assert!(answer.body.contains(told), "{order}: {answer:?}");
    }
    assert_eq!(world.item("payments"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_neither_reads_nor_orders_anything() {
    let Some(alone) = Alone::start().await else { return };
    let world = World::new().await;
    world.put("payments", &open(now()));
    let before = world.item("payments");
    let dashboard = Dashboard::of(&world, &["--allow-changes"]).await;
    let token = dashboard.token().await;
    // The browser itself lets this page send what needs no leave, and keeps the rest back.
    let page = alone.browser.open("about:blank", [800, 600]).await;
    let order = json!({"verb": "release", "name": "payments"}).to_string();
    for (path, how) in [
        ("/order", json!({"method": "POST", "mode": "no-cors", "body": order})),
        (
            "/order",
            json!({"method": "POST", "body": order,
                "headers": {"content-type": "application/json", "x-fuseboard-token": token}}),
        ),
        ("/events", json!({})),
        ("/", json!({})),
    ] {
        let fetch = format!(
            "fetch('{}{path}', {how}).then((answer) => answer.text()).catch(() => '')",
            dashboard.url
        );
        assert_eq!(page.value(&fetch).await, "", "{path} {how}");
    }
    assert_eq!(world.item("payments"), before);
    assert!(!world.way.asked().contains(&"UpdateItem".to_owned()));
    // A link leads to the page all the same.
    page.ask("Page.navigate", json!({"url": dashboard.url})).await;
    page.until("document.querySelector('[data-name=payments]') !== null").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_told_with_what_to_do() {
    let world = World::new().await;
    let dashboard = Dashboard::of(&world, &[]).await;
    let ran = world.run(&["dashboard", "--listen", dashboard.host()]).await;
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.err.contains("cannot listen on") && ran.err.contains("127.0.0.1:0"), "{ran:?}");
}

/// Whoever reached the engine of the demo could write to its table, past the guard of the page: a
/// page of another origin in the same browser.
#[cfg(all(feature = "demo", target_os = "linux"))]
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_listens_where_its_page_is_and_nowhere_else() {
    let dashboard = Dashboard::demo().await;
    let port: u16 = dashboard.host().rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(dashboard.ports(), [port]);
    dashboard.end().await;
}
