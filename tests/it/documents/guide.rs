//! The pages of the guide: those that are made from others, and those that list what code has.

use std::{
    env, fs,
    time::{Duration, SystemTime},
};

use fuseboard::{
    Breaker, BreakerRegistry, CallError, CircuitState, Config, ConfigBuilder, ConfigError,
    MemoryStore, VirtualClock,
};

use super::{named, root};

/// The page of the guide has no column of tests: it does not fit beside the others, and users
/// of the crate do not have the tests.
const TABLES: &str = "docs/failure-modes.md";
const PAGE: &str = "docs/guide/failure-modes.md";

/// The tables without their last column, and the text without the paragraphs about tests.
fn without_tests(text: &str) -> String {
    let mut is_of_tests = false;
    let mut page = String::new();
    for line in text.lines() {
        if let Some((row, _test)) = line.strip_suffix('|').and_then(|row| row.rsplit_once('|')) {
            page += &format!("{row}|\n");
            continue;
        }
        let begins = ["Tests are named", "Where the number of a case"];
        is_of_tests =
            !line.is_empty() && (is_of_tests || begins.iter().any(|b| line.starts_with(b)));
        let is_doubled = line.is_empty() && page.ends_with("\n\n");
        if !is_of_tests && !is_doubled {
            page += &format!("{line}\n");
        }
    }
    page
}

/// `FUSEBOARD_PAGES=write` makes the page.
#[test]
fn the_page_of_failure_modes_is_the_tables_without_their_tests() {
    let made = without_tests(&fs::read_to_string(root().join(TABLES)).unwrap());
    if env::var("FUSEBOARD_PAGES").is_ok_and(|value| value == "write") {
        fs::write(root().join(PAGE), &made).unwrap();
    }
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    assert!(page == made, "{PAGE} is old: run this test with FUSEBOARD_PAGES=write");
    assert_eq!(named(PAGE), Vec::<String>::new(), "{PAGE} names tests");
}

/// The pictures of this page are shown in the page: rustdoc has no files beside it.
const RULES: &str = "docs/tripping.md";
const RULES_PAGE: &str = "docs/guide/tripping.md";

/// A line that is a picture becomes the picture.
fn with_pictures(text: &str) -> String {
    text.lines()
        .map(|line| {
            let file = line.strip_prefix("![").and_then(|line| line.strip_suffix(')'));
            let Some((_, file)) = file.and_then(|line| line.rsplit_once("](")) else {
                return format!("{line}\n");
            };
            fs::read_to_string(root().join("docs").join(file)).unwrap()
        })
        .collect()
}

/// `FUSEBOARD_PAGES=write` makes the page.
#[test]
fn the_page_of_rules_shows_its_pictures() {
    let text = fs::read_to_string(root().join(RULES)).unwrap();
    let made = with_pictures(&text);
    if env::var("FUSEBOARD_PAGES").is_ok_and(|value| value == "write") {
        fs::write(root().join(RULES_PAGE), &made).unwrap();
    }
    let page = fs::read_to_string(root().join(RULES_PAGE)).unwrap();
    assert!(page == made, "{RULES_PAGE} is old: run this test with FUSEBOARD_PAGES=write");
    assert_eq!(page.matches("</svg>").count(), text.matches("![").count());
}

#[test]
fn a_page_without_tests_keeps_its_other_columns_and_paragraphs() {
    let tables =
        "A.\n\nTests are named\nby path.\n\n| a | b | test |\n|---|---|---|\n| 1 | | `x` |\n";
    assert_eq!(without_tests(tables), "A.\n\n| a | b |\n|---|---|\n| 1 | |\n");
}

