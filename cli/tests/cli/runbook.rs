//! `docs/runbook.md`: each of its situations is played, and each of its commands is run.
//!
//! | the page has | it comes from |
//! |---|---|
//! | `console` | the built command, on a pipe, with both of its outputs |
//! | `text` | the log or the metrics of a registry of the library |
//!
//! Nobody waits for time to pass: an item is made older, as it would be some minutes later, and a
//! process that starts then finds it so. `FUSEBOARD_PAGES=write` writes what has changed.

mod child;
mod incident;
mod opened;
mod operators;
mod page;
mod process;
mod refuted;
mod seen;
mod shared;
mod shell;
mod store;
mod stuck;

/// The circuit of the page.
const CIRCUIT: &str = "payment-backend";

/// Each heading with blocks that a test plays.
const PLAYED: [&str; 10] = [
    "A circuit is open",
    "It does not close",
    "One process rejects, and the table says closed",
    "The table cannot be read",
    "A circuit opens again and again",
    "Python functions share the table",
    "Two operators at once",
    "What an operator may do",
    "Before you need it",
    "An incident",
];

#[test]
fn every_alarm_of_a_circuit_has_a_row() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let rules = std::fs::read_to_string(root.join("examples/prometheus/alerts.yml")).unwrap();
    let page = page::text();
    let alarms: Vec<_> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alarms.len() > 5, "{alarms:?}");
    for alarm in alarms {
        assert!(page.contains(&format!("`{alarm}`")), "{alarm}");
    }
}

#[test]
fn every_output_on_the_page_is_played() {
    let page = page::text();
    let headings: Vec<_> = page::played_headings(&page);
    assert_eq!(headings, PLAYED);
}
