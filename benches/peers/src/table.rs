//! The table, in Markdown.

use std::fmt::Write as _;

use crate::{
    column::Column,
    contest::{Contest, OURS},
    counted::Counted,
    floors::{RING, SERVICE},
    peers,
    statistics::Spread,
};

const COLUMNS: [Column; 4] = [Column::Closed, Column::Together, Column::Call, Column::Rejected];

const HEAD: &str = "\
| ns for each call | admit and success | two threads, one circuit | `call`, ready future | rejected | allocations |
|---|--:|--:|--:|--:|--:|";

const WITH_RULES: [Column; 4] =
    [Column::Ruled, Column::RuledTogether, Column::Watched, Column::WatchedTogether];

const HEAD_WITH_RULES: &str = "\
| ns for each call | admit and success, rules on | two threads, one circuit | good calls are counted | two threads, one circuit |
|---|--:|--:|--:|--:|";

/// Everything that was measured.
pub(crate) fn render(contest: &Contest, counted: &Counted) -> String {
    let mut table = String::from(HEAD);
    for name in contest.peers() {
        let cells: Vec<_> = COLUMNS.iter().map(|column| cell(contest, name, *column)).collect();
        let _ = write!(
            table,
            "\n| {} | {} | {} |",
            peers::titled(name),
            cells.join(" | "),
            allocations(counted, name),
        );
    }
    table.push_str("\n\n");
    with_rules(&mut table, contest);
    if let Some(left_out) = peers::left_out() {
        let _ = writeln!(table, "{left_out}\n");
    }
    if let Some(informed) = contest.nanos(OURS, Column::Informed) {
        let informed = spread(informed);
        let _ = writeln!(table, "{OURS}, rejected with the full `CircuitInfo`: {informed}.\n");
    }
    for (what, column) in [
        ("`call` around a ready future, where slow calls count", Column::CallSlow),
        ("`call` around a future that pends once, where slow calls count", Column::Pending),
        ("a call that fails, with four rules, and a good one after it", Column::Failing),
    ] {
        if let Some(nanos) = contest.nanos(OURS, column) {
            let allocations = counted.of(OURS, column).unwrap_or_default();
            let _ = writeln!(
                table,
                "{OURS}, {what}: {}; {allocations:.2} allocations.\n",
                spread(nanos)
            );
        }
    }
    let layers: Vec<_> = contest
        .peers()
        .filter(|name| contest.measures(name, Column::Layer))
        .map(|name| format!("{} {}", peers::titled(name), cell(contest, name, Column::Layer)))
        .collect();
    let _ = writeln!(table, "Layers for tower around {SERVICE}: {}.\n", layers.join("; "));
    let floors: Vec<_> = contest
        .floors()
        .filter_map(|name| {
            Some(format!("{name} {:.1}", contest.nanos(name, Column::Floor)?.median))
        })
        .collect();
    let _ = write!(table, "Floors, in the same loop: {}.", floors.join(", "));
    table
}

/// The crates that have rules over calls or over a time, and what a ring under a mutex costs.
fn with_rules(table: &mut String, contest: &Contest) {
    table.push_str(HEAD_WITH_RULES);
    for name in contest.peers().filter(|name| contest.measures(name, Column::Ruled)) {
        let cells: Vec<_> = WITH_RULES.iter().map(|column| cell(contest, name, *column)).collect();
        let _ = write!(table, "\n| {} | {} |", peers::titled(name), cells.join(" | "));
    }
    let ring: Vec<_> =
        [(Column::Floor, Column::Watched), (Column::Shared, Column::WatchedTogether)]
            .iter()
            .map(|(ring, ours)| cell_beside(contest, (RING, *ring), (OURS, *ours)))
            .collect();
    let _ = write!(table, "\n| {RING} | | | {} |\n\n", ring.join(" | "));
}

fn cell(contest: &Contest, name: &str, column: Column) -> String {
    cell_beside(contest, (name, column), (OURS, column))
}

fn cell_beside(contest: &Contest, this: (&str, Column), ours: (&str, Column)) -> String {
    let Some(nanos) = contest.nanos(this.0, this.1) else { return "-".to_owned() };
    let ratio =
        contest.ratio(this, ours).filter(|_| this.0 != OURS).map(|ratio| format!(", {ratio:.1}×"));
    spread(nanos) + &ratio.unwrap_or_default()
}

fn spread(Spread { p10, median, p90 }: Spread) -> String {
    format!("{median:.1} ({p10:.1} to {p90:.1})")
}

/// One number if they are the same everywhere, else admitted, called, rejected.
fn allocations(counted: &Counted, name: &str) -> String {
    let each: Vec<_> = [Column::Closed, Column::Call, Column::Rejected]
        .iter()
        .filter_map(|column| counted.of(name, *column))
        .map(|allocations| format!("{allocations:.2}").replace(".00", ""))
        .collect();
    match each.split_first() {
        Some((one, others)) if others.iter().all(|other| other == one) => one.clone(),
        _ => each.join(", "),
    }
}
