//! The tables of `docs/fleet-size.md`: what sharing costs and what it gives.

use std::time::Duration;

use crate::{
    SECOND,
    incident::{self, Figures, Size},
    plan::between,
};

/// Processes, calls of each in a second, and how many incidents are played.
const SIZES: [(usize, u32, u64); 14] = [
    (1, 2, 21),
    (1, 10, 21),
    (10, 2, 21),
    (10, 10, 11),
    (100, 2, 5),
    (100, 10, 5),
    (1_000, 2, 3),
    (1_000, 10, 3),
    (2_000, 2, 3),
    (2_000, 10, 3),
    (4_000, 2, 3),
    (4_000, 10, 1),
    (8_000, 2, 3),
    (8_000, 10, 1),
];

/// The columns of each table, after the size. One table of all columns is wider than a page.
const HEADS: [&[&str]; 4] = [
    &["incidents", "probes", "at a time", "told alone"],
    &["reads", "writes", "refused", "throttled"],
    &["reads in the worst second", "writes in the worst second"],
    &["failing calls without", "with a breaker", "all reject", "closed", "all know"],
];

fn median<T: Ord + Copy>(figures: &[Figures], of: impl Fn(&Figures) -> T) -> T {
    let mut all: Vec<_> = figures.iter().map(of).collect();
    all.sort_unstable();
    all[all.len() / 2]
}

fn most<T: Ord + Copy>(figures: &[Figures], of: impl Fn(&Figures) -> T) -> T {
    figures.iter().map(of).max().unwrap()
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap());
    groups.collect::<Vec<_>>().join(",")
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Medians of some incidents; of what must not happen at all, the most. One line of each table.
fn lines(size: Size, figures: &[Figures]) -> [String; 4] {
    let number = |of: fn(&Figures) -> usize| thousands(median(figures, of));
    let time = |of: fn(&Figures) -> Duration| seconds(median(figures, of));
    let know = |it: &Figures| {
        it.closed.unwrap_or(Duration::MAX).saturating_add(it.all_know.unwrap_or(Duration::MAX))
    };
    let probes = vec![
        figures.len().to_string(),
        number(|it| it.probes),
        most(figures, |it| it.at_once).to_string(),
        thousands(most(figures, |it| it.told_alone)),
    ];
    let requests = vec![
        number(|it| it.reads),
        number(|it| it.applied),
        number(|it| it.refused),
        thousands(most(figures, |it| it.throttled)),
    ];
    let worst = vec![
        thousands(most(figures, |it| it.worst_reads)),
        thousands(most(figures, |it| it.worst_writes)),
    ];
    let calls = vec![
        number(|it| it.asked),
        number(|it| it.leaked + it.probes_dead),
        time(|it| it.all_reject),
        time(|it| it.closed.unwrap_or(Duration::MAX)),
        seconds(median(figures, know)),
    ];
    let first = format!("{} x {}", thousands(size.processes), size.rate);
    [probes, requests, worst, calls].map(|cells| format!("| {first} | {} |", cells.join(" | ")))
}

/// The incidents of a size: the dependency is down for 45 to 75 s.
fn played(size: Size, incidents: u64) -> Vec<Figures> {
    let play = |seed| {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x7AB1E);
        let down_for = between(&mut rng, 45 * SECOND, 75 * SECOND);
        incident::incident(size, seed, down_for).1
    };
    (0..incidents).map(play).collect()
}

/// Prints the tables if `FUSEBOARD_FLEET=table`, else plays the smallest fleets of it.
#[test]
fn the_tables_have_a_line_for_each_size() {
    let whole = std::env::var("FUSEBOARD_FLEET").is_ok_and(|what| what == "table");
    let mut tables = HEADS.map(|head| {
        let rule = "---|".repeat(head.len() + 1);
        format!("| processes x calls/s | {} |\n|{rule}\n", head.join(" | "))
    });
    for (processes, rate, incidents) in SIZES {
        let size = Size { processes, rate };
        if !whole && processes > 10 {
            continue;
        }
        let incidents = if whole { incidents } else { 3 };
        let lines = lines(size, &played(size, incidents));
        for ((table, line), head) in tables.iter_mut().zip(&lines).zip(HEADS) {
            assert_eq!(line.matches('|').count(), head.len() + 2, "{line}");
            *table += &format!("{line}\n");
        }
    }
    println!("{}", tables.join("\n"));
}

#[test]
fn numbers_are_written_in_groups_of_three() {
    assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
}
