//! Processes that the store does not hear, or not any more, among others that it does.

use std::time::Duration;

use fuseboard::Config;

use crate::{
    SECOND,
    incident::{figures, story},
    judge,
    partition::{Asked, Fate},
    plan::{Act, Outage, Plan, Span},
    seed_or,
    world::{Run, play},
};

const MINUTE: Duration = Duration::from_secs(60);

fn judge_seed(case: u16, seed: u64, found: &[String]) {
    let replay =
        format!("FUSEBOARD_FLEET_SEED={seed} cargo test --test fleet case_{case} -- --nocapture");
    judge(case, &replay, found);
}

/// Good calls of some processes that were rejected from an instant on.
fn good_rejected(run: &Run, by: impl Fn(usize) -> bool, from: Duration) -> usize {
    let rejections = run.state.notes.rejections.iter();
    rejections.filter(|it| it.good && by(it.by) && it.at >= from).count()
}

fn trips(run: &Run) -> Vec<(Duration, usize)> {
    let requests = run.state.partition.requests.iter();
    let trips = requests.filter(|it| it.asked == Asked::Write("trip") && it.fate == Fate::Applied);
    trips.map(|it| (it.at, it.by)).collect()
}

/// Probes of a process that began while another had held the lease for longer than a read
/// takes.
fn probes_beside_a_lease(run: &Run, by: usize) -> usize {
    let history = &run.state.partition.history;
    let is_leased = |at: Duration| {
        let newest = history.iter().rev().find(|step| step.at <= at);
        newest.is_some_and(|it| ["elect", "take over", "renew"].contains(&it.name))
    };
    let own = run.state.notes.probes.iter().filter(|probe| probe.by == by);
    own.filter(|it| is_leased(it.begun.saturating_sub(SECOND / 20)) && is_leased(it.begun)).count()
}

#[test]
fn case_195_a_process_that_may_not_write_decides_on_reads() {
    let seed = seed_or(1);
    let outage = Span::new(10 * SECOND, 50 * SECOND);
    for idle in [false, true] {
        let mut plan = Plan::fleet(seed, 4, SECOND / 5);
        plan.outages.push(Outage { span: outage, zone: None });
        plan.until = 500 * SECOND;
        for process in &mut plan.processes {
            process.call = Duration::from_millis(1_500);
        }
        let denied = &mut plan.processes[0];
        denied.more_callers = 7;
        denied.path.denied.push(Span::new(Duration::ZERO, plan.until));
        // It reads of the opening, and comes back long after the closing.
        if idle {
            denied.idle.push(Span::new(outage.from + 3 * SECOND, 400 * SECOND));
        }
        let run = play(plan);
        let figures = figures(&run);
        let mut found = Vec::new();
        if figures.at_once > 1 {
            found.push(format!("idle: {idle}; {} probes at a time", figures.at_once));
        }
        let closed = outage.until + figures.closed.unwrap_or(500 * SECOND);
        // It has the age of its cache, and a call that is rejected while it reads.
        let from = closed + Config::default().local_cache_max_age() + SECOND;
        let rejected = good_rejected(&run, |by| by == 0, from);
        let beside = probes_beside_a_lease(&run, 0);
        if beside > 0 {
            found.push(format!("idle: {idle}; {beside} probes beside another's lease"));
        }
        if rejected > 0 {
            found.push(format!("idle: {idle}; {rejected} calls rejected of a closed circuit"));
        }
        story(&run);
        judge_seed(195, seed, &found);
    }
}

#[test]
fn case_196_a_process_that_was_cut_off_does_not_open_a_healthy_fleet() {
    let seed = seed_or(1);
    for idle in [true, false] {
        let mut plan = Plan::fleet(seed, 10, SECOND / 5);
        plan.until = 25 * MINUTE;
        let alone = &mut plan.processes[0];
        alone.path.cut.push(Span::new(10 * SECOND, 20 * MINUTE));
        alone.path.hangs = seed.is_multiple_of(2);
        alone.broken.push((Span::new(12 * SECOND, 16 * SECOND), 1.0));
        if idle {
            alone.idle.push(Span::new(16 * SECOND, plan.until));
        }
        let run = play(plan);
        let mut found = Vec::new();
        if !trips(&run).is_empty() {
            found.push(format!("idle: {idle}; opened at {:?}", trips(&run)));
        }
        let rejected = good_rejected(&run, |by| by > 0, Duration::ZERO);
        if rejected > 0 {
            found.push(format!("idle: {idle}; {rejected} calls of healthy processes rejected"));
        }
        judge_seed(196, seed, &found);
    }
}

