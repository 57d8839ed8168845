//! The tables of `docs/votes.md`.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use fuseboard::{Config, Rule};

use super::{DEAD, Plan, Run, Trouble, with_votes, without_votes};
use crate::SECOND;

/// Seeds of which the middle one is shown.
const SEEDS: u64 = 5;

pub(super) fn print() {
    match std::env::var("FUSEBOARD_FLEET").as_deref() {
        Ok("votes") => {
            hangs();
            rare();
        }
        Ok("votes-in-bursts") => bursts(),
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
        let run = middle(&Plan::rare(config, DEAD));
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

/// What is played of health: which environment is called, the votes, the share of failures, for how
/// many hours, and how many seeds.
type Row = (&'static str, (u32, u32), f64, u64, u64);

const LAST: &str = "idle last";
const ANY: &str = "any of 5,000";

const HEALTH: [Row; 12] = [
    (LAST, (5, 2), 0.001, 24, 1),
    (LAST, (5, 2), 0.01, 24, 3),
    (LAST, (5, 2), 0.03, 24, 1),
    (LAST, (5, 1), 0.001, 1, 3),
    (LAST, (5, 1), 0.01, 1, 3),
    (LAST, (10, 1), 0.01, 1, 3),
    (ANY, (5, 2), 0.01, 1, 1),
    (ANY, (10, 2), 0.01, 1, 1),
    (ANY, (5, 2), 0.001, 1, 1),
    (ANY, (10, 2), 0.03, 1, 1),
    (ANY, (5, 2), 0.03, 1, 1),
    (ANY, (5, 1), 0.001, 1, 1),
];

/// Runs that are played at once.
const AT_ONCE: usize = 2;

/// How often a healthy fleet opens in a day, and what it writes.
fn health() {
    println!(
        "\n| environment | votes | failures | days x seeds | openings a day | ballots a day |"
    );
    println!("|---|---|---|---|---|---|");
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(row) = HEALTH.get(next.fetch_add(1, Ordering::Relaxed)) {
                    println!("{}", healthy(*row));
                }
            });
        }
    });
}

fn healthy((which, (voters, streak), share, hours, seeds): Row) -> String {
    let config = without_votes(5).also_trip(Rule::votes(voters, streak)).build().unwrap();
    let trouble = Trouble::Background(share);
    let plan = if which == LAST { Plan::of(config, trouble) } else { Plan::rare(config, trouble) };
    let lasts = Duration::from_secs(hours * 3_600);
    let runs = (0..seeds).map(|seed| {
        Plan { seed: plan.seed + seed, lasts, from: Duration::ZERO, ..plan.clone() }.play()
    });
    let runs: Vec<_> = runs.collect();
    let days = hours as f64 * seeds as f64 / 24.0;
    let openings = runs.iter().map(|run| run.trips).sum::<usize>() as f64 / days;
    let ballots = runs.iter().map(|run| run.ballots).sum::<usize>() as f64 / days;
    let percent = share * 100.0;
    format!(
        "| {which} | ({voters}, {streak}) | {percent} % | {hours} h x {seeds} | {openings:.0} | \
         {ballots:.0} |"
    )
}

/// What a burst of refused calls, and one that lasts for a share of them, comes to with the preset.
fn bursts() {
    println!("\n| refused | for | idle last: opens, after, failing | any of 5,000 |");
    println!("|---|---|---|---|");
    let burst = |ms| (1.0, Duration::from_millis(ms));
    let partial = |share| (share, Duration::from_secs(120));
    let rows = [burst(50), burst(100), burst(200), burst(500), burst(1_000), burst(2_000)];
    let long = [burst(5_000), burst(30_000), partial(0.5), partial(0.2), partial(0.1)];
    for (share, lasts) in rows.into_iter().chain(long) {
        let cells = [Plan::of, Plan::rare].map(|plan| {
            let plan = plan(Config::for_lambda().build().unwrap(), Trouble::Fails(share));
            let until = plan.from + lasts;
            burst_cell(&Plan { until, lasts: until + 5 * SECOND, ..plan })
        });
        println!("| {} % | {lasts:?} | {} |", share * 100.0, cells.join(" | "));
    }
}

fn burst_cell(plan: &Plan) -> String {
    const RUNS: u64 = 20;
    let runs = (0..RUNS).map(|seed| Plan { seed: plan.seed + seed, ..plan.clone() }.play());
    let mut runs: Vec<_> = runs.filter(|run| run.trips > 0).collect();
    runs.sort_by_key(Run::opens_after_first);
    let opened = runs.len();
    let Some(middle) = runs.get(opened / 2) else { return format!("0 of {RUNS}") };
    let after = middle.opens_after_first().unwrap_or_default().as_secs_f64();
    format!("{opened} of {RUNS}, {after:.2} s, {}", middle.let_through)
}
