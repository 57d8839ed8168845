//! Fleets of a real size on one hot item.

use std::time::Duration;

use crate::{
    SECOND,
    incident::{self, Figures, Size, expensive, figures, story, unprotected},
    judge, number,
    plan::{Careless, Pace, Plan, Way},
    seed_or, sizes_or,
    world::play,
};

/// How the test of a fleet is played again.
fn replay(size: Size, seed: u64, test: &str) -> String {
    let Size { processes, rate } = size;
    format!(
        "FUSEBOARD_FLEET={processes}x{rate} FUSEBOARD_FLEET_SEED={seed} cargo test --test fleet {test} -- --nocapture"
    )
}

fn case_192(size: Size, seed: u64) {
    let (run, figures) = incident::incident(size, seed, 40 * SECOND);
    story(&run);
    let mut found = unprotected(&figures);
    found.extend(expensive(&figures, size.gap()));
    judge(192, &replay(size, seed, "case_192"), &found);
}

#[test]
fn case_192_one_probe_at_a_time_and_nobody_alone_whatever_the_size() {
    let sizes = [(1, 2), (3, 2), (10, 2), (100, 2), (100, 10), (1_000, 1), (2_000, 10)];
    for size in sizes_or(&sizes) {
        case_192(size, seed_or(1));
    }
}

#[test]
fn case_192_one_probe_at_a_time_among_eight_thousand() {
    for size in sizes_or(&[(8_000, 1)]) {
        case_192(size, seed_or(1));
    }
}

/// A share asks by `admit` and by `try_admit`, and drops or cancels what it was given.
#[test]
fn case_192_one_probe_at_a_time_however_a_circuit_is_asked() {
    for size in sizes_or(&[(300, 5)]) {
        let seed = seed_or(1);
        let mut plan = incident::plan(size, seed, 40 * SECOND);
        for (number, process) in plan.processes.iter_mut().enumerate() {
            process.way = [Way::Call, Way::Call, Way::Admit, Way::TryAdmit][number % 4];
            process.careless = Careless { cancelled: 0.02, dropped: 0.02, leaked: 0.0 };
        }
        let run = play(plan);
        story(&run);
        let figures = figures(&run);
        let mut found = Vec::new();
        // A probe that is dropped is followed by another at once.
        if figures.at_once > 1 || figures.probes_dead > 3 {
            let Figures { at_once, probes_dead, .. } = figures;
            found.push(format!("{probes_dead} probes while it was down, {at_once} at a time"));
        }
        if figures.told_alone > 0 {
            found.push(format!("{} told without the store", figures.told_alone));
        }
        judge(192, &replay(size, seed, "case_192_one_probe_at_a_time_however"), &found);
    }
}

#[test]
fn case_100_a_thousand_processes_let_few_failing_calls_through() {
    let size = Size { processes: 1_000, rate: 2 };
    // How many it is depends on how early the first process has had five failures.
    let seeds = number("FUSEBOARD_FLEET_SEED").map_or(1..6, |seed| seed..seed + 1);
    let mut leaked = Vec::new();
    for seed in seeds {
        let (run, figures) = incident::incident(size, seed, 20 * SECOND);
        story(&run);
        leaked.push(figures.leaked);
        let refused = figures.trips_refused;
        let found = (refused > 5).then(|| format!("{refused} trips were refused"));
        judge(100, &replay(size, seed, "case_100"), found.as_slice());
    }
    println!("failing calls that were let through: {leaked:?}");
    leaked.sort_unstable();
    let most = leaked[leaked.len() / 2];
    let found = (most > 2_900).then(|| format!("{most} failing calls were let through"));
    judge(100, "cargo test --test fleet case_100 -- --nocapture", found.as_slice());
}

#[test]
fn case_212_callers_in_lockstep_probe_one_at_a_time() {
    for size in sizes_or(&[(1_500, 2)]) {
        let seed = seed_or(1);
        let mut plan = incident::plan(size, seed, 40 * SECOND);
        for process in &mut plan.processes {
            process.pace = Pace::Lockstep;
        }
        let run = play(plan);
        let figures = figures(&run);
        story(&run);
        judge(212, &replay(size, seed, "case_212"), &unprotected(&figures));
    }
}

#[test]
fn case_206_a_fleet_that_starts_in_one_second_is_answered_within_three() {
    let (size, seed) = (Size { processes: 8_000, rate: 2 }, seed_or(1));
    let mut plan = Plan::fleet(seed, size.processes, size.gap());
    for process in &mut plan.processes {
        process.from *= 2;
    }
    plan.until = 5 * SECOND;
    let run = play(plan);
    let waited = run.plan.processes.iter().zip(&run.state.lives).map(|(process, life)| {
        life.first_heard_at.map_or(Duration::MAX, |heard| heard - process.from)
    });
    let longest = waited.max().unwrap();
    let found = (longest > 3 * SECOND).then(|| format!("one was answered after {longest:?}"));
    judge(206, &replay(size, seed, "case_206"), found.as_slice());
}

#[test]
fn case_206_reads_of_a_fleet_in_step_drift_apart() {
    let (size, seed) = (Size { processes: 100, rate: 10 }, seed_or(1));
    let mut plan = Plan::fleet(seed, size.processes, size.gap());
    for process in &mut plan.processes {
        process.pace = Pace::Lockstep;
        process.from = Duration::ZERO;
    }
    plan.until = 180 * SECOND;
    let run = play(plan);
    // In the last minute each reads every 4 s or so: how many of them in one second?
    let late = run.state.partition.requests.iter().filter(|it| it.at > 120 * SECOND);
    let mut seconds = [0; 60];
    for request in late {
        seconds[usize::try_from(request.at.as_secs()).unwrap() - 120] += 1;
    }
    let worst = seconds.iter().max().unwrap();
    let found = (*worst > size.processes * 7 / 10).then(|| format!("{worst} reads in one second"));
    judge(206, &replay(size, seed, "case_206"), found.as_slice());
}