#[test]
fn case_196_thawed_processes_do_not_open_a_healthy_fleet() {
    let seed = seed_or(1);
    let mut plan = Plan::fleet(seed, 44, SECOND / 4);
    for (number, process) in plan.processes[..40].iter_mut().enumerate() {
        // It fails while it cannot reach the store, is frozen after its last response, and
        // thawed by the next request.
        let thaw = 100 * SECOND + 20 * SECOND * u32::try_from(number).unwrap();
        process.broken.push((Span::new(12 * SECOND, 15 * SECOND), 1.0));
        process.path.cut.push(Span::new(11 * SECOND, 16 * SECOND));
        process.frozen.push(Span::new(15 * SECOND, thaw));
    }
    plan.until = 960 * SECOND;
    let run = play(plan);
    let mut found = Vec::new();
    if !trips(&run).is_empty() {
        found.push(format!("opened {} times", trips(&run).len()));
    }
    let rejected = good_rejected(&run, |by| by >= 40, Duration::ZERO);
    if rejected > 0 {
        found.push(format!("{rejected} calls of healthy processes rejected"));
    }
    judge_seed(196, seed, &found);
}

#[test]
fn case_196_a_release_is_not_undone_by_an_older_opening() {
    let seed = seed_or(1);
    let mut plan = Plan::fleet(seed, 10, SECOND / 2);
    let (released, back) = (300 * SECOND, 600 * SECOND);
    plan.outages.push(Outage { span: Span::new(10 * SECOND, 200 * SECOND), zone: None });
    let alone = &mut plan.processes[0];
    alone.path.cut.push(Span::new(8 * SECOND, back));
    alone.idle.push(Span::new(15 * SECOND, 700 * SECOND));
    // The circuit is held open until it is released.
    plan.acts.push((60 * SECOND, Act::Hold(1, 3_600 * SECOND)));
    plan.acts.push((released, Act::Release(1)));
    plan.until = 720 * SECOND;
    let run = play(plan);
    let mut found = Vec::new();
    let late = trips(&run).into_iter().filter(|(at, _)| *at > released).collect::<Vec<_>>();
    if !late.is_empty() {
        found.push(format!("opened after the release, at {late:?}"));
    }
    judge_seed(196, seed, &found);
}

#[test]
fn case_207_an_item_that_is_deleted_while_not_closed_is_elected_on() {
    let seed = seed_or(1);
    let mut plan = Plan::fleet(seed, 50, SECOND / 5);
    let outage = Span::new(10 * SECOND, 130 * SECOND);
    plan.outages.push(Outage { span: outage, zone: None });
    for process in &mut plan.processes {
        process.call = Duration::from_millis(100);
    }
    for at in [18_000, 42_700, 73_000, 105_250] {
        plan.acts.push((Duration::from_millis(at), Act::Delete));
    }
    plan.settles_after = Some(outage.until);
    plan.until = 300 * SECOND;
    let run = play(plan);
    let figures = figures(&run);
    let mut found = Vec::new();
    let at_once = run.state.notes.late_at_once;
    if at_once > 1 {
        found.push(format!("{at_once} calls at a time reached the dead dependency"));
    }
    if figures.closed.is_none_or(|closed| closed > 45 * SECOND) {
        found.push(format!("closed {:?} after the dependency was well", figures.closed));
    }
    judge_seed(207, seed, &found);
}

#[test]
fn case_211_a_circuit_that_is_half_open_elsewhere_is_read_again_after_two_seconds() {
    let seed = seed_or(1);
    let mut plan = Plan::fleet(seed, 4, SECOND / 10);
    plan.outages.push(Outage { span: Span::new(10 * SECOND, 30 * SECOND), zone: None });
    // The first process probes, for long; the others come back while it does.
    plan.processes[0].call = 12 * SECOND;
    plan.processes[0].gap = SECOND / 5;
    for process in &mut plan.processes[1..] {
        process.idle.push(Span::new(15 * SECOND, 48 * SECOND));
    }
    plan.until = 60 * SECOND;
    let run = play(plan);
    let mut found = Vec::new();
    let requests = &run.state.partition.requests;
    let is_probing = requests.iter().any(|it| it.by == 0 && it.asked == Asked::Write("elect"));
    assert!(is_probing, "the first process is elected");
    for number in 1..4 {
        let reads = requests.iter().filter(|it| it.by == number && it.at > 48 * SECOND);
        let at: Vec<_> = reads.map(|it| it.at).take(2).collect();
        let again = if let [first, second] = at[..] { second - first } else { Duration::MAX };
        if again > 2 * SECOND + SECOND / 4 {
            found.push(format!("read again after {again:?}"));
        }
    }
    judge_seed(211, seed, &found);
}
