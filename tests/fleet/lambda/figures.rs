//! The tables of `docs/votes.md`.

use std::time::Duration;

use fuseboard::{Config, Rule};

use super::{Plan, Run, Trouble, with_votes, without_votes};
use crate::SECOND;

/// Seeds of which the middle one is shown.
const SEEDS: u64 = 5;

pub(super) fn print() {
    match std::env::var("FUSEBOARD_FLEET").as_deref() {
        Ok("votes") => {
            hangs();
            rare();
        }
        Ok("votes-in-health") => health(),
        _ => {}
    }
}

/// What a hang costs, by how long it lasts and by which rule ends it.
fn hangs() {
    let rules = [
        ("T = 5", without_votes(5).build().unwrap()),
        ("votes(5, 1), 30 s", with_votes(5, 1, 30)),
        ("votes(5, 2), 60 s", with_votes(5, 2, 60)),
        ("for_lambda()", Config::for_lambda().build().unwrap()),
    ];
    println!("| a call hangs for | {} |", rules.each_ref().map(|(name, _)| *name).join(" | "));
    println!("|---|{}", "---|".repeat(rules.len()));
    for (hang, limit) in [(29, Some(2)), (10, None), (29, None)] {
        let limit = limit.map(|limit| limit * SECOND);
        let cells = rules.each_ref().map(|(_, config)| {
            let plan = Plan::hanging(config.clone(), hang * SECOND, limit);
            let run = middle(&plan);
            let opens = run.opens_after().unwrap_or_default().as_secs_f64();
            format!("{opens:.1} s, {}, {}", run.let_through, run.at_once)
        });
        let shown = limit.unwrap_or(hang * SECOND).as_secs();
        println!("| {shown} s | {} |", cells.join(" | "));
    }
    let run = middle(&Plan::slow());
    let opens = run.opens_after().unwrap_or_default().as_secs_f64();
    println!("slow_after(2 s), votes(10, 1): {opens:.1} s, {}, {}", run.let_through, run.at_once);
}

/// What a dead dependency costs a fleet that is rarely called.
fn rare() {
    println!("\n| rule | failing calls until all reject | ballots |\n|---|---|---|");
    for (name, config) in [
        ("T = 5", without_votes(5).build().unwrap()),
        ("votes(5, 1), 60 s", with_votes(5, 1, 60)),
        ("votes(5, 2), 60 s", with_votes(5, 2, 60)),
        ("for_lambda()", Config::for_lambda().build().unwrap()),
    ] {
        let run = middle(&Plan::rare(config, Trouble::Dead));
        println!("| {name} | {} | {} |", run.let_through, run.ballots);
    }
}

/// The run whose number of calls that met the trouble is the middle one.
fn middle(plan: &Plan) -> Run {
    let runs = (0..SEEDS).map(|seed| Plan { seed: plan.seed + seed, ..plan.clone() }.play());
    let mut runs: Vec<_> = runs.collect();
    runs.sort_by_key(|run| run.let_through);
    runs.swap_remove(runs.len() / 2)
}

/// What is played of health: which environment is called, the votes, the share of failures, and for
/// how many hours.
type Row = (&'static str, (u32, u32), f64, u64);

const LAST: &str = "idle last";
const ANY: &str = "any of 5,000";

const HEALTH: [Row; 12] = [
    (LAST, (5, 2), 0.001, 24),
    (LAST, (5, 2), 0.01, 24),
    (LAST, (5, 2), 0.03, 24),
    (ANY, (5, 2), 0.001, 4),
    (ANY, (5, 2), 0.01, 4),
    (ANY, (5, 2), 0.03, 4),
    (ANY, (10, 2), 0.01, 4),
    (ANY, (10, 2), 0.03, 4),
    (LAST, (5, 1), 0.001, 1),
    (LAST, (5, 1), 0.01, 1),
    (LAST, (10, 1), 0.01, 1),
    (ANY, (5, 1), 0.001, 1),
];

/// Rows that are played at once.
const AT_ONCE: usize = 3;

/// How often a healthy fleet opens, and what it writes.
fn health() {
    println!("\n| environment | votes | failures | hours | openings | ballots |");
    println!("|---|---|---|---|---|---|");
    std::thread::scope(|scope| {
        for first in 0..AT_ONCE {
            let rows = HEALTH.iter().skip(first).step_by(AT_ONCE);
            scope.spawn(move || rows.for_each(|row| println!("{}", healthy(*row))));
        }
    });
}

/// A row: three seeds, the openings of each, and the ballots of the middle one.
fn healthy((which, (voters, streak), share, hours): Row) -> String {
    let config = without_votes(5).also_trip(Rule::votes(voters, streak)).build().unwrap();
    let trouble = Trouble::Background(share);
    let plan = if which == LAST { Plan::of(config, trouble) } else { Plan::rare(config, trouble) };
    let lasts = Duration::from_secs(hours * 3_600);
    let runs = (0..3).map(|seed| {
        Plan { seed: plan.seed + seed, lasts, from: Duration::ZERO, ..plan.clone() }.play()
    });
    let mut runs: Vec<_> = runs.collect();
    let trips: Vec<_> = runs.iter().map(|run| run.trips.to_string()).collect();
    runs.sort_by_key(|run| run.ballots);
    let (trips, ballots, percent) = (trips.join(", "), runs[1].ballots, share * 100.0);
    format!("| {which} | ({voters}, {streak}) | {percent} % | {hours} | {trips} | {ballots} |")
}
