//! Processes whose own calls fail, whatever they call.

use std::time::Duration;

use crate::{
    SECOND, judge,
    partition::{Asked, Fate},
    plan::{Plan, Span},
    seed_or,
    world::{Run, play},
};

/// For how long some processes are broken.
const BROKEN_FOR: Duration = Duration::from_secs(1_800);

/// A fleet some processes of which are broken, from the tenth second on.
fn plan(seed: u64, processes: usize, broken: usize, share: f64, gap: Duration) -> Plan {
    let mut plan = Plan::fleet(seed, processes, gap);
    let span = Span::new(10 * SECOND, 10 * SECOND + BROKEN_FOR);
    for process in &mut plan.processes[..broken] {
        process.broken.push((span, share));
    }
    plan.until = span.until;
    plan
}

/// What half an hour cost those that are not broken.
struct Cost {
    good: u64,
    rejected: u64,
    trips: usize,
    /// Calls of the broken processes that failed and ran.
    failed: usize,
}

impl Cost {
    fn of(run: &Run, broken: usize) -> Self {
        let others = run.state.lives[broken..].iter().map(|life| life.calls);
        let (good, rejected) = others.fold((0, 0), |(good, rejected), calls| {
            (good + u64::from(calls.good), rejected + u64::from(calls.good_rejected))
        });
        let requests = run.state.partition.requests.iter();
        let trips =
            requests.filter(|it| it.asked == Asked::Write("trip") && it.fate == Fate::Applied);
        let failed = run.state.notes.failures.len();
        Self { good, rejected, trips: trips.count(), failed }
    }

    fn share(&self) -> f64 {
        self.rejected as f64 / self.good as f64
    }
}

fn case_93(processes: usize, broken: usize, share: f64, gap: Duration) {
    let seed = seed_or(1);
    let run = play(plan(seed, processes, broken, share, gap));
    let cost = Cost::of(&run, broken);
    let percent = cost.share() * 100.0;
    println!(
        "{broken} of {processes} broken, {:.0} % of their calls fail, called every {gap:?}: \
         {percent:.1} % of the others' good calls were rejected, {} trips, {} failing calls ran",
        share * 100.0,
        cost.trips,
        cost.failed
    );
    let mut found = Vec::new();
    if cost.share() > 0.06 * broken as f64 {
        found.push(format!("{percent:.1} % of the others' good calls were rejected"));
    }
    // One of which all calls fail is never heard again.
    if share >= 1.0 && cost.trips > broken {
        found.push(format!("{broken} broken processes tripped {} times", cost.trips));
    }
    let replay = format!(
        "FUSEBOARD_FLEET_SEED={seed} cargo test --test fleet case_93 -- --nocapture \
         # {broken} of {processes}, {share}, {gap:?}"
    );
    judge(93, &replay, &found);
}

#[test]
fn case_93_one_broken_process_costs_the_others_little() {
    let half = SECOND / 2;
    for (processes, share) in [(10, 1.0), (50, 1.0), (50, 0.6)] {
        case_93(processes, 1, share, half);
    }
    case_93(200, 1, 1.0, 10 * SECOND);
    if std::env::var("FUSEBOARD_FLEET").is_ok_and(|what| what == "broken") {
        for share in [1.0, 0.9, 0.8, 0.6, 0.3] {
            case_93(200, 1, share, half);
        }
    }
}

#[test]
fn case_93_two_broken_processes_cost_the_others_twice_that() {
    case_93(50, 2, 0.6, SECOND / 2);
}