/// What `build` says of a value that is out of range, and what the page says of the range.
#[test]
fn the_page_of_settings_gives_the_range_of_every_setting_that_has_one() {
    let page = fs::read_to_string(root().join("docs/settings.md")).unwrap();
    let much = Duration::MAX;
    let refused = |change: fn(ConfigBuilder, Duration) -> ConfigBuilder| -> ConfigError {
        change(Config::builder(), much).build().unwrap_err()
    };
    let errors = [
        refused(|builder, _| builder.failure_threshold(0)),
        refused(ConfigBuilder::recovery_timeout),
        refused(|builder, _| builder.success_threshold(0)),
        refused(ConfigBuilder::local_cache_max_age),
        refused(ConfigBuilder::probe_lease),
        refused(ConfigBuilder::handoff),
        refused(ConfigBuilder::election_spread),
        refused(ConfigBuilder::probe_limit),
        refused(ConfigBuilder::store_timeout),
        refused(ConfigBuilder::max_clock_skew),
    ];
    for error in errors {
        let field = error.field();
        let row = page.lines().find(|line| line.starts_with(&format!("| `{field}` |")));
        let cell = row.and_then(|row| row.split(" | ").nth(2)).unwrap_or_default();
        let range = cell.split(';').next().unwrap_or_default();
        let told = error.to_string();
        let plain = range.replace('`', "");
        let as_told = plain
            .replace(" to ", " and ")
            .replace("at most handoff", "not be longer than handoff")
            .replace("at most probe_lease", "not be longer than probe_lease");
        assert!(!plain.is_empty() && told.contains(&as_told), "{field}: {plain}, but {told}");
    }
}

type Answer = Result<(), CallError<&'static str>>;

/// A circuit of a process alone, on paused time.
fn circuit() -> (BreakerRegistry, Breaker) {
    let clock = VirtualClock::following_tokio(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
    let builder = BreakerRegistry::builder(MemoryStore::new()).clock(&clock);
    let registry = builder.disabled(false).spawn().unwrap();
    let breaker = registry.breaker("quotes").unwrap();
    (registry, breaker)
}

async fn trip(breaker: &Breaker) {
    for _ in 0..5 {
        let _: Answer = breaker.call(|| async { Err("down") }).await;
    }
    assert_eq!(breaker.state(), CircuitState::Open);
    tokio::time::sleep(Duration::from_secs(31)).await;
}

/// `docs/traps.md` warns of this.
#[tokio::test(start_paused = true)]
async fn a_circuit_within_itself_counts_twice_and_does_not_recover() {
    let (_registry, breaker) = circuit();
    for _ in 0..3 {
        assert_eq!(breaker.state(), CircuitState::Closed);
        let inner = || breaker.call(|| async { Err::<(), _>("down") });
        let _ = breaker.call(inner).await;
    }
    assert_eq!(breaker.state(), CircuitState::Open, "three calls have failed");
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(31)).await;
        let works = || breaker.call(|| async { Ok::<_, &str>(()) });
        let rejected = breaker.call(works).await.unwrap_err();
        let of_inner = rejected.inner().and_then(CallError::open);
        assert!(of_inner.is_some(), "the probe ran, and its inner call was rejected");
        assert_eq!(breaker.state(), CircuitState::Open);
    }
}

/// `docs/traps.md` warns of this, and shows what to do.
#[tokio::test(start_paused = true)]
async fn a_hedge_by_select_drops_the_probe_and_the_first_ok_keeps_it() {
    let (_registry, breaker) = circuit();
    trip(&breaker).await;
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok::<_, &str>(())
    };
    let hedge = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        breaker.call(slow).await
    };
    let raced = tokio::select! {
        first = breaker.call(slow) => first,
        second = hedge => second,
    };
    assert!(raced.unwrap_err().open().is_some(), "the rejection of the second has won");
    assert_ne!(breaker.state(), CircuitState::Closed);

    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let hedge = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            breaker.call(slow).await
        };
        let both: [futures::future::BoxFuture<'_, Answer>; 2] =
            [Box::pin(breaker.call(slow)), Box::pin(hedge)];
        assert!(futures::future::select_ok(both).await.is_ok());
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}
