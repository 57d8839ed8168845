//! `docs/runbook.md`: each of its situations is played, and each of its commands is run.
//!
//! | the page has | it comes from |
//! |---|---|
//! | `console` | the built command, on a pipe, with both of its outputs |
//! | `text` | the log or the metrics of a registry of the library |
//!
//! Nobody waits for time to pass: an item is made older, as it would be some minutes later, and a
//! process that starts then finds it so. `FUSEBOARD_PAGES=write` writes what has changed.

mod changed;
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
const PLAYED: [&str; 11] = [
    "A circuit is open",
    "It does not close",
    "One process rejects, and the table says closed",
    "The table cannot be read",
    "A circuit opens again and again",
    "Change a threshold",
    "Python functions share the table",
    "Two operators at once",
    "What an operator may do",
    "Before you need it",
    "An incident",
];

/// A file of the repository.
fn read(path: &str) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).unwrap()
}

/// The section of the runbook that a text names, as its heading is in addresses.
fn section(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("docs/runbook.md#")?;
    rest.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').next()
}

/// A heading as it is in addresses.
fn slug(heading: &str) -> String {
    let letters = heading.trim().to_lowercase();
    let kept = letters.chars().filter(|letter| letter.is_alphanumeric() || " -".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[test]
fn every_alarm_of_a_circuit_has_a_row_and_names_its_section() {
    let (page, rules) = (page::text(), read("examples/prometheus/alerts.yml"));
    let alarms: Vec<_> = rules.split("- alert: ").skip(1).collect();
    assert!(alarms.len() > 5, "{alarms:?}");
    for alarm in alarms {
        let (name, rest) = alarm.split_once('\n').unwrap();
        let line = page.lines().find(|line| line.contains(&format!("`{name}`"))).unwrap();
        let section = section(rest).unwrap_or_else(|| panic!("{name} names no section"));
        // One that is no matter of a circuit is told under "Before you need it".
        let of_row = line
            .rsplit_once("(#")
            .map_or("before-you-need-it", |(_, link)| link.split_once(')').unwrap().0);
        assert_eq!(section, of_row, "{name}");
    }
}

#[test]
fn every_section_that_alarms_name_is_there() {
    let page = page::text();
    let headings = page.lines().filter_map(|line| line.split_once("# ").map(|(_, rest)| rest));
    let slugs: Vec<_> = headings.map(slug).collect();
    for (path, description, alarms) in [
        ("examples/prometheus/alerts.yml", "summary: ", 9),
        ("examples/infra/cloudformation.yml", "AlarmDescription: ", 11),
        ("examples/infra/main.tf", "query       = ", 11),
    ] {
        let text = read(path);
        let named: Vec<_> = text.lines().filter_map(section).collect();
        assert_eq!(text.matches(description).count(), alarms, "{path}");
        assert_eq!(named.len(), alarms, "{path}: {named:?}");
        for name in named {
            assert!(slugs.iter().any(|slug| slug == name), "{path}: {name} is not in {slugs:?}");
        }
    }
}

#[test]
fn every_output_on_the_page_is_played() {
    let page = page::text();
    let headings: Vec<_> = page::played_headings(&page);
    assert_eq!(headings, PLAYED);
}
