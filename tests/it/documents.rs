//! The documents name the tests that hold what they say; those tests are there.

mod cases;
mod clients;
mod guide;
mod paths;
mod tables;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use fuseboard::Config;

const DOCUMENTS: [&str; 9] = [
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "docs/failure-modes.md",
    "docs/fleet-size.md",
    "docs/guarantees.md",
    "docs/metrics.md",
    "docs/model.md",
    "docs/performance.md",
    "docs/python.md",
];

/// Where tests are: those of the crate from outside, and those of its modules.
const ROOTS: [&str; 2] = ["tests/it", "src"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The modules that hold tests, and may be named.
fn is_module_of_tests(first: &str) -> bool {
    let units = [
        "actor",
        "gate",
        "health",
        "machine",
        "metrics",
        "name",
        "panics",
        "queue",
        "reachability",
        "registry",
    ];
    let there = |path: String| root().join(path).exists();
    units.contains(&first) || (there(format!("tests/it/{first}.rs")) && first != "support")
}

/// What stands between backticks and is the path of a test.
fn named(document: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| code.split_once("::").is_some_and(|(first, _)| is_module_of_tests(first)))
        .map(ToOwned::to_owned)
        .collect()
}

/// The source of a module and of those within it.
fn source(module: &[&str]) -> Option<String> {
    let path = module.join("/");
    let mut sources = String::new();
    for place in ROOTS {
        if let Ok(text) = fs::read_to_string(root().join(format!("{place}/{path}.rs"))) {
            sources += &text;
        }
        let within = fs::read_dir(root().join(format!("{place}/{path}")));
        for entry in within.into_iter().flatten() {
            sources += &fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        }
    }
    (!sources.is_empty()).then_some(sources)
}

/// Whether a test, several with a common beginning (`…`), or any within a
/// module (`*`) are there.
fn exists(path: &str) -> bool {
    let segments: Vec<_> = path.split("::").collect();
    if source(&segments).is_some() {
        return true;
    }
    let Some((name, module)) = segments.split_last() else {
        return false;
    };
    source(module).is_some_and(|source| {
        let wanted = match name.strip_suffix(['…', '*']) {
            Some(beginning) => format!("fn {beginning}"),
            None => format!("fn {name}("),
        };
        source.contains(&wanted)
    })
}

/// What stands between backticks and can be nothing but the name of a test, or,
/// with a `*`, the beginning of several names.
fn named_alone(document: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let is_name = |code: &&str| {
        let name = code.trim_end_matches('*');
        let of_words = name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
        // A metric has the crate's name in front.
        let is_metric = name.starts_with("fuseboard_");
        of_words && !is_metric && name.matches('_').count() >= LEAST_UNDERSCORES
    };
    text.split('`').skip(1).step_by(2).filter(is_name).map(ToOwned::to_owned).collect()
}

/// No name in the API or in an item has so many.
const LEAST_UNDERSCORES: usize = 3;

/// All sources in a folder.
fn all_tests(folder: &Path) -> String {
    let mut sources = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources += &all_tests(&path);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            sources += &fs::read_to_string(&path).unwrap();
        }
    }
    sources
}

fn exists_alone(name: &str, tests: &str) -> bool {
    match name.strip_suffix('*') {
        Some(beginning) => tests.contains(&format!("fn {beginning}")),
        None => tests.contains(&format!("fn {name}(")),
    }
}

#[test]
fn every_test_that_a_document_names_by_its_name_alone_is_there() {
    let tests = all_tests(&root().join("tests")) + &all_tests(&root().join("src"));
    let mut count = 0;
    for document in DOCUMENTS {
        for name in named_alone(document) {
            assert!(exists_alone(&name, &tests), "{document} names {name}");
            count += 1;
        }
    }
    assert!(count >= 4, "{count} names were found");
    assert!(!exists_alone("a_test_that_nobody_has_written", &tests));
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let mut count = 0;
    for document in DOCUMENTS {
        for path in named(document) {
            assert!(exists(&path), "{document} names {path}");
            count += 1;
        }
    }
    assert!(count > 60, "{count} names were found");
    assert!(!exists("protocol::late::a_test_that_nobody_wrote"));
    assert!(!exists("protocol::nowhere::*"));
}

