//! What the page shows, and how soon.

use std::time::Duration;

use fuseboard::{BreakerRegistry, Config};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    browser::Page,
    shown::{Alone, Dashboard},
    world::{World, closed, half_open_by_python, now, open},
};

const WIDE: [u32; 2] = [1_280, 800];
const PHONE: [u32; 2] = [390, 844];

/// Whether the circuit of this name has this look on the page.
fn looks(name: &str, look: &str) -> String {
    let selector = json!(format!("[data-name={}]", json!(name)));
    format!("document.querySelector({selector})?.dataset.look === {}", json!(look))
}

fn millis() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    since.as_millis().try_into().unwrap()
}

async fn text(page: &Page<'_>, selector: &str) -> String {
    let text = page.value(&format!("document.querySelector({}).innerText", json!(selector))).await;
    text.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trip_and_a_recovery_of_a_process_are_shown_within_a_second() {
    let Some(alone) = Alone::start().await else { return };
    let world = World::new().await;
    let config = Config::builder()
        .recovery_timeout(Duration::from_secs(1))
        .success_threshold(1)
        .store_timeout(Duration::from_secs(20))
        .build();
    let registry =
        BreakerRegistry::builder(world.store()).config(config.unwrap()).disabled(false).spawn();
    let registry = registry.unwrap();
    let breaker = registry.breaker("payment-backend").unwrap();
    let dashboard = Dashboard::of(&world, &[]).await;
    let page = alone.browser.open(&dashboard.url, WIDE).await;
    page.until("document.querySelector('#calm')?.hidden === false").await;
    let (mut trips, mut recoveries) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        for _ in 0..5 {
            let _ = breaker.call(async || Err::<(), _>("down")).await;
        }
        let tripped = millis();
        trips.push(page.until(&looks("payment-backend", "open")).await - tripped);
        while breaker.call(async || Ok::<_, &str>(())).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        let recovered = millis();
        recoveries.push(page.until(&looks("payment-backend", "closed")).await - recovered);
    }
    let news = text(&page, "#news").await;
    assert!(news.contains("payment-backend") && news.contains("closed → open"), "{news}");
    assert_eq!(page.complaints(), Vec::<String>::new());
    page.picture("recovered.png").await;
    for (what, mut times) in [("trips", trips), ("recoveries", recoveries)] {
        times.sort_unstable();
        println!("{what} are shown after {times:?} ms");
        // A machine that does something else for a moment makes no difference to the middle.
        assert!(times[times.len() / 2] <= 1_000, "{what}: {times:?}");
        assert!(times[times.len() - 1] <= 4_000, "{what}: {times:?}");
    }
}

