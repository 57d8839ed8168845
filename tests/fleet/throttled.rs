//! An item that is asked for more than its partition serves, or whose neighbours are.

use std::time::Duration;

use fuseboard::Config;

use crate::{
    SECOND,
    incident::{figures, story, unprotected},
    judge,
    partition::{Asked, Fate, Request},
    plan::{Limits, Outage, Plan, Span},
    seed_or,
    world::{Run, play},
};

/// What throttling may add to a wait: the longest back-off with its spread, and a look.
const BACK_OFF: Duration = Duration::from_secs(8);

/// A fleet whose dependency is down, and what its partition serves.
fn plan(seed: u64, processes: usize, outage: Span, limits: &[(Duration, f64, f64)]) -> Plan {
    let mut plan = Plan::fleet(seed, processes, SECOND / 5);
    plan.outages.push(Outage { span: outage, zone: None });
    plan.limits.extend(limits.iter().map(|(from, writes, reads)| Limits {
        from: *from,
        writes: *writes,
        reads: *reads,
    }));
    plan.settles_after = Some(outage.until);
    plan.until = outage.until + 120 * SECOND;
    plan
}

fn replay(seed: u64, test: &str) -> String {
    format!("FUSEBOARD_FLEET_SEED={seed} cargo test --test fleet {test} -- --nocapture")
}

/// Writes that followed a throttled one of the same process without a read in between.
fn unread_writes(run: &Run) -> usize {
    let mut attempts = vec![0; run.plan.processes.len()];
    let mut unread = 0;
    for Request { by, asked, fate, .. } in &run.state.partition.requests {
        if !asked.is_write() {
            if *fate == Fate::Shown {
                attempts[*by] = 0;
            }
            continue;
        }
        // An operation has three attempts; what follows is another one.
        unread += usize::from(attempts[*by] == 3);
        let throttled = *fate == Fate::Throttled;
        attempts[*by] = if throttled { attempts[*by] % 3 + 1 } else { 0 };
    }
    unread
}

#[test]
fn case_193_a_throttled_store_is_not_out() {
    let seed = seed_or(1);
    let outage = Span::new(10 * SECOND, 60 * SECOND);
    // Four writes a second for a hundred processes; then hardly any reads either.
    for (writes, reads) in [(4.0, 3_000.0), (1_000.0, 8.0), (4.0, 8.0)] {
        let limits = [(9 * SECOND, writes, reads), (90 * SECOND, 1_000.0, 3_000.0)];
        let run = play(plan(seed, 100, outage, &limits));
        story(&run);
        let figures = figures(&run);
        let mut found = unprotected(&figures);
        let unread = unread_writes(&run);
        if unread > 0 {
            found.push(format!("{unread} writes followed a throttled one without a read"));
        }
        let recovery = Config::default().recovery_timeout();
        let latest = 90 * SECOND + recovery + 10 * SECOND + BACK_OFF - outage.until;
        if figures.closed.is_none_or(|closed| closed > latest) {
            found.push(format!("closed {:?} after the dependency was well", figures.closed));
        }
        let found: Vec<_> = found
            .iter()
            .map(|it| format!("{writes} writes, {reads} reads a second: {it}"))
            .collect();
        judge(193, &replay(seed, "case_193"), &found);
    }
}

/// How long a process rejected at the longest, of those that did.
fn longest_rejecting(run: &Run) -> Duration {
    let mut longest = Duration::ZERO;
    let mut since = vec![None; run.plan.processes.len()];
    for rejection in &run.state.notes.rejections {
        let life = &run.state.lives[rejection.by];
        let from: &mut Option<Duration> = &mut since[rejection.by];
        let until = life.readmitted_at.unwrap_or(run.ended);
        longest = longest.max(until.saturating_sub(*from.get_or_insert(rejection.at)));
    }
    longest
}

#[test]
fn case_209_a_process_whose_trip_was_throttled_does_not_reject_for_ever() {
    let seed = seed_or(1);
    let recovery = Config::default().recovery_timeout();
    let outage = Span::new(10 * SECOND, 16 * SECOND);
    // Nothing is served until the trips can still be written, and until they are dropped.
    for served_from in [26 * SECOND, 75 * SECOND] {
        let limits = [(9 * SECOND, 0.0, 0.0), (served_from, 1_000.0, 3_000.0)];
        let mut plan = plan(seed, 30, outage, &limits);
        plan.settles_after = None;
        plan.until = served_from + 2 * recovery + 20 * SECOND;
        let run = play(plan);
        let longest = longest_rejecting(&run);
        // Served in time: the fleet opens late, and for R. Else each looks once it may.
        let most = served_from - outage.from
            + BACK_OFF
            + if served_from < outage.until + recovery { recovery + 2 * SECOND } else { SECOND };
        let mut found = Vec::new();
        if longest > most {
            found.push(format!("served from {served_from:?} on, one rejected for {longest:?}"));
        }
        let alone = run.state.notes.told.iter().filter(|told| told.alone).count();
        if alone > 0 && served_from < outage.until + recovery {
            found.push(format!("{alone} told without the store"));
        }
        judge(209, &replay(seed, "case_209"), &found);
    }
}

#[test]
fn case_209_a_throttled_trip_is_written_by_a_process_that_is_not_called_any_more() {
    let seed = seed_or(1);
    let outage = Span::new(10 * SECOND, 14 * SECOND);
    let limits = [(9 * SECOND, 0.0, 0.0), (22 * SECOND, 1_000.0, 3_000.0)];
    let mut plan = plan(seed, 3, outage, &limits);
    for process in &mut plan.processes {
        process.idle.push(Span::new(outage.until, 100 * SECOND));
    }
    plan.settles_after = None;
    plan.until = 60 * SECOND;
    let run = play(plan);
    let trip = run
        .state
        .partition
        .requests
        .iter()
        .find(|request| request.asked == Asked::Write("trip") && request.fate == Fate::Applied);
    let latest = outage.until + Config::default().recovery_timeout() + SECOND;
    let mut found = Vec::new();
    match trip {
        None => found.push("the trip was never written".to_owned()),
        Some(trip) if trip.at > latest => {
            found.push(format!("the trip was written at {:?}", trip.at));
        }
        Some(_) => {}
    }
    judge(209, &replay(seed, "case_209"), &found);
}