/// Words on one line, whatever line they were broken into.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The instructions of a path stand once in code, and in what people read.
#[test]
fn the_documents_give_the_instructions_that_the_check_holds() {
    let bounds = fs::read_to_string(root().join("benches/instructions/src/bounds.rs")).unwrap();
    let counted = |path: &str| {
        let (_, bound) = bounds.split_once(&format!("path: \"{path}\", counted: ")).unwrap();
        bound.split(',').next().unwrap().to_owned()
    };
    let readme = words(&fs::read_to_string(root().join("README.md")).unwrap());
    for (path, told) in [
        ("try_admit", "instructions for `try_admit` and success"),
        ("call", "for `call` around a ready future"),
        ("rejected, try_admit", "for a rejection by `try_admit`"),
    ] {
        let told = format!("{} {told}", counted(path));
        assert!(readme.contains(&told), "README.md does not say: {told}");
    }
    let page = fs::read_to_string(root().join("docs/performance.md")).unwrap();
    for (path, row) in [
        ("try_admit", "`try_admit`, success"),
        ("admit", "`admit`, success"),
        ("admit_owned", "`admit_owned`, success"),
        ("call", "`call` around a ready future"),
        ("call_or_else", "`call_or_else` around one"),
        ("layer", "a call through the layer for tower"),
        ("rejected, try_admit", "rejected, `try_admit`"),
        ("rejected, with retry_after", "rejected, `try_admit` with `retry_after`"),
        ("rejected, with the CircuitInfo", "rejected, `try_admit` with the `CircuitInfo`"),
        ("rejected, admit", "rejected, `admit` with an `OpenError`"),
    ] {
        let row = format!("| {row} | {} |", counted(path));
        assert!(page.contains(&row), "docs/performance.md has no row that begins: {row}");
    }
}

#[test]
fn the_readme_and_the_page_of_settings_give_the_default_of_every_setting() {
    let config = Config::default();
    let seconds = |length: Duration| format!("{} s", length.as_secs());
    let on = |is_on| if is_on { "on" } else { "off" }.to_owned();
    let none = |is_none| if is_none { "none" } else { "set" }.to_owned();
    let leases = config.probe_limit().as_secs() / config.probe_lease().as_secs();
    let least = config.store_timeout().saturating_mul(3);
    assert_eq!(config.probe_lease(), config.recovery_timeout().max(least));
    let defaults = [
        ("failure_threshold", config.failure_threshold().to_string()),
        ("recovery_timeout", seconds(config.recovery_timeout())),
        ("success_threshold", config.success_threshold().to_string()),
        ("local_cache_max_age", seconds(config.local_cache_max_age())),
        ("refresh_ahead", on(config.refresh_ahead())),
        ("probe_lease", format!("max(R, 3 S) = {}", seconds(config.probe_lease()))),
        ("handoff", seconds(config.handoff())),
        (
            "election_spread",
            format!("min(R / 30, `handoff`) = {}", seconds(config.election_spread())),
        ),
        ("probe_limit", format!("{leases} leases")),
        ("store_timeout", seconds(config.store_timeout())),
        ("on_store_outage", format!("`{:?}`", config.on_store_outage())),
        ("max_clock_skew", seconds(config.max_clock_skew())),
        ("await_trip_write", config.await_trip_write().to_string()),
        ("count_cancelled", config.count_cancelled().to_string()),
        ("failure_window", none(config.failure_window().is_none())),
        ("also_trip", none(config.also_trip().is_empty())),
        ("slow_after", none(config.slow_after().is_none())),
        ("open_backoff", none(config.open_backoff().is_none())),
        ("open_for_at_most", format!("max(R, {})", seconds(config.open_for_at_most()))),
        ("ramp", none(config.ramp().is_none())),
    ];
    for document in ["README.md", "docs/settings.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for (setting, default) in &defaults {
            let row = format!("| `{setting}` | {default} |");
            assert!(text.contains(&row), "{document} has no row that begins: {row}");
        }
    }
}
