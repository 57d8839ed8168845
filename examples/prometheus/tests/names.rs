//! The dashboard, the alarms and the page on metrics ask for metrics, labels and values that are there.
#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

use std::{collections::BTreeMap, fs, path::Path};

/// The labels that every scrape adds, and those of a histogram.
const OF_PROMETHEUS: &[&str] = &["instance", "job", "le"];

/// The labels of each metric, as `docs/metrics.md` lists them; that its list is complete is held
/// by a test of the crate.
fn documented(root: &Path) -> BTreeMap<String, Vec<String>> {
    let page = fs::read_to_string(root.join("../../docs/metrics.md")).unwrap();
    let entries = page.lines().filter(|line| line.starts_with("- `fuseboard_"));
    entries
        .map(|entry| {
            // The name, and in brackets the kind and the labels.
            let (head, _text) = entry.split_once("):").unwrap();
            let mut quoted = head.split('`').skip(1).step_by(2).map(str::to_owned);
            (quoted.next().unwrap(), quoted.collect())
        })
        .collect()
}

/// What `docs/metrics.md` says of the values of each label.
fn values(root: &Path) -> BTreeMap<String, String> {
    let page = fs::read_to_string(root.join("../../docs/metrics.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.flat_map(|(labels, of)| {
        labels.split("`, `").map(|label| (label.to_owned(), of.to_owned())).collect::<Vec<_>>()
    })
    .collect()
}

/// The queries of the page, each of which may go on in an indented line.
fn on_the_page(root: &Path) -> Vec<String> {
    let page = fs::read_to_string(root.join("../../docs/metrics.md")).unwrap();
    let (block, _) = page.split_once("```promql\n").unwrap().1.split_once("```").unwrap();
    let mut queries: Vec<String> = Vec::new();
    for line in block.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match queries.last_mut().filter(|_| line.starts_with(' ')) {
            Some(query) => query.push_str(line),
            None => queries.push(line.to_owned()),
        }
    }
    queries
}

/// The words of a query that could be names of metrics or labels.
fn words(query: &str) -> impl Iterator<Item = &str> {
    query.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

/// The queries of the dashboard, of the alarms and of the page.
fn queries(root: &Path) -> Vec<String> {
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&read("grafana.json")).unwrap();
    let panels = dashboard.get("panels").and_then(serde_json::Value::as_array).unwrap();
    let mut queries = Vec::new();
    for panel in panels {
        for target in panel.get("targets").and_then(serde_json::Value::as_array).unwrap() {
            queries
                .push(target.get("expr").and_then(serde_json::Value::as_str).unwrap().to_owned());
        }
    }
    let alarms = read("alerts.yml");
    let is_query = |line: &&str| line.contains("fuseboard_");
    queries.extend(alarms.lines().filter(is_query).map(str::to_owned));
    let on_the_page = on_the_page(root);
    assert!(on_the_page.len() >= 13, "{on_the_page:?}");
    queries.extend(on_the_page);
    assert!(queries.len() >= 31, "{} queries", queries.len());
    queries
}

#[test]
fn every_query_asks_for_metrics_and_labels_that_are_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documented = documented(root);
    assert_eq!(documented.len(), 18, "{documented:?}");
    for query in queries(root) {
        let mut labels = OF_PROMETHEUS.to_vec();
        for word in words(&query).filter(|word| word.starts_with("fuseboard_")) {
            let found = documented.get(word.trim_end_matches("_bucket"));
            let Some(found) = found else { panic!("{query}: {word} is not there") };
            labels.extend(found.iter().map(String::as_str));
        }
        // What stands in `by (...)`, `on (...)` and before `=`, `!=` and `=~`.
        let grouped = query.split(" by (").skip(1).chain(query.split(" on (").skip(1));
        let grouped =
            grouped.filter_map(|rest| rest.split_once(')')).flat_map(|(inner, _)| words(inner));
        let mut before: Vec<_> = query.split(['=', '!']).collect();
        let _after_the_last = before.pop();
        let matched = before.into_iter().filter_map(|before| words(before).last());
        for label in grouped.chain(matched).filter(|word| !word.is_empty()) {
            let is_value = query.contains(&format!("\"{label}\""));
            let is_metric = label.starts_with("fuseboard_");
            assert!(is_value || is_metric || labels.contains(&label), "{query}: {label}");
        }
    }
}

#[test]
fn every_query_asks_for_values_that_are_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let values = values(root);
    assert_eq!(values.len(), 12, "{values:?}");
    let mut asked = 0;
    for query in queries(root) {
        for (before, rest) in query.match_indices("=\"").map(|(at, _)| query.split_at(at)) {
            let label = words(before).filter(|word| !word.is_empty()).last().unwrap();
            let value = rest.split('"').nth(1).unwrap();
            assert!(values[label].contains(&format!("`{value}`")), "{query}: {label} is {value}");
            asked += 1;
        }
    }
    assert!(asked >= 12, "{asked} values");
}