/// Puts a circuit of each kind into the table.
fn put_every_kind(world: &World) {
    let at = now();
    world.put("payment-backend", &open(at - 95));
    world.put("search", &half_open_by_python(at + 20));
    let mut held = open(at);
    for (name, value) in [
        ("half_open_owner", json!("hold#maintenance")),
        ("hold_until", json!(at + 7_200)),
        ("hold_by", json!("ops")),
        ("hold_reason", json!("maintenance")),
    ] {
        held[name] = value;
    }
    world.put("email-sender", &held);
    world.put("geocoder", &closed());
    world.put("invoices", &closed());
    world.put("broken", &json!({"state": "AJAR", "failure_count": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_is_told_by_a_word_a_form_and_a_place() {
    let Some(alone) = Alone::start().await else { return };
    let world = World::new().await;
    put_every_kind(&world);
    let dashboard = Dashboard::of(&world, &[]).await;
    let page = alone.browser.open(&dashboard.url, WIDE).await;
    page.until("document.querySelectorAll('.circuit').length === 6").await;
    for (name, section, word, form, told) in [
        ("payment-backend", "down", "OPEN", "open", "for 1 min 3"),
        ("search", "down", "HALF-OPEN", "half_open", "17#0b5e probes"),
        ("email-sender", "held", "HELD OPEN", "held_open", "ops: maintenance"),
        ("geocoder", "well", "CLOSED", "closed", ""),
        ("broken", "broken", "UNREADABLE", "unreadable", "no usable state"),
    ] {
        let circuit = format!("#{section} [data-name={name}]");
        let text = text(&page, &circuit).await;
        assert!(text.contains(word) && text.contains(told), "{name}: {text}");
        let used = format!("document.querySelector('{circuit} use').getAttribute('href')");
        assert_eq!(page.value(&used).await, format!("#{form}"));
    }
    let counts = text(&page, "#counts").await.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(counts, "1 open 1 half-open 1 held 1 unreadable 2 closed");
    assert_eq!(page.value("document.title").await, "2 open · circuits");
    let elsewhere = "performance.getEntriesByType('resource').map((one) => one.name)
        .filter((name) => !name.startsWith(location.origin))";
    assert_eq!(page.value(elsewhere).await, json!([]));
    assert_eq!(page.complaints(), Vec::<String>::new());
    page.picture("every-state.png").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_next_is_told_and_goes_by_the_clock() {
    let Some(alone) = Alone::start().await else { return };
    let world = World::new().await;
    let at = now();
    world.put(
        "due-soon",
        &json!({"state": "OPEN", "failure_count": 5, "opened_at": at - 20,
        "expiration": at + 4 + 3_600}),
    );
    world.put("due", &open(at - 95));
    world.put("left", &half_open_by_python(at - 125));
    let mut held = open(at - 7_200);
    for (name, value) in [
        ("half_open_owner", json!("hold#maintenance")),
        ("hold_until", json!(at - 125)),
        ("expiration", json!(at - 125 + 3_600)),
        ("hold_by", json!("ops")),
        ("hold_reason", json!("maintenance")),
    ] {
        held[name] = value;
    }
    world.put("was-held", &held);
    let dashboard = Dashboard::of(&world, &[]).await;
    let page = alone.browser.open(&dashboard.url, WIDE).await;
    page.until("document.querySelectorAll('#down .circuit').length === 4").await;
    let due = "a probe is due: the next call probes";
    for (name, words) in [
        ("due", &[due][..]),
        ("left", &["the lease of 17#0b5e ended 2 min ", " s ago, at ", "the next call probes"]),
        ("was-held", &[due, "ops: maintenance; the hold ended 2 min "]),
    ] {
        let told = text(&page, &format!("[data-name={name}]")).await;
        assert!(words.iter().all(|words| told.contains(words)), "{name}: {told}");
        assert!(!told.contains("17#0b5e probes"), "{told}");
    }
    let soon = "document.querySelector('[data-name=due-soon] .until').innerText";
    let told = page.value(soon).await;
    assert!(told.as_str().unwrap().starts_with("a probe is due"), "{told}");
    // The page's own clock goes on: nothing is sent of a circuit that does not change.
    page.until(&format!("{soon} === {}", json!(due))).await;
    assert_eq!(page.complaints(), Vec::<String>::new());
    page.picture("next.png").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_table_says_is_text_and_never_html() {
    let Some(alone) = Alone::start().await else { return };
    let world = World::new().await;
    let name = "<script>document.title='taken'</script><img src=x onerror=alert(1)>";
    let mut item = half_open_by_python(now() + 60);
    item["half_open_owner"] = json!("<b onclick=alert(1)>who</b>");
    world.put(name, &item);
    world.put("a\u{202e}b\u{1b}", &open(now()));
    let dashboard = Dashboard::of(&world, &["--allow-changes"]).await;
    let page = alone.browser.open(&dashboard.url, WIDE).await;
    page.until("document.querySelectorAll('.circuit').length === 2").await;
    let names = "[...document.querySelectorAll('.name')].map((one) => one.textContent)";
    assert_eq!(page.value(names).await, json!([name, "a\\u{202e}b\\u{1b}"]));
    let why = text(&page, "[data-look=half_open] .why").await;
    assert!(why.contains("<b onclick=alert(1)>who"), "{why}");
    page.click("[data-look=half_open] [data-order=hold]").await;
    page.until("document.querySelector('dialog').open").await;
    assert_eq!(text(&page, "#order-head").await, format!("Hold {name}"));
    let made = "document.querySelectorAll('body img, body script:not([src]), .circuit b[onclick]')";
    assert_eq!(page.value(&format!("{made}.length")).await, 0);
    assert_eq!(page.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_found_and_circuits_opened_by_keys() {
    let Some(alone) = Alone::start().await else { return };
    let world = World::new().await;
    put_every_kind(&world);
    let dashboard = Dashboard::of(&world, &[]).await;
    let page = alone.browser.open(&dashboard.url, WIDE).await;
    page.until("document.querySelectorAll('.circuit').length === 6").await;
    let shown = "[...document.querySelectorAll('.circuit:not([hidden]) .name')]
        .map((one) => one.textContent).join()";
    page.press("/", "/").await;
    page.type_in("INV").await;
    page.until(&format!("{shown} === 'invoices'")).await;
    page.press("Tab", "\t").await;
    // Headless, the key does not move the cursor everywhere.
    page.value("document.querySelector('[data-name=invoices] .name').focus()").await;
    page.press("Enter", "\r").await;
    page.until("document.activeElement.getAttribute('aria-expanded') === 'true'").await;
    page.value("document.querySelector('#filter').focus()").await;
    page.press("Escape", "").await;
    page.until(&format!("{shown}.split(',').length === 6")).await;
    page.press("x", "x").await;
    page.until("!document.querySelector('#calm').hidden").await;
    assert_eq!(text(&page, "#calm").await, "No name has “x” in it.");
    assert_eq!(page.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_shows_all_of_it_without_scrolling_sideways() {
    let Some(alone) = Alone::start().await else { return };
    let world = World::new().await;
    put_every_kind(&world);
    world.put(&"a-name-without-a-place-to-break-it".repeat(5), &open(now()));
    let dashboard = Dashboard::of(&world, &["--allow-changes"]).await;
    let page = alone.browser.open(&dashboard.url, PHONE).await;
    page.until("document.querySelectorAll('.circuit').length === 7").await;
    page.picture("phone.png").await;
    page.value("document.querySelectorAll('.name').forEach((name) => name.click())").await;
    page.until("document.querySelectorAll('.expanded').length === 7").await;
    let too_wide = "[...document.querySelectorAll('body *')]
        .filter((one) => one.checkVisibility() && !one.closest('.forms, .strip, .unseen'))
        .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5)
        .map((one) => one.outerHTML)";
    for width in [390, 320] {
        page.resize([width, 844]).await;
        let root = "document.documentElement.scrollWidth";
        assert_eq!(page.value(root).await, width);
        assert_eq!(page.value(too_wide).await, json!([]), "{width}");
    }
    page.click("[data-name=search] [data-order=hold]").await;
    page.until("document.querySelector('dialog').open").await;
    assert_eq!(page.value(too_wide).await, json!([]));
    page.picture("phone-order.png").await;
    assert_eq!(page.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_circuits_are_shown_and_followed() {
    let Some(alone) = Alone::start().await else { return };
    let world = World::new().await;
    let names: Vec<_> = (0..200).map(|number| format!("service-{number:03}")).collect();
    for name in &names {
        world.put(name, &closed());
    }
    let dashboard = Dashboard::of(&world, &[]).await;
    let began = millis();
    let page = alone.browser.open(&dashboard.url, WIDE).await;
    let at = page.until("document.querySelectorAll('#well .circuit').length === 200").await;
    println!("200 circuits are shown after {} ms", at - began);
    assert!(at - began <= 10_000, "{} ms", at - began);
    page.picture("200.png").await;
    for look in ["down", "well"] {
        for name in &names {
            world.put(name, &if look == "down" { open(now()) } else { closed() });
        }
        let put = millis();
        let every = format!("document.querySelectorAll('#{look} .circuit').length === 200");
        let shown = page.until(&every).await - put;
        println!("200 circuits that have changed are shown after {shown} ms");
        assert!(shown <= 5_000, "{shown} ms");
    }
    assert_eq!(page.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_read_is_told_with_why_and_what_was_known_is_grey() {
    let Some(alone) = Alone::start().await else { return };
    let world = World::new().await;
    put_every_kind(&world);
    let dashboard = Dashboard::of(&world, &[]).await;
    let page = alone.browser.open(&dashboard.url, WIDE).await;
    page.until("document.querySelectorAll('.circuit').length === 6").await;
    world.way.set_down(true);
    page.until("document.querySelector('#fault').innerText.includes('cannot be read since')").await;
    let told = text(&page, "#fault").await;
    assert!(told.contains(&world.endpoint) && told.contains("What is shown is from"), "{told}");
    assert_eq!(page.value("document.querySelectorAll('.circuit').length").await, 6);
    let filter = page.value("getComputedStyle(document.querySelector('main')).filter").await;
    assert_eq!(filter, "grayscale(1)");
    page.picture("unreachable.png").await;
    world.way.set_down(false);
    page.until("document.querySelector('#fault').hidden").await;
    // The strip tells that nothing was known for a while.
    page.until("document.querySelector('[data-name=search] .band .unknown') !== null").await;
    assert_eq!(page.complaints(), Vec::<String>::new());

    world.way.deny("Scan");
    page.until("document.querySelector('#fault').innerText.includes('dynamodb:Scan')").await;
    dashboard.end().await;
    let silent =
        "document.querySelector('#fault').innerText.includes('No answer from the dashboard')";
    page.until(silent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_never_read_has_no_counts_until_it_is() {
    let Some(alone) = Alone::start().await else { return };
    let world = World::empty().await;
    let dashboard = Dashboard::of(&world, &[]).await;
    let page = alone.browser.open(&dashboard.url, WIDE).await;
    page.until("document.querySelector('#fault')?.innerText.includes('cannot be read')").await;
    assert_eq!(page.value("document.querySelectorAll('#counts li').length").await, 0);
    assert_eq!(text(&page, "#age").await, "not read yet");
    world.store().create_table().await.unwrap();
    let calm = "document.querySelector('#calm').innerText";
    let told = |told: &str| format!("{calm} === {}", json!(told));
    page.until(&told("No circuit has an item in table \"circuits\": all are closed.")).await;
    page.picture("empty.png").await;
    assert!(text(&page, "#counts").await.starts_with('0'));
    assert_eq!(page.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_circuits_says_whether_it_looks_at_the_right_place() {
    let Some(alone) = Alone::start().await else { return };
    let world = World::new().await;
    let calm = "document.querySelector('#calm')?.innerText";
    let has = |words: &str| format!("{calm}?.includes({})", json!(words));
    // Another program's table.
    world.put("order-7", &json!({"state": "SHIPPED", "total": 12}));
    let dashboard = Dashboard::of(&world, &["--prefix", "shop/"]).await;
    let page = alone.browser.open(&dashboard.url, WIDE).await;
    page.until(&has("1 item of other programs, such as \"order-7\"")).await;
    assert!(text(&page, "#others").await.contains("Items of other programs: 1."));
    assert!(text(&page, "#place").await.ends_with(", prefix \"shop/\""));
    page.picture("foreign.png").await;
    // A prefix that nobody has.
    world.put("orders/db", &open(now()));
    page.until(&has("No circuit of prefix \"shop/\" has an item; 1 circuit of another")).await;
    page.until(&has("is the prefix right?")).await;
    page.picture("prefix.png").await;
    assert!(text(&page, "#others").await.contains("Circuits of other prefixes: 1."));
    world.put("shop/db", &open(now()));
    page.until(&looks("db", "open")).await;
    page.until("document.querySelector('#calm').hidden").await;
    // A table that is not there, on a page that has never seen one.
    let dashboard = Dashboard::of(&world, &["--table", "misspelt"]).await;
    let other = alone.browser.open(&dashboard.url, WIDE).await;
    let fault = "document.querySelector('#fault')?.innerText";
    other.until(&format!("{fault}?.includes('table \"misspelt\"')")).await;
    other.until(&format!("{fault}?.includes('correct its name, account and region')")).await;
    other.picture("misspelt.png").await;
    assert_eq!(page.complaints(), Vec::<String>::new());
    assert_eq!(other.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_is_gone_is_told_as_a_close() {
    let Some(alone) = Alone::start().await else { return };
    let world = World::new().await;
    world.put("payment-backend", &open(now()));
    let dashboard = Dashboard::of(&world, &[]).await;
    let page = alone.browser.open(&dashboard.url, WIDE).await;
    page.until(&looks("payment-backend", "open")).await;
    world.remove("payment-backend");
    page.until(&looks("payment-backend", "closed")).await;
    page.click("[data-name=payment-backend] .name").await;
    page.until("document.querySelector('.expanded') !== null").await;
    let told: Value = text(&page, "[data-name=payment-backend]").await.into();
    assert!(told.as_str().unwrap().contains("its item is gone"), "{told}");
}

#[cfg(feature = "demo")]
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_an_incident_without_an_account() {
    let Some(alone) = Alone::start().await else { return };
    let dashboard = Dashboard::demo().await;
    let page = alone.browser.open(&dashboard.url, WIDE).await;
    for look in ["open", "closed"] {
        page.until(&looks("partner-quotes", look)).await;
    }
    page.until(&looks("payment-backend", "open")).await;
    let held = text(&page, "#held").await;
    assert!(held.contains("ops: the provider's maintenance"), "{held}");
    assert!(held.contains("anna: load test"), "{held}");
    page.until(&looks("payment-backend", "closed")).await;
    assert_eq!(page.complaints(), Vec::<String>::new());
    page.picture("demo.png").await;
}
