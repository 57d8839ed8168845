//! The table at the end, and the verdict below it.

use std::time::Duration;

use crate::{
    paint::{Ink, Paint},
    report::Report,
};

/// Renders the table and the verdict.
pub(crate) fn render(report: &Report, paint: Paint) -> String {
    let mut text = String::new();
    for (label, value, note) in rows(report) {
        let note = paint.text(Ink::DIM, &note);
        text.push_str(format!("{label:<41}{value:>7}  {note}").trim_end());
        text.push('\n');
    }
    text.push('\n');
    if report.faults.is_empty() {
        let verdict = "The circuit protected the dependency and recovered.";
        text.push_str(&paint.text(Ink::GOOD, verdict));
    } else {
        let verdict = format!("FAILED: {}", report.faults.join("; "));
        text.push_str(&paint.text(Ink::BAD, &verdict));
    }
    text.push('\n');
    text
}

fn rows(report: &Report) -> Vec<(&'static str, String, String)> {
    let store = &report.store;
    let mut rows = vec![
        ("calls that reached it during its outage", String::new(), String::new()),
        (
            "  without the breaker",
            report.offered.to_string(),
            "offered: all would reach it".to_owned(),
        ),
        (
            "  with the breaker",
            report.reached.to_string(),
            format!("its own count; at most {}", report.allowed),
        ),
        (
            "first failure to fleet-wide protection",
            seconds(report.protected_after),
            "until the last one rejects".to_owned(),
        ),
        (
            "probes",
            report.probes_failed.saturating_add(report.probes_answered).to_string(),
            format!("{} failed, {} answered", report.probes_failed, report.probes_answered),
        ),
        (
            "dependency's return to closed",
            seconds(report.closed_after),
            format!("known everywhere at {}", seconds(report.known_after)),
        ),
        (
            "transitions made",
            report.made.to_string(),
            format!("and seen by others {} times", report.observed),
        ),
        ("DynamoDB reads", store.reads.to_string(), format!("for {} calls", report.calls)),
        (
            "DynamoDB writes",
            store.applied.saturating_add(store.refused).to_string(),
            format!("{} applied, {} refused", store.applied, store.refused),
        ),
    ];
    if store.errors > 0 {
        rows.push(("DynamoDB errors", store.errors.to_string(), String::new()));
    }
    rows
}

fn seconds(duration: Option<Duration>) -> String {
    duration.map_or("never".to_owned(), |duration| format!("{:.2} s", duration.as_secs_f64()))
}
